"""Figures: kernel dataclasses in, a drawing and the numbers that it shows out."""
