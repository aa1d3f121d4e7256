"""α²F as lines: moments in closed form, and every table that is no spectral function."""

import math

import numpy as np
import pytest

from aiida_clathrate.kernels.spectral import SpectralFunction


def test_lines():
    """Moments of two lines."""
    spectral = SpectralFunction(np.array([10.0, 40.0]), np.array([0.6, 0.2]))
    assert spectral.coupling == pytest.approx(0.8)
    assert spectral.omega_log == pytest.approx(10 * 4**0.25)
    assert spectral.omega_2 == pytest.approx(math.sqrt(0.75 * 100 + 0.25 * 1600))
    np.testing.assert_allclose(spectral.cumulative(np.array([9.9, 10.0, 39.9, 40.0])), [0, 0.6, 0.6, 0.8])


def test_debye():
    """α²F = λ (ω/ω_D)² up to ω_D: λ, ω_log = ω_D/√e and ω₂ = ω_D/√2."""
    grid = np.linspace(0, 50, 20001)
    spectral = SpectralFunction.from_table(grid, 0.7 * (grid / 50) ** 2)
    assert spectral.coupling == pytest.approx(0.7, rel=1e-6)
    assert spectral.omega_log == pytest.approx(50 / math.sqrt(math.e), rel=1e-6)
    assert spectral.omega_2 == pytest.approx(50 / math.sqrt(2), rel=1e-6)


def test_highest_frequency():
    """ω_max is the highest line that couples, not the end of the grid."""
    spectral = SpectralFunction.from_table(np.array([0.0, 10.0, 20.0, 30.0, 40.0]), np.array([0.0, 1.0, 1.0, 0.0, 0.0]))
    assert spectral.omega_max == 20.0


def test_broadening():
    """Broadened lines have the same area, ½ Σ λ_i ω_i."""
    spectral = SpectralFunction(np.array([20.0, 30.0]), np.array([0.5, 1.0]))
    grid = np.linspace(0, 60, 6001)
    assert np.trapezoid(spectral.broadened(grid, 1.0), grid) == pytest.approx(0.5 * (0.5 * 20 + 30))


@pytest.mark.parametrize(
    ('frequencies', 'couplings', 'message'),
    [
        ([10.0, np.nan], [1.0, 1.0], r'frequencies\[1\] is nan'),
        ([10.0, 20.0], [np.inf, 1.0], r'couplings\[0\] is inf'),
        ([20.0, 10.0], [1.0, 1.0], 'must ascend, not fall after index 0'),
        ([-1.0, 10.0], [1.0, 1.0], 'must be positive, not -1.0 meV'),
        ([0.0, 10.0], [1.0, 1.0], 'must be positive, not 0.0 meV'),
        ([10.0, 20.0], [1.0, -0.1], r'not be negative, as at 20 meV \(λ_i = -0.1\)'),
        ([10.0, 20.0], [0.0, 0.0], 'no coupling at any frequency'),
        ([10.0, 20.0], [1.0], 'one coupling for each'),
        ([], [], 'one coupling for each'),
    ],
)
def test_lines_refused(frequencies, couplings, message):
    """Lines that no metal has are refused, with the place."""
    with pytest.raises(ValueError, match=f'spectral function: .*{message}'):
        SpectralFunction(np.array(frequencies), np.array(couplings))


@pytest.mark.parametrize(
    ('frequencies', 'values', 'message'),
    [
        ([0.0, 1.0, np.nan], [0.0, 1.0, 1.0], 'row 3 of the table is not finite'),
        ([0.0, 1.0, 2.0], [0.0, 1.0, np.nan], 'row 3 of the table is not finite'),
        ([2.0, 1.0, 0.5], [1.0, 1.0, 0.0], 'must ascend, not fall at row 2'),
        ([1.0, 1.0, 2.0], [1.0, 1.0, 0.0], 'must ascend, not fall at row 2'),
        ([0.0, 1.0], [0.5, 1.0], 'must be positive'),
        ([-1.0, 1.0], [0.0, 1.0], 'must be positive'),
        ([1.0], [1.0], 'at least two points'),
        ([1.0, 2.0], [1.0, 2.0, 3.0], 'two columns'),
    ],
)
def test_tables_refused(frequencies, values, message):
    """So are such tables, with the row."""
    with pytest.raises(ValueError, match=message):
        SpectralFunction.from_table(np.array(frequencies), np.array(values))
