"""The independent parameters of force constants: an orthonormal basis of the matrices that have all symmetry.

In real space an element Φ_ij(a in cell 0, b in cell R) belongs to a pair of atoms. The operations of the space group
and the exchange of the two atoms carry pairs into pairs; the nine elements of one pair of each orbit fix those of all
others, and those operations that carry this pair into itself leave only some combinations of the nine free. The basis
is therefore sparse: an element takes part in at most nine of its vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, kron

from aiida_clathrate.kernels.crystal import Crystal, supercell_indices
from aiida_clathrate.kernels.space_group import SpaceGroup, space_group

#: A combination of elements is free if the operations that keep the pair change it by less.
RANK_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Invariants:
    """Real M(a0, bR) = M(bR, a0)ᵀ with the symmetry of a crystal, on the supercell of a mesh.

    :param crystal: the crystal.
    :param mesh: divisions of the supercell.
    :raises ValueError: if the mesh has less symmetry than the crystal.
    """

    crystal: Crystal
    mesh: tuple[int, int, int]

    def __len__(self) -> int:
        """Return the number of independent parameters."""
        return int(self.basis.shape[0])

    @cached_property
    def group(self) -> SpaceGroup:
        """Return the space group of the crystal."""
        return space_group(self.crystal)

    @cached_property
    def basis(self) -> csr_array:
        """Return the orthonormal basis as rows over the elements [R, a, i, b, j], shape (p, cells · 3n · 3n)."""
        return _basis(self.group, self.mesh)

    def coefficients(self, matrices: NDArray[np.inexact]) -> NDArray[np.float64]:
        """Return the coefficients of the projection of matrices onto the basis.

        :param matrices: M(q) on the whole mesh, shape (..., q, 3n, 3n).
        :return: shape (..., p); the sum of their squares is the mean over q of Σ|M(q)|² of the projection.
        """
        leading, size = matrices.shape[:-3], matrices.shape[-1]
        grid = matrices.reshape(*leading, *self.mesh, size * size)
        real_space = np.fft.fftn(grid, axes=(-4, -3, -2), norm='forward').real
        flat = real_space.reshape(-1, self.basis.shape[1])
        return np.asarray((self.basis @ flat.T).T.reshape(*leading, len(self)))

    def matrices(self, coefficients: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return M(q), hermitian, of coefficients of shape (..., p), shape (..., q, 3n, 3n)."""
        leading, size = coefficients.shape[:-1], 3 * len(self.crystal.symbols)
        real_space = (self.basis.T @ coefficients.reshape(-1, len(self)).T).T
        grid = real_space.reshape(*leading, *self.mesh, size * size)
        full = np.fft.ifftn(grid, axes=(-4, -3, -2), norm='forward').reshape(*leading, -1, size, size)
        return np.asarray(0.5 * (full + np.swapaxes(full, -1, -2).conj()))

    def at(self, qpoint: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return M(q) of each vector of the basis at a fractional wave vector of the mesh, shape (p, 3n, 3n)."""
        size = 3 * len(self.crystal.symbols)
        phases = np.exp(2j * np.pi * supercell_indices(self.mesh) @ qpoint)
        summed = self.basis @ kron(csr_array(phases[:, None]), eye_array(size * size), format='csr')
        return np.asarray(summed.toarray().reshape(-1, size, size))


def invariant_vectors(group: SpaceGroup, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the projection of vectors on the atoms of the cell, shape (..., n, 3), onto those with all symmetry."""
    total = np.zeros_like(vectors)
    for permutation, rotation in zip(group.permutations, group.cartesian, strict=True):
        total[..., permutation, :] += vectors @ rotation.T
    return np.asarray(total / len(group))


def invariant_tensor(group: SpaceGroup, tensors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the projection of crystal tensors, shape (..., 3, 3), onto symmetric ones with its symmetry."""
    rotations = group.cartesian
    turned = np.einsum('gik,gjl,...kl->...ij', rotations, rotations, tensors, optimize=True) / len(rotations)
    return np.asarray(0.5 * (turned + np.swapaxes(turned, -1, -2)))


def _basis(group: SpaceGroup, mesh: tuple[int, int, int]) -> csr_array:
    images = _pair_images(group, mesh)
    atoms, cells = group.permutations.shape[1], int(np.prod(mesh))
    turns = np.einsum('gik,gjl->gijkl', group.cartesian, group.cartesian).reshape(-1, 9, 9)
    exchange = np.arange(9).reshape(3, 3).T.ravel()
    turns = np.concatenate([turns, turns[:, exchange]])
    elements = _elements(cells, atoms)
    values, rows, columns, count = [], [], [], 0
    for orbit in np.flatnonzero(images.min(axis=0) == np.arange(images.shape[1])):
        free = _fixed_vectors(turns[images[:, orbit] == orbit].mean(axis=0))
        members, first = np.unique(images[:, orbit], return_index=True)
        spread = turns[first] @ free / np.sqrt(len(members))
        where = np.broadcast_to(elements[members][:, :, None], spread.shape)
        number = np.broadcast_to(count + np.arange(free.shape[1]), spread.shape)
        values.append(spread.ravel())
        rows.append(number.ravel())
        columns.append(where.ravel())
        count += free.shape[1]
    shape = (count, cells * (3 * atoms) ** 2)
    basis = csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
    basis.eliminate_zeros()
    return basis


def _pair_images(group: SpaceGroup, mesh: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the pair onto which each pair (R, a, b) falls, without and with exchange, shape (2g, pairs)."""
    group.images(mesh)  # refuses a mesh with less symmetry than the crystal
    cells, sizes = supercell_indices(mesh), np.array(mesh)
    atoms = group.permutations.shape[1]
    # g, R, a, b: the cell of the image of b relative to that of the image of a
    turned = np.einsum('gij,rj->gri', group.rotations, cells)
    relative = turned[:, :, None, None] + group.shifts[:, None, None, :] - group.shifts[:, None, :, None]
    first = np.broadcast_to(group.permutations[:, None, :, None], relative.shape[:-1])
    second = np.broadcast_to(group.permutations[:, None, None, :], relative.shape[:-1])

    def number(cell: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        flat = np.ravel_multi_index(tuple(np.moveaxis(cell % sizes, -1, 0)), mesh)
        return np.asarray((flat * atoms + a) * atoms + b).reshape(len(group), -1)

    return np.concatenate([number(relative, first, second), number(-relative, second, first)])


def _elements(cells: int, atoms: int) -> NDArray[np.int64]:
    """Return the places of the nine elements of each pair (R, a, b) among [R, a, i, b, j], shape (pairs, 9)."""
    places = np.arange(cells * (3 * atoms) ** 2).reshape(cells, atoms, 3, atoms, 3)
    return places.transpose(0, 1, 3, 2, 4).reshape(-1, 9)


def _fixed_vectors(projector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthonormal basis of the space that a projector keeps, as columns."""
    values, vectors = np.linalg.eigh(0.5 * (projector + projector.T))
    return np.asarray(vectors[:, values > 1 - RANK_TOLERANCE])
