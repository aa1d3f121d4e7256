"""Numbers with their standard deviation, in words."""

from __future__ import annotations

from math import floor, log10


def with_error(value: float | None, error: float | None) -> str:
    """Return ``value ± error``, the error to two digits, as many for the value; –, where there is no value."""
    if value is None:
        return '–'
    if not error:
        return f'{value:.6g}'
    decimals = max(0, 1 - floor(log10(error)))
    return f'{value:.{decimals}f} ± {error:.{decimals}f}'
