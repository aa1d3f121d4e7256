"""The gap Δ(iω_n, T) and the renormalisation Z(iω_n, T) below T_c.

For n, m ≥ 0 and R_m = √(ω_m² + Δ_m²), P. B. Allen and B. Mitrović, Solid State Phys. 37, 1 (1982), eqs. 4.26:

    (2n+1) Z_n = (2n+1) + D_n − Σ_m [λ(n−m) − λ(n+m+1)] (1 − ω_m/R_m),
    Z_n Δ_n = πk_BT Σ_m [λ(n−m) + λ(n+m+1) − 2μ*_N] Δ_m/R_m,

where D_n = λ_0 + 2 Σ_{l≤n} λ_l is the sum of Z in the normal state over all frequencies: its tail is exact. Linearised,
these are the equations of ``critical_temperature``, so that the gap closes at the same T_c.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.matsubara.coulomb import Convention, Truncation, spacing
from aiida_clathrate.kernels.matsubara.critical_temperature import Instability
from aiida_clathrate.kernels.matsubara.interaction import Interaction
from aiida_clathrate.kernels.matsubara.sums import pair_sum

#: Largest change of Δ_n in the last iteration, relative to the largest Δ_n.
TOLERANCE = 1e-11
#: Earlier steps that the Anderson mixing combines.
DEPTH = 7
MAX_ITERATIONS = 500


@dataclass(frozen=True)
class GapSolution:
    """Solution at one temperature.

    :param temperature: T [K].
    :param gaps: Δ(iω_n), n ≥ 0, shape (N,) [meV]; one sign, or two where repulsion wins at high frequencies.
    :param renormalisation: Z(iω_n), shape (N,) [dimensionless].
    """

    temperature: float
    gaps: NDArray[np.float64]
    renormalisation: NDArray[np.float64]

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Return ω_n = (2n+1)πk_BT, shape (N,) [meV]."""
        return spacing(self.temperature) * (np.arange(len(self.gaps), dtype=np.float64) + 0.5)


def gaps_below(
    interaction: Interaction,
    truncation: Truncation,
    critical: Instability,
    mu_star: float,
    temperatures: NDArray[np.float64],
    convention: Convention = 'rescaled',
) -> tuple[GapSolution, ...]:
    """Return the solutions at temperatures below T_c, in ascending order of T.

    The cutoff 2πk_BTN stays where it is at T_c. The first start is a large gap, each later one the solution before.

    :param critical: the solution at T_c.
    :param temperatures: T, shape (t,) [K].
    :raises KernelError: ``ERROR_NOT_CONVERGED``.
    """
    ordered = np.sort(temperatures)
    if ordered[-1] >= critical.temperature:
        raise ValueError(f'temperatures: {ordered[-1]:.6g} K is not below T_c = {critical.temperature:.6g} K')
    solutions: list[GapSolution] = []
    for temperature in ordered:
        number = round(critical.number * critical.temperature / temperature)
        frequencies = spacing(temperature) * (np.arange(number, dtype=np.float64) + 0.5)
        if solutions:
            start = np.interp(frequencies, solutions[-1].frequencies, solutions[-1].gaps)
        else:
            scale = interaction.spectral.omega_max
            start = spacing(critical.temperature) * scale**2 / (scale**2 + frequencies**2)
        coulomb = truncation.coulomb(mu_star, convention, float(temperature), number)
        solutions.append(gap_solution(interaction, float(temperature), coulomb, start))
    return tuple(solutions)


def gap_solution(
    interaction: Interaction, temperature: float, coulomb: float, start: NDArray[np.float64]
) -> GapSolution:
    """Return the solution at one temperature [K] for μ*_N = ``coulomb`` from a first Δ(iω_n), shape (N,) [meV]."""
    number = len(start)
    step = spacing(temperature)
    odd = np.arange(1, 2 * number, 2)
    frequencies = 0.5 * step * odd
    couplings, _ = interaction.bosonic(step, 2 * number)
    normal = odd + np.cumsum(np.append(couplings[0], 2 * couplings[1:number]))

    def renormalisation(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
        # 1 − ω/R without cancellation where Δ ≪ ω.
        energies = np.hypot(frequencies, gaps)
        lost = gaps**2 / (energies * (energies + frequencies))
        return np.asarray((normal - pair_sum(couplings, lost, -1)) / odd)

    def improved(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
        pairs = gaps / np.hypot(frequencies, gaps)
        attraction = pair_sum(couplings, pairs) - 2 * coulomb * pairs.sum()
        return np.asarray(0.5 * step * attraction / renormalisation(gaps))

    gaps = fixed_point(improved, start)
    if not gaps[0] > 1e-6 * step:
        raise KernelError('ERROR_NOT_CONVERGED', f'the gap vanishes at {temperature:.6g} K: too close to T_c')
    return GapSolution(temperature, gaps, renormalisation(gaps))


def fixed_point(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return x = f(x) by Anderson mixing (D. G. Anderson, J. ACM 12, 547 (1965))."""
    point = start
    points: list[NDArray[np.float64]] = []
    residuals: list[NDArray[np.float64]] = []
    for _ in range(MAX_ITERATIONS):
        residual = function(point) - point
        change = float(np.abs(residual).max())
        if not math.isfinite(change):
            break
        if change <= TOLERANCE * np.abs(point).max():
            return np.asarray(point + residual)
        points, residuals = [*points[-DEPTH:], point], [*residuals[-DEPTH:], residual]
        point = point + residual
        if len(points) > 1:
            steps, changes = np.diff(points, axis=0), np.diff(residuals, axis=0)
            mixture = np.linalg.lstsq(changes.T, residual, rcond=1e-14)[0]
            point = point - mixture @ (steps + changes)
    raise KernelError('ERROR_NOT_CONVERGED', f'the gap equations did not converge in {MAX_ITERATIONS} iterations')
