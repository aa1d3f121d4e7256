"""The high-symmetry path and the frequencies along it."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup import crystal as from_spacegroup
from springs import clathrate, diamond, exponential, fcc, hcp, hydrogen, spring_constants, spring_matrices

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dispersion import band_path, dispersion
from aiida_clathrate.kernels.dynamical_matrix import diagonalise

TRICLINIC = Crystal(
    np.array([[3, 0.1, 0.2], [0.4, 3.5, 0.3], [0.9, 0.2, 4.1]]),
    ('H', 'C'),
    np.array([[0, 0, 0], [0.3, 0.4, 0.55]]),
    np.array([1.0, 12.0]),
)


def generated(number, cell, sites):
    """Return the primitive cell of a crystal from its space group."""
    symbols, positions = zip(*sites, strict=True)
    return Crystal.from_ase(from_spacegroup(symbols, positions, spacegroup=number, cellpar=cell, primitive_cell=True))


CRYSTALS = [
    pytest.param(fcc(), id='cF'),
    pytest.param(hcp(), id='hP'),
    pytest.param(hydrogen(), id='tI'),
    pytest.param(TRICLINIC, id='aP'),
    pytest.param(generated(12, [7, 5, 6, 90, 110, 90], [('C', (0.1, 0.2, 0.3))]), id='mC'),
    pytest.param(generated(65, [7, 5, 6, 90, 90, 90], [('C', (0.1, 0.2, 0.3))]), id='oC'),
    pytest.param(generated(166, [3.5, 3.5, 12, 90, 90, 120], [('C', (0, 0, 0.2)), ('Ca', (0, 0, 0))]), id='hR'),
    pytest.param(Crystal.from_ase(bulk('C', 'diamond', a=3.567, cubic=True)), id='conventional'),
]


def named(path):
    """Return the wave vectors of the named points."""
    return {name: path.qpoints[index] for index, name in path.labels}


def lengths(crystal, qpoint):
    """Return the distance of q from the origin [2π/a] for a = 4 Å."""
    return np.linalg.norm(qpoint @ crystal.reciprocal_cell) * 4.0 / (2 * np.pi)


def test_fcc_points():
    """The points of the fcc zone are where every textbook puts them."""
    points = named(band_path(fcc(4.0)))
    expected = {'GAMMA': 0, 'X': 1, 'L': np.sqrt(3) / 2, 'W': np.sqrt(5) / 2, 'K': 3 / np.sqrt(8)}
    for name, length in expected.items():
        assert lengths(fcc(4.0), points[name]) == pytest.approx(length)


@pytest.mark.parametrize('crystal', CRYSTALS)
def test_any_basis(crystal):
    """Another orientation and another choice of lattice vectors give the same dispersion, point by point."""
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned *= np.linalg.det(turned)
    basis = np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]])
    other = replace(crystal, cell=basis @ crystal.cell @ turned.T, positions=crystal.positions @ np.linalg.inv(basis))
    first, second = band_path(crystal, 0.1), band_path(other, 0.1)
    assert (first.labels, first.breaks, first.cells) == (second.labels, second.breaks, second.cells)
    np.testing.assert_allclose(first.distances, second.distances, atol=1e-6)
    springs = (exponential(), exponential(0.5), 3.7)
    one, two = (
        diagonalise(spring_constants(part, path.qpoints, *springs), part.masses)[0]
        for part, path in ((crystal, first), (other, second))
    )
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_folded_zone():
    """The cubic cell of diamond holds four primitive cells; its own zone is simple cubic."""
    cubic = Crystal.from_ase(bulk('C', 'diamond', a=3.567, cubic=True))
    path = band_path(cubic)
    assert (path.cells, band_path(diamond()).cells) == (4, 1)
    np.testing.assert_allclose(named(path)['R'], [0.5, 0.5, 0.5])
    # R of the cubic zone is L of the primitive one.
    primitive = diamond()
    at_r, _ = diagonalise(spring_constants(cubic, named(path)['R'][None], exponential()), cubic.masses)
    at_l, _ = diagonalise(spring_constants(primitive, np.array([[0.5, 0.5, 0.5]]), exponential()), primitive.masses)
    for value in at_l[0]:
        assert np.abs(at_r[0] - value).min() < 1e-4


def test_continuous():
    """Steps are no longer than asked for, distances are those of the wave vectors, and jumps take no distance."""
    crystal = hydrogen()
    path = band_path(crystal, 0.05)
    steps = np.linalg.norm(np.diff(path.qpoints, axis=0) @ crystal.reciprocal_cell, axis=1)
    jumps = np.array(path.breaks) - 1
    assert len(jumps)
    assert np.delete(steps, jumps).max() <= 0.05 + 1e-9
    steps[jumps] = 0
    np.testing.assert_allclose(np.diff(path.distances), steps, atol=1e-12)
    marked = [index for index, _ in path.labels]
    assert set(path.breaks) <= set(marked)
    assert (marked[0], marked[-1]) == (0, len(path.qpoints) - 1)


def test_frequencies():
    """The dispersion is that of the springs."""
    crystal = clathrate()
    matrices = spring_matrices(crystal, (2, 2, 2), cutoff=2.3)
    found = dispersion(matrices, 0.1)
    expected = spring_constants(crystal, found.qpoints, exponential(), exponential(0.5), 2.3)
    np.testing.assert_allclose(found.frequencies, diagonalise(expected, crystal.masses)[0], atol=1e-4)
    assert found.level == 'harmonic'


def test_spacing():
    """A spacing of zero is refused."""
    with pytest.raises(ValueError, match='spacing'):
        band_path(fcc(), 0.0)
