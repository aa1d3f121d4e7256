"""Meshes that fit together."""

import numpy as np
import pytest
from ase.build import bulk

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.meshes import Meshes, mesh_from_distance


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
    """The published settings: 6³ and 24³ for a clathrate with a = 4.9 Å."""
    cell = 2 * np.pi / 4.9 * np.eye(3)
    assert mesh_from_distance(cell, 0.2138) == (6, 6, 6)
    assert mesh_from_distance(cell, 0.05345, multiple_of=(6, 6, 6)) == (24, 24, 24)
    assert mesh_from_distance(cell, 100.0) == (1, 1, 1)
    with pytest.raises(ValueError, match='positive'):
        mesh_from_distance(cell, 0.0)


def test_rounding():
    """Vectors of equal length get equal divisions although they differ in the last digit."""
    cell = Crystal.from_ase(bulk('Al', 'fcc', a=4.05)).reciprocal_cell * (1 + 1e-12 * np.arange(3))[:, None]
    mesh = mesh_from_distance(cell, np.linalg.norm(cell[1]) / 4)
    assert mesh == (4, 4, 4)
