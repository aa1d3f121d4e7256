"""Crystals by prototype."""
