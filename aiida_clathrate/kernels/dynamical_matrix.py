"""Dynamical matrices of a crystal on a mesh of wave vectors.

Convention, used everywhere in the package: force constants Φ, not divided by masses, with the phase of the lattice
vector only, Φ_ab(q) = Σ_R Φ(a in cell 0, b in cell R) exp(+i q·R). Φ(q) is then periodic in q, as in Quantum ESPRESSO
and python-sscha. (phonopy uses the phase of the atomic positions.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal, supercell_indices
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS

Level = Literal['harmonic', 'sscha', 'hessian']
LEVELS = get_args(Level)


@dataclass(frozen=True)
class DynamicalMatrices:
    """Force constants Φ(q) on the whole of a regular mesh that contains Γ.

    :param crystal: the crystal.
    :param mesh: divisions of the reciprocal lattice vectors.
    :param force_constants: Φ(q), shape (q, 3n, 3n), complex [eV/Å²], in the order of ``qpoints``.
    :param level: ``harmonic``, ``sscha`` (auxiliary) or ``hessian`` (of the free energy).
    :param pressure: [GPa], ``None`` where not known.
    :param temperature: [K], ``None`` for harmonic matrices.
    :raises ValueError: for a wrong shape, numbers that are not finite, or matrices that are not hermitian.
    """

    crystal: Crystal
    mesh: tuple[int, int, int]
    force_constants: NDArray[np.complex128]
    level: Level = 'harmonic'
    pressure: float | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        size = 3 * len(self.crystal.symbols)
        if self.force_constants.shape != (int(np.prod(self.mesh)), size, size):
            raise ValueError(
                f'need Φ of shape {(int(np.prod(self.mesh)), size, size)}, not {self.force_constants.shape}'
            )
        if not np.isfinite(self.force_constants).all():
            raise ValueError('force constants must be finite')
        if self.level not in LEVELS:
            raise ValueError(f'level must be one of {LEVELS}, not {self.level!r}')
        error = np.abs(self.force_constants - np.swapaxes(self.force_constants, 1, 2).conj()).max()
        if error > 1e-6 * np.abs(self.force_constants).max():
            raise ValueError(f'force constants must be hermitian, largest deviation {error:.2e} eV/Å²')

    @property
    def qpoints(self) -> NDArray[np.float64]:
        """Return the wave vectors in units of the reciprocal lattice vectors, in [0, 1), shape (q, 3)."""
        return mesh_points(self.mesh)

    @cached_property
    def modes(self) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
        """Return ħω(q, ν), shape (q, 3n) [meV], and eigenvectors as columns, shape (q, 3n, 3n)."""
        return diagonalise(self.force_constants, self.crystal.masses)

    def smallest_frequency(self) -> tuple[float, NDArray[np.float64]] | None:
        """Return the smallest ħω [meV], negative where imaginary, and its q; the acoustic modes of Γ left out.

        ``None`` for a single atom at Γ alone, which has no other modes.
        """
        frequencies, vectors = self.modes
        kept = np.setdiff1d(np.arange(frequencies.shape[1]), acoustic_modes(vectors[0], self.crystal.masses))
        candidates = [frequencies[0][kept].min(initial=np.inf), *frequencies[1:].min(axis=1)]
        index = int(np.argmin(candidates))
        return (float(candidates[index]), self.qpoints[index]) if np.isfinite(candidates[index]) else None


def mesh_points(mesh: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return the fractional wave vectors of a mesh with Γ, last index fastest, shape (prod(mesh), 3)."""
    return np.asarray(supercell_indices(mesh) / np.array(mesh))


def mesh_index(mesh: tuple[int, int, int], qpoints: NDArray[np.float64], tolerance: float = 1e-4) -> NDArray[np.int64]:
    """Return the position of each wave vector in ``mesh_points(mesh)``, modulo reciprocal lattice vectors.

    :param qpoints: fractional wave vectors, shape (..., 3).
    :raises ValueError: if a wave vector is not on the mesh within ``tolerance`` (fractional).
    """
    scaled = np.asarray(qpoints) * np.array(mesh)
    rounded = np.round(scaled)
    off = np.abs((scaled - rounded) / np.array(mesh)).max(axis=-1)
    if np.any(off > tolerance):
        wrong = np.reshape(qpoints, (-1, 3))[int(np.argmax(off))]
        raise ValueError(f'q = {np.round(wrong, 6).tolist()} is not on the mesh {mesh}')
    cells = np.moveaxis(rounded.astype(np.int64) % np.array(mesh), -1, 0)
    return np.asarray(np.ravel_multi_index(tuple(cells), mesh), dtype=np.int64)


def diagonalise(
    force_constants: NDArray[np.complex128], masses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return frequencies and eigenvectors of Φ/√(M M').

    :param force_constants: shape (..., 3n, 3n) [eV/Å²].
    :param masses: shape (n,) [amu].
    :return: ħω, negative for imaginary modes, ascending, shape (..., 3n) [meV]; orthonormal columns, (..., 3n, 3n).
    """
    root = np.repeat(np.sqrt(masses), 3)
    dynamical = force_constants / np.outer(root, root)
    squares, vectors = np.linalg.eigh(0.5 * (dynamical + np.swapaxes(dynamical, -1, -2).conj()))
    return MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS * np.sign(squares) * np.sqrt(np.abs(squares)), vectors


def acoustic_modes(vectors: NDArray[np.complex128], masses: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which three of the modes at Γ carry the most of a uniform translation, ascending.

    :param vectors: eigenvectors at Γ as columns, shape (3n, 3n).
    :param masses: shape (n,) [amu].
    """
    translations = np.kron(np.sqrt(masses / masses.sum())[:, None], np.eye(3))
    weights = (np.abs(translations.T @ vectors) ** 2).sum(axis=0)
    return np.sort(np.argsort(weights)[-3:])
