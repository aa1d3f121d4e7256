"""FFT grids on which every symmetry operation of a crystal maps grid points onto grid points.

Quantum ESPRESSO chooses each division from the cutoff and from the translations along that one lattice vector. Where
symmetry exchanges lattice vectors that got unequal divisions, pw.x runs and ph.x then stops with ``FFT grid
incompatible with symmetry``: atomic hydrogen in I4₁/amd gets 20, 20, 18 and needs 20, 20, 20.
"""

from __future__ import annotations

from itertools import product
from math import lcm

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.space_group import space_group
from aiida_clathrate.kernels.units import BOHR

#: Prime factors of the lengths that Quantum ESPRESSO takes with every FFT library (``good_fft_order``).
FACTORS = (2, 3, 5)
#: A translation is a fraction of a lattice vector with a denominator of 12 at most, in any setting of any group.
LARGEST_DENOMINATOR = 12
#: How far a translation found by spglib may be from that fraction.
TRANSLATION_TOLERANCE = 1e-3


def minimal_fft_grid(crystal: Crystal, ecutrho: float) -> tuple[int, int, int]:
    """Return the divisions that hold every plane wave of the charge density, without regard to symmetry.

    As Quantum ESPRESSO's ``realspace_grid_init``: 2 m_i + 1 with m_i the largest index of a reciprocal lattice vector
    within the cutoff.

    :param ecutrho: cutoff of the charge density [Ry].
    """
    radius = np.sqrt(ecutrho) / BOHR
    reach = np.floor(radius * np.linalg.norm(crystal.cell, axis=1) / (2 * np.pi)).astype(int)
    axes = [np.arange(-limit, limit + 1) for limit in reach]
    indices = np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 3)
    inside = np.linalg.norm(indices @ crystal.reciprocal_cell, axis=1) <= radius
    first, second, third = (2 * np.abs(indices[inside]).max(axis=0) + 1).tolist()
    return first, second, third


def compatible_fft_grid(crystal: Crystal, ecutrho: float) -> tuple[int, int, int]:
    """Return the smallest FFT grid, for nr1, nr2 and nr3, that the symmetry of the crystal maps onto itself.

    Each W_ij n_i / n_j and each w_i n_i of the operations {W|w} is an integer, and each n_i has no prime factor but 2,
    3 and 5.

    :param ecutrho: cutoff of the charge density [Ry].
    :raises ValueError: if the cutoff is not positive or a translation is not a simple fraction.
    """
    if not (np.isfinite(ecutrho) and ecutrho > 0):
        raise ValueError(f'ecutrho must be a positive number of rydbergs, not {ecutrho}')
    group = space_group(crystal)
    multiples = [lcm(*(_denominator(value) for value in column)) for column in group.translations.T]
    minimum = minimal_fft_grid(crystal, ecutrho)
    # Equal divisions with a common multiple satisfy all conditions, which bounds the search.
    common = _next_good(max(minimum), lcm(*multiples))
    choices = [
        [n for n in range(start, common + 1) if _is_good(n) and n % multiple == 0]
        for start, multiple in zip(minimum, multiples, strict=True)
    ]
    rotations = np.unique(group.rotations, axis=0)
    for first, second, third in sorted(product(*choices), key=np.prod):
        if maps_grid(rotations, (first, second, third)):
            return first, second, third
    raise ValueError(f'{crystal.formula}: no FFT grid up to {common} fits the symmetry; check the structure')


def maps_grid(rotations: NDArray[np.int64], grid: tuple[int, int, int]) -> bool:
    """Whether the rotations of fractional coordinates, shape (g, 3, 3), map the grid onto itself."""
    sizes = np.array(grid)
    return not np.any((rotations * sizes[:, None]) % sizes)


def _denominator(translation: float) -> int:
    """Return the smallest denominator of a fraction that equals the translation."""
    for denominator in range(1, LARGEST_DENOMINATOR + 1):
        if abs(translation * denominator - round(translation * denominator)) < TRANSLATION_TOLERANCE * denominator:
            return denominator
    raise ValueError(
        f'a translation of {translation:.5f} is no simple fraction of a lattice vector: shift the origin to a symmetry '
        'element of the crystal'
    )


def _is_good(number: int) -> bool:
    for factor in FACTORS:
        while number % factor == 0:
            number //= factor
    return number == 1


def _next_good(start: int, multiple: int) -> int:
    number = -(-start // multiple) * multiple
    while not _is_good(number):
        number += multiple
    return number
