"""Errors of modes carried from one set of matrices to another."""

from dataclasses import replace

import numpy as np
import pytest
from morse_clathrate import MorseClathrate, clathrate_atoms

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.sscha.mode_errors import carried_errors


@pytest.fixture(scope='module')
def matrices():
    """Return matrices with sets of degenerate modes."""
    crystal = Crystal.from_ase(clathrate_atoms())
    return DynamicalMatrices(crystal, (1, 1, 1), MorseClathrate().hessian()[None].astype(complex), 'hessian')


def errors_of(matrices):
    """Return errors that are the same for degenerate modes, without those of translations."""
    frequencies = matrices.modes[0]
    return np.where(np.abs(frequencies) > 1e-2, 1 + 0.1 * np.round(frequencies, 4), 0.0)


def test_same_matrices(matrices):
    """Nothing changes where nothing differs, whatever basis of degenerate modes was found."""
    expected = errors_of(matrices)
    np.testing.assert_allclose(carried_errors(matrices, matrices, expected), expected, rtol=1e-6, atol=1e-12)


def test_translations(matrices):
    """Translations have no error, whatever is said of them."""
    carried = carried_errors(matrices, matrices, np.ones((1, 42)))
    assert sorted(carried[0])[:3] == [0, 0, 0]
    assert sorted(carried[0])[3] == pytest.approx(1, rel=1e-6)


def test_same_vectors(matrices):
    """The error is that of ω²: where all ω are twice as large, that of ω is half as large."""
    harder = replace(matrices, force_constants=4 * matrices.force_constants)
    expected = 0.5 * errors_of(matrices)
    np.testing.assert_allclose(carried_errors(harder, matrices, errors_of(matrices)), expected, rtol=1e-6, atol=1e-12)


def test_mixed_vectors(matrices):
    """A mode made of several has the mean of their variances; the variances of ω² have the same sum as before."""
    added = np.random.default_rng(1).normal(size=(42, 42))
    free = np.eye(42) - np.kron(np.full((14, 14), 1 / 14), np.eye(3))
    added = free @ (added + added.T) @ free
    other = replace(matrices, force_constants=matrices.force_constants + 0.5 * added)
    errors = errors_of(matrices)
    carried = carried_errors(other, matrices, errors)
    assert not np.allclose(carried, errors, rtol=0.05)
    before, after = ((2 * part.modes[0] * sigma) ** 2 for part, sigma in ((matrices, errors), (other, carried)))
    assert after.sum() == pytest.approx(before.sum(), rel=1e-6)


def test_other_mesh(matrices):
    """Errors of another mesh are refused."""
    finer = replace(matrices, mesh=(2, 1, 1), force_constants=np.repeat(matrices.force_constants, 2, axis=0))
    with pytest.raises(ValueError, match=r'mesh \(1, 1, 1\) cannot be carried'):
        carried_errors(finer, matrices, errors_of(matrices))
