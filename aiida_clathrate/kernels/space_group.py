"""The space group of a crystal: what each operation does to the atoms, to directions and to wave vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import spglib
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import mesh_index, mesh_points
from aiida_clathrate.kernels.spglib_search import search


@dataclass(frozen=True)
class SpaceGroup:
    """The operations {W|w} of a crystal, x' = W x + w in fractional coordinates.

    :param rotations: W, integers, shape (g, 3, 3).
    :param translations: w, shape (g, 3) [fractional].
    :param cartesian: the rotations of Cartesian vectors, exactly orthogonal, shape (g, 3, 3).
    :param permutations: the atom onto which each atom is moved, shape (g, n).
    :param shifts: the lattice vector by which the image of an atom lies beyond that atom, integers, shape (g, n, 3):
        W x_a + w = x_permutation(a) + shift.
    """

    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]
    cartesian: NDArray[np.float64]
    permutations: NDArray[np.int64]
    shifts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rotations)

    def subset(self, operations: NDArray[np.int64]) -> SpaceGroup:
        """Return the operations of the given numbers; they need not form a group."""
        return SpaceGroup(
            self.rotations[operations],
            self.translations[operations],
            self.cartesian[operations],
            self.permutations[operations],
            self.shifts[operations],
        )

    def rotate(self, qpoints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the images W⁻ᵀ q of fractional wave vectors of shape (..., 3), shape (g, ..., 3)."""
        inverses = np.round(np.linalg.inv(self.rotations))
        images: NDArray[np.float64] = np.einsum('...j,gji->g...i', qpoints, inverses)
        return images

    def images(self, mesh: tuple[int, int, int]) -> NDArray[np.int64]:
        """Return the position on the mesh of the image of each of its wave vectors, shape (g, q).

        :raises ValueError: if the mesh has less symmetry than the crystal.
        """
        try:
            return mesh_index(mesh, self.rotate(mesh_points(mesh)))
        except ValueError as error:
            raise ValueError(
                f'q mesh {mesh} breaks the symmetry of the crystal: give equal divisions along reciprocal vectors '
                'that symmetry exchanges'
            ) from error


def space_group(crystal: Crystal, tolerance: float = 1e-4) -> SpaceGroup:
    """Return the space group; atoms are exchanged only with atoms of the same element and mass.

    :param tolerance: by how much atoms may miss their ideal positions [Å].
    :raises ValueError: if spglib finds no operations, or one that does not map the atoms within ten tolerances.
    """
    found = search(spglib.get_symmetry, crystal.spglib_cell, symprec=tolerance)
    if found is None:
        raise ValueError(f'{crystal.formula}: spglib finds no symmetry within {tolerance} Å; check the structure')
    rotations = np.array(found['rotations'], dtype=np.int64)
    translations = np.array(found['translations'], dtype=np.float64)
    images = np.einsum('gij,aj->gai', rotations, crystal.positions) + translations[:, None]
    separations = images[:, :, None] - crystal.positions
    shifts = np.round(separations)
    misfits = np.linalg.norm((separations - shifts) @ crystal.cell, axis=-1)
    misfits[:, crystal.kinds[:, None] != crystal.kinds] = np.inf
    permutations = misfits.argmin(axis=-1)
    worst = np.take_along_axis(misfits, permutations[..., None], axis=-1).max()
    if worst > 10 * tolerance or np.any(np.sort(permutations, axis=1) != np.arange(len(crystal.symbols))):
        raise ValueError(f'{crystal.formula}: an operation misses the atoms by {worst:.1e} Å; refine the structure')
    chosen = np.take_along_axis(shifts, permutations[..., None, None], axis=2)[:, :, 0].astype(np.int64)
    return SpaceGroup(rotations, translations, cartesian_rotations(crystal, rotations), permutations, chosen)


def cartesian_rotations(crystal: Crystal, rotations: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Cartesian form of the rotations, orthogonal and closed to rounding.

    A cell that comes from a relaxation has its symmetry only to some digits, and so would the rotations; a projector
    made of them would not be idempotent. They are therefore those of the nearest symmetric cell: its metric is the
    average of the metric over the group.
    """
    metric = np.einsum('gki,kl,glj->ij', rotations, crystal.cell @ crystal.cell.T, rotations) / len(rotations)
    root = np.linalg.cholesky(metric)
    left, _, right = np.linalg.svd(root.T @ crystal.cell)
    cell = root @ left @ right
    columns: NDArray[np.float64] = cell.T @ rotations @ np.linalg.inv(cell.T)
    return columns
