"""Force constants in real space, and their Fourier interpolation to any wave vector.

The matrices of an N1×N2×N3 mesh fix Φ(a0, bR) only up to lattice vectors of the N1×N2×N3 supercell: an atom stands for
all its images. Each pair is given to the image nearest to atom a, in equal parts where several are (the Wigner–Seitz
cell of the supercell centred on atom a), which keeps the symmetry of the crystal and decays fastest. At the wave
vectors of the mesh any choice gives the same, so the interpolation is exact there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal, supercell_indices
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_index, mesh_points

#: Distances that differ by less are equal: more than what positions miss of their symmetry [Å].
SAME_DISTANCE = 1e-3
#: Imaginary parts in real space above this fraction of the largest element are an error.
IMAGINARY_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ForceConstants:
    """Force constants in real space, shared among equivalent images.

    :param crystal: the crystal.
    :param lattice_vectors: R, integers, shape (r, 3).
    :param values: Φ(a in cell 0, b in cell R) times the share of this image, shape (r, 3n, 3n) [eV/Å²].
    """

    crystal: Crystal
    lattice_vectors: NDArray[np.int64]
    values: NDArray[np.float64]

    def at(self, qpoints: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return Φ(q) at fractional wave vectors of shape (q, 3), shape (q, 3n, 3n) [eV/Å²]."""
        phases = np.exp(2j * np.pi * np.asarray(qpoints) @ self.lattice_vectors.T)
        size = self.values.shape[-1]
        flat = self.values.reshape(len(self.values), -1)
        # Two real products are half the work of a complex one.
        return np.asarray((phases.real @ flat + 1j * (phases.imag @ flat)).reshape(-1, size, size))


@dataclass(frozen=True)
class Images:
    """The images of atoms of a supercell that are nearest to another atom.

    :param first: the atom in cell 0, shape (i,).
    :param second: the other atom, shape (i,).
    :param cells: the cell of the other atom in the supercell, by its number, shape (i,).
    :param vectors: the lattice vector of the nearest image of that cell, integers, shape (i, 3).
    :param shares: one over the number of images as near as this one, shape (i,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    cells: NDArray[np.int64]
    vectors: NDArray[np.int64]
    shares: NDArray[np.float64]


def force_constants(matrices: DynamicalMatrices) -> ForceConstants:
    """Return the force constants in real space of matrices on a mesh.

    :raises ValueError: if they are not real, which is Φ(−q) = Φ(q)*.
    """
    mesh, atoms = matrices.mesh, len(matrices.crystal.symbols)
    periodic = np.fft.fftn(matrices.force_constants.reshape(*mesh, -1), axes=(0, 1, 2), norm='forward')
    error = np.abs(periodic.imag).max()
    if error > IMAGINARY_TOLERANCE * np.abs(periodic).max():
        raise ValueError(
            f'force constants in real space have imaginary parts up to {error:.1e} eV/Å²: impose the symmetry of the '
            'crystal, which includes Φ(−q) = Φ(q)*, first'
        )
    blocks = periodic.real.reshape(-1, atoms, 3, atoms, 3).transpose(0, 1, 3, 2, 4)
    images = nearest_images(matrices.crystal, mesh)
    lattice_vectors, where = np.unique(images.vectors, axis=0, return_inverse=True)
    values = np.zeros((len(lattice_vectors), atoms, 3, atoms, 3))
    pairs = blocks[images.cells, images.first, images.second]
    values[where, images.first, :, images.second] = images.shares[:, None, None] * pairs
    return ForceConstants(matrices.crystal, lattice_vectors, values.reshape(-1, 3 * atoms, 3 * atoms))


def nearest_images(crystal: Crystal, mesh: tuple[int, int, int]) -> Images:
    """Return the images nearest to each atom of all atoms of the supercell ``mesh``."""
    sizes = np.array(mesh)
    reduced, operation = minkowski_reduce(crystal.cell * sizes[:, None])
    cells = supercell_indices(mesh)
    vectors = crystal.positions[None, :, None] - crystal.positions[:, None, None] + cells
    fractional = vectors / sizes @ np.linalg.inv(operation)
    # In a Minkowski-reduced cell all nearest images of a point of the central cell are among the 27 around it.
    steps = np.array(list(np.ndindex(3, 3, 3))) - 1
    centring = -np.round(fractional)
    distances = np.linalg.norm(((fractional + centring)[..., None, :] + steps) @ reduced, axis=-1)
    chosen = distances < distances.min(axis=-1, keepdims=True) + SAME_DISTANCE
    first, second, cell, step = np.nonzero(chosen)
    shares = 1.0 / chosen.sum(axis=-1)[first, second, cell]
    supercells = (centring[first, second, cell] + steps[step]) @ operation
    return Images(first, second, cell, cells[cell] + np.round(supercells).astype(np.int64) * sizes, shares)


def interpolate(matrices: DynamicalMatrices, mesh: tuple[int, int, int]) -> DynamicalMatrices:
    """Return the matrices on another mesh, by Fourier interpolation."""
    return replace(matrices, mesh=mesh, force_constants=force_constants(matrices).at(mesh_points(mesh)))


def restrict(matrices: DynamicalMatrices, mesh: tuple[int, int, int]) -> DynamicalMatrices:
    """Return the matrices at the wave vectors of a coarser mesh that are all among their own.

    :raises ValueError: if the divisions of the mesh do not divide those of the matrices.
    """
    if any(fine % coarse for fine, coarse in zip(matrices.mesh, mesh, strict=True)):
        raise ValueError(
            f'the supercell {"×".join(map(str, mesh))} does not divide the q mesh {"×".join(map(str, matrices.mesh))} '
            'of the matrices: give a supercell that does, or matrices on a multiple of it'
        )
    chosen = mesh_index(matrices.mesh, mesh_points(mesh))
    return replace(matrices, mesh=mesh, force_constants=matrices.force_constants[chosen])


def add_difference(
    fine_harmonic: DynamicalMatrices,
    coarse_anharmonic: DynamicalMatrices,
    coarse_harmonic: DynamicalMatrices,
    mismatch: float = 0.02,
    displacement: float = 0.3,
) -> DynamicalMatrices:
    """Return harmonic matrices on a fine mesh plus the interpolated change by anharmonicity from a coarse one.

    The change is of shorter range than the force constants themselves and converges on a smaller supercell:
    L. Monacelli et al., J. Phys. Condens. Matter 33, 363001 (2021). Γ of the result is Γ of the anharmonic
    matrices where the harmonic ones agree; symmetry and sum rule of the input are kept. Crystal, level, pressure and
    temperature are those of the anharmonic matrices.

    :param mismatch: by how much the two harmonic sets may differ at wave vectors that both have, as a fraction of
        their largest element: they must come from the same calculation but for the mesh.
    :param displacement: by how much the anharmonic positions and cell may differ from the harmonic ones [Å].
    :raises ValueError: if the meshes of the coarse matrices differ, or crystals or harmonic matrices do not match.
    """
    if coarse_anharmonic.mesh != coarse_harmonic.mesh:
        raise ValueError(
            f'the anharmonic matrices are on the mesh {coarse_anharmonic.mesh}, the harmonic ones to subtract on '
            f'{coarse_harmonic.mesh}: compute both on the same mesh'
        )
    if not fine_harmonic.crystal.same_lattice(coarse_harmonic.crystal):
        raise ValueError('the two harmonic sets belong to different crystals: their cells or atoms differ')
    if not coarse_harmonic.crystal.same_lattice(coarse_anharmonic.crystal, displacement):
        raise ValueError(
            f'harmonic and anharmonic matrices belong to different crystals: cell, order or positions of the atoms '
            f'differ by more than {displacement} Å'
        )
    fine, coarse = _common_points(fine_harmonic.mesh, coarse_harmonic.mesh)
    error = np.abs(fine_harmonic.force_constants[fine] - coarse_harmonic.force_constants[coarse]).max()
    if error > mismatch * np.abs(coarse_harmonic.force_constants).max():
        raise ValueError(
            f'the two harmonic sets differ by {error:.2g} eV/Å² at wave vectors that both have: they must come from '
            'the same cutoffs, k mesh and smearing'
        )
    change = replace(
        coarse_anharmonic, force_constants=coarse_anharmonic.force_constants - coarse_harmonic.force_constants
    )
    total = fine_harmonic.force_constants + interpolate(change, fine_harmonic.mesh).force_constants
    return replace(coarse_anharmonic, mesh=fine_harmonic.mesh, force_constants=total)


def _common_points(
    fine: tuple[int, int, int], coarse: tuple[int, int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions on two meshes of the wave vectors that both have; Γ is always one."""
    common = tuple(int(np.gcd(a, b)) for a, b in zip(fine, coarse, strict=True))
    points = mesh_points((common[0], common[1], common[2]))
    return mesh_index(fine, points), mesh_index(coarse, points)
