"""Pairs of atoms bound by a quartic potential: a crystal whose SSCHA can be solved exactly.

The energy is that of independent oscillators, Σ_α ½ k_α r_α² + g_α r_α³ + λ_α r_α⁴ of the relative coordinate r of each
pair, and of springs between the centres of mass of pairs that are neighbours along the first lattice vector. Relative
coordinates and centres of mass decouple, in the kinetic energy too: the auxiliary matrices solve one equation for each
oscillator, and the centres of mass are harmonic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import root

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_points
from aiida_clathrate.kernels.ensemble import ForceEnsemble, supercell_positions
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3, HBAR_SQUARED, KELVIN_PER_MEV

#: Where the second atom of a pair is relative to the first at r = 0 [Å].
BOND = np.array([1.0, 1.1, 1.3])
CELL = np.diag([4.0, 4.4, 5.0])
#: Springs between centres of mass in the three directions [eV/Å²].
SPRING = np.array([1.0, 2.0, 3.5])


@dataclass(frozen=True)
class Oscillator:
    """The exact SSCHA solution for one relative coordinate.

    :param centroid: ⟨r⟩ [Å].
    :param variance: ⟨(r − ⟨r⟩)²⟩ [Å²].
    :param stiffness: auxiliary force constant [eV/Å²].
    :param free_energy: [eV].
    """

    centroid: float
    variance: float
    stiffness: float
    free_energy: float


@dataclass(frozen=True)
class BoundPairs:
    """The model.

    :param quadratic: k of the three directions [eV/Å²].
    :param cubic: g [eV/Å³].
    :param quartic: λ [eV/Å⁴].
    :param mesh: divisions of the supercell.
    :param masses: of the two atoms [amu].
    """

    quadratic: tuple[float, float, float] = (4.0, 12.0, 30.0)
    cubic: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quartic: tuple[float, float, float] = (20.0, 40.0, 60.0)
    mesh: tuple[int, int, int] = (1, 1, 1)
    masses: tuple[float, float] = (1.0, 7.0)

    @property
    def crystal(self):
        """Return the crystal at r = 0."""
        positions = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3] + BOND @ np.linalg.inv(CELL)])
        return Crystal(CELL, ('H', 'Li'), positions, np.array(self.masses))

    @property
    def reduced_mass(self):
        """Return m₁m₂/(m₁ + m₂) [amu]."""
        return self.masses[0] * self.masses[1] / sum(self.masses)

    def matrices(self, stiffness, centroids=(0.0, 0.0, 0.0)):
        """Return auxiliary matrices with a force constant for r and with the exact springs, r being at its centroid."""
        to_relative, to_centre = np.array([-1.0, 1.0]), np.array(self.masses) / sum(self.masses)
        blocks = np.kron(np.outer(to_relative, to_relative), np.diag(stiffness)).astype(complex)
        angles = 2 * np.pi * mesh_points(self.mesh)[:, 0]
        bands = (2 - 2 * np.cos(angles))[:, None, None] * np.kron(np.outer(to_centre, to_centre), np.diag(SPRING))
        crystal = self.crystal
        # The centre of mass stays.
        shift = np.outer([-to_centre[1], to_centre[0]], centroids) @ np.linalg.inv(CELL)
        crystal = replace(crystal, positions=crystal.positions + shift)
        return DynamicalMatrices(crystal, self.mesh, blocks + bands)

    def evaluate(self, ensemble: ForceEnsemble) -> ForceEnsemble:
        """Return the ensemble with energies, forces and stresses."""
        crystal, mesh, count = ensemble.crystal, self.mesh, len(ensemble)
        start = supercell_positions(crystal, mesh) + ensemble.displacements
        pairs = start.reshape(count, *mesh, 2, 3)
        bonds = pairs[..., 1, :] - pairs[..., 0, :]
        r = bonds - BOND
        k, g, quartic = (np.array(values) for values in (self.quadratic, self.cubic, self.quartic))
        energies = (0.5 * k * r**2 + g * r**3 + quartic * r**4).sum(axis=(1, 2, 3, 4))
        pull = k * r + 3 * g * r**2 + 4 * quartic * r**3
        share = np.array(self.masses) / sum(self.masses)
        centres = np.einsum('cxyzai,a->cxyzi', pairs, share)
        steps = np.roll(centres, -1, axis=1) - centres
        steps[:, -1] += mesh[0] * crystal.cell[0]
        stretch = steps - CELL[0]
        energies = energies + 0.5 * (SPRING * stretch**2).sum(axis=(1, 2, 3, 4))
        tension = SPRING * (stretch - np.roll(stretch, 1, axis=1))
        forces = np.stack([pull + share[0] * tension, -pull + share[1] * tension], axis=4)
        virials = np.einsum('cxyzi,cxyzj->cij', pull, bonds) + np.einsum('cxyzi,cxyzj->cij', SPRING * stretch, steps)
        stresses = -GPA_PER_EV_ANGSTROM3 * virials / (crystal.volume * np.prod(mesh))
        return replace(
            ensemble,
            energies=energies,
            forces=forces.reshape(count, -1, 3),
            stresses=0.5 * (stresses + np.swapaxes(stresses, 1, 2)),
            source='pairs',
        )

    def oscillators(self, temperature):
        """Return the exact solution of the three relative coordinates."""
        coefficients = zip(self.quadratic, self.cubic, self.quartic, strict=True)
        return [solve(self.reduced_mass, temperature, *each) for each in coefficients]

    def free_energy(self, temperature):
        """Return the free energy of a cell of the exact solution [eV]."""
        angles = 2 * np.pi * np.arange(self.mesh[0])[1:] / self.mesh[0]
        stiffness = np.outer(2 - 2 * np.cos(angles), SPRING).ravel()
        bands = sum(harmonic(sum(self.masses), each, temperature)[1] for each in stiffness) / self.mesh[0]
        return bands + sum(each.free_energy for each in self.oscillators(temperature))


def harmonic(mass, stiffness, temperature):
    """Return variance [Å²] and free energy [eV] of a harmonic oscillator."""
    energy = np.sqrt(HBAR_SQUARED * stiffness / mass)
    variance, free_energy = HBAR_SQUARED / (2 * mass * energy), energy / 2
    if temperature > 0:
        thermal = 1e-3 * temperature / KELVIN_PER_MEV
        variance /= np.tanh(energy / (2 * thermal))
        free_energy += thermal * np.log1p(-np.exp(-energy / thermal))
    return variance, free_energy


def solve(mass, temperature, k, g, quartic):
    """Return the SSCHA solution of ½ k r² + g r³ + λ r⁴: Φ = ⟨V''⟩ and ⟨V'⟩ = 0 under its Gaussian."""

    def residual(unknowns):
        c, logarithm = unknowns
        variance, _ = harmonic(mass, np.exp(logarithm), temperature)
        force = k * c + 3 * g * (c**2 + variance) + 4 * quartic * (c**3 + 3 * c * variance)
        curvature = k + 6 * g * c + 12 * quartic * (c**2 + variance)
        return [force, curvature - np.exp(logarithm)]

    found = root(residual, [0.0, np.log(abs(k) + quartic**0.5)], tol=1e-13)
    c, stiffness = found.x[0], np.exp(found.x[1])
    variance, free_energy = harmonic(mass, stiffness, temperature)
    if np.abs(residual(found.x)).max() > 1e-9:
        raise ValueError('no solution')
    mean = 0.5 * k * (c**2 + variance) + g * (c**3 + 3 * c * variance)
    mean += quartic * (c**4 + 6 * c**2 * variance + 3 * variance**2)
    return Oscillator(c, variance, stiffness, free_energy + mean - 0.5 * stiffness * variance)
