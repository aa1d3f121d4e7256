"""How the covariance of a Gaussian answers to its matrices, mode by mode.

In mass-weighted modes ∂Ψ_μν = 2 G_μν ∂Φ_μν with G_μν = ½ (a²_μ − a²_ν)/(ω²_μ − ω²_ν), the static bubble of R. Bianco
et al., Phys. Rev. B 96, 014111 (2017).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.sscha.gaussian import EV_PER_MEV, Gaussian
from aiida_clathrate.kernels.units import HBAR_SQUARED, KELVIN_PER_MEV

#: Relative distance of two frequencies below which the quotient of differences is the derivative.
SAME_FREQUENCY = 1e-5


def pair_response(gaussian: Gaussian) -> NDArray[np.float64]:
    """Return G of all pairs of modes, zero for translations, shape (k, 3n, k, 3n) [amu² Å⁴/eV]."""
    shape = gaussian.frequencies.shape
    energies = np.where(gaussian.active, gaussian.frequencies, 1.0).ravel()
    active, variances = gaussian.active.ravel(), gaussian.variances.ravel()
    squares = (EV_PER_MEV * energies) ** 2 / HBAR_SQUARED  # ω² [eV/(Å² amu)]
    slopes = variance_slopes(energies, gaussian.temperature)
    differences = energies[:, None] - energies
    same = np.abs(differences) < SAME_FREQUENCY * energies
    quotients = np.divide(
        variances[:, None] - variances, squares[:, None] - squares, out=np.zeros(same.shape), where=~same
    )
    # Symmetric also where one of two frequencies is within the limit of the other but not the reverse.
    response = 0.5 * np.where(same | same.T, 0.5 * (slopes[:, None] + slopes), quotients)
    return np.where(active[:, None] & active, response, 0.0).reshape(*shape, *shape)


def variance_slopes(energies: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return da²/dω² of each mode [amu² Å⁴/eV].

    :param energies: ħω [meV].
    :param temperature: [K].
    """
    omega = EV_PER_MEV * energies
    slopes = -(HBAR_SQUARED**2) / (4 * omega**3)
    if temperature > 0:
        half = energies * KELVIN_PER_MEV / (2 * temperature)
        # coth x + x/sinh² x, written so that nothing overflows for cold modes.
        decay = np.exp(-2 * half)
        slopes = slopes * ((1 + decay) / (1 - decay) + 4 * half * decay / (1 - decay) ** 2)
    return np.asarray(slopes)
