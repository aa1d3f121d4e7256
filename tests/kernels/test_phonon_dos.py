"""The density of states of the phonons: what it counts, where it starts and how it is shared."""

from dataclasses import replace

import numpy as np
import pytest
from springs import clathrate, exponential, fcc, hcp, hydrogen, spring_matrices

from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, diagonalise
from aiida_clathrate.kernels.fourier import force_constants
from aiida_clathrate.kernels.phonon_dos import finer_mesh, phonon_dos
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS


@pytest.mark.parametrize(
    ('crystal', 'mesh'), [(fcc(), (3, 3, 3)), (hcp(), (3, 3, 2)), (hydrogen(), (2, 2, 2)), (clathrate(), (2, 2, 2))]
)
def test_counts(crystal, mesh):
    """All 3n modes are there, three for each atom."""
    found = phonon_dos(spring_matrices(crystal, mesh, cutoff=3.7), finer_mesh(mesh, 500), step=0.4)
    np.testing.assert_allclose(0.4 * found.projected.sum(axis=1), 3)
    np.testing.assert_allclose(found.projected.sum(axis=0), found.total)
    np.testing.assert_allclose(np.diff(found.frequencies), 0.4)
    assert found.symbols == crystal.symbols


def test_sampling():
    """Moments agree with those of a random sample of the zone, for the total and for each element."""
    crystal = clathrate()
    matrices = spring_matrices(crystal, (2, 2, 2), cutoff=3.7)
    found = phonon_dos(matrices, (8, 8, 8), step=0.1)
    qpoints = np.random.default_rng(0).uniform(size=(2000, 3))
    frequencies, vectors = diagonalise(force_constants(matrices).at(qpoints), crystal.masses)
    shares = (np.abs(vectors.reshape(-1, 14, 3, 42)) ** 2).sum(axis=2)
    for name in ('K', 'B', 'C'):
        chosen = [symbol == name for symbol in crystal.symbols]
        expected = (shares[:, chosen].sum(axis=1) * frequencies).sum() / shares[:, chosen].sum()
        values = found.projected[chosen].sum(axis=0)
        assert (found.frequencies * values).sum() / values.sum() == pytest.approx(expected, rel=2e-3)


def test_debye():
    """At low frequency the density is 3V ω²/(2π² v³): the isotropic lattice has k_t = k_c between all neighbours.

    With nearest-neighbour fcc springs equal in all directions Φ(q) is a multiple of 1 and v² = (k/M) a²: 12 neighbours
    at a/√2 give M v² = ½ k Σ (n·r)² = k a².
    """
    crystal, k = fcc(), 2.0
    matrices = spring_matrices(crystal, (3, 3, 3), lambda r: k + 0 * r, lambda r: k + 0 * r, cutoff=3.0)
    found = phonon_dos(matrices, (36, 36, 36), step=0.5)
    velocity = MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS * np.sqrt(k / crystal.masses[0]) * 4.0
    coefficient = 3 * crystal.volume / (2 * np.pi**2 * velocity**3)
    top = found.frequencies.max()
    low = (found.frequencies > 0.1 * top) & (found.frequencies < 0.25 * top)
    ratio = found.total[low] / (coefficient * found.frequencies[low] ** 2)
    # Dispersion adds some (ω/ω_max)², the few tetrahedra of the first steps a ripple of a few percent.
    np.testing.assert_allclose(ratio, 1, atol=0.1)
    assert ratio.mean() == pytest.approx(1, abs=0.03)


def test_einstein():
    """Atoms bound to their sites alone give one line, within the width of a step."""
    crystal = Crystal(3.0 * np.eye(3), ('C',), np.zeros((1, 3)), np.full(1, 12.0))
    matrices = DynamicalMatrices(crystal, (2, 2, 2), np.broadcast_to(4.0 * np.eye(3, dtype=complex), (8, 3, 3)))
    found = phonon_dos(matrices, (4, 4, 4), step=0.5)
    line = MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS * np.sqrt(4.0 / 12.0)
    (place,) = np.flatnonzero(found.total)
    assert abs(found.frequencies[place] - line) <= 0.25
    assert 0.5 * found.total[place] == pytest.approx(3)


def test_imaginary_modes():
    """Imaginary modes are kept, as negative frequencies."""
    matrices = spring_matrices(fcc(), (3, 3, 3), exponential(), exponential(-1.0), cutoff=3.0)
    found = phonon_dos(impose_constraints(matrices).matrices, (9, 9, 9))
    assert found.frequencies[found.total > 0].min() < -1
    assert 0.25 * found.total.sum() == pytest.approx(3)


def test_order_of_atoms():
    """Equivalent atoms have the same density; another order of the atoms permutes the parts."""
    crystal, order = clathrate(), np.random.default_rng(1).permutation(14)
    symbols = tuple(crystal.symbols[i] for i in order)
    other = replace(crystal, symbols=symbols, positions=crystal.positions[order], masses=crystal.masses[order])
    first, second = (phonon_dos(spring_matrices(part, (2, 2, 2), cutoff=3.0), (4, 4, 4)) for part in (crystal, other))
    np.testing.assert_allclose(first.projected[order], second.projected, atol=1e-6)
    np.testing.assert_allclose(first.projected[2:8], np.broadcast_to(first.projected[2], (6, len(first.total))))


def test_mesh():
    """The default mesh is the smallest multiple that is fine enough."""
    assert finer_mesh((6, 6, 6), 4000) == (18, 18, 18)
    assert finer_mesh((4, 4, 4), 4096) == (16, 16, 16)
    assert finer_mesh((20, 20, 20), 4000) == (20, 20, 20)


def test_step():
    """A step of zero is refused."""
    with pytest.raises(ValueError, match='step'):
        phonon_dos(spring_matrices(fcc(), (2, 2, 2)), step=0.0)
