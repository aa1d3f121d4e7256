"""Meshes of q and k points that fit together.

ph.x interpolates the electron-phonon matrix elements from a coarse to a dense k mesh, and needs every q to connect two
points of the dense one: the dense mesh must be a multiple of the coarse mesh and of the q mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.fft_grid import maps_grid
from aiida_clathrate.kernels.space_group import space_group

Mesh = tuple[int, int, int]


@dataclass(frozen=True)
class Meshes:
    """Meshes of one calculation of phonons, all with Γ.

    :param qpoints: phonons.
    :param kpoints: electrons in the self-consistent cycles.
    :param dense: electrons in the sums at the Fermi surface.
    :raises ValueError: if a division is not positive or the meshes do not fit together.
    """

    qpoints: Mesh
    kpoints: Mesh
    dense: Mesh

    def __post_init__(self) -> None:
        for name in ('qpoints', 'kpoints', 'dense'):
            mesh = getattr(self, name)
            if len(mesh) != 3 or any(division < 1 for division in mesh):
                raise ValueError(f'{name}: need three positive divisions, not {mesh}')
        for name in ('qpoints', 'kpoints'):
            mesh = getattr(self, name)
            if any(dense % division for dense, division in zip(self.dense, mesh, strict=True)):
                raise ValueError(
                    f'dense k mesh {self.dense} must be a multiple of the {name} mesh {mesh} in each direction'
                )


def has_symmetry(mesh: Mesh, crystal: Crystal) -> bool:
    """Whether the rotations of the crystal map a mesh of wave vectors with Γ onto itself."""
    # Fractional wave vectors turn with the transpose of what turns fractional coordinates.
    return maps_grid(np.swapaxes(space_group(crystal).rotations, 1, 2), mesh)


def mesh_from_distance(crystal: Crystal, distance: float, multiple_of: Mesh = (1, 1, 1)) -> Mesh:
    """Return a mesh whose points are at most ``distance`` apart along each reciprocal vector.

    It is the smallest one, or, where that lacks the symmetry of the crystal, the smallest with equal divisions.

    :param distance: [1/Å], the reciprocal vectors with the factor 2π.
    :param multiple_of: each division is a multiple of this.
    :raises ValueError: if the distance is not positive.
    """
    if not distance > 0:
        raise ValueError(f'distance between points must be positive, not {distance} 1/Å')
    lengths = np.linalg.norm(crystal.reciprocal_cell, axis=1)
    # Vectors of equal length by symmetry must not get different divisions through rounding.
    divisions = np.ceil(lengths / distance / np.array(multiple_of) - 1e-6).clip(min=1).astype(int)
    first, second, third = (int(n) * m for n, m in zip(divisions, multiple_of, strict=True))
    if has_symmetry((first, second, third), crystal):
        return first, second, third
    common = lcm(*multiple_of)
    largest = -(-max(first, second, third) // common) * common
    return largest, largest, largest
