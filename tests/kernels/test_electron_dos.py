"""Linear tetrahedra against closed forms and a second implementation."""

import numpy as np
import pytest
import spglib
from ase.build import bulk
from ase.dft.dos import linear_tetrahedron_integration

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import mesh_points
from aiida_clathrate.kernels.electron_dos import electron_dos, unfold

MESH = (8, 8, 8)


@pytest.fixture(scope='module')
def simple_cubic():
    """Return a simple cubic crystal, its irreducible k points and its band −2 (cos x + cos y + cos z)."""
    crystal = Crystal.from_ase(bulk('Po', 'sc', a=3.0))
    mapping, grid = spglib.get_ir_reciprocal_mesh(MESH, crystal.spglib_cell)
    kpoints = grid[np.unique(mapping)] / np.array(MESH)
    return crystal, kpoints, -2 * np.cos(2 * np.pi * kpoints).sum(axis=1, keepdims=True)


def test_time_reversal():
    """E(−k) = E(k) completes the mesh of a crystal without any symmetry."""
    cell = np.array([[3, 0.1, 0.2], [0.4, 3.5, 0.3], [0.9, 0.2, 4.1]])
    crystal = Crystal(cell, ('C', 'O'), np.array([[0, 0, 0], [0.3, 0.4, 0.55]]), np.array([12.0, 16.0]))
    kpoints = np.array([[0, 0, 0], [0, 1 / 2, 0], [1 / 3, 0, 0], [1 / 3, 1 / 2, 0]])
    bands = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0], [4.0, 8.0]])
    # In the order of the mesh 3×2×1: (0, 0), (0, ½), (⅓, 0), (⅓, ½), (⅔, 0), (⅔, ½).
    np.testing.assert_array_equal(unfold(crystal, (3, 2, 1), kpoints, bands)[:, 0], [1, 2, 3, 4, 3, 4])
    with pytest.raises(ValueError, match='2 points of the k mesh'):
        unfold(crystal, (3, 2, 1), kpoints[:3], bands[:3])


def test_unfold(simple_cubic):
    """The irreducible points give the band on the whole mesh."""
    crystal, kpoints, band = simple_cubic
    expected = -2 * np.cos(2 * np.pi * mesh_points(MESH)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(unfold(crystal, MESH, kpoints, band), expected, atol=1e-12)


def test_missing_points(simple_cubic):
    """A list that does not generate the mesh is refused, with the point."""
    crystal, kpoints, band = simple_cubic
    with pytest.raises(ValueError, match='have no eigenvalue'):
        electron_dos(crystal, MESH, kpoints[1:], band[1:], 0.0, np.zeros(1))


def test_too_few_bands(simple_cubic):
    """A Fermi energy above all bands is refused instead of giving zero."""
    with pytest.raises(ValueError, match='nbnd'):
        electron_dos(*simple_cubic[:1], MESH, *simple_cubic[1:], 20.0, np.zeros(1))


def test_second_implementation(simple_cubic):
    """The same numbers as ASE's integration over the same tetrahedra."""
    crystal, kpoints, band = simple_cubic
    energies = np.linspace(-5.7, 5.7, 39)
    ours = electron_dos(crystal, MESH, kpoints, band, 0.0, energies)
    theirs = linear_tetrahedron_integration(
        crystal.cell, unfold(crystal, MESH, kpoints, band).reshape(*MESH, 1), energies
    )
    # ASE cuts the cells by a Delaunay triangulation, which for a cube may choose another diagonal: same order of error.
    np.testing.assert_allclose(ours.values, 2 * theirs, rtol=0.06)


def test_number_of_states(simple_cubic):
    """The density of states of one band integrates to two electrons."""
    crystal, kpoints, band = simple_cubic
    energies = np.linspace(-6.01, 5.99, 4001)
    dos = electron_dos(crystal, MESH, kpoints, band, 0.0, energies)
    assert np.trapezoid(dos.values, energies) == pytest.approx(2.0, abs=2e-4)
    assert dos.complete_below == pytest.approx(-6.0)


def test_free_electrons():
    """A parabola with wave vectors up to 1/2 gives N(E) = V √E (2m/ħ²)^(3/2)/(2π²); here ε = k² in units of 2π/a."""
    crystal = Crystal.from_ase(bulk('Po', 'sc', a=3.0))
    mesh = (24, 24, 24)
    points = mesh_points(mesh)
    points -= np.round(points)
    energies = np.array([0.10, 0.15, 0.20])
    values = electron_dos(crystal, mesh, points, (points**2).sum(axis=1, keepdims=True), 0.0, energies).values
    # Sphere in k: n(E) = 2 × 4π E^(3/2)/3 states, its derivative 4π √E.
    np.testing.assert_allclose(values, 4 * np.pi * np.sqrt(energies), rtol=0.01)
