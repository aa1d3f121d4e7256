"""From a space group and occupied sites to a crystal, with its symmetry checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import spglib
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.spglib_search import search

#: A chemical symbol and one of the equivalent positions, in fractions of the conventional cell.
Site = tuple[str, tuple[float, float, float]]

#: Rows of the primitive cell in units of the conventional one (International Tables, vol. A; R: obverse setting).
PRIMITIVE = {
    'P': np.eye(3),
    'I': np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2,
    'F': np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
    'C': np.array([[1, -1, 0], [1, 1, 0], [0, 0, 2]]) / 2,
    'R': np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3,
}
#: Two positions closer than this are the same [fraction of the cell].
SAME = 1e-6


def cubic(a: float) -> NDArray[np.float64]:
    """Return the cell of a cubic crystal, ``a`` in Å."""
    return a * np.eye(3)


def hexagonal(a: float, c: float) -> NDArray[np.float64]:
    """Return the cell of a hexagonal crystal, ``a`` and ``c`` in Å."""
    return np.array([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]])


def crystal_from_sites(hall_number: int, cell: NDArray[np.float64], sites: Sequence[Site], primitive: bool) -> Crystal:
    """Return the crystal in which ``sites`` and all that are equivalent are occupied.

    :param hall_number: number of the space group in one of its settings, as in spglib, from 1 to 530.
    :param cell: conventional cell as rows, shape (3, 3) [Å].
    :param sites: one for each set of equivalent positions.
    :param primitive: whether to return the primitive cell.
    :raises ValueError: if a symbol is not a chemical element, or if the crystal has another space group than asked
        for: free coordinates at special values, or equal elements on sites that then become equivalent.
    """
    for symbol, _ in sites:
        if atomic_numbers.get(symbol, 0) == 0:
            raise ValueError(f'structure: {symbol!r} is not a chemical element')
    group = search(spglib.get_spacegroup_type, hall_number)
    operations = search(spglib.get_symmetry_from_database, hall_number)
    if group is None or operations is None:
        raise ValueError(f'structure: {hall_number} is no number of a space group setting; they go from 1 to 530')
    rows = PRIMITIVE[group.hall_symbol.lstrip('-')[0]] if primitive else PRIMITIVE['P']
    symbols: list[str] = []
    positions: list[NDArray[np.float64]] = []
    for symbol, position in sites:
        orbit = operations['rotations'] @ np.array(position) + operations['translations']
        distinct = unique(orbit @ np.linalg.inv(rows))
        symbols += [symbol] * len(distinct)
        positions += distinct
    masses = np.array([atomic_masses[atomic_numbers[symbol]] for symbol in symbols])
    crystal = Crystal(rows @ cell, tuple(symbols), np.array(positions), masses)
    check_space_group(crystal, group.number, group.international_short)
    return crystal


def unique(positions: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the positions that differ by more than lattice vectors, wrapped into the cell."""
    found: list[NDArray[np.float64]] = []
    for position in wrap(positions):
        if not any(np.abs(position - other - np.round(position - other)).max() < SAME for other in found):
            found.append(position)
    return found


def wrap(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return fractional positions in [0, 1), those that rounding has put below 1 at 0."""
    wrapped = positions % 1.0
    return np.where(wrapped > 1 - SAME, 0.0, wrapped)


def check_space_group(crystal: Crystal, number: int, symbol: str) -> None:
    """Raise ValueError unless spglib finds the space group ``number``."""
    name = crystal.space_group()
    if not name.endswith(f'({number})'):
        raise ValueError(
            f'structure: {crystal.formula} with these elements and free coordinates has the space group {name}, '
            f'not {symbol} ({number}); choose the prototype of that symmetry'
        )
