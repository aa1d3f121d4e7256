"""How the wave vectors of a mesh are grouped: a star to a file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import mesh_index, mesh_points
from aiida_clathrate.kernels.symmetry import stars


def star_numbers(crystal: Crystal, mesh: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the number of the star of each wave vector of the mesh, shape (q,).

    A mesh with less symmetry than the crystal has no whole stars: there q and −q make a group.
    """
    try:
        return stars(crystal, mesh).star
    except ValueError:
        points = mesh_points(mesh)
        pairs = np.minimum(np.arange(len(points)), mesh_index(mesh, -points))
        return np.asarray(np.unique(pairs, return_inverse=True)[1], dtype=np.int64)


def star_groups(crystal: Crystal, mesh: tuple[int, int, int]) -> list[NDArray[np.int64]]:
    """Return the positions on the mesh of the wave vectors of each star; Γ is the first."""
    numbers = star_numbers(crystal, mesh)
    return [np.flatnonzero(numbers == number) for number in range(int(numbers.max()) + 1)]
