"""Scores and expected errors: a known law is found again, and farther is less certain."""

import numpy as np
import pytest
import torch

from aiida_clathrate.kernels.mlp.deviations import atomic_scores, calibrate, expected_errors, spread_factor


def scores(features, factor):
    """Return the squared scores as an array."""
    return atomic_scores(torch.from_numpy(features), torch.from_numpy(factor)).numpy()


def correlated(count, seed=0):
    """Return correlated features with a mean."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 5)) @ rng.normal(size=(5, 5)) + np.arange(5.0)


def test_score():
    """It is the squared Mahalanobis distance over the number of features: 1 on average over the training set."""
    features = correlated(300)
    found = scores(features, spread_factor(features))
    centred = features - features.mean(axis=0)
    covariance = centred.T @ centred / len(features)
    covariance += 1e-3 * np.trace(covariance) / 5 * np.eye(5)
    expected = np.einsum('nf,fg,ng->n', centred, np.linalg.inv(covariance), centred) / 5
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert 0.9 < found.mean() < 1


def test_farther_is_larger():
    """The score grows as the square of the distance from the mean, and most where the training set is narrow."""
    features = correlated(300) * np.array([1.0, 1.0, 1.0, 1.0, 0.05])
    factor, mean = spread_factor(features), features.mean(axis=0)
    steps = np.array([0.0, 1.0, 2.0, 4.0])[:, None]
    wide, narrow = (scores(mean + steps * np.eye(5)[axis], factor) for axis in (0, 4))
    np.testing.assert_allclose(wide[2:] / wide[1], [4, 16], rtol=1e-9)
    assert wide[0] == pytest.approx(0, abs=1e-12)
    assert narrow[1] > 10 * wide[1]


def test_one_surrounding():
    """Of atoms that are all alike nothing is known but that others are far."""
    factor = spread_factor(np.ones((4, 3)))
    assert scores(np.ones((1, 3)), factor) == pytest.approx(0, abs=1e-9)
    assert scores(np.full((1, 3), 1.1), factor) > 1e3


def law(count, exponent, noise, seed=0):
    """Return scores and errors 0.03 · score^b with random factors."""
    rng = np.random.default_rng(seed)
    found = np.exp(rng.normal(0, 0.7, count))
    return found, 0.03 * found**exponent * np.exp(rng.normal(0, noise, count))


@pytest.mark.parametrize('exponent', [0.6, 1.0, 1.7])
def test_exact_law(exponent):
    """A law without noise is found, but for what was believed before."""
    found = calibrate(*law(200, exponent, 0.0))
    assert found == pytest.approx([np.log(0.03), exponent], abs=1e-2)


def test_mean_square():
    """Expected and true errors have the same mean square, on the set itself exactly and on others nearly."""
    distances, errors = law(400, 1.3, 0.4)
    calibration = calibrate(distances[:200], errors[:200])
    own = expected_errors(distances[:200], calibration)
    assert np.mean(own**2) == pytest.approx(np.mean(errors[:200] ** 2), rel=1e-12)
    other = expected_errors(distances[200:], calibration)
    assert np.mean(other**2) == pytest.approx(np.mean(errors[200:] ** 2), rel=0.25)
    assert calibration[1] == pytest.approx(1.3, abs=0.1)


def test_narrow_set():
    """Scores that hardly vary say nothing on the exponent, which stays at 1."""
    rng = np.random.default_rng(0)
    distances, errors = 1 + 1e-3 * rng.normal(size=20), 0.05 * np.exp(0.3 * rng.normal(size=20))
    assert calibrate(distances, errors)[1] == pytest.approx(1, abs=0.05)
    assert calibrate([2.0], [0.1]) == pytest.approx([np.log(0.05), 1])
