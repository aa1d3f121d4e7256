"""The closed formulas: their limits, and what has no T_c."""

import math

import numpy as np
import pytest

from aiida_clathrate.kernels.allen_dynes import allen_dynes, mcmillan, shape_factor, strong_coupling_factor
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import KELVIN_PER_MEV


def einstein(coupling):
    """Return a line at 20 meV."""
    return SpectralFunction(np.array([20.0]), np.array([float(coupling)]))


def test_mcmillan():
    """For λ = 1, μ* = 0.1 the exponent is −2.08/0.838."""
    expected = 20 * 11.604518 / 1.2 * math.exp(-2.08 / (1 - 0.1 * 1.62))
    assert mcmillan(einstein(1), 0.1) == pytest.approx(expected, rel=1e-6)


def test_average():
    """The prefactor is ω_log: the geometric mean of two lines of equal λ."""
    two = SpectralFunction(np.array([10.0, 40.0]), np.array([0.5, 0.5]))
    assert mcmillan(two, 0.1) == pytest.approx(mcmillan(einstein(1), 0.1))


def test_strong_coupling():
    """For λ → ∞ the full formula grows as √λ, with the coefficient that the exponent and f₁ leave."""
    reduced = allen_dynes(einstein(1e8), 0.0) / (1e4 * 20 * KELVIN_PER_MEV)
    assert reduced == pytest.approx(math.exp(-1.04) / 1.2 / math.sqrt(2.46), rel=1e-6)


def test_factors():
    """f₁ → 1 at weak coupling; f₂ is 1 for one line and ω₂/ω_log-dependent for two."""
    assert strong_coupling_factor(einstein(1e-6), 0.1) == pytest.approx(1)
    assert shape_factor(einstein(2), 0.1) == 1
    two = SpectralFunction(np.array([10.0, 30.0]), np.array([1.0, 1.0]))
    ratio = math.sqrt(500 / 300)
    expected = 1 + (ratio - 1) * 4 / (4 + (1.82 * 1.63 * ratio) ** 2)
    assert shape_factor(two, 0.1) == pytest.approx(expected)


@pytest.mark.parametrize(('coupling', 'mu_star'), [(0.1, 0.2), (0.11, 0.103), (0.3, 0.2999), (1e-4, 0.0)])
def test_no_superconductivity(coupling, mu_star):
    """Where repulsion wins, or T_c is smaller than any number, there is none."""
    assert mcmillan(einstein(coupling), mu_star) is None
    assert allen_dynes(einstein(coupling), mu_star) is None


@pytest.mark.parametrize('mu_star', [-0.1, math.nan, math.inf])
def test_bad_mu_star(mu_star):
    """A μ* outside the formulas is refused by name and value."""
    with pytest.raises(ValueError, match='mu_star: μ'):
        allen_dynes(einstein(1), mu_star)
