"""λ(ν), tabulated once for all temperatures.

λ(ν) = Σ_i λ_i ω_i²/(ω_i² + ν²) has its poles at ν = ±iω_i. In x = ln ν it is analytic in the strip |Im x| < π/2 for
any spectrum whatever, so that a spline of degree seven on a uniform grid of x converges to rounding with a few
hundred points: its error is of the order (step/(π/2))⁸. What is interpolated is λ(ν)(1 + ν²/ω₂²)/λ, which lies between
constants at both ends: the error is relative to λ(ν) itself, below 1e-11 everywhere with the step used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline

from aiida_clathrate.kernels.spectral import SpectralFunction

#: Step of the table in ln ν, and the degree of the spline.
STEP = 0.08
DEGREE = 7
#: Lines treated at once: the block stays in the cache of the processor.
BLOCK = 256


@dataclass(frozen=True)
class Interaction:
    """λ(ν) on an interval.

    :param spectral: the lines of α²F.
    :param lowest: smallest ν > 0 that may be asked for [meV].
    :param highest: largest ν [meV].
    :param table: spline of λ(ν)(1 + ν²/ω₂²) in ln ν.
    :param slope: its derivative.
    """

    spectral: SpectralFunction
    lowest: float
    highest: float
    table: BSpline
    slope: BSpline

    @classmethod
    def tabulate(cls, spectral: SpectralFunction, lowest: float, highest: float) -> Interaction:
        """Return λ(ν) for ``lowest`` ≤ ν ≤ ``highest`` [meV]."""
        if not 0 < lowest < highest:
            raise ValueError(f'interaction: no interval from {lowest} to {highest} meV')
        # The ends of a spline are its worst part: let them lie outside.
        start = np.log(lowest) - 4 * STEP
        points = start + STEP * np.arange(int(np.ceil((np.log(highest) - start) / STEP)) + 5)
        squares = np.exp(2 * points)
        table = make_interp_spline(points, direct(spectral, squares) * (1 + squares / spectral.omega_2**2), k=DEGREE)
        return cls(spectral, lowest, highest, table, table.derivative())

    def at(self, frequencies: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return λ(ν) and dλ/d ln ν at ν > 0 inside the interval [meV]."""
        if frequencies[0] < self.lowest * (1 - 1e-12) or frequencies[-1] > self.highest * (1 + 1e-12):
            raise ValueError(
                f'interaction: λ(ν) is tabulated from {self.lowest:.4g} to {self.highest:.4g} meV, not from '
                f'{frequencies[0]:.4g} to {frequencies[-1]:.4g} meV'
            )
        points = np.log(frequencies)
        ratio = (frequencies / self.spectral.omega_2) ** 2
        values = self.table(points) / (1 + ratio)
        return values, self.slope(points) / (1 + ratio) - values * 2 * ratio / (1 + ratio)

    def bosonic(self, spacing: float, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return λ_l = λ(ν_l) and dλ_l/d ln T for ν_l = ``spacing``·l, 0 ≤ l < ``number`` (spacing: 2πk_BT [meV])."""
        values, slopes = np.zeros(number), np.zeros(number)
        values[0] = self.spectral.coupling
        values[1:], slopes[1:] = self.at(spacing * np.arange(1, number, dtype=np.float64))
        return values, slopes


def direct(spectral: SpectralFunction, squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return λ(ν) by its definition at the given ν² [meV²], line by line."""
    lines, strengths = spectral.frequencies**2, spectral.couplings * spectral.frequencies**2
    total = np.zeros(len(squares))
    for start in range(0, len(lines), BLOCK):
        part = slice(start, start + BLOCK)
        total += (1 / (squares[:, None] + lines[part])) @ strengths[part]
    return total
