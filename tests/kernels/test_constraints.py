"""The acoustic sum rule and the symmetry together."""

from dataclasses import replace

import numpy as np
import pytest
from springs import clathrate, diamond, hydrogen, spring_matrices

from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.sum_rule import impose_sum_rule, sum_rule_violation
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS


@pytest.fixture
def pinned():
    """Return springs that also bind each atom of diamond to its site with 0.5 eV/Å², which breaks the sum rule."""
    matrices = spring_matrices(diamond(), (2, 2, 2), cutoff=3.0)
    return replace(matrices, force_constants=matrices.force_constants + 0.5 * np.eye(6))


def test_closed_form(pinned):
    """Bound atoms vibrate as a whole with ω² = k/M, and that is what is reported."""
    violation = sum_rule_violation(pinned)
    expected = MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS * np.sqrt(0.5 / pinned.crystal.masses[0])
    assert violation.force_constant == pytest.approx(0.5)
    np.testing.assert_allclose(violation.frequencies, expected)


def test_only_translations_change(pinned):
    """The optical modes of Γ and all other wave vectors stay, the acoustic modes of Γ go to zero."""
    imposed = impose_sum_rule(pinned)
    np.testing.assert_array_equal(imposed.force_constants[1:], pinned.force_constants[1:])
    np.testing.assert_allclose(imposed.modes[0][0, 3:], pinned.modes[0][0, 3:])
    assert sum_rule_violation(imposed).force_constant < 1e-12
    np.testing.assert_allclose(imposed.modes[0][0, :3], 0, atol=1e-4)


def test_minimal_change(pinned):
    """No other matrices that obey the rule are nearer."""
    imposed = impose_sum_rule(pinned)
    change = imposed.force_constants[0] - pinned.force_constants[0]
    rng = np.random.default_rng(0)
    other = rng.normal(size=(6, 6))
    allowed = replace(pinned, force_constants=pinned.force_constants + (other + other.T))
    difference = impose_sum_rule(allowed).force_constants[0] - imposed.force_constants[0]
    assert abs(np.vdot(difference, change)) < 1e-12


def test_neutral_for_springs():
    """Springs between atoms obey the rule by themselves."""
    violation = sum_rule_violation(spring_matrices(hydrogen(), (2, 2, 2), cutoff=3.0))
    assert violation.force_constant < 1e-12
    np.testing.assert_allclose(violation.frequencies, 0, atol=1e-3)


def test_both_constraints():
    """Noise on everything is removed, reported, and a second call changes nothing."""
    clean = spring_matrices(clathrate(), (2, 2, 2), cutoff=3.0)
    rng = np.random.default_rng(0)
    noise = 1e-3 * rng.normal(size=clean.force_constants.shape)
    noisy = replace(clean, force_constants=clean.force_constants + noise + np.swapaxes(noise, 1, 2))
    first = impose_constraints(noisy)
    assert 1e-3 < first.symmetry.force_constant < 1e-2
    assert first.symmetry.frequency > 0.01
    assert 1e-3 < first.sum_rule.force_constant < 3e-2
    second = impose_constraints(first.matrices)
    np.testing.assert_allclose(second.matrices.force_constants, first.matrices.force_constants, atol=1e-12)
    assert second.symmetry.force_constant < 1e-12
    assert second.sum_rule.force_constant < 1e-12
    distance = np.linalg.norm(first.matrices.force_constants - clean.force_constants)
    assert distance < 0.4 * np.linalg.norm(noise + np.swapaxes(noise, 1, 2))
