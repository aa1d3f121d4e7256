"""How the minimum answers to the noise of the averages: the errors of all that is taken there.

The minimum is where g = 0, with x = (Φ, R) and g = (Φ − ⟨∂²V⟩, ⟨f⟩). Noise δg moves it by δx = −K⁻¹ δg with K = ∂g/∂x:
a mode that is held up by its own amplitude has a smaller error than ⟨∂²V⟩, one that a cubic term softens a larger one.
With y = Υu and the scores ∂ ln ρ = (½ y ∂Ψ y, y ∂R) the derivative of any average is a covariance over the ensemble
that is there, apart from what is explicit,

    ∂⟨O⟩/∂x = cov(O, ∂ ln ρ),   K = cov((y ⊗ δf, δf), ∂ ln ρ) + (1, −Φ),   δf = f + Φu:

third and fourth derivatives of the averaged potential times the bubble.

The same covariances say by how much the sampled free energy at its own minimum lies below the true one, because Φ is
fitted to the configurations that are averaged over: E[δF' δx] + ½ E[δx F'' δx], of order 1/N.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from aiida_clathrate.kernels.invariants import invariant_vectors
from aiida_clathrate.kernels.sscha.averages import Averages, Mean, Terms, WaveEnsemble
from aiida_clathrate.kernels.sscha.gaussian import without_translations
from aiida_clathrate.kernels.sscha.pair_response import pair_response
from aiida_clathrate.kernels.sscha.waves import Waves

#: So many configurations at a time: the products of their waves stay in the cache.
BATCH = 32


@dataclass(frozen=True)
class Shifts:
    """By how much each block of an ensemble moves the minimum, to first order; covariances are sums over blocks.

    :param coefficients: of Φ, shape (b, p) [eV/Å²].
    :param positions: of the centroids, shape (b, n, 3) [Å].
    :param pressure: of the tensor at the minimum, shape (b, 3, 3) [GPa]; ``None`` without stresses.
    :param free_energy_bias: expected free energy at the minimum of an ensemble like this, less the true one, of the
        primitive cell [eV].
    """

    coefficients: NDArray[np.float64]
    positions: NDArray[np.float64]
    pressure: NDArray[np.float64] | None
    free_energy_bias: float


@dataclass(frozen=True)
class Response:
    """Derivatives at a minimum with respect to p coefficients of Φ and m shifts of centroids.

    :param waves: the ensemble.
    :param averages: at the minimum.
    :param relax_positions: whether the centroids are free to move.
    """

    waves: WaveEnsemble
    averages: Averages
    relax_positions: bool = True

    def shifts(self) -> Shifts:
        """Return by how much each block moves the minimum and what is taken there."""
        count, size, means = len(self.waves.blocks), len(self.waves.invariants), self.averages
        noise = np.hstack([means.gradient.deviations, means.force.deviations.reshape(count, -1) @ self.frame])
        moved = np.asarray(-np.linalg.solve(self.jacobian, noise.T).T, dtype=np.float64)
        pressure = None
        if self.waves.ensemble.stresses is not None:
            direct = self.waves.pressure(means).deviations
            pressure = direct + (moved @ self._derivatives[len(noise.T) :].T).reshape(count, 3, 3)
        # ∂F/∂x = −(½ ∂Ψ/∂Φ g_Φ, g_R)
        curvature = -block_diag(0.5 * self.maps[0], np.eye(self.frame.shape[1])) @ self.jacobian
        bias = (self._slopes.deviations * moved).sum() + 0.5 * ((moved @ curvature) * moved).sum()
        positions = (moved[:, size:] @ self.frame.T).reshape(count, -1, 3)
        return Shifts(moved[:, :size], positions, pressure, float(bias))

    @cached_property
    def frame(self) -> NDArray[np.float64]:
        """Return the shifts of the centroids that symmetry allows, orthonormal columns, shape (3n, m)."""
        count = len(self.averages.gaussian.matrices.crystal.symbols)
        if not self.relax_positions:
            return np.zeros((3 * count, 0))
        free = without_translations(count)
        allowed = invariant_vectors(self.waves.invariants.group, free.reshape(-1, count, 3)).reshape(3 * count, -1)
        values, vectors = np.linalg.eigh(0.5 * (allowed + allowed.T))
        return np.asarray(vectors[:, values > 0.5])

    @cached_property
    def maps(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return ∂Ψ/∂Φ, negative [Å⁴/eV], and M → Ψ M Ψ [Å⁴], both between coefficients, shape (p, p).

        Between mass-weighted modes both multiply each element by a number.
        """
        gaussian, size = self.averages.gaussian, len(self.waves.invariants)
        root, vectors = np.repeat(np.sqrt(gaussian.matrices.crystal.masses), 3)[:, None], gaussian.vectors
        bubble, maps = pair_response(gaussian), np.zeros((2, size, size))
        for k in range(len(vectors.kept)):
            modes, variances = gaussian.modes[1][k] / root, gaussian.variances[k]
            elements = modes.conj().T @ self._basis(k) @ modes
            for index, factors in enumerate((2 * bubble[k, :, k], np.outer(variances, variances))):
                weighted = vectors.weights[k] / vectors.cells * factors * elements
                maps[index] += (weighted.reshape(size, -1).conj() @ elements.reshape(size, -1).T).real
        return maps[0], maps[1]

    @cached_property
    def jacobian(self) -> NDArray[np.float64]:
        """Return K, shape (p + m, p + m)."""
        stiffness = self.frame.T @ self.averages.gaussian.force_constants[0].real @ self.frame
        direct = block_diag(np.eye(len(self.waves.invariants)) + self._turned, -stiffness)
        direct[: len(self._turned), len(self._turned) :] = self._pushed
        return np.asarray(direct + self._derivatives[: len(direct)])

    @cached_property
    def _turned(self) -> NDArray[np.float64]:
        """Return the change of y ⊗ δf with y, −Υ ∂Ψ g, which vanishes at the minimum, shape (p, p)."""
        gaussian, invariants = self.averages.gaussian, self.waves.invariants
        gradient = gaussian.vectors.restrict(invariants.matrices(self.averages.gradient.value))
        result = np.zeros((len(invariants), len(invariants)))
        for k in range(len(gradient)):
            basis = self._basis(k).reshape(len(invariants), -1)
            covariances = (self.maps[0].T @ basis).reshape(-1, *gradient.shape[1:])
            changes = (gaussian.inverse_covariance[k] @ covariances @ gradient[k]).reshape(len(invariants), -1)
            result -= gaussian.vectors.weights[k] / gaussian.vectors.cells * (basis.conj() @ changes.T).real
        return result

    @cached_property
    def _pushed(self) -> NDArray[np.float64]:
        """Return the change of y ⊗ δf with the centroids, −Υ ∂R ⊗ ⟨f⟩, which vanishes at the minimum, shape (p, m)."""
        scaled = self.averages.gaussian.inverse_covariance[0].real @ self.frame
        products = np.einsum('am,b->mab', scaled, self.averages.force.value.ravel())
        return -np.asarray(np.einsum('pab,mab->pm', self._basis(0).real, products))

    def _basis(self, k: int) -> Waves:
        """Return the basis at a wave vector kept, real where waves are, shape (p, 3n, 3n)."""
        gaussian = self.averages.gaussian
        basis = self.waves.invariants.at(gaussian.matrices.qpoints[gaussian.vectors.kept[k]])
        return basis.real.copy() if gaussian.vectors.real else basis

    @cached_property
    def _derivatives(self) -> NDArray[np.float64]:
        """Return ∂⟨O⟩/∂x through the weights, shape (p + m + v, p + m); v is 9 with stresses, otherwise 0."""
        total, (products, observables, features, _) = self.averages.weights.sum(), self._sums
        covariance = products / total - np.outer(observables, features.sum(axis=0)) / total**2
        return np.asarray(covariance @ self._scores)

    @cached_property
    def _slopes(self) -> Mean:
        """Return ∂F/∂x of the sampled free energy but for a constant, shape (p + m,)."""
        gaussian, weights = self.averages.gaussian, self.averages.weights
        cells = gaussian.vectors.cells
        restored = gaussian.force_constants[0].real @ gaussian.covariance[0].real
        explicit = block_diag(-0.5 * self.maps[1], self.frame.T @ restored @ self.frame / cells)
        _, _, features, energies = self._sums
        return self.waves.mean(weights, energies @ self._scores / cells + features @ explicit)

    @cached_property
    def _scores(self) -> NDArray[np.float64]:
        """Return what turns features of a configuration into its ∂ ln ρ, shape (p + m, p + m)."""
        return np.asarray(
            block_diag(0.5 * self.averages.gaussian.vectors.cells * self.maps[0], np.eye(self.frame.shape[1]))
        )

    @cached_property
    def _terms(self) -> Terms:
        """Return what each configuration adds, the force on the crystal as a whole taken out."""
        terms = self.waves.terms(self.averages.gaussian)
        free = without_translations(len(self.averages.gaussian.matrices.crystal.symbols))
        return replace(terms, residual=[terms.residual[0] @ free, *terms.residual[1:]])

    @cached_property
    def _sums(self) -> tuple[NDArray[np.float64], ...]:
        """Return Σ ρ O ⊗ φ, Σ ρ O, and for each block Σ ρ φ and Σ ρ (E − Ē) φ.

        The observables O of a configuration are y ⊗ δf, δf and the pressure, the features φ are y ⊗ y and y.
        """
        gaussian, weights, root = (
            self.averages.gaussian,
            self.averages.weights,
            self.averages.gaussian.vectors.cells**0.5,
        )
        energies = self._terms.energies - weights @ self._terms.energies / weights.sum()
        scaled, residual = (waves[0].real @ self.frame for waves in (self._terms.scaled, self._terms.residual))
        tensors = np.zeros((len(weights), 0))
        if self.waves.ensemble.stresses is not None:
            tensors = self.waves.pressure_terms(gaussian).reshape(len(weights), -1)
        products, observables, features, with_energy = 0.0, 0.0, [], []
        for block in self.waves.blocks:
            rho = weights[block, None]
            phi = np.hstack([self._coefficients(block, self._terms.scaled), root * scaled[block]])
            seen = np.hstack([self._coefficients(block, self._terms.residual), residual[block] / root, tensors[block]])
            products = products + (rho * seen).T @ phi
            observables = observables + (rho * seen).sum(axis=0)
            features.append((rho * phi).sum(axis=0))
            with_energy.append((rho * energies[block, None] * phi).sum(axis=0))
        return np.asarray(products), np.asarray(observables), np.array(features), np.array(with_energy)

    def _coefficients(self, block: slice, right: list[Waves]) -> NDArray[np.float64]:
        """Return the coefficients of y ⊗ x* of some configurations, shape (c, p)."""
        basis, vectors = self.waves.invariants.basis, self.averages.gaussian.vectors
        found = np.empty((block.stop - block.start, basis.shape[0]))
        for start in range(block.start, block.stop, BATCH):
            part = slice(start, min(start + BATCH, block.stop))
            pairs = zip(self._terms.scaled, right, strict=True)
            products = np.array([y[part].T[:, None] * x[part].T.conj() for y, x in pairs])
            flat = vectors.real_space(products).reshape(-1, products.shape[-1])
            found[start - block.start : part.stop - block.start] = (basis @ flat).T
        return found
