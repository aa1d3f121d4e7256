"""Density of states of the phonons, total and of each atom, by linear tetrahedra on an interpolated mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phonopy.phonon.grid import BZGrid
from phonopy.phonon.tetrahedron_method import get_integration_weights

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, diagonalise, mesh_index, mesh_points
from aiida_clathrate.kernels.fourier import force_constants
from aiida_clathrate.kernels.space_group import space_group
from aiida_clathrate.kernels.symmetry import Stars, stars

#: Points of the mesh that the default interpolates to, at least.
LEAST_POINTS = 4000
#: How many weights of tetrahedra are held at a time: 64 MB.
LARGEST_BATCH = 8_000_000


@dataclass(frozen=True)
class PhononDos:
    """Density of states of the phonons.

    :param frequencies: ħω, ascending, equally spaced, negative where imaginary, shape (f,) [meV].
    :param total: shape (f,) [states/meV/cell]; its integral is 3n.
    :param projected: the part of each atom, by |e|² of the eigenvectors, shape (n, f) [states/meV/cell].
    :param symbols: chemical symbols of the n atoms.
    """

    frequencies: NDArray[np.float64]
    total: NDArray[np.float64]
    projected: NDArray[np.float64]
    symbols: tuple[str, ...]


def phonon_dos(matrices: DynamicalMatrices, mesh: tuple[int, int, int] | None = None, step: float = 0.25) -> PhononDos:
    """Return the density of states of Fourier interpolated matrices.

    Each value is the average over one step of the frequency axis, from the integrated density of states, so the values
    sum to 3n whatever the step.

    :param matrices: with the symmetry of their crystal, see ``impose_constraints``: one q of each star is used.
    :param mesh: of the tetrahedra; by default the multiple of the mesh of the matrices with 4,000 points or more.
    :param step: of the frequency axis [meV].
    :raises ValueError: if the step is not positive or the mesh has less symmetry than the crystal.
    """
    if not step > 0:
        raise ValueError(f'the step of the frequency axis must be positive, not {step} meV')
    mesh = finer_mesh(matrices.mesh) if mesh is None else mesh
    crystal, atoms = matrices.crystal, len(matrices.crystal.symbols)
    found = stars(crystal, mesh)
    qpoints = mesh_points(mesh)[found.representatives]
    frequencies, vectors = diagonalise(force_constants(matrices).at(qpoints), crystal.masses)
    shares = (np.abs(vectors.reshape(len(qpoints), atoms, 3, -1)) ** 2).sum(axis=2)
    # The members of a star have the same frequencies, and the shares of the atoms onto which symmetry moves these.
    shares = shares[:, space_group(crystal).permutations].mean(axis=1)

    edges = step * np.arange(np.floor(frequencies.min() / step) - 1, np.ceil(frequencies.max() / step) + 2)
    grid = BZGrid(mesh, lattice=crystal.cell)
    counted = _integrated(grid, found, mesh, frequencies, shares, edges)
    projected = np.diff(counted, axis=1) / step
    return PhononDos(0.5 * (edges[1:] + edges[:-1]), projected.sum(axis=0), projected, crystal.symbols)


def finer_mesh(mesh: tuple[int, int, int], points: int = LEAST_POINTS) -> tuple[int, int, int]:
    """Return the smallest multiple of a mesh that has at least so many points."""
    multiple = int(np.ceil((points / np.prod(mesh)) ** (1 / 3) - 1e-9))
    return mesh[0] * max(multiple, 1), mesh[1] * max(multiple, 1), mesh[2] * max(multiple, 1)


def _integrated(
    grid: BZGrid,
    found: Stars,
    mesh: tuple[int, int, int],
    frequencies: NDArray[np.float64],
    shares: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the number of states of each atom below each edge, shape (n, edges).

    :param frequencies: at the representatives of the stars, shape (s, m) [meV].
    :param shares: of the atoms, shape (s, n, m).
    """
    # phonopy counts the points of the mesh in its own order and repeats some on the boundary of the zone.
    star = found.star[mesh_index(mesh, grid.addresses / np.array(mesh))]
    position = np.empty(len(found.star), dtype=np.int64)
    position[mesh_index(mesh, grid.addresses[grid.grg2bzg] / np.array(mesh))] = grid.grg2bzg
    batches = np.array_split(
        np.arange(len(frequencies)), np.ceil(frequencies.size * len(edges) / LARGEST_BATCH).astype(int)
    )
    counted = np.zeros((shares.shape[1], len(edges)))
    for batch in batches:
        weights = get_integration_weights(
            edges,
            frequencies,
            grid,
            grid_points=position[found.representatives[batch]],
            bzgp2irgp_map=star,
            function='J',
        )
        counted += np.einsum('s,sem,snm->ne', found.weights[batch], weights, shares[batch], optimize='greedy')
    return counted
