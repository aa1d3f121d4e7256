"""Gap, renormalisation and gap edge: limits, consistency with T_c, and results that must be refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from spectra import einstein, search_for

from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.matsubara.continuation import gap_edge, pade
from aiida_clathrate.kernels.matsubara.gap import GapSolution, fixed_point, gaps_below
from aiida_clathrate.kernels.units import KELVIN_PER_MEV


def solutions(spectral, fractions, mu_star=0.1, **options):
    """Return T_c and the gaps at fractions of it."""
    search = search_for(spectral, **options)
    critical = search.critical_temperature(mu_star)
    temperatures = critical.temperature * np.array(fractions)
    return critical, gaps_below(search.interaction, search.truncation, critical, mu_star, temperatures)


def test_equations(spectral):
    """The solution fulfils the equations as written, with sums over positive and negative frequencies."""
    _, (solution,) = solutions(spectral, [0.3])
    number, step = len(solution.gaps), 2 * math.pi * solution.temperature / KELVIN_PER_MEV
    # Beyond the cutoff Δ = 0; the sum of Z goes on, here until what is left is below the tolerance.
    far = np.arange(-50 * number, 50 * number)
    frequencies, gaps = step * (far + 0.5), np.zeros(len(far))
    gaps[49 * number : 51 * number] = np.concatenate((solution.gaps[::-1], solution.gaps))
    energies = np.hypot(frequencies, gaps)
    coulomb = 0.1 / (1 + 0.1 * math.log(spectral.omega_max / (step * number)))
    squares = spectral.frequencies[:, None] ** 2
    for n in (0, 1, 7, number - 1):
        here = step * (n + 0.5)
        kernel = (spectral.couplings[:, None] * squares / (squares + (here - frequencies) ** 2)).sum(axis=0)
        renormalisation = 1 + 0.5 * step / here * (kernel @ (frequencies / energies))
        assert solution.renormalisation[n] == pytest.approx(renormalisation, rel=1e-4)
        pairing = 0.5 * step * ((kernel - coulomb) @ (gaps / energies))
        assert solution.gaps[n] == pytest.approx(pairing / solution.renormalisation[n], rel=1e-8, abs=1e-9)


def test_closing(spectral):
    """Δ² goes to zero linearly at the T_c of the eigenvalue problem."""
    fractions = np.array([0.999, 0.9995])
    _, (first, second) = solutions(spectral, fractions)
    squares = first.gaps[0] ** 2, second.gaps[0] ** 2
    zero = fractions[1] + squares[1] * np.diff(fractions)[0] / (squares[0] - squares[1])
    assert zero == pytest.approx(1, abs=2e-6)


def test_weak_coupling():
    """2Δ₀/k_BT_c → 3.528 at weak coupling, with the known first correction (Mitrović et al., 1984)."""
    spectral = einstein(0.3)
    critical, (solution,) = solutions(spectral, [0.1], mu_star=0.0)
    small = critical.temperature / (20 * KELVIN_PER_MEV)
    expected = 3.528 * (1 + 12.5 * small**2 * math.log(1 / (2 * small)))
    ratio = 2 * gap_edge(solution) * KELVIN_PER_MEV / critical.temperature
    assert ratio == pytest.approx(expected, rel=3e-3)
    assert ratio > 3.528


def test_normal_renormalisation():
    """Z(iω → 0) → 1 + λ where the gap is small."""
    _, (solution,) = solutions(einstein(0.3), [0.9], mu_star=0.0)
    assert solution.renormalisation[0] == pytest.approx(1.3, rel=0.01)
    assert solution.renormalisation[-1] == pytest.approx(1, abs=0.05)


def test_order(spectral):
    """The gap falls with temperature, in whatever order the temperatures are given."""
    _, found = solutions(spectral, [0.9, 0.1, 0.5])
    assert [solution.temperature for solution in found] == sorted(solution.temperature for solution in found)
    assert found[0].gaps[0] > found[1].gaps[0] > found[2].gaps[0]


def test_above(spectral):
    """Temperatures at or above T_c are refused."""
    with pytest.raises(ValueError, match='not below T_c'):
        solutions(spectral, [1.0])


def test_fixed_point():
    """A linear problem of four dimensions takes six evaluations, also where plain iteration would diverge."""
    generator, calls = np.random.default_rng(3), []
    slope, origin = 3 * generator.normal(size=(4, 4)), generator.normal(size=4)

    def function(point):
        calls.append(point)
        return slope @ point + origin

    np.testing.assert_allclose(fixed_point(function, np.zeros(4)), np.linalg.solve(np.eye(4) - slope, origin))
    assert len(calls) <= 6


def test_few_iterations(spectral, monkeypatch):
    """The gap equations take less than 25 evaluations at any temperature."""
    monkeypatch.setattr('aiida_clathrate.kernels.matsubara.gap.MAX_ITERATIONS', 25)
    solutions(spectral, [0.1, 0.5, 0.9])


def test_no_fixed_point():
    """An iteration without a fixed point ends with an error, not with its last point."""
    with pytest.raises(KernelError) as error:
        fixed_point(lambda point: point + 1, np.ones(3))
    assert error.value.label == 'ERROR_NOT_CONVERGED'


def test_pade():
    """A rational function is continued exactly."""
    points = 1j * np.arange(1.0, 9.0)
    places = np.array([0.3, 1.7, 2.2], dtype=complex)

    def function(z):
        return 3 / (1 - z**2 / 25) + 1 / (z**2 - 16)

    assert pade(points, function(points), places) == pytest.approx(function(places), rel=1e-9)


def test_edge_of_a_model():
    """A gap of the form Δ(iω) = a/(1 + ω²/b²) has its edge where a/(1 − Δ²/b²) = Δ."""
    solution = GapSolution(1.0, np.zeros(200), np.ones(200))
    solution = replace(solution, gaps=2 / (1 + solution.frequencies**2 / 30**2))
    edge = gap_edge(solution)
    assert 2 / (1 - edge**2 / 30**2) == pytest.approx(edge, rel=1e-8)


def test_spurious():
    """Noise has no gap edge, however well each approximant interpolates it."""
    generator = np.random.default_rng(0)
    solution = GapSolution(1.0, 2 * (1 + 0.05 * generator.normal(size=200)), np.ones(200))
    with pytest.raises(KernelError) as error:
        gap_edge(solution)
    assert error.value.label == 'ERROR_CONTINUATION_FAILED'


def test_damped():
    """Where Δ(ω) has a large imaginary part there is no edge, though its real part crosses ω."""
    solution = GapSolution(1.0, np.zeros(200), np.ones(200))
    frequencies = solution.frequencies
    with pytest.raises(KernelError, match='only 0 of 6'):
        gap_edge(replace(solution, gaps=2 / (1 + frequencies**2 / 30**2 + 0.2 * frequencies)))


def test_approximants_must_agree(spectral, monkeypatch):
    """Approximants agree to four digits, and their spread counts: with less tolerance they are refused."""
    _, (solution,) = solutions(spectral, [0.1])
    monkeypatch.setattr('aiida_clathrate.kernels.matsubara.continuation.SPREAD', 1e-3)
    gap_edge(solution)
    monkeypatch.setattr('aiida_clathrate.kernels.matsubara.continuation.SPREAD', 1e-16)
    with pytest.raises(KernelError, match='meV for one Padé approximant'):
        gap_edge(solution)
