"""Spectra of the tests, and the search for T_c of any of them."""

import numpy as np

from aiida_clathrate.kernels.matsubara.coulomb import Truncation
from aiida_clathrate.kernels.matsubara.critical_temperature import Search, tabulate
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import KELVIN_PER_MEV


def einstein(coupling, frequency=20.0):
    """Return a single line."""
    return SpectralFunction(np.array([float(frequency)]), np.array([float(coupling)]))


def search_for(spectral, cutoff=10.0, reference=1.0, lowest=1e-4, **options):
    """Return a search; cutoff and ω_ref in units of ω_max, the lowest temperature in units of ω_log/k_B."""
    truncation = Truncation(cutoff * spectral.omega_max, reference * spectral.omega_max, **options)
    coldest = lowest * spectral.omega_log * KELVIN_PER_MEV
    return Search(tabulate(spectral, truncation, 0.01 * coldest), truncation, coldest)
