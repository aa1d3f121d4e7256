"""Derivatives of T_c against finite differences, sum rules, and error bars against sampling."""

from dataclasses import replace

import numpy as np
import pytest
from spectra import einstein, search_for

from aiida_clathrate.kernels.matsubara.coulomb import Truncation
from aiida_clathrate.kernels.matsubara.critical_temperature import Search, tabulate
from aiida_clathrate.kernels.matsubara.sensitivity import response
from aiida_clathrate.kernels.spectral import SpectralFunction

LINES = SpectralFunction(np.array([8.0, 15.0, 20.0, 33.0]), np.array([0.2, 0.3, 0.3, 0.25]))
TRUNCATION = Truncation(330.0, 33.0)


def solve(spectral, mu_star=0.12, convention='rescaled', near=None):
    """Return the search and T_c at a cutoff and ω_ref in meV; at the N of ``near`` if given."""
    search = Search(tabulate(spectral, TRUNCATION, 0.01), TRUNCATION, 0.01)
    if near is None:
        return search, search.critical_temperature(mu_star, convention)
    return search, search.root(mu_star, convention, near.temperature, near.number)


def slope(change, near, convention='rescaled', step=1e-4):
    """Return the central difference of T_c; ``change`` makes a spectrum and a μ* from a displacement."""
    up, down = (
        solve(*change(displacement), convention=convention, near=near)[1].temperature for displacement in (step, -step)
    )
    return (up - down) / (2 * step)


@pytest.mark.parametrize('convention', ['rescaled', 'raw'])
def test_finite_differences(convention):
    """dT_c/dμ*, ∂T_c/∂λ_i and ∂T_c/∂ω_i are the slopes of T_c."""
    search, critical = solve(LINES, convention=convention)
    found = response(search.interaction, TRUNCATION, critical, 0.12, convention)
    difference = slope(lambda d: (LINES, 0.12 + d), critical, convention)
    assert found.by_mu_star == pytest.approx(difference, rel=1e-6)
    by_coupling, by_logarithm = found.by_coupling(LINES.frequencies)
    for index in range(4):
        unit = np.eye(4)[index]
        difference = slope(
            lambda d, u=unit: (replace(LINES, couplings=LINES.couplings + d * u), 0.12), critical, convention
        )
        assert by_coupling[index] == pytest.approx(difference, rel=1e-6)
        difference = slope(
            lambda d, u=unit: (replace(LINES, frequencies=LINES.frequencies * np.exp(d * u)), 0.12),
            critical,
            convention,
        )
        assert LINES.couplings[index] * by_logarithm[index] == pytest.approx(difference, rel=1e-6)


def test_functional_derivative():
    """δT_c/δα²F(ω): a weak additional line of strength ε changes T_c by ε times it."""
    search, critical = solve(LINES)
    found = response(search.interaction, TRUNCATION, critical, 0.12)
    for place in (2.0, 12.0, 70.0):
        strength = 1e-5
        extended = np.append(LINES.frequencies, place)
        order = np.argsort(extended)
        couplings = np.append(LINES.couplings, 2 * strength / place)[order]
        changed = solve(SpectralFunction(extended[order], couplings), near=critical)[1]
        difference = (changed.temperature - critical.temperature) / strength
        assert found.by_spectral_function(np.array([place]))[0] == pytest.approx(difference, rel=1e-4)
    # Bergmann and Rainer: positive everywhere, largest a little above 2πT_c, zero at both ends.
    grid = np.linspace(0.01, 300, 3000)
    values = found.by_spectral_function(grid)
    assert values.min() > 0
    assert 6 < grid[values.argmax()] / (critical.temperature / 11.6045) < 9
    assert values[0] < 0.01 * values.max()


def test_isotope_half(spectral):
    """Without repulsion the isotope coefficient is one half."""
    search, mu_star, convention = search_for(spectral), 0.0, 'rescaled'
    critical = search.critical_temperature(mu_star, convention)
    found = response(search.interaction, search.truncation, critical, mu_star, convention)
    assert found.isotope_coefficients(spectral)[0] == pytest.approx(0.5, abs=1e-8)


def test_isotope_with_repulsion():
    """Repulsion at a fixed ω_ref lowers the coefficient, to the finite difference in the mass; species add up."""
    search, critical = solve(LINES)
    found = response(search.interaction, TRUNCATION, critical, 0.12)
    total = found.isotope_coefficients(LINES)[0]
    lighter = slope(lambda d: (replace(LINES, frequencies=LINES.frequencies * np.exp(-d / 2)), 0.12), critical)
    assert total == pytest.approx(-lighter / critical.temperature, rel=1e-6)
    assert 0.4 < total < 0.5
    shares = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.0, 1.0]])
    parts = found.isotope_coefficients(LINES, shares)
    assert parts.sum() == pytest.approx(total)
    assert np.all(parts > 0)


@pytest.mark.parametrize('together', [False, True])
def test_standard_error(together):
    """The error of T_c is the scatter of T_c over sampled modes, to three standard deviations of 400 samples."""
    search, critical = solve(LINES)
    found = response(search.interaction, TRUNCATION, critical, 0.12)
    frequency_errors, coupling_errors = 0.01 * LINES.frequencies, 0.02 * LINES.couplings
    groups = np.array([3, 3, 3, 3]) if together else None
    error = found.standard_error(LINES, frequency_errors, coupling_errors, groups)

    generator = np.random.default_rng(11)
    temperatures = []
    for _ in range(400):
        first, second = generator.normal(size=(2, 1 if together else 4))
        frequencies = LINES.frequencies + frequency_errors * first
        # At fixed λω²; what the couplings themselves scatter comes on top.
        couplings = LINES.couplings * (LINES.frequencies / frequencies) ** 2 + coupling_errors * second
        temperatures.append(solve(SpectralFunction(frequencies, couplings), near=critical)[1].temperature)
    # Relative error of a standard deviation of n samples: 1/√(2n).
    assert error == pytest.approx(np.std(temperatures), rel=3 / np.sqrt(2 * 400))


def test_groups():
    """Errors that move together add up, independent ones add in squares."""
    search, critical = solve(LINES)
    found = response(search.interaction, TRUNCATION, critical, 0.12)
    errors = 0.01 * LINES.couplings
    single = [found.standard_error(LINES, None, np.where(np.arange(4) == index, errors, 0)) for index in range(4)]
    assert found.standard_error(LINES, None, errors) == pytest.approx(np.hypot.reduce(single))
    assert found.standard_error(LINES, None, errors, np.zeros(4, dtype=int)) == pytest.approx(sum(single))
    assert found.standard_error(LINES, np.zeros(4)) == 0


def test_strong_coupling():
    """For λ → ∞ without repulsion T_c depends on λω² alone: a frequency at fixed λω² does not matter."""
    spectral = einstein(1e6)
    search = search_for(spectral)
    critical = search.critical_temperature(0.0)
    found = response(search.interaction, search.truncation, critical, 0.0)
    assert found.standard_error(spectral, np.array([0.2])) < 1e-5 * critical.temperature
    assert found.standard_error(spectral, None, 0.02 * spectral.couplings) == pytest.approx(
        0.01 * critical.temperature, rel=1e-4
    )
