"""Neighbours against those of ASE, in cells where atoms see many images of themselves."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from aiida_clathrate.kernels.mlp.neighbours import distances, find_pairs

SKEWED = np.array([[2.6, 0.0, 0.0], [1.9, 2.4, 0.0], [-0.8, 1.1, 2.9]])
POSITIONS = np.array([[0.1, 0.2, 0.0], [1.3, 0.9, 1.4], [2.2, 2.0, 2.1]])


def as_set(first, second, shifts):
    """Return pairs as a set."""
    return {(int(i), int(j), *map(int, shift)) for i, j, shift in zip(first, second, shifts, strict=True)}


@pytest.mark.parametrize('cell', [SKEWED, np.diag([2.5, 3.5, 9.0]), SKEWED[[1, 0, 2]]], ids=['skewed', 'flat', 'left'])
@pytest.mark.parametrize('move', [0.0, 11.0], ids=['inside', 'outside'])
def test_pairs(cell, move):
    """All pairs are found, atoms with their own images too, wherever the atoms lie."""
    positions = POSITIONS.copy()
    positions[1] += move * np.array([1.0, -0.3, 0.4])
    found = find_pairs(positions, cell, 4.1)
    atoms = Atoms('H3', positions=positions, cell=cell, pbc=True)
    first, second, lengths, shifts = neighbor_list('ijdS', atoms, 4.1)
    assert as_set(found.first, found.second, found.shifts) == as_set(first, second, shifts)
    assert len(found.first) == len(first)
    assert (found.first == found.second).any()
    np.testing.assert_allclose(np.sort(distances(found, positions, cell)), np.sort(lengths), atol=1e-12)


def test_places():
    """Each pair has a place of its own, in the block of its species; the others are empty."""
    species = np.array([1, 0, 1])
    pairs = find_pairs(POSITIONS, SKEWED, 3.3)
    chosen = pairs.subset(np.arange(len(pairs.first)) != 0)
    places = chosen.places(species, 3)
    assert len(places.bounds) == 4
    assert places.bounds[0] == 0
    assert places.bounds[3] == places.bounds[2] == places.neighbours.shape[1]  # none of the last species
    filled = places.neighbours >= 0
    atoms = np.nonzero(filled)[0]
    assert as_set(atoms, places.neighbours[filled], places.shifts[filled]) == as_set(
        chosen.first, chosen.second, chosen.shifts
    )
    assert filled.sum() == len(chosen.first)
    for number in (0, 1):
        block = places.neighbours[:, places.bounds[number] : places.bounds[number + 1]]
        assert set(species[block[block >= 0]]) == {number}
        assert (block >= 0).sum(axis=1).max() == block.shape[1]


def test_no_neighbours():
    """An atom may be alone."""
    pairs = find_pairs(np.zeros((1, 3)), 9 * np.eye(3), 3.0)
    places = pairs.places(np.array([0]), 1)
    assert places.neighbours.shape == (1, 0)
    assert distances(pairs, np.zeros((4, 1, 3)), 9 * np.eye(3)).shape == (4, 0)
