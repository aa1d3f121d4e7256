"""Fourier interpolation against springs that are known everywhere, and against Quantum ESPRESSO."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from springs import clathrate, diamond, exponential, fcc, hcp, hydrogen, spring_constants, spring_matrices

from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, diagonalise, mesh_points
from aiida_clathrate.kernels.files.qe_dyn import read_dyn_files
from aiida_clathrate.kernels.fourier import add_difference, force_constants, interpolate, nearest_images
from aiida_clathrate.kernels.sum_rule import sum_rule_violation
from aiida_clathrate.kernels.symmetry import symmetrise, symmetry_violation
from aiida_clathrate.kernels.units import MEV_PER_INVERSE_CM, MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS

FIXTURES = Path(__file__).parents[1] / 'fixtures'
CRYSTALS = [
    pytest.param(fcc(), (3, 3, 3), id='fcc'),
    pytest.param(diamond(), (4, 4, 4), id='diamond'),
    pytest.param(hcp(), (3, 3, 2), id='hcp'),
    pytest.param(hydrogen(), (4, 4, 4), id='bct'),
    pytest.param(clathrate(), (2, 2, 2), id='clathrate'),
]


def matdyn(name):
    """Return the matrices of a run, and wave vectors and frequencies [meV] that matdyn.x printed for it."""
    with zipfile.ZipFile(FIXTURES / f'{name}.zip') as archive:
        texts = {member: archive.read(member).decode() for member in archive.namelist() if '/' not in member}
    matrices = read_dyn_files({member: text for member, text in texts.items() if '.' not in member})
    qpoints = [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0.1, 0.05, 0.2], [0.31, 0.12, -0.4], [0.25, 0.25, 0.25]]
    lines = (FIXTURES / f'{name}.matdyn.freq').read_text().splitlines()[2::2]
    printed = np.array([line.split() for line in lines], dtype=float)
    return matrices, np.array(qpoints), printed * MEV_PER_INVERSE_CM


@pytest.mark.parametrize('name', ['hydrogen', 'aluminium'])
def test_matdyn(name):
    """Quantum ESPRESSO's own interpolation and sum rule ('crystal') give the same to the digits it prints.

    The dyn files have eight decimals, which is 1e-3/cm for the frequencies of hydrogen.
    """
    matrices, qpoints, expected = matdyn(name)
    constrained = impose_constraints(matrices)
    frequencies, _ = diagonalise(force_constants(constrained.matrices).at(qpoints), matrices.crystal.masses)
    np.testing.assert_allclose(frequencies, expected, atol=2e-3 * MEV_PER_INVERSE_CM)
    # The sum rule matters: aluminium is 36/cm off without.
    if name == 'aluminium':
        assert min(constrained.sum_rule.frequencies) > 30 * MEV_PER_INVERSE_CM


@pytest.mark.parametrize(('crystal', 'mesh'), CRYSTALS)
def test_exact_on_the_mesh(crystal, mesh):
    """Interpolated to its own points, matrices stay what they are, also beyond the first zone."""
    matrices = spring_matrices(crystal, mesh, cutoff=6.0)
    found = force_constants(matrices)
    np.testing.assert_allclose(found.at(matrices.qpoints), matrices.force_constants, atol=1e-9)
    np.testing.assert_allclose(found.at(matrices.qpoints - [1, 0, 2]), matrices.force_constants, atol=1e-9)


@pytest.mark.parametrize(('crystal', 'mesh', 'cutoff'), [(fcc(), (3, 3, 3), 3.0), (diamond(), (4, 4, 4), 3.0)])
def test_short_range(crystal, mesh, cutoff):
    """Springs shorter than half the supercell are interpolated exactly to any wave vector."""
    matrices = spring_matrices(crystal, mesh, cutoff=cutoff)
    qpoints = np.random.default_rng(0).uniform(-1, 1, size=(20, 3))
    expected = spring_constants(crystal, qpoints, exponential(), exponential(0.5), cutoff)
    np.testing.assert_allclose(force_constants(matrices).at(qpoints), expected, atol=1e-9)


def test_chain():
    """Masses in a row: ω = 2 √(k/M) |sin(qa/2)| between the points of the mesh too."""
    crystal = Crystal(np.diag([2.0, 9.0, 9.0]), ('Po',), np.zeros((1, 3)), np.array([50.0]))
    matrices = spring_matrices(crystal, (4, 1, 1), lambda distance: 3.0 + 0 * distance, cutoff=2.5)
    q = np.linspace(-0.5, 0.5, 21)
    frequencies, _ = diagonalise(force_constants(matrices).at(np.outer(q, [1, 0, 0])), crystal.masses)
    expected = 2 * MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS * np.sqrt(3.0 / 50.0) * np.abs(np.sin(np.pi * q))
    np.testing.assert_allclose(frequencies[:, -1], expected, atol=1e-4)


def test_fcc_along_100():
    """Nearest-neighbour fcc along [100]: M ω_L² = 8k sin²(qa/4), M ω_T² is half of it."""
    crystal, k = fcc(), 2.0
    matrices = spring_matrices(crystal, (3, 3, 3), lambda r: k + 0 * r, lambda r: 0 * r, cutoff=3.0)
    fractions = np.linspace(0, 1, 11)
    # X is (1, 0, 1)/2 in the primitive basis, 2π/a in Cartesian coordinates.
    found, _ = diagonalise(force_constants(matrices).at(np.outer(fractions, [0.5, 0, 0.5])), crystal.masses)
    longitudinal = 8 * k * np.sin(np.pi * fractions / 2) ** 2
    squares = np.stack([0.5 * longitudinal, 0.5 * longitudinal, longitudinal], axis=1) / crystal.masses[0]
    np.testing.assert_allclose(found, MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS * np.sqrt(squares), atol=1e-4)


@pytest.mark.parametrize(('crystal', 'mesh'), CRYSTALS)
def test_shares(crystal, mesh):
    """Each pair of atoms of the supercell is shared out completely, and among nearest images only."""
    images = nearest_images(crystal, mesh)
    atoms, cells = len(crystal.symbols), int(np.prod(mesh))
    total = np.zeros((atoms, atoms, cells))
    np.add.at(total, (images.first, images.second, images.cells), images.shares)
    np.testing.assert_allclose(total, 1)
    vectors = (crystal.positions[images.second] - crystal.positions[images.first] + images.vectors) @ crystal.cell
    lattice = mesh_points((5, 5, 5)) * 5 - 2
    others = vectors[:, None] + (lattice * np.array(mesh)) @ crystal.cell
    nearest = np.linalg.norm(others, axis=-1).min(axis=1)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), nearest, atol=2e-3)


@pytest.mark.parametrize(('crystal', 'mesh'), CRYSTALS)
def test_constraints_survive(crystal, mesh):
    """Interpolated to a mesh that has few points of the first one, matrices keep symmetry and sum rule."""
    fine = interpolate(spring_matrices(crystal, mesh, cutoff=6.0), (5, 5, 5))
    assert symmetry_violation(fine).force_constant < 1e-8
    assert sum_rule_violation(fine).force_constant < 1e-8


def test_skewed_cell():
    """Another choice of lattice vectors changes nothing."""
    crystal, basis = fcc(), np.array([[1, 3, 0], [0, 1, 0], [-2, 0, 1]])
    skewed = replace(crystal, cell=basis @ crystal.cell)
    straight = force_constants(spring_matrices(crystal, (4, 4, 4), cutoff=7.0))
    slanted = force_constants(spring_matrices(skewed, (4, 4, 4), cutoff=7.0))
    qpoints = np.random.default_rng(1).uniform(size=(5, 3))
    np.testing.assert_allclose(slanted.at(qpoints @ basis.T), straight.at(qpoints), atol=1e-10)


def test_imperfect_positions():
    """Images that are equally near but for the digits of the positions share alike, so symmetry survives."""
    crystal = hydrogen()
    noise = np.random.default_rng(0).normal(size=(2, 3))
    noisy = replace(crystal, positions=crystal.positions + 1e-5 * noise)
    fine = interpolate(symmetrise(spring_matrices(noisy, (2, 2, 2), cutoff=6.0)), (3, 3, 3))
    assert symmetry_violation(fine).force_constant < 1e-9


def test_complex_force_constants():
    """Matrices without time reversal have no real force constants."""
    matrices = spring_matrices(fcc(), (3, 3, 3), cutoff=3.0)
    wrong = matrices.force_constants.copy()
    wrong[1] += 0.1 * np.eye(3)
    with pytest.raises(ValueError, match='impose the symmetry'):
        force_constants(replace(matrices, force_constants=wrong))


def long_range(distance):
    """Return the constants of springs that reach beyond a 2×2×2 supercell."""
    return exponential(decay=0.7)(distance)


def softened(distance):
    """Return the same constants, but softer between neighbours."""
    return long_range(distance) * np.where(distance < 2.0, 0.7, 1.0)


def test_difference():
    """A change of short range comes out exactly on the fine mesh, where the force constants themselves would not."""
    crystal, coarse, fine = clathrate(), (2, 2, 2), (6, 6, 6)
    harmonic = {mesh: spring_matrices(crystal, mesh, long_range, cutoff=7.0) for mesh in (coarse, fine)}
    anharmonic = {
        mesh: replace(spring_matrices(crystal, mesh, softened, cutoff=7.0), level='sscha') for mesh in (coarse, fine)
    }
    found = add_difference(harmonic[fine], anharmonic[coarse], harmonic[coarse])
    np.testing.assert_allclose(found.force_constants, anharmonic[fine].force_constants, atol=1e-8)
    alone = interpolate(anharmonic[coarse], fine)
    assert np.abs(alone.force_constants - anharmonic[fine].force_constants).max() > 0.01
    assert (found.mesh, found.level) == (fine, 'sscha')
    np.testing.assert_allclose(found.force_constants[0], anharmonic[coarse].force_constants[0], atol=1e-9)
    assert symmetry_violation(found).force_constant < 1e-9
    assert sum_rule_violation(found).force_constant < 1e-9


@pytest.mark.parametrize('fine', [(4, 4, 4), (3, 3, 3)])
def test_no_difference(fine):
    """Without anharmonicity the harmonic matrices are returned, on commensurate meshes and others."""
    crystal = diamond()
    harmonic, coarse = spring_matrices(crystal, fine), spring_matrices(crystal, (2, 2, 2))
    found = add_difference(harmonic, coarse, coarse)
    np.testing.assert_allclose(found.force_constants, harmonic.force_constants, atol=1e-12)


def test_refused_differences():
    """Matrices that do not belong together are named."""
    crystal = diamond()
    fine, coarse = spring_matrices(crystal, (4, 4, 4)), spring_matrices(crystal, (2, 2, 2))
    with pytest.raises(ValueError, match='same mesh'):
        add_difference(fine, spring_matrices(crystal, (1, 1, 1)), coarse)
    with pytest.raises(ValueError, match='same cutoffs'):
        add_difference(fine, coarse, spring_matrices(crystal, (2, 2, 2), exponential(7.0)))
    other = DynamicalMatrices(fcc(), (2, 2, 2), np.zeros((8, 3, 3), dtype=complex))
    with pytest.raises(ValueError, match='different crystals'):
        add_difference(fine, other, coarse)
    with pytest.raises(ValueError, match='different crystals'):
        add_difference(other, coarse, coarse)
