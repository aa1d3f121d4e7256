"""How far from its training set a configuration is, and what error that makes likely.

The features x of an atom are compared with those of the atoms of the same element that the network was trained on: the
score of an atom is (x − x̄)ᵀ (C + λ)⁻¹ (x − x̄) / f, with their covariance C and f features, that of a configuration the
root of the mean over its atoms. Errors are then expected as a · score^b, fitted to configurations held out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

#: λ, in units of the mean variance of the features.
RIDGE = 1e-3
#: The exponent before any error is seen: an error proportional to the distance, give or take this much.
EXPONENT, EXPONENT_DEVIATION = 1.0, 0.25
#: Of the logarithm of an error, where a law holds exactly; and steps to make the scatter that of the fitted law.
LEAST_VARIANCE, ITERATIONS = 1e-6, 20


def spread_factor(features: Floats) -> Floats:
    """Return W with |W (x, 1)|² the score, from the features of all atoms of one element, shape (f, f + 1).

    :param features: shifted and scaled, shape (n, f).
    """
    size = features.shape[1]
    mean = features.mean(axis=0)
    centred = features - mean
    covariance = centred.T @ centred / len(features)
    # Of an element that has one surrounding only, nothing is known but that others are far.
    covariance += RIDGE * max(float(np.trace(covariance)) / size, 1e-6) * np.eye(size)
    factor = np.linalg.inv(np.linalg.cholesky(covariance)) / np.sqrt(size)
    return np.hstack([factor, -(factor @ mean)[:, None]])


def atomic_scores(features: Tensor, factor: Tensor) -> Tensor:
    """Return the squared scores of atoms of one element, shape (n,).

    :param features: shifted and scaled, shape (n, f).
    :param factor: of ``spread_factor``.
    """
    found: Tensor = (features @ factor[:, :-1].T + factor[:, -1]).square().sum(1)
    return found


def configuration_scores(features: Tensor, species: Tensor, factors: Tensor, count: int = 1) -> Tensor:
    """Return the scores of configurations of the same atoms, shape (count,), double.

    :param features: of the atoms of all configurations, shifted and scaled, shape (n, f).
    :param species: number of the species of each atom, shape (n,).
    :param factors: of ``spread_factor`` for each species, shape (species, f, f + 1).
    :param count: of the configurations.
    """
    squares = features.new_zeros(len(features))
    for element, factor in enumerate(factors):
        own = species == element
        squares[own] = atomic_scores(features[own], factor)
    return squares.double().reshape(count, -1).mean(1).sqrt()


def calibrate(scores: Sequence[float] | Floats, errors: Sequence[float] | Floats) -> Floats:
    """Return ln a and b of the expected error a · score^b.

    Least squares of the logarithms, with b known beforehand as 1 ± 0.25: in a narrow set the scores hardly vary, and
    say nothing on b. a is such that expected and true errors have the same mean square.

    :param scores: of configurations held out, positive.
    :param errors: root mean square errors of their force components [eV/Å], positive.
    """
    x, y = np.log(np.asarray(scores, dtype=float)), np.log(np.asarray(errors, dtype=float))
    centred, target = x - x.mean(), y - y.mean()
    exponent = EXPONENT
    for _ in range(ITERATIONS):
        # The scatter about the law itself; two numbers of it were fitted.
        residual = target - exponent * centred
        variance = max(float(residual @ residual) / max(len(x) - 2, 1), LEAST_VARIANCE)
        precision = float(centred @ centred) / variance
        slope = float(centred @ target) / variance
        exponent = (slope + EXPONENT / EXPONENT_DEVIATION**2) / (precision + 1 / EXPONENT_DEVIATION**2)
    factor = 0.5 * np.log(np.mean(np.exp(2 * y)) / np.mean(np.exp(2 * exponent * x)))
    return np.array([factor, exponent])


def expected_errors(scores: Floats, calibration: Floats) -> Floats:
    """Return the expected root mean square errors of the force components [eV/Å].

    :param scores: of configurations.
    :param calibration: of ``calibrate``.
    """
    return np.asarray(np.exp(calibration[0]) * scores ** calibration[1])
