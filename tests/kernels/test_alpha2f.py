"""Couplings of modes: identities that hold for any G and Φ, and every mix-up refused."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from aiida_clathrate.kernels.alpha2f import ModeCouplings, mode_couplings
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.electron_phonon import ElectronPhonon
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS

MESH = (2, 1, 1)


def positive(rng, *shape):
    """Return random positive definite hermitian matrices."""
    factor = rng.normal(size=(*shape, shape[-1])) + 1j * rng.normal(size=(*shape, shape[-1]))
    return factor @ np.swapaxes(factor, -1, -2).conj() + 0.1 * np.eye(shape[-1])


@pytest.fixture
def pair():
    """Return G for two broadenings and Φ of a crystal of two atoms on two q points."""
    rng = np.random.default_rng(7)
    atoms = bulk('NaCl', 'rocksalt', a=5.6)
    crystal = Crystal.from_ase(atoms)
    constants = positive(rng, 2, 6)
    translations = np.kron(np.ones((2, 1)), np.eye(3)) / np.sqrt(2)
    projector = np.eye(6) - translations @ translations.T
    constants[0] = projector @ constants[0].real @ projector
    strengths = positive(rng, 2, 2, 6)
    strengths[:, 0] = projector @ strengths[:, 0] @ projector  # a uniform shift does not scatter electrons
    coupling = ElectronPhonon(
        crystal, MESH, np.array([0.1, 0.2]), strengths, np.array([0.5, 0.7]), np.array([3.0, 3.1])
    )
    return coupling, DynamicalMatrices(crystal, MESH, constants)


def test_trace(pair):
    """λ(q) = Re Tr[G Φ⁻¹]/(2 N), without any diagonalisation."""
    coupling, matrices = pair
    couplings = mode_couplings(coupling, matrices)
    for smearing in range(2):
        expected = np.trace(np.linalg.solve(matrices.force_constants[1], coupling.matrices[smearing, 1])).real
        expected /= 2 * coupling.densities_of_states[smearing]
        assert couplings.couplings[smearing, 1].sum() == pytest.approx(expected, rel=1e-10)


def test_gamma(pair):
    """At Γ the pseudo-inverse takes the place of the inverse; dropping Γ leaves the other q alone."""
    coupling, matrices = pair
    expected = np.trace(np.linalg.pinv(matrices.force_constants[0], rcond=1e-9) @ coupling.matrices[0, 0]).real / (
        2 * 0.5
    )
    kept, dropped = (mode_couplings(coupling, matrices, gamma=policy) for policy in ('zero', 'drop'))
    assert kept.couplings[0, 0].sum() == pytest.approx(expected, rel=1e-8)
    assert np.count_nonzero(kept.frequencies[0] == 0) == 3
    assert kept.spectral(0).coupling == pytest.approx(kept.couplings[0].sum() / 2)
    assert dropped.spectral(0).coupling == pytest.approx(dropped.couplings[0, 1].sum())


def test_einstein_crystal():
    """One atom with G = g and Φ = k: λ = 3 g/(2 N k) and γ = π N λ ω²."""
    crystal = Crystal.from_ase(bulk('Al', 'fcc', a=4.0))
    constants = np.array([np.zeros((3, 3)), 2.0 * np.eye(3)], dtype=complex)
    coupling = ElectronPhonon(
        crystal, MESH, np.array([0.1]), np.full((1, 2, 1, 1), 0.6) * np.eye(3), np.array([0.25]), np.array([8.0])
    )
    couplings = mode_couplings(coupling, DynamicalMatrices(crystal, MESH, constants), gamma='drop')
    spectral = couplings.spectral()
    assert spectral.coupling == pytest.approx(3 * 0.6 / (2 * 0.25 * 2.0))
    frequency = MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS * np.sqrt(2.0 / crystal.masses[0])
    assert spectral.omega_log == pytest.approx(frequency)
    width = np.pi * 0.25 * (0.6 / (2 * 0.25 * 2.0)) * frequency**2 * 1e-3
    np.testing.assert_allclose(couplings.linewidths[0, 1], width)


def test_isotope_mass(pair):
    """λ does not depend on the masses; frequencies scale with their root."""
    coupling, matrices = pair
    heavy = replace(matrices.crystal, masses=4 * matrices.crystal.masses)
    light = mode_couplings(coupling, matrices)
    slow = mode_couplings(replace(coupling, crystal=heavy), replace(matrices, crystal=heavy))
    assert slow.spectral(1).coupling == pytest.approx(light.spectral(1).coupling)
    assert slow.spectral(1).omega_log == pytest.approx(light.spectral(1).omega_log / 2)


def test_atoms(pair):
    """The blocks of pairs of atoms sum to λ, the weights of the atoms in each mode to one."""
    couplings = mode_couplings(*pair)
    for smearing in range(2):
        total = couplings.spectral(smearing).coupling
        assert couplings.atom_couplings[smearing].sum() == pytest.approx(total)
    np.testing.assert_allclose(couplings.atom_weights.sum(axis=-1), 1)


def test_policy(pair):
    """A policy that does not exist, or that leaves nothing, is refused by name."""
    coupling, matrices = pair
    with pytest.raises(ValueError, match="gamma: 'Drop' is none of zero, drop"):
        mode_couplings(coupling, matrices, gamma='Drop')
    coupling = replace(coupling, mesh=(1, 1, 1), matrices=coupling.matrices[:, :1])
    matrices = replace(matrices, mesh=(1, 1, 1), force_constants=matrices.force_constants[:1])
    with pytest.raises(ValueError, match='drop leaves no wave vector'):
        mode_couplings(coupling, matrices, gamma='drop')


def test_table():
    """A table passes through the q-resolved form unchanged."""
    spectral = SpectralFunction.from_table(np.linspace(0, 10, 11), np.linspace(0, 1, 11))
    again = ModeCouplings.from_spectral(spectral).spectral()
    np.testing.assert_array_equal(again.couplings, spectral.couplings)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'couplings': np.array([[[0.1, -0.1]]])}, 'couplings must not be negative, as -0.1 is'),
        ({'couplings': np.array([[[0.1, np.nan]]])}, 'must be finite'),
        ({'couplings': np.array([[[0.1]]])}, 'couplings of shape'),
        ({'weights': np.array([0.5])}, 'sum to 1, not to 0.5'),
        ({'weights': np.array([-1.0])}, 'weights must not be negative'),
    ],
)
def test_impossible_couplings(change, message):
    """Couplings that no crystal has are refused, not left out."""
    table = {'frequencies': np.array([[10.0, 20.0]]), 'weights': np.ones(1), 'smearings': np.zeros(1)}
    with pytest.raises(ValueError, match=message):
        ModeCouplings(**({**table, 'couplings': np.array([[[0.1, 0.2]]])} | change))


def test_no_linewidths():
    """A table has no N(E_F), hence no linewidths."""
    with pytest.raises(ValueError, match=r'need N\(E_F\)'):
        _ = ModeCouplings.from_spectral(SpectralFunction(np.ones(1), np.ones(1))).linewidths


@pytest.mark.parametrize(
    ('change', 'label'),
    [
        (lambda g, phi: (g, replace(phi, mesh=(1, 2, 1))), 'ERROR_DIFFERENT_MESHES'),
        (
            lambda g, phi: (g, replace(phi, crystal=replace(phi.crystal, symbols=('Cl', 'Na')))),
            'ERROR_DIFFERENT_CRYSTALS',
        ),
        (
            lambda g, phi: (g, replace(phi, force_constants=-phi.force_constants)),
            'ERROR_IMAGINARY_FREQUENCIES',
        ),
        (
            lambda g, phi: (g, replace(phi, force_constants=phi.force_constants + np.eye(6))),
            'ERROR_IMAGINARY_FREQUENCIES',
        ),
        (lambda g, phi: (replace(g, matrices=-g.matrices), phi), 'ERROR_INCONSISTENT_MATRICES'),
    ],
    ids=['mesh', 'crystal', 'unstable', 'no sum rule', 'negative linewidth'],
)
def test_refused(pair, change, label):
    """G and Φ that do not belong together, or modes without a frequency, have an exit code each."""
    with pytest.raises(KernelError) as error:
        mode_couplings(*change(*pair))
    assert error.value.label == label


def test_degenerate_modes_must_agree():
    """A G without the symmetry of the crystal is seen at degenerate modes."""
    crystal = Crystal.from_ase(bulk('Al', 'fcc', a=4.0))
    constants = np.array([np.zeros((3, 3)), 2.0 * np.eye(3)], dtype=complex)
    crooked = np.array([[np.eye(3), np.diag([1.0, 2.0, 3.0])]], dtype=complex)
    coupling = ElectronPhonon(crystal, MESH, np.array([0.1]), crooked, np.array([0.25]), np.array([8.0]))
    with pytest.raises(KernelError, match='degenerate'):
        mode_couplings(coupling, DynamicalMatrices(crystal, MESH, constants))
