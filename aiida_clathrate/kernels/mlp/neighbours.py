"""Neighbours of atoms in blocks by species: what the sums over neighbours run over.

Each atom has the same number of places for neighbours of a species, so that the sums are matrix products; places that
stay empty hold a distance at the cutoff, where everything vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import vesin
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Places for the neighbours of the atoms of one structure.

    :param neighbours: index of the atom in each place, −1 where there is none, shape (n, j).
    :param shifts: cell of the neighbour, shape (n, j, 3).
    :param bounds: place where each species begins, and the end, shape (species + 1,).
    """

    neighbours: Integers
    shifts: Integers
    bounds: tuple[int, ...]


@dataclass(frozen=True)
class Pairs:
    """Pairs of atoms within a distance, each in both directions, by first atom.

    :param first, second: indices of the atoms, shape (p,).
    :param shifts: cell of the second atom, shape (p, 3).
    """

    first: Integers
    second: Integers
    shifts: Integers

    def subset(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.first[chosen], self.second[chosen], self.shifts[chosen])

    def places(self, species: Integers, count: int) -> Places:
        """Return the pairs in places.

        :param species: number of the species of each atom, shape (n,).
        :param count: of the species.
        """
        kinds = species[self.second]
        order = np.lexsort((kinds, self.first))
        first, kinds = self.first[order], kinds[order]
        numbers = np.zeros((len(species), count), dtype=np.int64)
        np.add.at(numbers, (first, kinds), 1)
        bounds = np.concatenate([[0], np.cumsum(numbers.max(axis=0, initial=0))])
        # Where the neighbours of one atom and species begin among the sorted pairs.
        starts = np.concatenate([[0], np.cumsum(numbers.reshape(-1))])[:-1].reshape(numbers.shape)
        column = bounds[kinds] + np.arange(len(first)) - starts[first, kinds]
        neighbours = np.full((len(species), bounds[-1]), -1, dtype=np.int64)
        shifts = np.zeros((len(species), bounds[-1], 3), dtype=np.int64)
        neighbours[first, column], shifts[first, column] = self.second[order], self.shifts[order]
        return Places(neighbours, shifts, tuple(int(bound) for bound in bounds))


def find_pairs(positions: NDArray[np.float64], cell: NDArray[np.float64], cutoff: float) -> Pairs:
    """Return all pairs of a periodic structure within a distance.

    :param positions: Cartesian, need not lie in the cell, shape (n, 3) [Å].
    :param cell: lattice vectors as rows [Å].
    :param cutoff: [Å].
    """
    search = vesin.NeighborList(cutoff=cutoff, full_list=True)
    first, second, shifts = search.compute(points=positions, box=cell, periodic=True, quantities='ijS')
    return Pairs(*(np.asarray(array).astype(np.int64) for array in (first, second, shifts)))


def distances(pairs: Pairs, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances of pairs in configurations of one cell.

    :param positions: shape (..., n, 3) [Å].
    :returns: shape (..., p) [Å].
    """
    vectors = positions[..., pairs.second, :] - positions[..., pairs.first, :] + pairs.shifts @ cell
    return np.asarray(np.sqrt(np.einsum('...x,...x->...', vectors, vectors)))
