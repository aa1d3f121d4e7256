"""Meshes that fit together."""

import numpy as np
import pytest
from ase.build import bulk

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.meshes import Meshes, has_symmetry, mesh_from_distance
from aiida_clathrate.kernels.structures import structure_from_name


def test_fit():
    """The dense mesh is a multiple of the others."""
    assert Meshes((2, 2, 2), (4, 4, 4), (8, 8, 8)).dense == (8, 8, 8)


@pytest.mark.parametrize(
    ('meshes', 'message'),
    [
        (((3, 3, 3), (4, 4, 4), (8, 8, 8)), 'multiple of the qpoints mesh'),
        (((2, 2, 2), (6, 6, 6), (8, 8, 8)), 'multiple of the kpoints mesh'),
        (((2, 2, 0), (4, 4, 4), (8, 8, 8)), 'three positive divisions'),
    ],
)
def test_refused(meshes, message):
    """Meshes that ph.x would stop at are refused with the name of the input."""
    with pytest.raises(ValueError, match=message):
        Meshes(*meshes)


def test_distance():
    """Points along each reciprocal vector of a cube are at most as far apart as asked for."""
    crystal = cube(4.9)
    assert mesh_from_distance(crystal, 2 * np.pi / 4.9 / 5.9) == (6, 6, 6)
    assert mesh_from_distance(crystal, 2 * np.pi / 4.9 / 19, multiple_of=(6, 6, 6)) == (24, 24, 24)
    assert mesh_from_distance(crystal, 100.0) == (1, 1, 1)
    with pytest.raises(ValueError, match='positive'):
        mesh_from_distance(crystal, 0.0)


def test_rounding():
    """Vectors of equal length get equal divisions although they differ in the last digit."""
    atoms = bulk('Al', 'fcc', a=4.05)
    atoms.set_cell(atoms.cell.array * (1 + 1e-12 * np.arange(3))[:, None], scale_atoms=True)
    crystal = Crystal.from_ase(atoms)
    assert mesh_from_distance(crystal, np.linalg.norm(crystal.reciprocal_cell[1]) / 4) == (4, 4, 4)


def test_symmetry():
    """A body-centred tetragonal cell described by vectors of different length needs equal divisions all the same."""
    crystal = structure_from_name('H')
    skewed = Crystal(np.array([[1, 0, 0], [0, 1, 0], [1, 1, 1]]) @ crystal.cell, crystal.symbols,
                     crystal.positions @ np.linalg.inv([[1, 0, 0], [0, 1, 0], [1, 1, 1]]), crystal.masses)  # fmt: skip
    assert not has_symmetry((4, 4, 3), skewed)
    for distance in (0.5, 1.0, 1.3, 2.0):
        assert has_symmetry(mesh := mesh_from_distance(skewed, distance), skewed)
        assert has_symmetry(fine := mesh_from_distance(skewed, distance / 3, multiple_of=mesh), skewed)
        assert not any(np.array(fine) % mesh)
    hexagonal = Crystal.from_ase(bulk('Mg', 'hcp'))
    assert has_symmetry((4, 4, 3), hexagonal)
    assert not has_symmetry((4, 3, 3), hexagonal)


def cube(length):
    """Return a simple cubic crystal."""
    return Crystal(length * np.eye(3), ('Al',), np.zeros((1, 3)), np.array([26.98]))
