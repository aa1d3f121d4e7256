"""The symmetry of hermitian Cartesian matrices M(q) of a crystal: force constants Φ(q), electron-phonon matrices G(q).

An operation {W|w} turns M(q) into M(q') with q' = W⁻ᵀ q by M(q') = U M(q) U†. U moves atom a to the atom b onto which
it falls and turns its direction, with the phase exp(−i q'·s) of the lattice vector s by which the image lies beyond b.
This is the multiplier representation of A. A. Maradudin and S. H. Vosko, Rev. Mod. Phys. 40, 1 (1968), in the phase
convention of ``DynamicalMatrices``. Time reversal adds M(−q) = M(q)*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_index, mesh_points
from aiida_clathrate.kernels.invariants import Invariants
from aiida_clathrate.kernels.space_group import SpaceGroup, space_group


@dataclass(frozen=True)
class Stars:
    """The wave vectors of a mesh sorted into stars: sets that symmetry and time reversal carry into each other.

    :param representatives: position on the mesh of the first wave vector of each star, shape (s,).
    :param star: number of the star of each wave vector, shape (q,).
    :param operations: operation of the space group that carries the representative there, shape (q,).
    :param reversed: whether time reversal follows the operation, shape (q,).
    """

    representatives: NDArray[np.int64]
    star: NDArray[np.int64]
    operations: NDArray[np.int64]
    reversed: NDArray[np.bool_]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return the weight of each representative, summing to 1, shape (s,)."""
        return np.bincount(self.star) / len(self.star)


@dataclass(frozen=True)
class SymmetryViolation:
    """How far matrices were from the symmetry of their crystal.

    :param force_constant: largest change of an element of Φ(q) [eV/Å²].
    :param frequency: largest change of a frequency [meV].
    """

    force_constant: float
    frequency: float


def stars(crystal: Crystal, mesh: tuple[int, int, int]) -> Stars:
    """Return the stars of the mesh under the space group of the crystal and time reversal.

    :raises ValueError: if the mesh has less symmetry than the crystal.
    """
    return _stars(space_group(crystal), mesh)


def symmetrise(matrices: DynamicalMatrices) -> DynamicalMatrices:
    """Return the matrices nearest to the given ones that have the whole symmetry of the crystal.

    :raises ValueError: if the mesh has less symmetry than the crystal.
    """
    return replace(matrices, force_constants=project(matrices.crystal, matrices.mesh, matrices.force_constants))


def symmetry_violation(matrices: DynamicalMatrices, symmetric: DynamicalMatrices | None = None) -> SymmetryViolation:
    """Return by how much symmetry would change the matrices.

    :param symmetric: the same matrices after ``symmetrise``, where they are at hand.
    """
    symmetric = symmetrise(matrices) if symmetric is None else symmetric
    change = matrices.force_constants - symmetric.force_constants
    return SymmetryViolation(float(np.abs(change).max()), float(np.abs(matrices.modes[0] - symmetric.modes[0]).max()))


def project(crystal: Crystal, mesh: tuple[int, int, int], matrices: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the orthogonal projection onto matrices with the symmetry of the crystal and of time reversal.

    :param matrices: hermitian matrices on the mesh, shape (..., q, 3n, 3n), in any unit.
    :return: same shape; exactly hermitian.
    :raises ValueError: if the mesh has less symmetry than the crystal.
    """
    invariants = Invariants(crystal, mesh)
    return invariants.matrices(invariants.coefficients(matrices))


def expand(crystal: Crystal, mesh: tuple[int, int, int], matrices: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the matrices of the whole mesh from those at the representatives of ``stars(crystal, mesh)``.

    :param matrices: shape (..., s, 3n, 3n); each must have the symmetry of its little group.
    :return: shape (..., q, 3n, 3n).
    """
    group = space_group(crystal)
    return _expand(group, _stars(group, mesh), mesh, matrices)


def representation(group: SpaceGroup, qpoint: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return U of each operation of the group, which carries ``qpoint`` to its image, shape (g, 3n, 3n).

    :param qpoint: fractional wave vector, shape (3,).
    """
    atoms = group.permutations.shape[1]
    phases = np.exp(-2j * np.pi * np.einsum('gi,gai->ga', group.rotate(qpoint), group.shifts))
    blocks = np.zeros((len(group), atoms, 3, atoms, 3), dtype=np.complex128)
    operations, origins = np.indices(group.permutations.shape)
    blocks[operations, group.permutations, :, origins] = phases[..., None, None] * group.cartesian[:, None]
    return blocks.reshape(len(group), 3 * atoms, 3 * atoms)


def _stars(group: SpaceGroup, mesh: tuple[int, int, int]) -> Stars:
    images = group.images(mesh)
    images = np.concatenate([images, mesh_index(mesh, -mesh_points(mesh))[images]])
    lowest = images.min(axis=0)
    representatives, star = np.unique(lowest, return_inverse=True)
    # Of the operations that lead from the representative to a wave vector the first one serves.
    first = (images[:, lowest] == np.arange(images.shape[1])).argmax(axis=0)
    return Stars(representatives, star, first % len(group), first >= len(group))


def _expand(
    group: SpaceGroup, found: Stars, mesh: tuple[int, int, int], matrices: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    points = mesh_points(mesh)
    if matrices.shape[-3] != len(found.representatives):
        raise ValueError(f'need a matrix for each of the {len(found.representatives)} stars, not {matrices.shape[-3]}')
    full = np.empty((*matrices.shape[:-3], len(points), *matrices.shape[-2:]), dtype=np.complex128)
    for index, representative in enumerate(found.representatives):
        members = np.flatnonzero(found.star == index)
        unitary = representation(group.subset(found.operations[members]), points[representative])
        rotated = unitary @ matrices[..., index, None, :, :] @ np.swapaxes(unitary, -1, -2).conj()
        backward = found.reversed[members][:, None, None]
        full[..., members, :, :] = np.where(backward, rotated.conj(), rotated)
    return full
