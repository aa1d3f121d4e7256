"""The Eliashberg spectral function as a sum of lines, and its moments.

α²F(ω) = ½ Σ_i λ_i ω_i δ(ω − ω_i): phonon modes, or the points of a table with their quadrature weights. Nothing is
broadened but plots, so every moment is exact for the modes given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SpectralFunction:
    """α²F(ω) as lines.

    :param frequencies: ω_i > 0, ascending, shape (n,) [meV].
    :param couplings: λ_i ≥ 0, the contribution of each line to λ, shape (n,) [dimensionless].
    :raises ValueError: for NaN, unsorted or non-positive frequencies, negative couplings or no coupling at all.
    """

    frequencies: NDArray[np.float64]
    couplings: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.frequencies.ndim != 1 or self.frequencies.shape != self.couplings.shape or not len(self.frequencies):
            raise ValueError('spectral function: need one coupling for each frequency')
        for name in ('frequencies', 'couplings'):
            bad = np.flatnonzero(~np.isfinite(getattr(self, name)))
            if len(bad):
                raise ValueError(f'spectral function: {name}[{bad[0]}] is {getattr(self, name)[bad[0]]}')
        if self.frequencies[0] <= 0:
            raise ValueError(f'spectral function: frequencies must be positive, not {self.frequencies[0]} meV')
        if np.any(np.diff(self.frequencies) < 0):
            index = int(np.argmax(np.diff(self.frequencies) < 0))
            raise ValueError(f'spectral function: frequencies must ascend, not fall after index {index}')
        if self.couplings.min() < 0:
            index = int(np.argmin(self.couplings))
            raise ValueError(
                f'spectral function: α²F must not be negative, as at {self.frequencies[index]:.4g} meV '
                f'(λ_i = {self.couplings[index]:.4g})'
            )
        if self.couplings.sum() <= 0:
            raise ValueError('spectral function: no coupling at any frequency')

    @classmethod
    def from_table(cls, frequencies: NDArray[np.float64], values: NDArray[np.float64]) -> SpectralFunction:
        """Return the lines that integrate a table by the trapezoidal rule.

        :param frequencies: ω, ascending, shape (n,) [meV]; a first point at ω = 0 is allowed if α²F(0) = 0.
        :param values: α²F(ω), shape (n,) [dimensionless].
        """
        frequencies, values = np.asarray(frequencies, dtype=np.float64), np.asarray(values, dtype=np.float64)
        if frequencies.shape != values.shape or frequencies.ndim != 1 or len(frequencies) < 2:
            raise ValueError('spectral function: a table needs two columns of at least two points')
        bad = np.flatnonzero(~np.isfinite(frequencies) | ~np.isfinite(values))
        if len(bad):
            raise ValueError(f'spectral function: row {bad[0] + 1} of the table is not finite')
        steps = np.diff(frequencies)
        if np.any(steps <= 0):
            row = int(np.argmax(steps <= 0)) + 2
            raise ValueError(f'spectral function: frequencies must ascend, not fall at row {row} of the table')
        weights = 0.5 * (np.append(steps, 0) + np.insert(steps, 0, 0))
        if frequencies[0] == 0 and values[0] == 0:
            frequencies, values, weights = frequencies[1:], values[1:], weights[1:]
        return cls(frequencies, 2 * weights * values / np.where(frequencies > 0, frequencies, 1))

    @cached_property
    def coupling(self) -> float:
        """Return λ = 2 ∫ α²F(ω)/ω dω [dimensionless]."""
        return float(self.couplings.sum())

    @cached_property
    def omega_log(self) -> float:
        """Return ω_log = exp(2/λ ∫ α²F(ω) ln(ω)/ω dω) [meV]."""
        return math.exp(float(self.couplings @ np.log(self.frequencies)) / self.coupling)

    @cached_property
    def omega_2(self) -> float:
        """Return ω₂ = √(2/λ ∫ α²F(ω) ω dω) [meV]."""
        return math.sqrt(float(self.couplings @ self.frequencies**2) / self.coupling)

    @cached_property
    def omega_max(self) -> float:
        """Return the highest frequency that couples [meV], not the end of a table's grid."""
        return float(self.frequencies[self.couplings > 0].max())

    def cumulative(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return λ(ω) = 2 ∫₀^ω α²F(x)/x dx at the points of ``grid`` [meV]."""
        total = np.append(0.0, np.cumsum(self.couplings))
        return total[np.searchsorted(self.frequencies, grid, side='right')]

    def broadened(self, grid: NDArray[np.float64], width: float) -> NDArray[np.float64]:
        """Return α²F on ``grid`` [meV] with Gaussians of standard deviation ``width`` [meV]: for plots only."""
        shape = np.exp(-0.5 * ((grid[:, None] - self.frequencies) / width) ** 2) / (width * math.sqrt(2 * math.pi))
        return shape @ (0.5 * self.couplings * self.frequencies)
