"""Crystals of point masses and springs: force constants that have every invariance by construction."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_points


def spring_constants(crystal, qpoints, central, transverse=lambda distance: 0.0 * distance, cutoff=4.0):
    """Return Φ(q) of springs between all pairs nearer than ``cutoff`` [Å], shape (q, 3n, 3n) [eV/Å²].

    A pair at distance r resists with ``central(r)`` along the bond and ``transverse(r)`` across it. Its block is
    −(k_c n nᵀ + k_t (1 − n nᵀ)); that of an atom with itself is minus the sum of the others: the sum rule.
    """
    atoms = len(crystal.symbols)
    reach = np.ceil(cutoff * np.linalg.norm(crystal.reciprocal_cell, axis=1) / (2 * np.pi)).astype(int) + 1
    cells = np.array(list(np.ndindex(*(2 * reach + 1)))) - reach
    fractional = crystal.positions[None, :, None] - crystal.positions[:, None, None] + cells
    vectors = fractional @ crystal.cell
    distances = np.linalg.norm(vectors, axis=-1)
    first, second, cell = np.nonzero((distances < cutoff) & (distances > 1e-6))
    lengths = distances[first, second, cell]
    units = vectors[first, second, cell] / lengths[:, None]
    outer = units[:, :, None] * units[:, None]
    k_c, k_t = central(lengths)[:, None, None], transverse(lengths)[:, None, None]
    springs = k_c * outer + k_t * (np.eye(3) - outer)
    phases = np.exp(2j * np.pi * np.asarray(qpoints) @ cells[cell].T)
    blocks = np.zeros((len(qpoints), atoms, atoms, 3, 3), dtype=complex)
    for pair, (a, b) in enumerate(zip(first, second, strict=True)):
        blocks[:, a, b] -= phases[:, pair, None, None] * springs[pair]
        blocks[:, a, a] += springs[pair]
    return blocks.transpose(0, 1, 3, 2, 4).reshape(len(qpoints), 3 * atoms, 3 * atoms)


def exponential(strength=5.0, length=2.0, decay=3.0):
    """Return a spring constant that decays with the distance."""
    return lambda distance: strength * np.exp(-decay * (distance - length))


def spring_matrices(crystal, mesh, central=exponential(), transverse=exponential(0.5), cutoff=4.0):  # noqa: B008
    """Return the dynamical matrices of a crystal of springs."""
    return DynamicalMatrices(crystal, mesh, spring_constants(crystal, mesh_points(mesh), central, transverse, cutoff))


def fcc(a=4.0):
    """Return one atom in the face-centred cubic cell."""
    return Crystal.from_ase(bulk('Al', 'fcc', a=a))


def diamond(a=3.567):
    """Return the two atoms of diamond, origin on an atom."""
    return Crystal.from_ase(bulk('C', 'diamond', a=a))


def rocksalt(a=4.2):
    """Return the two atoms of the rock-salt cell."""
    return Crystal.from_ase(bulk('MgO', 'rocksalt', a=a))


def hcp(a=3.2, c=5.2):
    """Return the two atoms of the hexagonal close packing."""
    return Crystal.from_ase(bulk('Mg', 'hcp', a=a, c=c))


def hydrogen(a=1.227786634, c=3.03271235):
    """Return I4₁/amd, two atoms in the body-centred tetragonal cell."""
    cell = 0.5 * np.array([[-a, a, c], [a, -a, c], [a, a, -c]])
    return Crystal.from_ase(Atoms('H2', scaled_positions=[[0, 0, 0], [0.75, 0.25, 0.5]], cell=cell, pbc=True))


def clathrate(a=4.9, x=0.25):
    """Return KRbB6C6, Pm-3: two guests at the corner and the centre, twelve atoms of the cages."""
    positions = [(0, 0, 0), (0.5, 0.5, 0.5)]
    for axis in range(3):
        for sign in (1, -1):
            site = [0.0, 0.5, 0.0]
            site[2] = sign * x
            positions.append(tuple(np.roll(site, axis)))
    for axis in range(3):
        for sign in (1, -1):
            site = [0.5, 0.0, 0.0]
            site[2] = sign * x
            positions.append(tuple(np.roll(site, axis)))
    return Crystal.from_ase(Atoms('KRbB6C6', scaled_positions=positions, cell=[a] * 3, pbc=True))
