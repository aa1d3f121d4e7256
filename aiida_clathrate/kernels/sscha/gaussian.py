"""The Gaussian density of a harmonic crystal: covariance, its inverse and its root, free energy.

For a mode of energy ħω the variance of the normal coordinate is a² = ħ/(2ω) coth(ħω/2k_BT), so Ψ = Σ e a² e† in
mass-weighted coordinates, Υ = Ψ⁻¹, and F = Σ ħω/2 + k_BT ln(1 − exp(−ħω/k_BT)). I. Errea, M. Calandra, F. Mauri,
Phys. Rev. B 89, 064302 (2014). The three uniform translations are no modes: they are taken out of Φ(Γ)
exactly, so that a soft mode cannot mix with them, and Ψ, Υ act as zero on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.sscha.waves import Waves, WaveVectors, wave_vectors
from aiida_clathrate.kernels.units import HBAR_SQUARED, KELVIN_PER_MEV, MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS

EV_PER_MEV = 1e-3


class NotPositiveError(ValueError):
    """Auxiliary matrices have a mode that is not positive: no Gaussian belongs to them."""


@dataclass(frozen=True)
class LatticeModes:
    """Modes of matrices on the supercell of their mesh, the uniform translations apart.

    Arrays are those of the wave vectors ``vectors.kept``, k in number.

    :param matrices: Φ(q).
    """

    matrices: DynamicalMatrices

    @cached_property
    def vectors(self) -> WaveVectors:
        """Return the wave vectors that the arrays belong to."""
        return wave_vectors(self.matrices.mesh)

    @cached_property
    def force_constants(self) -> Waves:
        """Return Φ(q) without what it does to translations, shape (k, 3n, 3n) [eV/Å²]."""
        force_constants = self.vectors.restrict(self.matrices.force_constants).copy()
        free = without_translations(len(self.matrices.crystal.symbols))
        force_constants[0] = free @ force_constants[0] @ free
        return force_constants

    @cached_property
    def modes(self) -> tuple[NDArray[np.float64], Waves]:
        """Return ħω (k, 3n) [meV] and eigenvectors as columns (k, 3n, 3n); at Γ the translations come first."""
        masses = self.matrices.crystal.masses
        root = np.repeat(np.sqrt(masses), 3)
        dynamical = self.force_constants / np.outer(root, root)
        squares, polarisations = np.linalg.eigh(dynamical)
        # Γ again, in the space of the internal coordinates alone.
        frame = np.linalg.qr(np.hstack([np.kron(np.sqrt(masses)[:, None], np.eye(3)), np.eye(len(root))]))[0]
        squares[0, :3], polarisations[0, :, :3] = 0.0, frame[:, :3]
        squares[0, 3:], rotation = np.linalg.eigh(frame[:, 3:].T @ dynamical[0] @ frame[:, 3:])
        polarisations[0, :, 3:] = frame[:, 3:] @ rotation
        return MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS * np.sign(squares) * np.sqrt(np.abs(squares)), polarisations

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Return ħω, zero for the translations, shape (k, 3n) [meV]."""
        return self.modes[0]

    @cached_property
    def active(self) -> NDArray[np.bool_]:
        """Return which modes are more than translations, shape (k, 3n)."""
        active = np.ones((len(self.vectors.kept), 3 * len(self.matrices.crystal.symbols)), dtype=bool)
        active[0, :3] = False
        return active


@dataclass(frozen=True)
class Gaussian(LatticeModes):
    """The quantum or thermal Gaussian of auxiliary matrices.

    :param matrices: Φ(q), positive but for the translations.
    :param temperature: [K].
    :raises NotPositiveError: naming the mode that is not positive.
    """

    temperature: float

    def __post_init__(self) -> None:
        energies = self.frequencies[self.active]
        if energies.size == 0:
            raise ValueError('matrices: a single atom at Γ has no modes but translations; give a supercell')
        if energies.min() <= 0:
            where = np.unravel_index(np.argmin(np.where(self.active, self.frequencies, np.inf)), self.active.shape)
            point = self.matrices.qpoints[self.vectors.kept[where[0]]]
            raise NotPositiveError(
                f'matrices: the mode of {energies.min():.3g} meV at q = {np.round(point, 4).tolist()} is not positive'
            )

    @cached_property
    def variances(self) -> NDArray[np.float64]:
        """Return a² of each mode, zero for the translations, shape (k, 3n) [amu Å²]."""
        return thermal_variances(self.frequencies, self.temperature, self.active)

    @cached_property
    def covariance(self) -> Waves:
        """Return Ψ(q) = ⟨u u†⟩, shape (k, 3n, 3n) [Å²]."""
        return self._function(self.variances, -0.5)

    @cached_property
    def root_covariance(self) -> Waves:
        """Return a matrix S with S S† = Ψ(q), shape (k, 3n, 3n) [Å].

        S = M^(−1/2) (hermitian root of the mass-weighted covariance): no choice of eigenvectors in degenerate sets
        enters, so that the same random numbers give the same displacements on any machine, to rounding.
        """
        root = np.repeat(self.matrices.crystal.masses, 3) ** -0.5
        _, vectors = self.modes
        return np.asarray(root[:, None] * (vectors * np.sqrt(self.variances)[:, None]) @ _dagger(vectors))

    @cached_property
    def inverse_covariance(self) -> Waves:
        """Return Υ(q), the inverse of Ψ(q) but for translations, shape (k, 3n, 3n) [1/Å²]."""
        inverse = np.divide(1.0, self.variances, out=np.zeros_like(self.variances), where=self.active)
        return self._function(inverse, 0.5)

    @property
    def free_energy(self) -> float:
        """Return the harmonic free energy of the supercell [eV]."""
        energies = self.frequencies[self.active]
        weights = np.broadcast_to(self.vectors.weights[:, None], self.active.shape)[self.active]
        free = 0.5 * energies
        if self.temperature > 0:
            thermal = self.temperature / KELVIN_PER_MEV
            free = free + thermal * np.log1p(-np.exp(-energies / thermal))
        return float(EV_PER_MEV * weights @ free)

    def _function(self, values: NDArray[np.float64], power: float) -> Waves:
        """Return M^power e values e† M^power."""
        _, vectors = self.modes
        mass = np.repeat(self.matrices.crystal.masses, 3) ** power
        return np.asarray((vectors * values[:, None]) @ _dagger(vectors) * np.outer(mass, mass))


def thermal_variances(
    energies: NDArray[np.float64], temperature: float, active: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return a² = ħ²/(2ħω) coth(ħω/2k_BT) [amu Å²], zero where not active.

    :param energies: ħω [meV].
    :param temperature: [K].
    """
    safe = np.where(active, energies, 1.0)
    coth = 1.0 / np.tanh(safe * KELVIN_PER_MEV / (2 * temperature)) if temperature > 0 else np.ones_like(safe)
    return np.where(active, HBAR_SQUARED / (2 * EV_PER_MEV * safe) * coth, 0.0)


def _dagger(matrices: Waves) -> Waves:
    return np.swapaxes(matrices, -1, -2).conj()


def without_translations(atoms: int) -> NDArray[np.float64]:
    """Return the projector onto displacements of a cell that are free of uniform translations, shape (3n, 3n)."""
    translations = np.kron(np.full((atoms, 1), atoms**-0.5), np.eye(3))
    return np.asarray(np.eye(3 * atoms) - translations @ translations.T)
