"""What a user may choose, checked before anything is computed or submitted."""

from __future__ import annotations

from dataclasses import dataclass

from aiida_clathrate.kernels.io import Scalars
from aiida_clathrate.kernels.matsubara.coulomb import FEWEST, Boundary
from aiida_clathrate.kernels.scalars import from_scalars, is_number


@dataclass(frozen=True)
class Settings:
    """What to compute.

    :param mu_stars: μ*, in [0, 0.5) [dimensionless].
    :param omega_ref: frequency to which the rescaled μ* belongs: ``max``, ``log``, ``second`` or a value [meV].
    :param cutoff_factor: ω_c in units of ω_max.
    :param boundary: end of the sums to which μ* is carried, ``middle`` or ``next``; see ``Truncation``.
    :param fewest_frequencies: N is at least this.
    :param lowest_temperature: below, nothing is looked for [K]; 10⁻⁴ ω_max/k_B by default.
    :param stated_mu_star: the μ* of gap, sensitivity and spread; the first of ``mu_stars`` by default.
    :param reduced_temperatures: T/T_c of the gap, in (0, 1); none to leave it out.
    :param smearing: index of the broadening.
    :raises ValueError: for values outside their range, with the name and the remedy.
    """

    mu_stars: tuple[float, ...] = (0.10, 0.11, 0.12, 0.13, 0.14, 0.15)
    omega_ref: str | float = 'max'
    cutoff_factor: float = 10.0
    boundary: Boundary = 'middle'
    fewest_frequencies: int = FEWEST
    lowest_temperature: float | None = None
    stated_mu_star: float | None = None
    reduced_temperatures: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
    smearing: int = 0

    def __post_init__(self) -> None:
        if not self.mu_stars:
            raise ValueError('mu_stars: the list is empty; give at least one μ*, such as 0.1')
        for value in self.mu_stars:
            if not (is_number(value) and 0 <= value < 0.5):
                raise ValueError(f'mu_stars: {value!r} is not a μ* in [0, 0.5); usual values are 0.10 to 0.15')
        if self.stated_mu_star is not None and self.stated_mu_star not in self.mu_stars:
            raise ValueError(f'stated_mu_star: {self.stated_mu_star!r} is not among mu_stars {self.mu_stars}: add it')
        named = self.omega_ref in ('max', 'log', 'second')
        if not named and not (is_number(self.omega_ref) and float(self.omega_ref) > 0):
            raise ValueError(f'omega_ref: {self.omega_ref!r} is not max, log, second or a positive frequency [meV]')
        if not (is_number(self.cutoff_factor) and 2 <= self.cutoff_factor <= 1000):
            raise ValueError(f'cutoff_factor: {self.cutoff_factor!r} is not between 2 and 1000; 10 is usual')
        if self.boundary not in ('middle', 'next'):
            raise ValueError(f'boundary: {self.boundary!r} is neither middle nor next')
        if type(self.fewest_frequencies) is not int or not 1 <= self.fewest_frequencies <= 10000:
            raise ValueError(f'fewest_frequencies: {self.fewest_frequencies!r} is not an integer from 1 to 10000')
        lowest = self.lowest_temperature
        if lowest is not None and not (is_number(lowest) and lowest > 0):
            raise ValueError(f'lowest_temperature: {lowest!r} is not a positive temperature [K]')
        for value in self.reduced_temperatures:
            if not (is_number(value) and 0.01 <= value <= 0.999):
                raise ValueError(f'reduced_temperatures: {value!r} is not between 0.01 and 0.999 (T/T_c)')
        if type(self.smearing) is not int or self.smearing < 0:
            raise ValueError(f'smearing: {self.smearing!r} is not the index (from 0) of a broadening')

    @classmethod
    def from_scalars(cls, scalars: Scalars) -> Settings:
        """Return settings from plain JSON: lists for tuples; unknown names are refused."""
        values = dict(scalars)
        for name in ('mu_stars', 'reduced_temperatures'):
            if name in values:
                if not isinstance(values[name], list | tuple):
                    raise ValueError(f'{name}: {values[name]!r} is not a list of numbers')
                values[name] = tuple(values[name])
        return from_scalars(cls, values)
