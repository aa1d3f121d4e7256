"""Settings of kernels from the plain scalars of a run folder."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from aiida_clathrate.kernels.io import Scalars

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar('S', bound='DataclassInstance')


def from_scalars(settings: type[S], scalars: Scalars) -> S:
    """Return settings from plain JSON.

    :param settings: a dataclass that checks its values.
    :raises ValueError: for names that it does not have, or values that it refuses.
    """
    known = {part.name for part in fields(settings)}
    if unknown := sorted(set(scalars) - known):
        raise ValueError(f'{unknown[0]}: no such parameter; there are {", ".join(sorted(known))}')
    return settings(**scalars)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
