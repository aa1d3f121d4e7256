"""What T_c depends on: derivatives by Hellmann–Feynman, isotope coefficients and error bars.

At T_c, vᵀMv = 0. To first order only M changes, not v: with c_l = ∂(vᵀAv)/∂λ_l and Σ_n v_n = 1,

    δ ln T_c = (½ Σ_l c_l δλ_l + δμ*_N)/(dμ_crit/d ln T − dμ*_N/d ln T).

All derivatives are at a fixed number of frequencies, fixed ω_ref and fixed ω_c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.matsubara.coulomb import Convention, Truncation, spacing
from aiida_clathrate.kernels.matsubara.critical_temperature import Instability, instability, pair_derivatives
from aiida_clathrate.kernels.matsubara.interaction import DEGREE, STEP, Interaction
from aiida_clathrate.kernels.spectral import SpectralFunction


@dataclass(frozen=True)
class Response:
    """First derivatives of T_c.

    :param temperature: T_c [K].
    :param bosonic: ν_l, l ≥ 1, shape (2N−1,) [meV].
    :param by_interaction: ∂T_c/∂λ(ν_l), shape (2N−1,) [K].
    :param by_mu_star: dT_c/dμ* [K].
    """

    temperature: float
    bosonic: NDArray[np.float64]
    by_interaction: NDArray[np.float64]
    by_mu_star: float

    def by_coupling(self, frequencies: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return ∂T_c/∂λ_i of a line at ω_i [K], and the derivative of that by ln ω_i [K].

        ∂T_c/∂λ_i = Σ_l ∂T_c/∂λ(ν_l) ω_i²/(ω_i² + ν_l²), tabulated in ln ω like λ(ν).
        """
        start = np.log(frequencies.min()) - 4 * STEP
        points = start + STEP * np.arange(int(np.ceil((np.log(frequencies.max()) - start) / STEP)) + 5)
        values = (1 / (1 + np.exp(-2 * points)[:, None] * self.bosonic**2)) @ self.by_interaction
        table = make_interp_spline(points, values, k=DEGREE)
        return table(np.log(frequencies)), table.derivative()(np.log(frequencies))

    def by_spectral_function(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return δT_c/δα²F(ω) at ω > 0 [K/meV]: G. Bergmann and D. Rainer, Z. Phys. 263, 59 (1973)."""
        return 2 / grid * self.by_coupling(grid)[0]

    def isotope_coefficients(
        self, spectral: SpectralFunction, shares: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return α = −d ln T_c/d ln M for all masses together, or for each species.

        λ_i does not depend on the masses, ω_i ∝ M^−½. ω_ref is held: it belongs to the electrons.

        :param shares: Σ |e_i|² over the atoms of each species, shape (n, species). Then each line is only shifted:
            the mixing of modes by a change of one mass is left out. It cancels in the sum over species.
        """
        shift = spectral.couplings * self.by_coupling(spectral.frequencies)[1] / (2 * self.temperature)
        return np.atleast_1d(shift.sum() if shares is None else shift @ shares)

    def standard_error(
        self,
        spectral: SpectralFunction,
        frequency_errors: NDArray[np.float64] | None = None,
        coupling_errors: NDArray[np.float64] | None = None,
        groups: NDArray[np.int64] | None = None,
        frequency_deviations: NDArray[np.float64] | None = None,
    ) -> float:
        """Return the standard deviation of T_c [K] that follows, to first order, from those of the modes.

        It contains the errors given and no others: neither those of μ*, of the meshes, nor of the isotropic theory.

        :param frequency_errors: σ(ω_i), shape (n,) [meV]. A frequency moves at fixed λ_i ω_i², which the electrons
            fix: λ_i moves with it.
        :param coupling_errors: σ(λ_i) at fixed ω_i, shape (n,) [dimensionless]; independent of the former.
        :param groups: labels, shape (n,): the errors of one group move together, such as those of modes that are
            images by symmetry; groups are independent. By default each line is its own group. One label for all
            means full correlation.
        :param frequency_deviations: δω_i by each of b independent causes, whose covariance is the sum over causes of
            δω_i δω_j, shape (b, n) [meV]; instead of ``frequency_errors``.
        """
        by_coupling, by_logarithm = self.by_coupling(spectral.frequencies)
        labels = np.arange(len(by_coupling)) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
        variance = 0.0
        slopes = spectral.couplings * (by_logarithm - 2 * by_coupling) / spectral.frequencies
        if frequency_deviations is not None:
            variance += float(((frequency_deviations @ slopes) ** 2).sum())
        if frequency_errors is not None:
            variance += float((np.bincount(labels, slopes * frequency_errors) ** 2).sum())
        if coupling_errors is not None:
            variance += float((np.bincount(labels, by_coupling * coupling_errors) ** 2).sum())
        return math.sqrt(variance)


def response(
    interaction: Interaction,
    truncation: Truncation,
    critical: Instability,
    mu_star: float,
    convention: Convention = 'rescaled',
) -> Response:
    """Return the derivatives of T_c at the solution ``critical`` for μ*."""
    point = instability(interaction, critical.temperature, critical.number)
    if point is None:
        raise KernelError('ERROR_NOT_CONVERGED', f'{critical.temperature} K is not the T_c of μ* = {mu_star}')
    coulomb = truncation.coulomb(mu_star, convention, point.temperature, point.number)
    carried = (coulomb / mu_star) ** 2 if mu_star else 1.0
    scale = point.temperature / (point.slope - coulomb**2)
    return Response(
        temperature=point.temperature,
        bosonic=spacing(point.temperature) * np.arange(1, 2 * point.number, dtype=np.float64),
        by_interaction=0.5 * scale * pair_derivatives(point.vector),
        by_mu_star=scale * carried,
    )
