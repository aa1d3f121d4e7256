"""The Coulomb pseudopotential μ* and the two ways in which the field uses it.

*rescaled*: μ* belongs to ω_ref and is carried to the cutoff ω_c of the Matsubara sums,
1/μ*_N = 1/μ* + ln(ω_ref/ω_c) (P. Morel and P. W. Anderson, Phys. Rev. 125, 1263 (1962)); T_c converges with ω_c.
*raw*: the given μ* is used at the cutoff as it stands, whatever the cutoff; T_c grows with ω_c without end. As N is an
integer, the sums end within half a step of ω_c, not at it: the raw μ* is carried over that distance, which makes
T_c(ω_c) a smooth function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import KELVIN_PER_MEV

Convention = Literal['rescaled', 'raw']
Boundary = Literal['middle', 'next']
#: Repulsion beyond which a matrix is not searched; the pole of the rescaled μ* lies above it.
LARGEST = 1.0
#: Fewest Matsubara frequencies: where the cutoff holds less, it is raised.
FEWEST = 32


def spacing(temperature: float) -> float:
    """Return 2πk_BT [meV] for T [K]."""
    return 2 * math.pi * temperature / KELVIN_PER_MEV


def reference_frequency(spectral: SpectralFunction, reference: str | float) -> float:
    """Return ω_ref [meV]: ``max`` (ω_max), ``log`` (ω_log), ``second`` (ω₂) or a value in meV."""
    named = {'max': spectral.omega_max, 'log': spectral.omega_log, 'second': spectral.omega_2}
    if isinstance(reference, str):
        if reference not in named:
            raise ValueError(f'omega_ref: {reference!r} is not max, log, second or a frequency in meV')
        return named[reference]
    if not 0 < reference < math.inf:
        raise ValueError(f'omega_ref: {reference} is not a positive frequency in meV')
    return float(reference)


def rescale(mu_star: float, reference: float, cutoff: float) -> float:
    """Return μ*_N at ``cutoff`` for the μ* that belongs to ``reference`` [both meV].

    Close to ω_c = ω_ref e^{1/μ*} and beyond, where the formula has a pole and then changes sign, it is ∞.
    """
    inverse = math.inf if mu_star == 0 else 1 / mu_star + math.log(reference / cutoff)
    return 1 / inverse if inverse > 1 / LARGEST else math.inf


@dataclass(frozen=True)
class Truncation:
    """Where the Matsubara sums end, and what μ* is there.

    :param cutoff: ω_c [meV].
    :param reference: ω_ref, the frequency to which a rescaled μ* belongs [meV].
    :param fewest: smallest number of frequencies.
    :param boundary: the frequency to which μ* is carried: ``middle``, 2πk_BTN, between the last ω_n kept and the first
        one left; ``next``, (2N+1)πk_BT, the first one left, as the program ebmb does. They agree as N grows.
    """

    cutoff: float
    reference: float
    fewest: int = FEWEST
    boundary: Boundary = 'middle'

    def origin(self, convention: Convention) -> float:
        """Return the frequency to which a given μ* belongs [meV]."""
        return self.reference if convention == 'rescaled' else self.cutoff

    def number(self, temperature: float) -> int:
        """Return N, the number of ω_n = (2n+1)πk_BT, n ≥ 0, below the cutoff at T [K]."""
        return max(self.fewest, math.ceil(self.cutoff / spacing(temperature) - 0.5))

    def frequency(self, temperature: float, number: int) -> float:
        """Return the frequency to which μ* is carried [meV]."""
        return spacing(temperature) * (number + (0.5 if self.boundary == 'next' else 0.0))

    def coulomb(self, mu_star: float, convention: Convention, temperature: float, number: int) -> float:
        """Return μ*_N, ∞ where the rescaled one has no meaning."""
        return rescale(mu_star, self.origin(convention), self.frequency(temperature, number))

    def original(self, coulomb: float, convention: Convention, temperature: float, number: int) -> float:
        """Return the μ* of which μ*_N = ``coulomb``: the inverse of ``coulomb``."""
        return coulomb / (1 - coulomb * math.log(self.origin(convention) / self.frequency(temperature, number)))

    def check(self, mu_star: float) -> None:
        """Refuse a μ* that has no counterpart at the cutoff.

        :raises KernelError: ``ERROR_COULOMB_POLE``.
        """
        if math.isinf(rescale(mu_star, self.reference, self.cutoff)):
            raise pole_error(mu_star, self.reference, self.cutoff)


def pole_error(mu_star: float, reference: float, cutoff: float) -> KernelError:
    """Return the failure of a μ* that has no counterpart at a cutoff [meV]."""
    return KernelError(
        'ERROR_COULOMB_POLE',
        f'mu_stars: μ* = {mu_star} at ω_ref = {reference:.4g} meV has no counterpart at the cutoff {cutoff:.4g} meV: '
        f'lower cutoff_factor (or fewest_frequencies) or μ*, or give the μ* of a higher omega_ref',
    )
