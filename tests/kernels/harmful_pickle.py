"""A pickle that does harm when it is opened, for the tests of readers that must not open it."""

from __future__ import annotations

from pathlib import Path


class Harmful:
    """An object whose pickle makes the file ``path`` when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)
