"""Closed formulas for T_c: quick estimates, and the start of the search for the converged one.

W. L. McMillan, Phys. Rev. 167, 331 (1968); P. B. Allen and R. C. Dynes, Phys. Rev. B 12, 905 (1975). They were fitted
for 0 ≤ μ* ≤ 0.2; the last one differs from the converged solution by −5 to +11 %. Where the exponent has no meaning,
because repulsion wins, they return ``None``, never zero.
"""

from __future__ import annotations

import math

from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import KELVIN_PER_MEV


def mcmillan(spectral: SpectralFunction, mu_star: float) -> float | None:
    """Return T_c [K] by McMillan's exponent, or ``None`` if there is no superconductivity.

    T_c = ω_log/1.2 exp[−1.04 (1+λ)/(λ − μ*(1+0.62λ))], with ω_log for the average as in Allen and Dynes, eq. 2.

    :param mu_star: Coulomb pseudopotential μ*, at a cutoff of the order of the phonons [dimensionless].
    """
    if not 0 <= mu_star < math.inf:
        raise ValueError(f'mu_star: μ* is {mu_star}; the formulas hold for μ* ≥ 0')
    coupling = spectral.coupling
    attraction = coupling - mu_star * (1 + 0.62 * coupling)
    if attraction <= 0:
        return None
    # Far below the smallest normal number the exponential is zero: no temperature at all.
    return spectral.omega_log * KELVIN_PER_MEV / 1.2 * math.exp(-1.04 * (1 + coupling) / attraction) or None


def strong_coupling_factor(spectral: SpectralFunction, mu_star: float) -> float:
    """Return f₁ = [1 + (λ/Λ₁)^{3/2}]^{1/3} with Λ₁ = 2.46 (1 + 3.8 μ*) (Allen and Dynes, eqs. 34–38)."""
    return float((1 + (spectral.coupling / (2.46 * (1 + 3.8 * mu_star))) ** 1.5) ** (1 / 3))


def shape_factor(spectral: SpectralFunction, mu_star: float) -> float:
    """Return f₂ = 1 + (ω₂/ω_log − 1) λ²/(λ² + Λ₂²), Λ₂ = 1.82 (1 + 6.3 μ*) ω₂/ω_log (ibid.)."""
    ratio = spectral.omega_2 / spectral.omega_log
    square = spectral.coupling**2
    return 1 + (ratio - 1) * square / (square + (1.82 * (1 + 6.3 * mu_star) * ratio) ** 2)


def allen_dynes(spectral: SpectralFunction, mu_star: float) -> float | None:
    """Return T_c [K] by the full formula with f₁ and f₂, Allen and Dynes, eqs. 34–38, or ``None``."""
    temperature = mcmillan(spectral, mu_star)
    if temperature is None:
        return None
    return temperature * strong_coupling_factor(spectral, mu_star) * shape_factor(spectral, mu_star)
