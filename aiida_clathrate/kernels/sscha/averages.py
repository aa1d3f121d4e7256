"""Averages over an ensemble under auxiliary matrices near those that it was drawn from.

A configuration with displacement u has the weight ρ ∝ exp(−½ u'Υ'u' + ½ uΥu), primes for the new matrices and
centroids. With δf = f + Φ'u' the free energy, its derivatives and the pressure tensor are

    F = F_harm(Φ') + ⟨V − ½ u'Φ'u'⟩,   Φ' − ⟨∂²V⟩ = ⟨Υ'u' ⊗ δf⟩,   −∂F/∂R = ⟨f⟩ = ⟨δf⟩,   P = ⟨P_el⟩ − ⟨f ⊗ u'⟩/V.

I. Errea, M. Calandra, F. Mauri, Phys. Rev. B 89, 064302 (2014); L. Monacelli, I. Errea, M. Calandra, F. Mauri, ibid.
98, 024106 (2018) for the pressure; L. Monacelli et al., J. Phys. Condens. Matter 33, 363001 (2021) for all of it.

Errors: the pairs ±u are split into blocks in the order in which they were drawn. A mean is a ratio Σ_b S_b / Σ_b W_b of
sums over blocks, whose variance is B/(B−1) Σ_b (S_b − mean W_b)² / (Σ_b W_b)² to first order. It holds whatever the
correlation inside a block, between pairs as between the elements of Φ, and counts the scatter of the weights. It has
B − 1 degrees of freedom: with few pairs, intervals are those of Student's t. Kong and Liu's ratio is that of single
configurations; where centroids move, the weights of a pair differ and the pairs are worth a little more than it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.invariants import Invariants, invariant_tensor, invariant_vectors
from aiida_clathrate.kernels.sscha.gaussian import Gaussian, without_translations
from aiida_clathrate.kernels.sscha.waves import Waves, to_waves
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

#: Blocks for the errors: 32 give a standard deviation to 1/√62 of itself.
BLOCKS = 32


@dataclass(frozen=True)
class Mean:
    """A weighted mean with its error.

    :param value: shape (...).
    :param deviations: by how much each block moves the mean, shape (b, ...); the covariance of the mean is the sum
        over blocks of their outer products.
    """

    value: NDArray[np.float64]
    deviations: NDArray[np.float64]

    @property
    def error(self) -> NDArray[np.float64]:
        """Return the standard deviation of each component, shape (...)."""
        return np.asarray(np.sqrt((self.deviations**2).sum(axis=0)))

    @property
    def norm(self) -> tuple[float, float]:
        """Return the norm of the whole mean, and the root of the sum of the variances of its components."""
        return float(np.linalg.norm(self.value)), float(np.linalg.norm(self.deviations))


@dataclass(frozen=True)
class Averages:
    """What an ensemble says about auxiliary matrices.

    :param gaussian: of the matrices; their crystal holds the centroids.
    :param weights: ρ of each configuration, 1 on average, shape (c,).
    :param spread: standard deviation of ln ρ: how far the matrices are from those of the ensemble.
    :param free_energy: of the primitive cell [eV].
    :param gradient: Φ − ⟨∂²V⟩ as coefficients of ``Invariants``, free of translations [eV/Å²].
    :param force: mean force on the atoms of the primitive cell, symmetrised, shape (n, 3) [eV/Å].
    """

    gaussian: Gaussian
    weights: NDArray[np.float64]
    spread: float
    free_energy: Mean
    gradient: Mean
    force: Mean

    @property
    def kong_liu(self) -> float:
        """Return the effective size of the sample over its size, (Σρ)²/(N Σρ²)."""
        return kong_liu(self.weights)


@dataclass(frozen=True)
class Terms:
    """What each of c configurations adds to the averages under some matrices.

    :param scaled: Υ'u' of each wave vector kept, each of shape (c, 3n) [1/Å].
    :param residual: δf = f + Φ'u', likewise [eV/Å].
    :param exponents: u'Υ'u', shape (c,).
    :param energies: V − ½ u'Φ'u' of the supercell, shape (c,) [eV].
    """

    scaled: list[Waves]
    residual: list[Waves]
    exponents: NDArray[np.float64]
    energies: NDArray[np.float64]


@dataclass(frozen=True)
class WaveEnsemble:
    """An ensemble made ready for averages under many matrices.

    :param ensemble: with forces.
    :raises ValueError: if the forces are not there.
    """

    ensemble: ForceEnsemble

    def __post_init__(self) -> None:
        if self.ensemble.forces is None:
            raise ValueError('ensemble: has no forces yet; compute them first')

    @cached_property
    def generator(self) -> Gaussian:
        """Return the Gaussian that the configurations were drawn from."""
        return Gaussian(self.ensemble.matrices, self.ensemble.temperature)

    @cached_property
    def invariants(self) -> Invariants:
        """Return the basis of the force constants."""
        return Invariants(self.ensemble.crystal, self.ensemble.mesh)

    @cached_property
    def displacements(self) -> Waves:
        """Return u(q) from the centroids of the generator, shape (k, c, 3n) [Å]."""
        return to_waves(self.ensemble.displacements, self.ensemble.mesh)

    @cached_property
    def forces(self) -> Waves:
        """Return f(q), shape (k, c, 3n) [eV/Å]."""
        assert self.ensemble.forces is not None
        return to_waves(self.ensemble.forces, self.ensemble.mesh)

    @cached_property
    def exponents(self) -> NDArray[np.float64]:
        """Return uΥu of the generator, shape (c,)."""
        inverse = self.generator.inverse_covariance
        rows = [_quadratic(u @ matrix.T, u) for u, matrix in zip(self.displacements, inverse, strict=True)]
        return self.generator.vectors.sum(np.array(rows))

    @cached_property
    def blocks(self) -> list[slice]:
        """Return the configurations of each block; pairs stay together."""
        unit = 2 if self.ensemble.antithetic else 1
        count = len(self.ensemble) // unit
        if count < 2:
            raise ValueError(f'ensemble: errors need at least two independent configurations, not {count}')
        edges = unit * np.linspace(0, count, min(BLOCKS, count) + 1).round().astype(int)
        return [slice(start, stop) for start, stop in pairwise(edges)]

    def terms(self, gaussian: Gaussian) -> Terms:
        """Return what each configuration adds to averages under the Gaussian of other matrices and centroids."""
        shift = np.sqrt(gaussian.vectors.cells) * self._shift(gaussian.matrices.crystal).ravel()
        scaled, residual, exponents, potentials = [], [], [], []
        for k, (u, f) in enumerate(zip(self.displacements, self.forces, strict=True)):
            moved = u - shift if k == 0 else u
            harmonic = moved @ gaussian.force_constants[k].T
            scaled.append(moved @ gaussian.inverse_covariance[k].T)
            residual.append(f + harmonic)
            exponents.append(_quadratic(scaled[k], moved))
            potentials.append(0.5 * _quadratic(harmonic, moved))
        assert self.ensemble.energies is not None
        potential, exponent = (gaussian.vectors.sum(np.array(rows)) for rows in (potentials, exponents))
        return Terms(scaled, residual, exponent, self.ensemble.energies - potential)

    def at(self, matrices: DynamicalMatrices) -> Averages:
        """Return the averages under other matrices, with other centroids in the same cell."""
        gaussian = Gaussian(matrices, self.ensemble.temperature)
        terms = self.terms(gaussian)
        log_weights = -0.5 * (terms.exponents - self.exponents)
        weights = np.exp(log_weights - log_weights.max())
        weights *= len(weights) / weights.sum()
        return Averages(
            gaussian,
            weights,
            float(log_weights.std()),
            self._free_energy(gaussian, weights, terms.energies),
            self._gradient(gaussian, weights, terms),
            self._force(weights, terms.residual[0]),
        )

    def pressure(self, averages: Averages) -> Mean:
        """Return the pressure tensor under the matrices of the averages, symmetrised, shape (3, 3) [GPa].

        Its deviations are those at given matrices and centroids.

        :raises ValueError: if the ensemble has no stresses.
        """
        tensors = self.pressure_terms(averages.gaussian)
        return self.mean(averages.weights, self.block_sums(averages.weights, tensors))

    def pressure_terms(self, gaussian: Gaussian) -> NDArray[np.float64]:
        """Return P_el − f ⊗ u'/V of each configuration, symmetrised, shape (c, 3, 3) [GPa].

        :raises ValueError: if the ensemble has no stresses.
        """
        ensemble, crystal, cells = self.ensemble, gaussian.matrices.crystal, gaussian.vectors.cells
        if ensemble.stresses is None or ensemble.forces is None:
            raise ValueError('ensemble: has no stresses; the pressure needs them')
        moved = ensemble.displacements - np.tile(self._shift(crystal), (cells, 1))
        virials = np.swapaxes(ensemble.forces, 1, 2) @ moved
        tensors = ensemble.stresses - GPA_PER_EV_ANGSTROM3 / (crystal.volume * cells) * virials
        return invariant_tensor(self.invariants.group, tensors)

    def block_sums(self, weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Σ ρ x over each block, shape (b, ...), of values of shape (c, ...)."""
        return np.array([np.tensordot(weights[block], values[block], axes=1) for block in self.blocks])

    def mean(self, weights: NDArray[np.float64], sums: NDArray[np.float64]) -> Mean:
        """Return the mean and its deviations from sums over blocks of shape (b, ...)."""
        norms = np.array([weights[block].sum() for block in self.blocks])
        value = sums.sum(axis=0) / norms.sum()
        count = len(norms)
        scatter = sums - norms.reshape(-1, *(1,) * value.ndim) * value
        return Mean(value, np.sqrt(count / (count - 1)) / norms.sum() * scatter)

    def _shift(self, crystal: Crystal) -> NDArray[np.float64]:
        """Return by how much the centroids lie from those of the generator, shape (n, 3) [Å]."""
        ours = self.ensemble.crystal
        if crystal.symbols != ours.symbols or np.abs(crystal.cell - ours.cell).max() > 1e-8:
            raise ValueError('matrices: belong to another crystal or cell than the ensemble; draw a new one')
        return np.asarray((crystal.positions - ours.positions) @ ours.cell)

    def _free_energy(self, gaussian: Gaussian, weights: NDArray[np.float64], energies: NDArray[np.float64]) -> Mean:
        cells = gaussian.vectors.cells
        anharmonic = self.mean(weights, self.block_sums(weights, energies / cells))
        return Mean(anharmonic.value + gaussian.free_energy / cells, anharmonic.deviations)

    def _gradient(self, gaussian: Gaussian, weights: NDArray[np.float64], terms: Terms) -> Mean:
        pairs = list(zip(terms.scaled, terms.residual, strict=True))
        sums = np.array([[(weights[b, None] * r[b]).T @ f[b].conj() for r, f in pairs] for b in self.blocks])
        sums[:, 0] -= self._disconnected(weights, terms)
        free = without_translations(sums.shape[-1] // 3)
        sums[:, 0] = free @ sums[:, 0] @ free
        return self.mean(weights, self.invariants.coefficients(gaussian.vectors.extend(sums)))

    def _disconnected(self, weights: NDArray[np.float64], terms: Terms) -> NDArray[np.float64]:
        """Return what ⟨Υu⟩ ⊗ ⟨δf⟩ adds to the sums of each block, shape (b, 3n, 3n).

        The mean displacement of a finite sample is not zero where symmetry lets it be, and brings in the mean force.
        """
        group, norms = self.invariants.group, np.array([weights[block].sum() for block in self.blocks])
        sums = [self.block_sums(weights, waves[0].real) for waves in (terms.scaled, terms.residual)]
        left, right = (invariant_vectors(group, each.reshape(len(norms), -1, 3)).reshape(each.shape) for each in sums)
        scaled, force = left.sum(axis=0) / norms.sum(), right.sum(axis=0) / norms.sum()
        outer = left[:, :, None] * force + scaled[:, None] * right[:, None, :]
        return np.asarray(outer - norms[:, None, None] * np.outer(scaled, force))

    def _force(self, weights: NDArray[np.float64], residual: Waves) -> Mean:
        sums = self.block_sums(weights, residual.real / np.sqrt(self.generator.vectors.cells)).reshape(
            len(self.blocks), -1, 3
        )
        sums -= sums.mean(axis=1, keepdims=True)  # the crystal as a whole feels no force
        return self.mean(weights, invariant_vectors(self.invariants.group, sums))


def kong_liu(weights: NDArray[np.float64]) -> float:
    """Return (Σρ)²/(N Σρ²), the effective over the real size of a weighted sample (Kong and Liu)."""
    return float(weights.sum() ** 2 / (len(weights) * (weights**2).sum()))


def _quadratic(left: Waves, right: Waves) -> NDArray[np.float64]:
    """Return Re Σ_a left_a right_a* of each configuration, shape (c,)."""
    return np.asarray(np.einsum('ca,ca->c', left, right.conj()).real)


def newton_shift(averages: Averages) -> NDArray[np.float64]:
    """Return the shift of the centroids to where the mean force vanishes, Φ(Γ)⁻¹⟨f⟩, shape (n, 3) [Å]."""
    force, stiffness = averages.force.value, averages.gaussian.force_constants[0].real
    # Translations get the stiffness of the rest: the force has none of them, and so has the shift.
    held = stiffness + (np.abs(stiffness).max() or 1.0) * (np.eye(force.size) - without_translations(len(force)))
    shift = np.linalg.solve(held, force.ravel()).reshape(-1, 3)
    return np.asarray(shift - shift.mean(axis=0))
