"""The Gaussian of auxiliary matrices and the configurations drawn from it."""

import numpy as np
import pytest
from scipy.constants import atomic_mass, hbar, k
from springs import diamond, rocksalt, spring_matrices

from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.fourier import interpolate
from aiida_clathrate.kernels.sscha.gaussian import Gaussian, NotPositiveError
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.waves import from_waves, to_waves, wave_vectors

MESHES = [(2, 2, 2), (3, 1, 2), (1, 1, 1)]


@pytest.mark.parametrize('mesh', MESHES)
def test_waves_are_unitary(mesh):
    """Back and forth is the identity, and norms are kept."""
    fields = np.random.default_rng(0).normal(size=(5, 2 * int(np.prod(mesh)), 3))
    waves = to_waves(fields, mesh)
    vectors = wave_vectors(mesh)
    assert np.isrealobj(waves) == vectors.real
    np.testing.assert_allclose(from_waves(waves, mesh), fields, atol=1e-14)
    squares = vectors.sum((np.abs(waves) ** 2).sum(axis=2))
    np.testing.assert_allclose(squares, (fields**2).sum(axis=(1, 2)))


@pytest.mark.parametrize('mesh', MESHES)
def test_harmonic_forces(mesh):
    """−Φ(q) u(q) are the forces of the springs of the supercell."""
    matrices = spring_matrices(diamond(), mesh)
    vectors = wave_vectors(mesh)
    fields = np.random.default_rng(1).normal(size=(3, 2 * vectors.cells, 3))
    waves = to_waves(fields, mesh) @ np.swapaxes(vectors.restrict(matrices.force_constants), -1, -2)
    # Γ of the supercell holds all of its springs.
    folded = spring_matrices(supercell_crystal(diamond(), mesh), (1, 1, 1)).force_constants[0].real
    np.testing.assert_allclose(from_waves(waves, mesh).reshape(3, -1), fields.reshape(3, -1) @ folded, atol=1e-11)
    np.testing.assert_allclose(
        vectors.extend(vectors.restrict(matrices.force_constants)), matrices.force_constants, atol=1e-12
    )


@pytest.mark.parametrize('temperature', [0.0, 300.0])
def test_supercell_invariance(temperature):
    """Free energy and covariance of a mesh are those of Γ of the supercell."""
    mesh = (3, 2, 1)
    gaussian = Gaussian(spring_matrices(rocksalt(), mesh), temperature)
    folded = Gaussian(spring_matrices(supercell_crystal(rocksalt(), mesh), (1, 1, 1)), temperature)
    assert gaussian.free_energy == pytest.approx(folded.free_energy, rel=1e-10)
    fields = np.random.default_rng(2).normal(size=(1, folded.covariance.shape[-1] // 3, 3))
    turned = from_waves(to_waves(fields, mesh) @ np.swapaxes(gaussian.covariance, -1, -2), mesh)
    np.testing.assert_allclose(turned.ravel(), folded.covariance[0] @ fields.ravel(), atol=1e-13)


def test_inverse_and_root():
    """Υ Ψ is the identity but for translations, and S S† is Ψ."""
    gaussian = Gaussian(spring_matrices(rocksalt(), (3, 1, 1)), 100.0)
    product = gaussian.inverse_covariance @ gaussian.covariance
    np.testing.assert_allclose(product[1:], np.eye(6)[None].repeat(len(product) - 1, axis=0), atol=1e-9)
    assert np.trace(product[0]).real == pytest.approx(3)
    root = gaussian.root_covariance
    np.testing.assert_allclose(root @ np.swapaxes(root, -1, -2).conj(), gaussian.covariance, atol=1e-15)


def test_classical_limit():
    """At high temperature ⟨u u⟩ is k_BT Φ⁻¹: equipartition, whatever the masses."""
    temperature = 1e5
    gaussian = Gaussian(spring_matrices(rocksalt(), (2, 1, 1)), temperature)
    expected = k / 1.602176634e-19 * temperature * np.linalg.inv(gaussian.force_constants[1])
    np.testing.assert_allclose(gaussian.covariance[1], expected, rtol=1e-4, atol=1e-6)


def test_zero_point():
    """At 0 K a mode has the variance ħ/2ω and the energy ħω/2."""
    gaussian = Gaussian(spring_matrices(diamond(), (1, 1, 1)), 0.0)
    omega = gaussian.frequencies[0, 3:] * 1e-3 * 1.602176634e-19 / hbar
    np.testing.assert_allclose(gaussian.variances[0, 3:], hbar / (2 * omega) / (atomic_mass * 1e-20), rtol=1e-9)
    assert gaussian.free_energy == pytest.approx(0.5e-3 * gaussian.frequencies[0, 3:].sum())


def test_soft_mode_does_not_mix_with_translations():
    """A mode of nearly no energy stays free of translations."""
    matrices = spring_matrices(
        diamond(), (1, 1, 1), central=lambda r: 1e-12 + 0 * r, transverse=lambda r: 1e-12 + 0 * r
    )
    gaussian = Gaussian(matrices, 0.0)
    vectors = gaussian.modes[1][0]
    assert np.abs(vectors[:3, 3:] + vectors[3:, 3:]).max() < 1e-12


def test_not_positive():
    """An imaginary mode is named with its wave vector."""
    matrices = spring_matrices(diamond(), (2, 1, 1))
    force_constants = matrices.force_constants.copy()
    force_constants[1] -= 30 * np.eye(6)
    matrices = type(matrices)(matrices.crystal, matrices.mesh, force_constants)
    with pytest.raises(NotPositiveError, match=r'q = \[0.5, 0.0, 0.0\] is not positive'):
        Gaussian(matrices, 0.0)


@pytest.mark.parametrize('mesh', MESHES)
def test_sample(mesh):
    """Covariances of the configurations are those asked for, within five standard deviations."""
    number = 4000
    matrices = spring_matrices(rocksalt(), mesh)
    ensemble = sample(matrices, 200.0, number, seed=3)
    gaussian = Gaussian(matrices, 200.0)
    waves = to_waves(ensemble.displacements, mesh)
    found = np.swapaxes(waves, -1, -2) @ waves.conj() / number
    scale = np.sqrt(np.einsum('kaa,kbb->kab', gaussian.covariance, gaussian.covariance).real)
    # Real waves: var(xy) = Ψ_xx Ψ_yy + Ψ_xy²; pairs ±u count once.
    assert np.all(np.abs(found - gaussian.covariance) < 5 * scale * np.sqrt(2 / (number / 2)))
    np.testing.assert_array_equal(ensemble.displacements[::2], -ensemble.displacements[1::2])
    again = sample(matrices, 200.0, number, seed=3)
    np.testing.assert_array_equal(again.displacements, ensemble.displacements)


def test_interpolated_matrices_can_be_sampled():
    """Nothing in the sampling needs the mesh that the matrices came from."""
    fine = interpolate(spring_matrices(diamond(), (2, 2, 2)), (3, 3, 3))
    assert sample(fine, 0.0, 2, seed=0).displacements.shape == (2, 54, 3)


def test_odd_number():
    """Pairs need an even number."""
    with pytest.raises(ValueError, match='give an even number, not 3'):
        sample(spring_matrices(diamond(), (2, 1, 1)), 0.0, 3, seed=0)
