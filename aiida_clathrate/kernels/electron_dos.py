"""Density of states of the electrons by linear tetrahedra.

G. Lehmann and M. Taut, Phys. Status Solidi B 54, 469 (1972), in the form of P. E. Blöchl, O. Jepsen and
O. K. Andersen, Phys. Rev. B 49, 16223 (1994), appendix B, without their curvature correction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal, supercell_indices
from aiida_clathrate.kernels.dynamical_matrix import mesh_index, mesh_points
from aiida_clathrate.kernels.space_group import space_group


@dataclass(frozen=True)
class ElectronDos:
    """Density of states of the electrons, both spins together.

    :param energies: relative to E_F, shape (e,) [eV].
    :param values: shape (e,) [states/eV/cell].
    :param at_fermi_energy: N(E_F) [states/eV/cell].
    :param complete_below: energy relative to E_F from which on bands that were not calculated may contribute [eV].
    """

    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    at_fermi_energy: float
    complete_below: float


def electron_dos(
    crystal: Crystal,
    mesh: tuple[int, int, int],
    kpoints: NDArray[np.float64],
    eigenvalues: NDArray[np.float64],
    fermi_energy: float,
    energies: NDArray[np.float64],
) -> ElectronDos:
    """Return the density of states of a calculation without spin polarisation.

    :param mesh: divisions of the k mesh, which must contain Γ.
    :param kpoints: irreducible points of the mesh, fractional, shape (k, 3).
    :param eigenvalues: shape (k, bands) [eV].
    :param fermi_energy: E_F [eV].
    :param energies: where to evaluate, relative to E_F, shape (e,) [eV].
    :raises ValueError: if the points do not generate the mesh, or E_F is above all bands.
    """
    corners = np.sort(tetrahedra(crystal, mesh, unfold(crystal, mesh, kpoints, eigenvalues)), axis=1)
    if fermi_energy >= corners.max():
        raise ValueError(f'all bands end below E_F = {fermi_energy:.3f} eV: add bands (nbnd)')
    values = np.array([_states(corners, energy + fermi_energy) for energy in energies])
    scale = 2.0 / (6 * np.prod(mesh))  # both spins; six tetrahedra in each of the cells of the mesh
    complete = float(eigenvalues[:, -1].min() - fermi_energy)
    return ElectronDos(energies, scale * values, float(scale * _states(corners, fermi_energy)), complete)


def unfold(
    crystal: Crystal, mesh: tuple[int, int, int], kpoints: NDArray[np.float64], eigenvalues: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the eigenvalues on the whole mesh, shape (prod(mesh), bands), by symmetry and time reversal."""
    images = space_group(crystal).rotate(kpoints)
    full = np.full((int(np.prod(mesh)), eigenvalues.shape[1]), np.nan)
    for sign in (1, -1):
        full[mesh_index(mesh, sign * images)] = eigenvalues
    missing = np.flatnonzero(np.isnan(full).any(axis=1))
    if len(missing):
        point = mesh_points(mesh)[missing[0]].tolist()
        raise ValueError(f'{len(missing)} points of the k mesh {mesh} have no eigenvalue, for instance {point}')
    return full


def tetrahedra(crystal: Crystal, mesh: tuple[int, int, int], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values at the corners of all tetrahedra, shape (bands × 6 cells, 4).

    Each cell of the mesh is cut along its shortest body diagonal, which gives the most compact tetrahedra.
    """
    axes = crystal.reciprocal_cell / np.array(mesh)[:, None]
    signs = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    sign = signs[np.argmin(np.linalg.norm(signs @ axes, axis=1))]
    paths = []
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        steps = np.zeros((4, 3), dtype=np.int64)
        for corner, axis in enumerate(order, start=1):
            steps[corner:, axis] += sign[axis]
        paths.append(steps)
    cells = supercell_indices(mesh)
    corners = (cells[:, None, None] + np.array(paths)) % np.array(mesh)
    indices = np.ravel_multi_index(tuple(np.moveaxis(corners, -1, 0)), mesh)
    return np.asarray(np.moveaxis(values[indices], -1, 0).reshape(-1, 4))


def _states(corners: NDArray[np.float64], energy: float) -> float:
    """Return the density of states of all tetrahedra at one energy; corners ascend along the last axis."""
    e1, e2, e3, e4 = corners[(corners[:, 0] < energy) & (energy < corners[:, 3])].T
    low, high = energy < e2, energy >= e3
    middle = ~low & ~high
    # Corners that coincide would divide by zero only in a branch that a tetrahedron of that shape never takes.
    total = np.sum(3 * (energy - e1[low]) ** 2 / ((e2 - e1) * (e3 - e1) * (e4 - e1))[low])
    total += np.sum(3 * (e4[high] - energy) ** 2 / ((e4 - e1) * (e4 - e2) * (e4 - e3))[high])
    e1, e2, e3, e4 = (corner[middle] for corner in (e1, e2, e3, e4))
    x, d21, d31, d41, d32, d42 = energy - e2, e2 - e1, e3 - e1, e4 - e1, e3 - e2, e4 - e2
    total += np.sum((3 * d21 + 6 * x - 3 * (d31 + d42) * x**2 / (d32 * d42)) / (d31 * d41))
    return float(total)
