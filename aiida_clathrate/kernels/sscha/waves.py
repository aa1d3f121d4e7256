"""Displacements and forces of a supercell as lattice waves.

u(q) = N^(−1/2) Σ_R u(R) exp(−i q·R) for the N cells R of the supercell, the unitary counterpart of the convention of
``DynamicalMatrices``: harmonic forces are f(q) = −Φ(q) u(q), and ⟨u(q) u(q)†⟩ is the covariance at q. Everything that
the translations of the lattice leave independent is treated one wave vector at a time: N times less work than in the
supercell. Fields are real, u(−q) = u(q)*, so that one of each pair ±q is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import supercell_indices
from aiida_clathrate.kernels.dynamical_matrix import mesh_index, mesh_points

#: Real where all wave vectors are half a reciprocal lattice vector, complex otherwise.
Waves = NDArray[np.inexact[Any]]


@dataclass(frozen=True)
class WaveVectors:
    """One of each pair ±q of a mesh.

    :param mesh: divisions of the supercell.
    :param kept: position on the mesh of the wave vectors kept, Γ first, shape (k,).
    :param weights: 1 where q and −q are the same, otherwise 2, shape (k,); Σ_q = Σ_k weight · Re.
    """

    mesh: tuple[int, int, int]
    kept: NDArray[np.int64]
    weights: NDArray[np.float64]

    @property
    def real(self) -> bool:
        """Whether all waves are real: all q are half a reciprocal lattice vector or none."""
        return bool(np.all(self.weights == 1))

    @property
    def cells(self) -> int:
        """Return the number of cells of the supercell."""
        return int(np.prod(self.mesh))

    def restrict(self, matrices: NDArray[np.complex128]) -> Waves:
        """Return matrices of the whole mesh, shape (..., q, 3n, 3n), at the wave vectors kept; real where waves are."""
        kept = matrices[..., self.kept, :, :]
        return np.ascontiguousarray(kept.real if self.real else kept)

    def extend(self, matrices: Waves) -> NDArray[np.complex128]:
        """Return matrices of the whole mesh from those at the wave vectors kept, by M(−q) = M(q)*."""
        full = np.empty((*matrices.shape[:-3], self.cells, *matrices.shape[-2:]), dtype=np.complex128)
        opposite = mesh_index(self.mesh, -mesh_points(self.mesh)[self.kept])
        full[..., opposite, :, :] = matrices.conj()
        full[..., self.kept, :, :] = matrices
        return full

    def real_space(self, matrices: Waves) -> NDArray[np.float64]:
        """Return N⁻¹ Σ_q M(q) exp(−i q·R), real, shape (N, ...), from M of the wave vectors kept, shape (k, ...)."""
        angles = 2 * np.pi * supercell_indices(self.mesh) @ mesh_points(self.mesh)[self.kept].T
        flat, factors = matrices.reshape(len(self.kept), -1), self.weights / self.cells
        summed = (factors * np.cos(angles)) @ flat.real
        if not self.real:
            summed += (factors * np.sin(angles)) @ flat.imag
        return np.asarray(summed.reshape(self.cells, *matrices.shape[1:]))

    @property
    def origin(self) -> NDArray[np.int64]:
        """Return where q or −q is among those kept, for every q of the mesh, shape (q,)."""
        numbers = np.arange(self.cells)
        return np.searchsorted(self.kept, np.minimum(numbers, mesh_index(self.mesh, -mesh_points(self.mesh))))

    def sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over the whole mesh of real values with the same value at ±q, shape (k, ...)."""
        return np.asarray(np.tensordot(self.weights, values, axes=1))


def wave_vectors(mesh: tuple[int, int, int]) -> WaveVectors:
    """Return one of each pair ±q of a mesh."""
    numbers = np.arange(int(np.prod(mesh)))
    opposite = mesh_index(mesh, -mesh_points(mesh))
    kept = numbers[numbers <= opposite]
    return WaveVectors(mesh, kept, np.where(opposite[kept] == kept, 1.0, 2.0))


def to_waves(fields: NDArray[np.floating], mesh: tuple[int, int, int]) -> Waves:
    """Return the waves of vectors on the atoms of a supercell.

    :param fields: shape (c, s, 3), for c configurations of the s atoms of the supercell.
    :return: shape (k, c, 3n), real where all wave vectors are half a reciprocal lattice vector.
    """
    vectors, phases = _phases(mesh)
    count = len(fields)
    cells = np.asarray(fields, dtype=np.float64).reshape(count, vectors.cells, -1).transpose(1, 0, 2)
    flat = cells.reshape(vectors.cells, -1)
    waves = phases.real @ flat if vectors.real else phases @ flat
    return np.asarray(waves.reshape(len(vectors.kept), count, -1))


def from_waves(waves: Waves, mesh: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return the vectors on the atoms of the supercell, shape (c, s, 3), of waves of shape (k, c, 3n)."""
    vectors, phases = _phases(mesh)
    back = (phases.conj() * vectors.weights[:, None]).T
    flat = waves.reshape(len(vectors.kept), -1)
    cells = back.real @ flat.real - (0.0 if vectors.real else back.imag @ flat.imag)
    count, size = waves.shape[1:]
    return np.ascontiguousarray(cells.reshape(vectors.cells, count, size).transpose(1, 0, 2)).reshape(count, -1, 3)


def _phases(mesh: tuple[int, int, int]) -> tuple[WaveVectors, NDArray[np.complex128]]:
    """Return the wave vectors and N^(−1/2) exp(−i q·R), shape (k, N)."""
    vectors = wave_vectors(mesh)
    angles = mesh_points(mesh)[vectors.kept] @ supercell_indices(mesh).T
    return vectors, np.exp(-2j * np.pi * angles) / np.sqrt(vectors.cells)
