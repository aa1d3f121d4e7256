"""The Hessian in the supercell with all tensors built: slow, plain, without waves or matrix-free products."""

from __future__ import annotations

import numpy as np

from aiida_clathrate.kernels.crystal import supercell_indices
from aiida_clathrate.kernels.dynamical_matrix import mesh_points
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.space_group import space_group
from aiida_clathrate.kernels.units import HBAR_SQUARED, KELVIN_PER_MEV


def real_space(matrices):
    """Return Φ of the supercell, shape (3s, 3s)."""
    cells = supercell_indices(matrices.mesh)
    angles = 2 * np.pi * np.einsum('qi,rsi->qrs', mesh_points(matrices.mesh), cells[None] - cells[:, None])
    blocks = np.einsum('qab,qrs->rasb', matrices.force_constants, np.exp(-1j * angles)) / len(cells)
    size = len(cells) * matrices.force_constants.shape[-1]
    return blocks.real.reshape(size, size)


def reciprocal_space(matrices, supercell):
    """Return Φ(q) of a translation invariant matrix of the supercell."""
    count = int(np.prod(matrices.mesh))
    blocks = supercell.reshape(count, -1, count, supercell.shape[0] // count)[0]
    angles = 2 * np.pi * mesh_points(matrices.mesh) @ supercell_indices(matrices.mesh).T
    return np.einsum('asb,qs->qab', blocks, np.exp(1j * angles))


def permutations(matrices):
    """Return what each operation of the supercell does to its displacements, shape (g, 3s, 3s)."""
    group = space_group(supercell_crystal(matrices.crystal, matrices.mesh))
    size = group.permutations.shape[1]
    result = np.zeros((len(group), size, 3, size, 3))
    operations, origins = np.indices(group.permutations.shape)
    result[operations, group.permutations, :, origins] = group.cartesian[:, None]
    return result.reshape(len(group), 3 * size, 3 * size)


def modes(matrices, temperature):
    """Return ω² and a² of the vibrations and e/√M, shape (m,), (m,), (3s, m)."""
    masses = np.repeat(supercell_crystal(matrices.crystal, matrices.mesh).masses, 3)
    atoms = len(masses) // 3
    translations = np.kron(np.sqrt(masses[::3] / masses[::3].sum())[:, None], np.eye(3))
    free = np.eye(3 * atoms) - translations @ translations.T
    squares, vectors = np.linalg.eigh(free @ (real_space(matrices) / np.sqrt(np.outer(masses, masses))) @ free)
    kept = np.argsort(np.abs(squares))[3:]
    squares, vectors = squares[kept], vectors[:, kept]
    energies = 1e3 * np.sqrt(HBAR_SQUARED * squares)
    coth = 1 / np.tanh(energies * KELVIN_PER_MEV / (2 * temperature)) if temperature else 1.0
    return squares, HBAR_SQUARED / (2e-3 * energies) * coth, vectors / np.sqrt(masses)[:, None]


def dense_hessian(ensemble, weights=None, fourth_order=True, symmetry=True):
    """Return H(q) by building the third- and fourth-order tensors and inverting 1 − MG."""
    matrices, temperature = ensemble.matrices, ensemble.temperature
    force_constants = real_space(matrices)
    squares, variances, vectors = modes(matrices, temperature)
    masses = np.repeat(supercell_crystal(matrices.crystal, matrices.mesh).masses, 3)
    scaled = vectors * masses[:, None]
    inverse = (scaled / variances) @ scaled.T
    flat = ensemble.displacements.reshape(len(ensemble), -1)
    forces = ensemble.forces - ensemble.forces.mean(axis=1, keepdims=True)
    beyond = forces.reshape(len(ensemble), -1) + flat @ force_constants
    rho = np.ones(len(ensemble)) if weights is None else weights
    rho = rho / rho.sum()
    r = flat @ inverse
    size = r.shape[1]

    third = np.multiply.outer(rho @ beyond, inverse) - np.einsum('i,ia,ib,ic->abc', rho, beyond, r, r, optimize=True)
    orders = [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0), (2, 0, 1)]
    third = sum(third.transpose(order) for order in orders) / 6
    fourth = np.einsum('i,ia,ib,ic,id->abcd', rho, r, r, r, beyond, optimize=True)
    fourth = -sum(np.moveaxis(fourth, 3, axis) for axis in range(4)) / 4
    if symmetry:
        turns = permutations(matrices)
        third = np.mean([np.einsum('ax,by,cz,xyz->abc', p, p, p, third, optimize=True) for p in turns], axis=0)
        pairs = fourth.reshape(size**2, size**2)
        fourth = np.mean([np.kron(p, p) @ pairs @ np.kron(p, p).T for p in turns], axis=0).reshape(fourth.shape)

    response = np.empty((len(squares), len(squares)))
    for i, j in np.ndindex(response.shape):
        if abs(squares[i] - squares[j]) < 1e-4 * squares[j]:
            # The derivative by a central difference in the frequency.
            response[i, j] = _slope(np.sqrt(squares[i] * squares[j]), temperature)
        else:
            response[i, j] = (variances[i] - variances[j]) / (squares[i] - squares[j])
    bubble = 0.5 * np.einsum('am,bn,mn,cm,dn->abcd', vectors, vectors, response, vectors, vectors, optimize=True)
    bubble, third = bubble.reshape(size**2, -1), third.reshape(size, -1)
    inner = np.eye(size**2) - fourth.reshape(size**2, -1) @ bubble if fourth_order else np.eye(size**2)
    correction = third @ bubble @ np.linalg.solve(inner, third.T)
    return matrices.force_constants + reciprocal_space(matrices, correction)


def _slope(square, temperature, step=1e-4):
    def variance(value):
        energy = 1e3 * np.sqrt(HBAR_SQUARED * value)
        coth = 1 / np.tanh(energy * KELVIN_PER_MEV / (2 * temperature)) if temperature else 1.0
        return HBAR_SQUARED / (2e-3 * energy) * coth

    points = square * (1 + step * np.array([-2, -1, 1, 2]))
    return variance(points) @ np.array([1, -8, 8, -1]) / (12 * step * square)
