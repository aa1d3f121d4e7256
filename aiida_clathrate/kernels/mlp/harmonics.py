"""Real solid harmonics on the unit sphere, and what couples three of them to an invariant.

Racah's normalisation: Σ_m S_lm(u) S_lm(v) = P_l(u·v). Component l² + l + m is that of m = −l … l.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def harmonics(unit: Tensor, largest_l: int) -> tuple[Tensor, Tensor]:
    """Return the harmonics of unit vectors, and their gradients with respect to the components of these vectors.

    S_lm is N_lm P_l^(m)(z) Re or Im (x + iy)^|m|, with the derivatives P_l^(m) of the Legendre polynomials. The
    gradients are those of these polynomials off the sphere: only their part perpendicular to the vector has a meaning.

    :param unit: shape (3, ...).
    :param largest_l: l is 0 … ``largest_l``.
    :returns: shapes ((largest_l + 1)², ...) and (3, (largest_l + 1)², ...).
    """
    z = unit[2]
    legendre = legendre_derivatives(z, largest_l)
    cosines, sines = azimuthal(unit[0], unit[1], largest_l)
    count = (largest_l + 1) ** 2
    values = unit.new_empty(count, *z.shape)
    gradients = unit.new_empty(3, count, *z.shape)
    for l in range(largest_l + 1):  # noqa: E741
        for m in range(l + 1):
            norm = math.sqrt((2 - (m == 0)) * math.factorial(l - m) / math.factorial(l + m))
            polar, slope = norm * legendre[l][m], norm * legendre[l][m + 1]
            for sign, wave in ((1, cosines), (-1, sines)):
                if m == 0 and sign < 0:
                    continue
                index = l * l + l + sign * m
                torch.mul(polar, wave[m], out=values[index])
                torch.mul(slope, wave[m], out=gradients[2, index])
                if m == 0:
                    gradients[:2, index] = 0
                    continue
                # ∂(x + iy)^m/∂x = m (x + iy)^(m−1), ∂/∂y is i times that.
                other = sines if sign > 0 else cosines
                torch.mul(polar, wave[m - 1], out=gradients[0, index]).mul_(m)
                torch.mul(polar, other[m - 1], out=gradients[1, index]).mul_(-sign * m)
    return values, gradients


def azimuthal(x: Tensor, y: Tensor, largest_m: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return real and imaginary parts of (x + iy)^m, m = 0 … ``largest_m``."""
    cosines, sines = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(largest_m):
        cosine, sine = cosines[-1], sines[-1]
        cosines.append(x * cosine - y * sine)
        sines.append(x * sine + y * cosine)
    return cosines, sines


def legendre_derivatives(z: Tensor, largest_l: int) -> list[list[Tensor]]:
    """Return d^m P_l/dz^m for l = 0 … ``largest_l``, m = 0 … l + 1.

    From (l − m) P_l^(m) = (2l − 1) z P_{l−1}^(m) − (l + m − 1) P_{l−2}^(m) and P_m^(m) = (2m − 1)!!.
    """
    zero = torch.zeros_like(z)
    found: list[list[Tensor]] = []
    for l in range(largest_l + 1):  # noqa: E741
        row = []
        for m in range(l):
            above = (2 * l - 1) * z * found[l - 1][m]
            if m <= l - 2:
                above = above - (l + m - 1) * found[l - 2][m]
            row.append(above / (l - m))
        row += [torch.full_like(z, float(math.prod(range(1, 2 * l, 2)))), zero]
        found.append(row)
    return found


@cache
def couplings(largest_l: int) -> tuple[tuple[int, int, int], ...]:
    """Return the (l1, l2, l3), l1 ≤ l2 ≤ l3, 1 … ``largest_l``, whose product has an invariant even under inversion."""
    return tuple(
        (first, second, third)
        for first, second, third in combinations_with_replacement(range(1, largest_l + 1), 3)
        if third <= first + second and (first + second + third) % 2 == 0
    )


@cache
def gaunt(first: int, second: int, third: int) -> NDArray[np.float64]:
    """Return the invariant coupling of three harmonics, shape (2 l1 + 1, 2 l2 + 1, 2 l3 + 1), of norm 1.

    It is the integral of their product over the sphere, exact by Gauss–Legendre and trapezoidal quadrature.
    """
    total = first + second + third
    cosines, weights = np.polynomial.legendre.leggauss(total // 2 + 1)
    angles = 2 * np.pi * np.arange(total + 1) / (total + 1)
    sines = np.sqrt(1 - cosines**2)
    unit = np.stack(
        [np.outer(sines, np.cos(angles)), np.outer(sines, np.sin(angles)), np.outer(cosines, np.ones_like(angles))]
    )
    values = harmonics(torch.from_numpy(unit.reshape(3, -1)), max(first, second, third))[0].numpy()
    one, two, three = (values[order**2 : (order + 1) ** 2] for order in (first, second, third))
    integral = np.einsum('ap,bp,cp,p->abc', one, two, three, np.repeat(weights, len(angles)))
    integral[np.abs(integral) < 1e-12] = 0
    return np.asarray(integral / np.linalg.norm(integral))
