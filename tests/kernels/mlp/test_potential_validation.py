"""Errors of predictions: closed forms, and what is known of the mean of draws."""

import numpy as np
import pytest

from aiida_clathrate.kernels.mlp import validation
from aiida_clathrate.kernels.mlp.validation import (
    Numbers,
    deviation_ratio,
    force_errors,
    mean,
    parity,
    rank_correlation,
)

SYMBOLS = ['H', 'Li', 'Li', 'H', 'Li', 'Li']


def labels(**changes):
    """Return two configurations of three atoms."""
    generator = np.random.default_rng(1)
    arrays = {
        'energies': generator.normal(size=2),
        'forces': generator.normal(size=(6, 3)),
        'stresses': generator.normal(size=(2, 3, 3)),
    }
    return Numbers(**(arrays | changes))


def test_parity():
    """Known differences give known errors, each with its sign, unit and element."""
    true = labels()
    differences = np.zeros((6, 3))
    differences[[0, 3], 0] = 0.03, -0.04  # H
    differences[5] = 0.012  # one Li
    predicted = Numbers(
        true.energies + np.array([0.003, -0.001]), true.forces + differences, true.stresses + 0.2 * np.eye(3)
    )
    found = parity(true, predicted, SYMBOLS)
    assert found.configurations == 2
    assert found.energy_rmse == pytest.approx(5**0.5)
    assert found.energy_max == pytest.approx(3.0)
    assert found.energy_mean_error == pytest.approx(1.0)
    assert found.force_max == pytest.approx(40.0)
    assert found.force_rmse_by_species == pytest.approx({'H': 50 / 6**0.5, 'Li': 12 / 2})
    assert found.force_rmse == pytest.approx(((30**2 + 40**2 + 3 * 12**2) / 18) ** 0.5)
    assert found.force_deviation == pytest.approx(1e3 * np.sqrt((true.forces**2).mean()))
    assert found.stress_rmse == pytest.approx(0.2 / 3**0.5)
    assert found.scalars()['force_rmse_by_species'] == found.force_rmse_by_species


def test_no_stresses():
    """Where one side has no stresses there is no error of them, and no number in its place."""
    assert parity(labels(), labels(stresses=None), SYMBOLS).stress_rmse is None
    assert parity(labels(stresses=None), labels(), SYMBOLS).stress_rmse is None


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'energies': np.zeros(0)}, 'one configuration or more'),
        ({'forces': np.zeros((6, 2))}, 'one configuration or more'),
        ({'stresses': np.zeros((3, 3, 3))}, 'stresses: need the shape'),
        ({'energies': np.array([0.0, np.nan])}, 'energies: must be finite'),
        ({'forces': np.full((6, 3), np.inf)}, 'forces: must be finite'),
    ],
)
def test_numbers(changes, message):
    """What is no set of numbers is refused."""
    with pytest.raises(ValueError, match=message):
        labels(**changes)


def test_other_configurations():
    """Predictions of something else are refused, never broadcast."""
    with pytest.raises(ValueError, match='not of the same configurations'):
        parity(labels(), labels(forces=np.zeros((1, 3))), SYMBOLS)
    with pytest.raises(ValueError, match='need one for each of the 6 forces, not 5'):
        parity(labels(), labels(), SYMBOLS[:5])


def test_mean():
    """Mean and error of draws with a known offset: 2000 experiments lie around it as their errors say."""
    generator = np.random.default_rng(2)
    count, offset = 20, 0.7
    found = [mean(sample) for sample in offset + 0.3 * generator.standard_normal((2000, count))]
    values, errors = np.array([each.value for each in found]), np.array([each.error for each in found])
    assert abs(values.mean() - offset) < 3 * 0.3 / np.sqrt(2000 * count)
    # Student's t with n − 1 degrees of freedom has the variance (n − 1)/(n − 3); of 2000 it is known to some 4 %.
    assert np.var((values - offset) / errors) == pytest.approx((count - 1) / (count - 3), rel=0.12)
    assert mean(np.array([1.5])) == validation.SampleMean(1.5, None)
    with pytest.raises(ValueError, match='mean of nothing'):
        mean(np.zeros(0))


def test_expected_errors():
    """Errors of each configuration, their order and their size against the expected ones."""
    true = np.zeros((4, 2, 3))
    predicted = true + np.array([0.1, 0.3, 0.2, 0.4])[:, None, None]
    errors = force_errors(true, predicted)
    np.testing.assert_allclose(errors, [0.1, 0.3, 0.2, 0.4])
    assert rank_correlation(errors, errors**3) == pytest.approx(1.0)
    assert rank_correlation(errors, -errors) == pytest.approx(-1.0)
    assert rank_correlation(errors, np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.8)  # 1 − 6·2/(4·15)
    assert deviation_ratio(errors, 0.5 * errors) == pytest.approx(2.0)


def test_undefined():
    """What is not defined is no number."""
    assert rank_correlation(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    assert rank_correlation(np.arange(5.0), np.ones(5)) is None
    assert rank_correlation(np.ones(5), np.arange(5.0)) is None
    assert deviation_ratio(np.ones(3), np.zeros(3)) is None
