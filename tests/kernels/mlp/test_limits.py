"""How accurate a potential must be."""

import numpy as np
import pytest

from aiida_clathrate.kernels.mlp.limits import TOLERANCE, Limits, without_offset

LIMITS = Limits(0.5, 50.0)


@pytest.mark.parametrize(
    ('energy', 'force', 'excess'), [(0.5, 50.0, 1.0), (0.6, 10.0, 1.2), (0.1, 75.0, 1.5), (0.0, 0.0, 0.0)]
)
def test_excess(energy, force, excess):
    """The worse of the two errors counts, and the limit itself is met."""
    results = {'energy_rmse': energy, 'force_rmse': force}
    assert LIMITS.excess(results) == pytest.approx(excess)
    assert LIMITS.met(results) == (excess <= 1)


def test_scatter_of_a_sample():
    """A potential that just meets the limits passes with few configurations; with many there is no room left."""
    rng, number = np.random.default_rng(1), 20
    errors = 0.5 * np.sqrt((rng.normal(size=(10000, number)) ** 2).mean(axis=1))
    results = [{'energy_rmse': error, 'force_rmse': 0.0} for error in errors]
    passed = np.mean([LIMITS.met_by_sample(each, number) for each in results])
    assert passed == pytest.approx(0.977, abs=0.015)  # the root of χ² is nearly Gaussian: two deviations, one side
    assert np.mean([LIMITS.met(each) for each in results]) < 0.6
    assert errors.std() / 0.5 == pytest.approx((2 * number) ** -0.5, rel=0.03)
    slightly = {'energy_rmse': 0.51, 'force_rmse': 0.0}
    assert LIMITS.met_by_sample(slightly, number)
    assert not LIMITS.met_by_sample(slightly, 10**5)
    assert TOLERANCE > 0


@pytest.mark.parametrize('values', [(0.0, 50.0), (0.5, -1.0), (float('nan'), 50.0)])
def test_refused(values):
    """A limit is positive."""
    with pytest.raises(ValueError, match='is no limit; give an error above zero'):
        Limits(*values)


def test_without_offset():
    """A constant difference of all energies is no error of a calculator with another zero; what is left is."""
    errors = np.array([5001.0, 4999.0, 5003.0])
    results = {'energy_rmse': np.sqrt(np.mean(errors**2)), 'energy_mean_error': errors.mean(), 'force_rmse': 10.0}
    found = without_offset(results)
    assert found['energy_rmse'] == pytest.approx(errors.std(), rel=1e-6)
    assert found['force_rmse'] == results['force_rmse']
