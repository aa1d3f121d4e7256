"""Symmetry of matrices on a mesh: what it leaves alone, what it removes, and what it must not depend on."""

from dataclasses import replace

import numpy as np
import pytest
from springs import clathrate, diamond, exponential, fcc, hcp, hydrogen, rocksalt, spring_constants, spring_matrices

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import mesh_index, mesh_points
from aiida_clathrate.kernels.space_group import space_group
from aiida_clathrate.kernels.symmetry import expand, project, stars, symmetrise, symmetry_violation

CRYSTALS = [
    pytest.param(fcc(), (3, 3, 3), 48, id='Fm-3m'),
    pytest.param(diamond(), (4, 4, 4), 48, id='Fd-3m'),
    pytest.param(rocksalt(), (3, 3, 3), 48, id='rocksalt'),
    pytest.param(hcp(), (3, 3, 2), 24, id='P6_3/mmc'),
    pytest.param(hydrogen(), (3, 3, 3), 16, id='I4_1/amd'),
    pytest.param(clathrate(), (2, 2, 2), 24, id='Pm-3'),
]


def random_hermitian(shape, seed=0):
    """Return hermitian matrices without any symmetry."""
    rng = np.random.default_rng(seed)
    matrices = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    return matrices + np.swapaxes(matrices, -1, -2).conj()


@pytest.mark.parametrize(('crystal', 'mesh', 'order'), CRYSTALS)
def test_springs_have_the_symmetry(crystal, mesh, order):
    """Springs that depend on distances alone have the symmetry of the crystal: nothing changes."""
    assert len(space_group(crystal)) == order
    violation = symmetry_violation(spring_matrices(crystal, mesh, cutoff=3.6))
    assert violation.force_constant < 1e-10
    assert violation.frequency < 1e-4


@pytest.mark.parametrize(('crystal', 'mesh', 'order'), CRYSTALS)
def test_orthogonal_projection(crystal, mesh, order):
    """Projected twice is projected once, and what is removed is orthogonal to what is left."""
    size = 3 * len(crystal.symbols)
    matrices = random_hermitian((int(np.prod(mesh)), size, size))
    once = project(crystal, mesh, matrices)
    np.testing.assert_allclose(project(crystal, mesh, once), once, atol=1e-12)
    assert abs(np.vdot(once, matrices - once)) < 1e-10 * np.vdot(matrices, matrices).real
    assert np.abs(matrices - once).max() > 0.1


def test_time_reversal_and_hermiticity():
    """The projection has Φ(−q) = Φ(q)* and is hermitian, even where no operation of the crystal says so."""
    crystal = Crystal(np.array([[3, 0.1, 0.2], [0.4, 3.5, 0.3], [0.9, 0.2, 4.1]]), ('C',), np.zeros((1, 3)), np.ones(1))
    polar = Crystal(crystal.cell, ('C', 'O'), np.array([[0, 0, 0], [0.3, 0.4, 0.55]]), np.array([12.0, 16.0]))
    assert len(space_group(polar)) == 1
    projected = project(polar, (3, 2, 1), random_hermitian((6, 6, 6)))
    opposite = mesh_index((3, 2, 1), -mesh_points((3, 2, 1)))
    np.testing.assert_allclose(projected[opposite], projected.conj())
    np.testing.assert_allclose(projected, np.swapaxes(projected, 1, 2).conj())


def test_leading_axes():
    """Sets of matrices for several broadenings are projected one by one."""
    crystal, mesh = hcp(), (3, 3, 2)
    matrices = random_hermitian((2, 3, 18, 6, 6))
    together = project(crystal, mesh, matrices)
    np.testing.assert_allclose(together[1, 2], project(crystal, mesh, matrices[1, 2]), atol=1e-13)


@pytest.mark.parametrize(('crystal', 'mesh', 'order'), CRYSTALS)
def test_stars(crystal, mesh, order):
    """The stars carry the right weights, and the matrices of the representatives give all others."""
    found = stars(crystal, mesh)
    assert found.weights.sum() == pytest.approx(1)
    assert found.representatives[0] == 0
    matrices = spring_matrices(crystal, mesh, cutoff=3.6)
    lengths = np.linalg.norm(matrices.modes[0], axis=1)
    np.testing.assert_allclose(lengths, lengths[found.representatives][found.star], rtol=1e-9)
    full = expand(crystal, mesh, matrices.force_constants[found.representatives])
    np.testing.assert_allclose(full, matrices.force_constants, atol=1e-9)


def test_known_stars():
    """A 4×4×4 mesh with Γ has 8 irreducible points for fcc, as ph.x says for aluminium, and 10 for simple cubic."""
    assert len(stars(fcc(), (4, 4, 4)).representatives) == 8
    simple = Crystal(3.0 * np.eye(3), ('Po',), np.zeros((1, 3)), np.full(1, 209.0))
    assert len(stars(simple, (4, 4, 4)).representatives) == 10


def test_shift_of_cells():
    """Atoms may be given in any cell: the phases follow."""
    crystal = diamond()
    shifted = replace(crystal, positions=crystal.positions + np.array([[0, 0, 0], [2, -1, 0]]))
    assert symmetry_violation(spring_matrices(shifted, (3, 3, 3), cutoff=3.6)).force_constant < 1e-10


def test_wrong_sign_of_phase():
    """Matrices of the opposite sign of q, the commonest mistake of a reader, are no symmetric matrices."""
    matrices = spring_matrices(diamond(), (3, 3, 3), cutoff=3.6)
    wrong = replace(matrices, force_constants=matrices.force_constants.conj())
    assert symmetry_violation(wrong).force_constant > 0.1


def test_masses_break_symmetry():
    """A heavier isotope on one site of diamond leaves the group of zincblende."""
    crystal = diamond()
    assert len(space_group(replace(crystal, masses=crystal.masses * [1, 1.1]))) == 24


def test_mesh_of_less_symmetry():
    """A mesh that symmetry does not map onto itself is refused."""
    with pytest.raises(ValueError, match='breaks the symmetry'):
        symmetrise(spring_matrices(fcc(), (2, 2, 1), cutoff=3.6))


def test_imperfect_cell():
    """A cell that has its symmetry to some digits only still gives an exact projector."""
    crystal = hydrogen()
    rng = np.random.default_rng(1)
    noisy = replace(
        crystal,
        cell=crystal.cell + 1e-5 * rng.normal(size=(3, 3)),
        positions=crystal.positions + 1e-5 * rng.normal(size=(2, 3)),
    )
    assert len(space_group(noisy)) == 16
    matrices = symmetrise(spring_matrices(noisy, (3, 3, 3), cutoff=3.6))
    assert symmetry_violation(matrices).force_constant < 1e-12


def test_violation_is_what_was_added():
    """A single wrong element is found with its size, up to the share that symmetry gives to its images."""
    matrices = spring_matrices(fcc(), (2, 2, 2), cutoff=3.6)
    force_constants = matrices.force_constants.copy()
    force_constants[0, 0, 0] += 0.3
    violation = symmetry_violation(replace(matrices, force_constants=force_constants))
    assert violation.force_constant == pytest.approx(0.2)


def test_supercell():
    """At Γ of a 2×2×2 supercell are the frequencies of the eight wave vectors of the cell."""
    crystal, sizes = diamond(), np.array([2, 2, 2])
    shifts = mesh_points((2, 2, 2))
    supercell = Crystal(
        crystal.cell * sizes[:, None],
        crystal.symbols * 8,
        (crystal.positions / sizes + shifts[:, None]).reshape(-1, 3),
        np.tile(crystal.masses, 8),
    )
    cell = spring_matrices(crystal, (2, 2, 2), cutoff=3.6)
    folded = spring_matrices(supercell, (1, 1, 1), cutoff=3.6)
    # Near zero rounding is amplified by the root.
    np.testing.assert_allclose(np.sort(cell.modes[0].ravel()), folded.modes[0][0], atol=1e-4)
    assert len(space_group(supercell)) == 8 * len(space_group(crystal))
    assert symmetry_violation(folded).force_constant < 1e-10


def test_order_of_atoms():
    """Another order of the atoms and another orientation change no frequency of the projected matrices."""
    crystal, mesh = clathrate(), (2, 2, 2)
    order = np.random.default_rng(2).permutation(14)
    turned = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    other = Crystal(
        crystal.cell @ turned.T,
        tuple(crystal.symbols[i] for i in order),
        crystal.positions[order],
        crystal.masses[order],
    )
    noise = random_hermitian((8, 42, 42)).reshape(8, 14, 3, 14, 3)
    moved = np.einsum('ij,qajbk,lk->qaibl', turned, noise[:, order][:, :, :, order], turned).reshape(8, 42, 42)
    matrices = spring_matrices(crystal, mesh, cutoff=3.6)
    first = replace(matrices, force_constants=matrices.force_constants + 0.01 * noise.reshape(8, 42, 42))
    springs = spring_constants(other, matrices.qpoints, exponential(), exponential(0.5), 3.6)
    second = replace(matrices, crystal=other, force_constants=springs + 0.01 * moved)
    np.testing.assert_allclose(symmetrise(first).modes[0], symmetrise(second).modes[0], atol=1e-8)
