"""Moments of an α²F table and the closed formulas for T_c."""

import numpy as np

from aiida_clathrate.kernels.allen_dynes import allen_dynes, mcmillan
from aiida_clathrate.kernels.spectral import SpectralFunction

frequencies = np.linspace(0.0, 60.0, 601)  # meV
values = 1.5 * (frequencies / 60.0) ** 2 * (60.0 - frequencies) / 20.0
spectral = SpectralFunction.from_table(frequencies, values)

print(f'λ = {spectral.coupling:.3f}, ω_log = {spectral.omega_log:.2f} meV, ω₂ = {spectral.omega_2:.2f} meV')
for mu_star in (0.10, 0.13):
    closed = allen_dynes(spectral, mu_star), mcmillan(spectral, mu_star)
    print('μ* = {}: Allen–Dynes {:.1f} K, McMillan {:.1f} K'.format(mu_star, *closed))
