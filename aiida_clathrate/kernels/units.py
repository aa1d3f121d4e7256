"""Conversion factors: the only place where a physical constant is written.

Inside the package: Å, eV, amu and K, GPa for pressures, meV for phonon and gap energies. The values are those of the
CODATA set that the installed SciPy carries.
"""

from math import sqrt

from scipy.constants import atomic_mass, c, e, h, hbar, k, physical_constants

RYDBERG = physical_constants['Rydberg constant times hc in eV'][0]  # eV
BOHR = 1e10 * physical_constants['Bohr radius'][0]  # Å
ELECTRON_MASS = physical_constants['electron mass in u'][0]  # amu

KELVIN_PER_MEV: float = 1e-3 * e / k
MEV_PER_THZ = 1e15 * h / e
MEV_PER_INVERSE_CM = 1e5 * h * c / e
MEV_PER_RYDBERG = 1e3 * RYDBERG

#: Force constants: 1 Ry/bohr² in eV/Å².
FORCE_CONSTANT_PER_RYDBERG = RYDBERG / BOHR**2
#: Masses of Quantum ESPRESSO's dynamical matrix files, in units of two electron masses, to amu.
AMU_PER_RYDBERG_MASS = 2 * ELECTRON_MASS
#: ħω in meV of a mode whose ω² is 1 eV/(Å² amu).
MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS = 1e3 * hbar / e * sqrt(e / 1e-20 / atomic_mass)
#: ħ² in eV amu Å².
HBAR_SQUARED = (1e-3 * MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS) ** 2
#: Pressure: 1 eV/Å³ in GPa.
GPA_PER_EV_ANGSTROM3 = e / 1e-30 / 1e9
#: Pressure: 1 Ry/bohr³ in GPa.
GPA_PER_RYDBERG_BOHR3 = RYDBERG / BOHR**3 * GPA_PER_EV_ANGSTROM3
#: Quantum ESPRESSO prints linewidths as ordinary frequencies: 1 GHz in meV.
MEV_PER_GHZ = MEV_PER_THZ * 1e-3
