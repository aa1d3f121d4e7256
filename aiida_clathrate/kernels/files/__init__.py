"""Readers and writers of the files of other programs, each from text to the package's own units and back."""
