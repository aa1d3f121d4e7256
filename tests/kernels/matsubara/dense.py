"""The same equations in the plainest way: full matrices, direct sums and bisection; the second implementation."""

import numpy as np
from scipy.linalg import eigh, hankel, toeplitz
from scipy.optimize import brentq

from aiida_clathrate.kernels.units import KELVIN_PER_MEV


def matrix(spectral, temperature, number, coulomb):
    """Return M(T) for N frequencies."""
    places = 2 * np.pi * temperature / KELVIN_PER_MEV * np.arange(2 * number)
    squares = spectral.frequencies**2
    values = (spectral.couplings * squares / (squares + places[:, None] ** 2)).sum(axis=1)
    renormalisation = np.array([values[0] + 2 * values[1 : n + 1].sum() for n in range(number)])
    pairs = toeplitz(values[:number]) + hankel(values[1 : number + 1], values[number:])
    return np.diag(2 * np.arange(number) + 1 + renormalisation) - pairs + 2 * coulomb


def critical_temperature(spectral, number, coulomb, low, high):
    """Return T_c [K] at fixed N; ``coulomb`` is a function of the temperature."""

    def lowest(temperature):
        values = matrix(spectral, temperature, number, coulomb(temperature))
        return eigh(values, eigvals_only=True, subset_by_index=[0, 0])[0]

    return brentq(lowest, low, high, xtol=1e-13 * high, rtol=1e-14)
