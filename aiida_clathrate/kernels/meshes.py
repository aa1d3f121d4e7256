"""Meshes of q and k points that fit together.

ph.x interpolates the electron-phonon matrix elements from a coarse to a dense k mesh, and needs every q to connect two
points of the dense one: the dense mesh must be a multiple of the coarse mesh and of the q mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def mesh_from_distance(reciprocal_cell: NDArray[np.float64], distance: float, multiple_of: Mesh = (1, 1, 1)) -> Mesh:
    """Return the smallest mesh whose points are at most ``distance`` apart along each reciprocal vector.

    :param reciprocal_cell: rows with the factor 2π, shape (3, 3) [1/Å].
    :param distance: [1/Å].
    :param multiple_of: each division is a multiple of this.
    """
    if not distance > 0:
        raise ValueError(f'distance between points must be positive, not {distance} 1/Å')
    lengths = np.linalg.norm(reciprocal_cell, axis=1)
    # Vectors of equal length by symmetry must not get different divisions through rounding.
    divisions = np.ceil(lengths / distance / np.array(multiple_of) - 1e-6).clip(min=1).astype(int)
    first, second, third = (int(n) * m for n, m in zip(divisions, multiple_of, strict=True))
    return first, second, third
