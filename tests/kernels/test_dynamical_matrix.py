"""Matrices on a mesh, of force constants and of electron-phonon coupling: closed forms, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from springs import fcc, rocksalt, spring_matrices

from aiida_clathrate.kernels.dynamical_matrix import acoustic_modes, diagonalise, mesh_index, mesh_points
from aiida_clathrate.kernels.electron_phonon import ElectronPhonon


def with_element(matrices, value):
    """Return the matrices with one element changed, not its mirror image."""
    changed = matrices.copy()
    changed[..., 1, 0, 2] = value
    return changed


def test_units():
    """ħω of a mode of 1 eV/(Å² amu) is √(eV/amu)/Å times ħ; imaginary modes are negative."""
    frequencies, _ = diagonalise(np.diag([4.0, -1.0, 9.0])[None] + 0j, np.array([1.0]))
    # √(eV/amu)/Å is 15.633302 THz × 2π, by the constants of 2014.
    np.testing.assert_allclose(frequencies[0] / 4.135667696, [-15.633302, 2 * 15.633302, 3 * 15.633302], rtol=3e-7)


def test_isotope():
    """All masses by four halve the frequencies."""
    matrices = spring_matrices(rocksalt(), (2, 2, 2), cutoff=3.0)
    heavy = replace(matrices, crystal=replace(matrices.crystal, masses=4 * matrices.crystal.masses))
    np.testing.assert_allclose(heavy.modes[0], matrices.modes[0] / 2, atol=1e-5)


def test_acoustic_modes():
    """Uniform translations are found where they are not the lowest modes."""
    matrices = spring_matrices(rocksalt(), (2, 2, 2), cutoff=3.0)
    assert acoustic_modes(matrices.modes[1][0], matrices.crystal.masses).tolist() == [0, 1, 2]
    turned = replace(matrices, force_constants=-matrices.force_constants)
    assert acoustic_modes(turned.modes[1][0], matrices.crystal.masses).tolist() == [3, 4, 5]
    frequency, qpoint = turned.smallest_frequency()
    assert frequency == pytest.approx(-matrices.modes[0].max())
    assert turned.modes[0][mesh_index((2, 2, 2), qpoint), 0] == frequency


def test_no_smallest_frequency():
    """One atom at Γ alone has acoustic modes only."""
    assert spring_matrices(fcc(), (1, 1, 1)).smallest_frequency() is None


def test_mesh():
    """Wave vectors are found whatever reciprocal lattice vector is added; others are refused."""
    points = mesh_points((3, 2, 4))
    shifts = np.random.default_rng(0).integers(-3, 4, points.shape)
    assert mesh_index((3, 2, 4), points + shifts).tolist() == list(range(24))
    with pytest.raises(ValueError, match=r'q = \[0\.25, 0\.0, 0\.0\] is not on the mesh \(3, 2, 4\)'):
        mesh_index((3, 2, 4), np.array([[0, 0, 0.25], [0.25, 0, 0]]))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda m: {'mesh': (2, 2, 1)}, r'need Φ of shape \(4, 6, 6\)'),
        (lambda m: {'force_constants': with_element(m.force_constants, np.nan)}, 'must be finite'),
        (lambda m: {'force_constants': with_element(m.force_constants, 9.0)}, 'must be hermitian'),
        (lambda m: {'level': 'anharmonic'}, "level must be one of .*, not 'anharmonic'"),
    ],
)
def test_refused(change, message):
    """Damaged matrices are refused."""
    matrices = spring_matrices(rocksalt(), (2, 2, 2), cutoff=3.0)
    with pytest.raises(ValueError, match=message):
        replace(matrices, **change(matrices))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda g: {'mesh': (2, 2, 1)}, r'need G of shape \(2, 4, 6, 6\)'),
        (lambda g: {'matrices': with_element(g.matrices, np.inf)}, 'matrices must be finite'),
        (lambda g: {'matrices': with_element(g.matrices, 9.0)}, 'G must be hermitian'),
        (lambda g: {'densities_of_states': np.array([0.5, 0.0])}, 'N.E_F. must be positive'),
        (lambda g: {'densities_of_states': np.ones(3)}, 'one value of densities_of_states'),
        (lambda g: {'fermi_energies': np.array([1.0, np.nan])}, 'fermi_energies must be finite'),
    ],
)
def test_coupling_refused(change, message):
    """So is damaged coupling, and that of an insulator."""
    matrices = spring_matrices(rocksalt(), (2, 2, 2), cutoff=3.0).force_constants
    coupling = ElectronPhonon(
        rocksalt(), (2, 2, 2), np.array([0.1, 0.2]), np.stack([matrices] * 2), np.ones(2), np.zeros(2)
    )
    with pytest.raises(ValueError, match=message):
        replace(coupling, **change(coupling))
