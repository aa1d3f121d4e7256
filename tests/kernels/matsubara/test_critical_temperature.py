"""T_c: limits in closed form, numbers of another program, a second implementation, invariances."""

import math

import numpy as np
import pytest
from dense import critical_temperature, matrix
from spectra import einstein, search_for

from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.matsubara.coulomb import LARGEST
from aiida_clathrate.kernels.matsubara.critical_temperature import UPPER_BOUND, Search, highest_temperature, instability
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import KELVIN_PER_MEV


@pytest.mark.parametrize(
    ('coupling', 'mu_star', 'expected'),
    [(1.0, 0.10, 16.746349), (2.0, 0.15, 32.504236), (0.5, 0.10, 2.741539)],
)
def test_ebmb(coupling, mu_star, expected):
    """An Einstein mode of 20 meV agrees with the program ebmb, which prints seven to eight digits."""
    search = search_for(einstein(coupling), cutoff=15.0, fewest=1, boundary='next')
    assert search.critical_temperature(mu_star).temperature == pytest.approx(expected, rel=1e-7)


def test_strong_coupling_limit():
    """For λ → ∞ and μ* = 0, k_BT_c → 0.182726248 √(λ⟨ω²⟩) (Allen and Dynes, 1975), from below."""
    spectral = einstein(1e7)
    found = search_for(spectral, fewest=256).critical_temperature(0.0)
    reduced = found.temperature / KELVIN_PER_MEV / (math.sqrt(spectral.coupling) * spectral.omega_2)
    assert reduced == pytest.approx(0.182726248, rel=1e-6)
    assert reduced < UPPER_BOUND


def test_weak_coupling_limit():
    """For λ → 0, T_c e^{(1+λ)/λ}/ω_E → 0.68772; the slope in λ is extrapolated away."""
    couplings = np.array([0.16, 0.20, 0.24, 0.28])
    reduced = [
        search_for(einstein(value), cutoff=40).critical_temperature(0.0).temperature
        / (20 * KELVIN_PER_MEV)
        * math.exp((1 + value) / value)
        for value in couplings
    ]
    assert np.polyfit(couplings, reduced, 3)[-1] == pytest.approx(0.68772, rel=3e-3)


@pytest.mark.parametrize('number', [32, 200, 700])
def test_dense(spectral, number):
    """Basis, transforms, table and rank-one formula give what the full matrix gives by bisection."""
    cutoff = 2 * math.pi * 25.0 / KELVIN_PER_MEV * number / spectral.omega_max
    search = search_for(spectral, cutoff=cutoff, fewest=1)
    found = search.critical_temperature(0.12)

    def coulomb(temperature):
        end = 2 * math.pi * temperature / KELVIN_PER_MEV * found.number
        return 0.12 / (1 + 0.12 * math.log(spectral.omega_max / end))

    expected = critical_temperature(spectral, found.number, coulomb, 0.97 * found.temperature, 1.03 * found.temperature)
    assert found.temperature == pytest.approx(expected, rel=1e-9)


def test_eigenvector(spectral):
    """The vector belongs to the eigenvalue zero of M, which is the lowest."""
    found = search_for(spectral).critical_temperature(0.1)
    point = instability(search_for(spectral).interaction, found.temperature, found.number)
    full = matrix(spectral, point.temperature, point.number, point.coulomb)
    assert np.linalg.eigvalsh(full)[0] == pytest.approx(0, abs=1e-8)
    assert np.abs(full @ point.vector).max() < 1e-5 * np.abs(point.vector).max()
    assert point.vector.sum() == pytest.approx(1)


def test_slope(spectral):
    """dμ_crit/d ln T by Hellmann–Feynman is the finite difference."""
    interaction = search_for(spectral).interaction
    low, middle, high = (instability(interaction, temperature, 60) for temperature in (29.97, 30.0, 30.03))
    difference = (high.coulomb - low.coulomb) / math.log(high.temperature / low.temperature)
    assert middle.slope == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize('number', [64, 800])
def test_largest_repulsion(spectral, number):
    """The factorisation fails if and only if the largest μ* leaves a negative eigenvalue."""
    negative = np.linalg.eigvalsh(matrix(spectral, 2.0, number, LARGEST))[0] < 0
    assert (instability(search_for(spectral, cutoff=30).interaction, 2.0, number) is None) == negative
    assert negative == (number == 800)


@pytest.mark.parametrize('convention', ['rescaled', 'raw'])
def test_curve(spectral, convention):
    """A curve is what single solutions are, in any order of μ*."""
    mu_stars = np.array([0.15, 0.0, 0.1, 0.12, 0.08, 0.3, 0.2])
    together = [found.temperature for found in search_for(spectral).curve(mu_stars, convention)]
    alone = [search_for(spectral).critical_temperature(value, convention).temperature for value in mu_stars]
    assert together == pytest.approx(alone, rel=1e-9)
    assert np.all(np.diff(np.array(together)[np.argsort(mu_stars)]) < 0)


@pytest.mark.parametrize('convention', ['rescaled', 'raw'])
def test_scaling(spectral, convention):
    """ω → sω, cutoff and ω_ref with it, gives T_c → sT_c to rounding: then the isotope coefficient is one half."""
    stretched = SpectralFunction(3.7 * spectral.frequencies, spectral.couplings)
    ratio = (
        search_for(stretched).critical_temperature(0.1, convention).temperature
        / search_for(spectral).critical_temperature(0.1, convention).temperature
    )
    assert ratio == pytest.approx(3.7, rel=1e-10)


def test_cutoff(spectral):
    """The rescaled T_c converges with the cutoff, the raw one goes on growing."""
    rescaled, raw = (
        [search_for(spectral, cutoff=cutoff).critical_temperature(0.12, convention).temperature for cutoff in (10, 160)]
        for convention in ('rescaled', 'raw')
    )
    assert rescaled[0] == pytest.approx(rescaled[1], rel=0.01)
    assert raw[1] > 1.05 * raw[0]


def test_boundary(spectral):
    """Both ends of the sums to which μ* may be carried agree as N grows."""
    first, second = (
        search_for(spectral, cutoff=300, boundary=boundary).critical_temperature(0.12).temperature
        for boundary in ('middle', 'next')
    )
    assert first == pytest.approx(second, rel=2e-4)


def test_raw_is_continuous():
    """The raw T_c has no steps where the number of frequencies changes, even where repulsion nearly wins."""
    spectral = SpectralFunction(np.array([12.0, 30.0]), np.array([0.2, 0.25]))
    cutoffs = np.linspace(10, 10.05, 6)
    found = [search_for(spectral, cutoff=cutoff).critical_temperature(0.28, 'raw') for cutoff in cutoffs]
    temperatures = np.array([solution.temperature for solution in found])
    assert len({solution.number for solution in found}) > 1
    assert np.diff(temperatures, 2) == pytest.approx(0, abs=2e-4 * temperatures[0])


def test_repulsion_wins():
    """A weak coupling is not superconducting at a large μ*: None, also for every larger one, not a small number."""
    search = search_for(einstein(0.3), lowest=1e-3)
    first, second, third = search.curve(np.array([0.0, 0.28, 0.3]), 'rescaled')
    assert first.temperature > 1
    assert second is None
    assert third is None


def test_lowest_temperature():
    """T_c just above the lowest temperature is found, just below it is not."""
    expected = search_for(einstein(0.5)).critical_temperature(0.1).temperature
    scale = 20 * KELVIN_PER_MEV
    assert search_for(einstein(0.5), lowest=0.999 * expected / scale).critical_temperature(0.1).temperature == (
        pytest.approx(expected, rel=1e-9)
    )
    assert search_for(einstein(0.5), lowest=1.001 * expected / scale).critical_temperature(0.1) is None


def test_upper_bound():
    """T_c stays below the bound for all couplings."""
    for coupling in (0.3, 1.0, 5.0, 100.0):
        spectral = einstein(coupling)
        assert search_for(spectral).critical_temperature(0.0).temperature < highest_temperature(spectral)


def test_pole(spectral):
    """A μ* whose rescaled value diverges before the cutoff is refused with the remedy."""
    with pytest.raises(KernelError, match='lower cutoff_factor') as error:
        search_for(spectral).critical_temperature(0.45)
    assert error.value.label == 'ERROR_COULOMB_POLE'
    assert search_for(spectral, cutoff=3).critical_temperature(0.45).temperature > 0


def test_bad_start(spectral):
    """Any start leads to the same T_c."""
    expected = search_for(spectral).critical_temperature(0.1)
    for start in (1e-3, 1.0, 1e5):
        search: Search = search_for(spectral)
        assert search.root(0.1, 'rescaled', start, expected.number).temperature == pytest.approx(
            expected.temperature, rel=1e-9
        )
