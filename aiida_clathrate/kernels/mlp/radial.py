"""Chebyshev polynomials of the distance, with the cutoff."""

from __future__ import annotations

import math

from torch import Tensor


def chebyshev(distance: Tensor, order: int, cutoff: float) -> tuple[Tensor, Tensor]:
    """Return T_k(2r/R − 1) f_c(r) and its derivative, k = 0 … ``order``.

    f_c(r) = ½ (cos(πr/R) + 1) for r < R and 0 beyond: value and slope are continuous (Artrith, Urban and Ceder,
    Phys. Rev. B 96, 014112 (2017), eq. 4).

    :param distance: r, shape (...) [Å].
    :param order: of the polynomials.
    :param cutoff: R [Å].
    :returns: two tensors of the shape (order + 1, ...), the second per Å.
    """
    inside = distance.clamp(max=cutoff)
    x = inside * (2 / cutoff) - 1
    phase = inside * (math.pi / cutoff)
    window, slope = 0.5 * phase.cos() + 0.5, phase.sin() * (-0.5 * math.pi / cutoff)
    values = distance.new_empty(order + 1, *distance.shape)
    derivatives = distance.new_empty(order + 1, *distance.shape)
    # T_k and T'_k = k U_{k−1}, by the recursions of both; scaled by the window at the end.
    values[0], derivatives[0] = 1, 0
    if order > 0:
        values[1], derivatives[1] = x, 1
    twice = 2 * x
    for k in range(2, order + 1):
        values[k] = twice * values[k - 1] - values[k - 2]
        derivatives[k] = twice * derivatives[k - 1] + 2 * values[k - 1] - derivatives[k - 2]
    derivatives.mul_(window * (2 / cutoff)).add_(values * slope)
    values.mul_(window)
    return values, derivatives
