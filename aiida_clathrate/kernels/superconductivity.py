"""Everything that the Eliashberg equations say about one spectral function, as one object.

T_c exists or not for each μ*. Where it does not (above the lowest temperature searched), the value is ``None`` here and
``null`` in JSON: never zero, never NaN. The same holds for what follows from T_c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.matsubara.gap import GapSolution
from aiida_clathrate.kernels.units import KELVIN_PER_MEV

#: One value for each μ*.
Column = tuple[float | None, ...]

METHODS = ('rescaled', 'raw', 'allen_dynes', 'mcmillan')
#: Fields and their keys in the results; the units stand in the keys.
NUMBERS = {
    'coupling': 'lambda',
    'omega_log': 'omega_log_meV',
    'omega_2': 'omega_2_meV',
    'omega_max': 'omega_max_meV',
    'omega_ref': 'omega_ref_meV',
    'cutoff': 'cutoff_meV',
    'lowest_temperature': 'lowest_temperature_K',
    'stated_mu_star': 'stated_mu_star',
    'smearing': 'smearing_eV',
    'gap_note': 'gap_note',
}
COLUMNS = {
    'mu_star': 'mu_star',
    'matsubara_numbers': 'matsubara_numbers',
    'mu_star_at_cutoff': 'mu_star_at_cutoff',
    'mu_star_derivatives': 'mu_star_derivatives_K',
    'isotope_coefficients': 'isotope_coefficients',
    'smearings': 'smearings_eV',
    'smearing_temperatures': 'smearing_critical_temperatures_K',
    'gap_edges': 'gap_edges_meV',
}
#: Those of the columns that have one value for each μ*, beside the methods.
BY_MU_STAR = ('matsubara_numbers', 'mu_star_at_cutoff', 'mu_star_derivatives', 'isotope_coefficients')


@dataclass(frozen=True)
class Superconductivity:
    """The result of ``eliashberg.solve``.

    :param coupling: λ [dimensionless].
    :param omega_log: ω_log [meV].
    :param omega_2: ω₂ = √⟨ω²⟩ [meV].
    :param omega_max: highest frequency that couples [meV].
    :param omega_ref: ω_ref, to which the μ* of the rescaled convention belongs [meV].
    :param cutoff: ω_c of the Matsubara sums [meV].
    :param lowest_temperature: superconductivity was looked for down to here [K].
    :param mu_star: μ*, shape (m,) [dimensionless].
    :param rescaled: T_c of the converged equations, μ* carried from ω_ref to the cutoff, shape (m,) [K].
    :param raw: T_c of the converged equations, μ* used at the cutoff as given, shape (m,) [K].
    :param allen_dynes: T_c of the closed formula with f₁ f₂, shape (m,) [K].
    :param mcmillan: T_c of McMillan's exponent with ω_log/1.2, shape (m,) [K].
    :param matsubara_numbers: N, frequencies n ≥ 0 of the rescaled solution, shape (m,).
    :param mu_star_at_cutoff: μ*_N of the rescaled solution, shape (m,).
    :param mu_star_derivatives: dT_c/dμ* (rescaled), shape (m,) [K].
    :param isotope_coefficients: −d ln T_c/d ln M (rescaled), shape (m,).
    :param errors: standard deviation of T_c (rescaled) from those of the modes, shape (m,) [K]; ``None`` if not given.
    :param stated_mu_star: the one μ* of all that follows (rescaled).
    :param solutions: Δ(iω_n) and Z(iω_n) below T_c, in ascending order of temperature.
    :param gap_edges: Δ₀ for each solution [meV]; ``None`` where the continuation is not sound.
    :param gap_note: why the first of them is missing, or an empty string.
    :param sensitivity_frequencies: ω, shape (g,) [meV].
    :param sensitivity: δT_c/δα²F(ω), shape (g,) [K/meV].
    :param isotope_by_species: partial isotope coefficients by chemical symbol; empty where not known.
    :param smearing: the broadening used [eV].
    :param smearings: all broadenings, shape (s,) [eV].
    :param smearing_temperatures: T_c for each broadening, shape (s,) [K].
    :raises ValueError: for values that do not fit together or are not finite.
    """

    coupling: float
    omega_log: float
    omega_2: float
    omega_max: float
    omega_ref: float
    cutoff: float
    lowest_temperature: float
    mu_star: tuple[float, ...]
    rescaled: Column
    raw: Column
    allen_dynes: Column
    mcmillan: Column
    matsubara_numbers: tuple[int | None, ...]
    mu_star_at_cutoff: Column
    mu_star_derivatives: Column
    isotope_coefficients: Column
    errors: Column | None
    stated_mu_star: float
    solutions: tuple[GapSolution, ...] = ()
    gap_edges: Column = ()
    gap_note: str = ''
    sensitivity_frequencies: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    sensitivity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    isotope_by_species: dict[str, float] = field(default_factory=dict)
    smearing: float = 0.0
    smearings: tuple[float, ...] = (0.0,)
    smearing_temperatures: Column = (None,)

    def __post_init__(self) -> None:
        lengths = dict.fromkeys((*METHODS, *BY_MU_STAR), len(self.mu_star))
        lengths |= {'smearing_temperatures': len(self.smearings), 'gap_edges': len(self.solutions)}
        if self.errors is not None:
            lengths['errors'] = len(self.mu_star)
        for name, length in lengths.items():
            column = getattr(self, name)
            if len(column) != length:
                raise ValueError(f'superconductivity: {name} needs {length} values, not {len(column)}')
            if not all(value is None or math.isfinite(value) for value in column):
                raise ValueError(f'superconductivity: {name} is not finite; a missing value is None')
        for name in (*METHODS, 'smearing_temperatures', 'gap_edges'):
            if not all(value is None or value > 0 for value in getattr(self, name)):
                raise ValueError(f'superconductivity: {name} must be positive; a missing value is None')
        if self.stated_mu_star not in self.mu_star:
            raise ValueError(f'superconductivity: μ* = {self.stated_mu_star} is not among {self.mu_star}')
        if not (np.isfinite(self.sensitivity).all() and self.sensitivity.shape == self.sensitivity_frequencies.shape):
            raise ValueError('superconductivity: the sensitivity needs one finite value for each frequency')

    @property
    def superconducts(self) -> bool:
        """Say whether T_c exists for any μ* in either convention."""
        return any(value is not None for value in (*self.rescaled, *self.raw))

    @property
    def critical_temperature(self) -> float | None:
        """Return T_c (rescaled) at the stated μ* [K]."""
        return self.rescaled[self.mu_star.index(self.stated_mu_star)]

    @property
    def error(self) -> float | None:
        """Return the standard deviation of that T_c [K]."""
        return None if self.errors is None else self.errors[self.mu_star.index(self.stated_mu_star)]

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Return the temperatures of the gap, ascending, shape (t,) [K]."""
        return np.array([solution.temperature for solution in self.solutions])

    @property
    def gaps(self) -> tuple[NDArray[np.float64], ...]:
        """Return Δ(iω_n) for each temperature [meV]."""
        return tuple(solution.gaps for solution in self.solutions)

    @property
    def gap_edge(self) -> float | None:
        """Return Δ₀ at the lowest of the temperatures [meV]."""
        return self.gap_edges[0] if self.gap_edges else None

    @property
    def gap_ratio(self) -> float | None:
        """Return 2Δ₀/k_BT_c."""
        if self.gap_edge is None or self.critical_temperature is None:
            return None
        return 2 * self.gap_edge * KELVIN_PER_MEV / self.critical_temperature

    @property
    def smearing_spread(self) -> float | None:
        """Return max − min of T_c over the broadenings [K]; ``None`` for one, or where one does not superconduct."""
        found = [value for value in self.smearing_temperatures if value is not None]
        return max(found) - min(found) if 1 < len(found) == len(self.smearings) else None

    def to_results(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return scalars for JSON, derived ones included, and the arrays of ``to_arrays``."""
        scalars: dict[str, Any] = {key: getattr(self, name) for name, key in NUMBERS.items()}
        scalars |= {key: list(getattr(self, name)) for name, key in COLUMNS.items()}
        scalars |= {
            'critical_temperature': {name: list(getattr(self, name)) for name in METHODS},
            'errors_K': None if self.errors is None else list(self.errors),
            'isotope_by_species': dict(self.isotope_by_species),
            'stated_critical_temperature_K': self.critical_temperature,
            'stated_error_K': self.error,
            'gap_edge_meV': self.gap_edge,
            'gap_ratio': self.gap_ratio,
            'smearing_spread_K': self.smearing_spread,
            'superconducts': self.superconducts,
        }
        return scalars, self.to_arrays()

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays.

        ``sensitivity_frequencies``, ``sensitivity``; if there is a gap, ``gap_temperatures`` (t,), ``gap_numbers`` N
        (t,), and ``gaps``, ``renormalisation`` with the N values of each temperature end to end.
        """
        arrays = {name: getattr(self, name) for name in ('sensitivity_frequencies', 'sensitivity')}
        if self.solutions:
            arrays |= {
                'gap_temperatures': self.temperatures,
                'gap_numbers': np.array([len(gaps) for gaps in self.gaps], dtype=np.int64),
                'gaps': np.concatenate(self.gaps),
                'renormalisation': np.concatenate([solution.renormalisation for solution in self.solutions]),
            }
        return arrays

    @classmethod
    def from_results(cls, scalars: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Superconductivity:
        """Return the object of which ``to_results`` gave the scalars and arrays."""
        values: dict[str, Any] = {name: scalars[key] for name, key in NUMBERS.items()}
        values |= {name: tuple(scalars[key]) for name, key in COLUMNS.items()}
        values |= {name: tuple(scalars['critical_temperature'][name]) for name in METHODS}
        return cls(
            **values,
            errors=None if scalars['errors_K'] is None else tuple(scalars['errors_K']),
            isotope_by_species=scalars['isotope_by_species'],
            **fields_of(arrays),
        )


def fields_of(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the fields of ``Superconductivity`` that are arrays, from those of ``to_arrays``."""
    solutions: tuple[GapSolution, ...] = ()
    if 'gap_temperatures' in arrays:
        numbers, temperatures = arrays['gap_numbers'], arrays['gap_temperatures']
        lengths = {len(arrays['gaps']), len(arrays['renormalisation']), int(numbers.sum())}
        if len(lengths) != 1 or numbers.shape != temperatures.shape:
            raise ValueError('superconductivity: gaps and renormalisation do not have gap_numbers values')
        parts = (np.split(arrays[name], np.cumsum(numbers)[:-1]) for name in ('gaps', 'renormalisation'))
        solutions = tuple(map(GapSolution, temperatures.tolist(), *parts))
    return {
        'solutions': solutions,
        'sensitivity_frequencies': arrays['sensitivity_frequencies'],
        'sensitivity': arrays['sensitivity'],
    }
