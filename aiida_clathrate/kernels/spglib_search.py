"""One way to hear from spglib that it finds nothing.

It returns ``None`` or raises, depending on its version and on a switch that other libraries set for the whole process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from spglib.error import SpglibError

Found = TypeVar('Found')


def search(function: Callable[..., Found | None], *arguments: Any, **options: Any) -> Found | None:
    """Return what a function of spglib returns, ``None`` where it fails in either way."""
    try:
        return function(*arguments, **options)
    except SpglibError:
        return None
