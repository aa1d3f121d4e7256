"""What was drawn from a Gaussian passes, what was not is refused."""

from dataclasses import replace

import numpy as np
import pytest
from springs import hcp, spring_matrices

from aiida_clathrate.kernels.sscha.sample_check import check_sample, mean_square, square_of_mean
from aiida_clathrate.kernels.sscha.sampling import sample


@pytest.fixture(scope='module')
def drawn():
    """Return 100 pairs of the supercell 3×2×1 of a hexagonal crystal, 33 degrees of freedom."""
    return sample(spring_matrices(hcp(), (3, 2, 1)), 300.0, 200, seed=1)


def test_mean_square(drawn):
    """It is 1 within its standard deviation, which counts each pair once, and grows with the square of u."""
    value, error = mean_square(drawn)
    assert abs(value - 1) < 3 * error
    assert error == pytest.approx(np.sqrt(2 / (100 * 33)))
    assert mean_square(replace(drawn, displacements=2 * drawn.displacements))[0] == pytest.approx(4 * value)
    halves = drawn.subset(slice(0, None, 2), antithetic=False)
    assert mean_square(halves) == (pytest.approx(value), pytest.approx(error))
    assert mean_square(replace(drawn, antithetic=False))[1] == pytest.approx(error / np.sqrt(2))


def test_standard_deviations():
    """Over many samples both statistics scatter as they say."""
    matrices = spring_matrices(hcp(), (3, 1, 1))
    samples = [sample(matrices, 100.0, 40, seed).subset(slice(0, None, 2), antithetic=False) for seed in range(200)]
    for statistic in (mean_square, square_of_mean):
        values, errors = np.array([statistic(part) for part in samples]).T
        # Of 200 samples the mean is known to 1/√200, the standard deviation to 1/√400 and its own skewness.
        assert abs(values.mean() - 1) < 4 * errors[0] / np.sqrt(200)
        assert values.std() == pytest.approx(errors[0], rel=0.3)


def test_translations_do_not_count(drawn):
    """A shift of the whole crystal is no displacement of a mode."""
    shifted = replace(drawn, displacements=drawn.displacements + 0.3, antithetic=False)
    assert mean_square(shifted)[0] == pytest.approx(mean_square(drawn)[0])
    check_sample(shifted)


def test_refusals(drawn):
    """Another temperature, softer matrices and a mean that is not zero."""
    check_sample(drawn)
    with pytest.raises(ValueError, match='of the Gaussian of the matrices at 450 K'):
        check_sample(replace(drawn, temperature=450.0))
    matrices = replace(drawn.matrices, force_constants=0.7 * drawn.matrices.force_constants)
    with pytest.raises(ValueError, match='give the temperature and the matrices'):
        check_sample(replace(drawn, matrices=matrices))
    halves = drawn.subset(slice(0, None, 2), antithetic=False)
    check_sample(halves)
    moved = halves.displacements.copy()
    moved[:, ::2, 2] += 0.6 * moved.std()
    with pytest.raises(ValueError, match='times what chance explains'):
        check_sample(replace(halves, displacements=moved))
