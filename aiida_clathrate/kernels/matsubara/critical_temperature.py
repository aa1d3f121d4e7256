"""T_c from the linearised gap equations as a symmetric eigenvalue problem.

With n, m ≥ 0, A = W + D − Λ, W_n = 2n+1, D_n = λ_0 + 2 Σ_{l≤n} λ_l (the sum of Z over all frequencies, exact) and
Λ_nm = λ(n−m) + λ(n+m+1), the normal state is stable as long as M = A + 2μ*_N 11ᵀ is positive: T_c is where the lowest
eigenvalue of M vanishes (P. B. Allen and R. C. Dynes, Phys. Rev. B 12, 905 (1975), sec. III, made symmetric).

The repulsion has rank one. Hence one Cholesky factorisation of A + 2c 11ᵀ at a temperature answers for every μ* < c:
it fails if and only if T lies below T_c(μ* = c), and else it gives the critical μ*_N of that temperature,
μ_crit(T) = −½ min {vᵀAv : 1ᵀv = 1}, with the eigenvector v and, by Hellmann–Feynman, the slope in ln T. T_c of a given
μ* is the root of μ_crit(T) = μ*_N, found by Newton's method in ln T inside a bracket whose upper end is rigorous.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline
from scipy.linalg import LinAlgError, cho_factor, cho_solve, hankel, toeplitz

from aiida_clathrate.kernels.allen_dynes import allen_dynes
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.matsubara.coulomb import LARGEST, Convention, Truncation, pole_error, spacing
from aiida_clathrate.kernels.matsubara.interaction import Interaction
from aiida_clathrate.kernels.matsubara.sums import basis, correlations, pair_sum, sparse_basis
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import KELVIN_PER_MEV

#: T_c < 0.1827 √(λ⟨ω²⟩)/k_B for every spectrum (Allen and Dynes, eq. 23), here rounded up.
UPPER_BOUND = 0.18273
#: Up to this many frequencies a dense product is faster than transforms.
DENSE = 256
#: A Newton step in ln T below this leaves an error of its square, times a number of order one.
LAST_STEP = 2e-5
#: A step below this no longer changes the number of frequencies.
NEAR = 1e-2
#: By how much T may rise while N is held before the table of λ(ν) ends.
MARGIN = 1.1
LARGEST_STEP = 1.2
MAX_EVALUATIONS = 100


@dataclass(frozen=True)
class Instability:
    """What one factorisation tells about a temperature.

    :param temperature: T [K].
    :param number: N, Matsubara frequencies n ≥ 0.
    :param coulomb: μ_crit, the μ*_N for which this temperature is T_c.
    :param slope: dμ_crit/d ln T at fixed N.
    :param vector: v with Mv = 0 and Σ_n v_n = 1, shape (N,).
    """

    temperature: float
    number: int
    coulomb: float
    slope: float
    vector: NDArray[np.float64]


def highest_temperature(spectral: SpectralFunction) -> float:
    """Return the rigorous upper bound of T_c [K]."""
    return UPPER_BOUND * math.sqrt(spectral.coupling) * spectral.omega_2 * KELVIN_PER_MEV


def tabulate(spectral: SpectralFunction, truncation: Truncation, lowest: float) -> Interaction:
    """Return λ(ν) for all sums at temperatures of at least ``lowest`` [K]."""
    step = spacing(highest_temperature(spectral))
    # N frequencies need λ_l up to l = 2N − 1; N may exceed the cutoff by its rounding, and T may rise while N is held.
    highest = 2 * MARGIN * (max(truncation.cutoff, truncation.fewest * step) + step)
    return Interaction.tabulate(spectral, spacing(lowest), highest)


def instability(interaction: Interaction, temperature: float, number: int) -> Instability | None:
    """Return μ_crit at a temperature [K], or ``None`` if even μ*_N = ``LARGEST`` does not reach down to it."""
    couplings, slopes = interaction.bosonic(spacing(temperature), 2 * number)
    # Each frequency belongs to six functions: products with the sparse basis need no library's threads.
    functions, sparse = basis(number), sparse_basis(number)
    diagonal = np.cumsum(np.append(couplings[0], 2 * couplings[1:number])) + np.arange(1, 2 * number, 2)
    if number <= DENSE:
        matrix = -toeplitz(couplings[:number]) - hankel(couplings[1 : number + 1], couplings[number:])
        matrix.flat[:: number + 1] += diagonal
        product = sparse @ matrix
    else:
        product = functions * diagonal - pair_sum(couplings, functions)
    ones = functions.sum(axis=1)
    try:
        factor = cho_factor(sparse @ product.T + 2 * LARGEST * np.outer(ones, ones), check_finite=False)
    except LinAlgError:
        return None
    solution = cho_solve(factor, ones, check_finite=False)
    scale = float(ones @ solution)
    vector = sparse.T @ (solution / scale)
    slope = -0.5 * float(pair_derivatives(vector) @ slopes[1:])
    return Instability(temperature, number, LARGEST - 0.5 / scale, slope, vector)


def pair_derivatives(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ∂(vᵀAv)/∂λ_l for l ≥ 1, shape (2N−1,); that of λ_0 vanishes: elastic scattering does not break pairs."""
    tails = 2 * np.cumsum(vector[::-1] ** 2)[::-1]
    return np.append(tails[1:], np.zeros_like(tails)) - correlations(vector)[1:]


@dataclass
class Search:
    """The search for T_c of one α²F; it remembers what earlier ones found, as starts for the next.

    :param interaction: λ(ν).
    :param truncation: cutoff of the sums and ω_ref.
    :param lowest: lowest temperature at which superconductivity is looked for [K].
    """

    interaction: Interaction
    truncation: Truncation
    lowest: float
    found: list[Instability] = field(default_factory=list)

    def curve(self, mu_stars: NDArray[np.float64], convention: Convention) -> list[Instability | None]:
        """Return T_c for each μ*, in the order given; ``None`` where there is none above ``lowest``."""
        results: dict[int, Instability | None] = {}
        for index in halving(np.argsort(mu_stars, kind='stable').tolist()):
            # Repulsion only lowers T_c.
            lost = any(result is None and mu_stars[i] <= mu_stars[index] for i, result in results.items())
            results[index] = None if lost else self.critical_temperature(float(mu_stars[index]), convention)
        return [results[index] for index in range(len(mu_stars))]

    def critical_temperature(self, mu_star: float, convention: Convention = 'rescaled') -> Instability | None:
        """Return the solution at T_c, or ``None`` if T_c lies below ``lowest``.

        N is the smallest number of frequencies that reaches the cutoff at its own T_c.

        :raises KernelError: ``ERROR_COULOMB_POLE``, or ``ERROR_NOT_CONVERGED`` after ``MAX_EVALUATIONS``.
        """
        if convention == 'rescaled':
            self.truncation.check(mu_star)
        solution = self.root(mu_star, convention, self.guess(mu_star, convention), None)
        tried: dict[int, Instability] = {}
        while solution is not None:
            tried[solution.number] = solution
            number = self.truncation.number(solution.temperature)
            if number == solution.number:
                return solution
            if number in tried:
                return tried[max(number, solution.number)]
            solution = self.root(mu_star, convention, solution.temperature, number)
        return None

    def guess(self, mu_star: float, convention: Convention) -> float:
        """Return where to start [K]: between what was found before, or at the closed formula."""
        known = {}
        for point in self.found:
            if point.coulomb > 0:
                place = self.truncation.original(point.coulomb, convention, point.temperature, point.number)
                known[place] = point
        if not known:
            formula = allen_dynes(self.interaction.spectral, mu_star)
            return formula or 1e-3 * self.interaction.spectral.omega_log * KELVIN_PER_MEV
        places = sorted(known)
        values = [math.log(known[place].temperature) for place in places]
        # At a fixed cutoff N falls as 1/T, which moves μ_crit by −μ² d ln T more than at fixed N.
        slopes = [
            (known[place].coulomb / place) ** 2 / (known[place].slope - known[place].coulomb ** 2) for place in places
        ]
        if len(places) > 1 and places[0] < mu_star < places[-1]:
            return math.exp(CubicHermiteSpline(places, values, slopes)(mu_star))
        end = 0 if mu_star <= places[0] else -1
        return math.exp(values[end] + slopes[end] * (mu_star - places[end]))

    def highest(self, number: int | None) -> float:
        """Return the highest temperature to try [K]: the bound of T_c, or the end of the table where N is given."""
        bound = highest_temperature(self.interaction.spectral)
        return bound if number is None else min(bound, self.interaction.highest / (2 * number * spacing(1.0)))

    def root(self, mu_star: float, convention: Convention, start: float, number: int | None) -> Instability | None:
        """Return the solution of μ_crit(T) = μ*_N ; N is given, or that of a T close to it."""
        upper = self.highest(number)
        bracket = [0.0, upper]
        temperature = min(max(start, self.lowest), upper)
        for _ in range(MAX_EVALUATIONS):
            size = number or self.truncation.number(temperature)
            point = instability(self.interaction, temperature, size)
            if point is None:
                residual, step = math.inf, LARGEST_STEP
            else:
                target = self.truncation.coulomb(mu_star, convention, temperature, size)
                # In −1/(1 + μ), which is monotonic in μ, the pole of μ_crit at low temperatures is an ordinary point.
                residual = 1 / (1 + target) - 1 / (1 + point.coulomb)
                slope = point.slope / (1 + point.coulomb) ** 2
                if math.isfinite(target):
                    slope -= (target / (1 + target)) ** 2
                # Far from the root only the sign is used.
                step = -residual / slope if slope < 0 else math.copysign(LARGEST_STEP, residual)
                if abs(step) < LAST_STEP:
                    self.found.append(point)
                    coulomb = point.coulomb + point.slope * step
                    return replace(point, temperature=temperature * math.exp(step), coulomb=coulomb)
                if not number and abs(step) < NEAR:
                    number, upper = size, self.highest(size)
                    bracket = [0.0, upper]
            bracket[0 if residual > 0 else 1] = temperature
            if residual <= 0 and temperature == self.lowest:
                return None
            temperature *= math.exp(min(max(step, -LARGEST_STEP), LARGEST_STEP))
            if bracket[0] > 0 and not bracket[0] < temperature < bracket[1]:
                temperature = math.sqrt(bracket[0] * bracket[1])
            temperature = min(max(temperature, self.lowest), upper)
        size = number or self.truncation.number(bracket[1])
        if math.isinf(self.truncation.coulomb(mu_star, convention, bracket[1], size)):
            raise pole_error(mu_star, self.truncation.reference, self.truncation.frequency(bracket[1], size))
        raise KernelError(
            'ERROR_NOT_CONVERGED', f'T_c for μ* = {mu_star} was not found between {bracket[0]} and {bracket[1]} K'
        )


def halving(order: list[int]) -> list[int]:
    """Return the same indices, ends first, then always between those before."""
    intervals, result = [(0, len(order) - 1)], [order[0], *order[1:][-1:]]
    while intervals:
        first, last = intervals.pop(0)
        if last - first > 1:
            middle = (first + last) // 2
            result.append(order[middle])
            intervals += [(first, middle), (middle, last)]
    return result
