"""A crystal as the kernels see it, and the checks that every input structure must pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import spglib
from numpy.typing import NDArray

from aiida_clathrate.kernels.spglib_search import search

if TYPE_CHECKING:
    from ase import Atoms

#: No chemical bond is shorter than that of H2 (0.74 Å) by more than compression to a TPa can explain.
SHORTEST_DISTANCE = 0.5  # Å


@dataclass(frozen=True)
class Crystal:
    """A three-dimensional crystal.

    :param cell: lattice vectors as rows, shape (3, 3) [Å].
    :param symbols: chemical symbol of each atom, length n.
    :param positions: fractional coordinates, shape (n, 3) [dimensionless]; never wrapped.
    :param masses: shape (n,) [amu].
    :raises ValueError: if arrays disagree in shape, are not finite, the cell has no volume or atoms overlap.
    """

    cell: NDArray[np.float64]
    symbols: tuple[str, ...]
    positions: NDArray[np.float64]
    masses: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.symbols)
        if n == 0 or self.cell.shape != (3, 3) or self.positions.shape != (n, 3) or self.masses.shape != (n,):
            raise ValueError(f'crystal: need a 3×3 cell and positions and masses of each of the {n} atoms')
        if not all(np.isfinite(array).all() for array in (self.cell, self.positions, self.masses)):
            raise ValueError('crystal: cell, positions and masses must be finite')
        if self.volume < 1e-3 or np.any(self.masses <= 0):
            raise ValueError(f'crystal: need a volume and positive masses, not {self.volume:.3g} Å³ and {self.masses}')
        distance, pair = self.shortest_distance()
        if distance < SHORTEST_DISTANCE:
            names = ' and '.join(f'{self.symbols[i]}{i + 1}' for i in pair)
            raise ValueError(f'crystal: {names} overlap, {distance:.3f} Å apart; check the cell and the coordinates')

    @classmethod
    def from_ase(cls, atoms: Atoms) -> Crystal:
        """Return the crystal of ASE's ``atoms``, which must be periodic in three directions."""
        if not all(atoms.pbc):
            raise ValueError(f'crystal: must be periodic in three dimensions, not {tuple(bool(x) for x in atoms.pbc)}')
        return cls(
            np.array(atoms.cell.array),
            tuple(atoms.get_chemical_symbols()),
            atoms.cell.scaled_positions(atoms.positions),
            np.array(atoms.get_masses()),
        )

    def to_ase(self) -> Atoms:
        """Return the crystal as ASE's ``Atoms``."""
        from ase import Atoms

        return Atoms(self.symbols, scaled_positions=self.positions, cell=self.cell, pbc=True, masses=self.masses)

    @property
    def volume(self) -> float:
        """Return the volume of the cell [Å³]."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def reciprocal_cell(self) -> NDArray[np.float64]:
        """Return the reciprocal lattice vectors as rows, with the factor 2π, shape (3, 3) [1/Å]."""
        return np.asarray(2 * np.pi * np.linalg.inv(self.cell).T, dtype=np.float64)

    @property
    def formula(self) -> str:
        """Return the formula of the cell in Hill's order, for instance ``C6B6KRb``."""
        counts = Counter(self.symbols)
        order = sorted(
            counts, key=lambda name: (name != 'C', name != 'H', name) if 'C' in counts else (True, True, name)
        )
        return ''.join(f'{name}{counts[name] if counts[name] > 1 else ""}' for name in order)

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        """Return an integer for each atom, equal for equal symbol and mass: what symmetry may exchange."""
        keys = list(zip(self.symbols, np.round(self.masses, 6), strict=True))
        return np.array([sorted(set(keys)).index(key) for key in keys])

    @property
    def spglib_cell(self) -> tuple[list[list[float]], list[list[float]], list[int]]:
        """Return the tuple that spglib takes."""
        return self.cell.tolist(), self.positions.tolist(), self.kinds.tolist()

    def space_group(self, tolerance: float = 1e-4) -> str:
        """Return international symbol and number, for instance ``Pm-3 (200)``; ``tolerance`` in Å."""
        name = search(spglib.get_spacegroup, self.spglib_cell, symprec=tolerance)
        if name is None:
            raise ValueError(f'crystal: spglib finds no space group within {tolerance} Å')
        return str(name)

    def shortest_distance(self) -> tuple[float, tuple[int, int]]:
        """Return the shortest distance between two atoms, images included [Å], and the two atoms."""
        # Minkowski reduction first: among the 27 images of a reduced cell is always the nearest one.
        from ase.geometry import minkowski_reduce

        cell, operation = minkowski_reduce(self.cell)
        positions = (self.positions @ np.linalg.inv(operation)) % 1.0
        shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
        vectors = (positions[None, :, None] - positions[:, None, None] + shifts) @ cell
        distances = np.linalg.norm(vectors, axis=-1)
        distances[np.arange(len(positions)), np.arange(len(positions)), 13] = np.inf
        i, j, _ = np.unravel_index(np.argmin(distances), distances.shape)
        return float(distances.min()), (int(i), int(j))

    def same_lattice(self, other: Crystal, tolerance: float = 1e-3) -> bool:
        """Whether ``other`` has the same atoms in the same order in the same cell within ``tolerance`` [Å]."""
        if self.symbols != other.symbols or np.abs(self.cell - other.cell).max() > tolerance:
            return False
        shift = self.positions - other.positions
        return bool(np.abs((shift - np.round(shift)) @ self.cell).max() < tolerance)

    def largest_shift(self, other: Crystal) -> float:
        """Return how far an atom is from its place in ``other``, apart from a shift of the whole crystal [Å].

        Fractional coordinates are compared as they are: an atom that was wrapped into another cell is far away.
        """
        shifts = (self.positions - other.positions) @ self.cell
        return float(np.linalg.norm(shifts - shifts.mean(axis=0), axis=1).max())


def supercell_indices(mesh: Sequence[int]) -> NDArray[np.int64]:
    """Return the integer coordinates of the cells of a supercell, shape (cells, 3), the last index fastest."""
    return np.array(list(np.ndindex(*mesh)), dtype=np.int64)
