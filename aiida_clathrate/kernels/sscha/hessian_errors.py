"""Stochastic errors of the Hessian, from blocks of the ensemble, without solving again.

The Hessian H = Φ + T X† with X = G (1 − M G)⁻¹ T is a function of two averages, and to first order in what a block of
configurations adds to them δH = δT X† + X δT† + X δM X†: exact where blocks are small. Of each configuration only
r·X_a·r and r·X_a·f are needed. It is the error of H for given auxiliary matrices: neither the error of these matrices
nor the bias of H, of order 1/N, is in it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, acoustic_modes
from aiida_clathrate.kernels.sscha.samples import Samples
from aiida_clathrate.kernels.sscha.triples import Tensors
from aiida_clathrate.kernels.symmetry import project
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS


def hessian_deviations(
    samples: Samples, response: Tensors, inverse_covariance: torch.Tensor, fourth_order: bool, blocks: int
) -> NDArray[np.complex128]:
    """Return by how much each block moves H, to first order, shape (blocks, q, 3n, 3n) [eV/Å²].

    :param response: X times the number of orders of each pair, with the symmetry of the crystal.
    :param inverse_covariance: Υ(q) on the whole mesh, shape (q, 3n, 3n).
    :param fourth_order: whether M is in H.
    """
    moved = []
    forces = _mean_forces(samples, blocks)
    for index, tensor in enumerate(response):
        q = samples.triples.vectors.kept[index]
        squares, mixed = samples.contract(index, tensor, samples.even)
        left = [samples.even[q], samples.displacements[q]]
        right = [squares / -3, mixed / -3]
        if fourth_order:
            left.append(squares)
            right.append(samples.contract(index, tensor, samples.odd)[1] / -4)
        sums = _block_sums(samples, torch.stack(left), torch.stack(right), blocks)
        sums += torch.einsum('bc,acx->bax', forces, _force_response(samples, index, tensor, inverse_covariance))
        moved.append(sums)
    return _deviations(samples, moved)


def auxiliary_deviations(samples: Samples, blocks: int) -> NDArray[np.complex128]:
    """Return by how much each block moves ⟨∂²V⟩ = Φ − ⟨r f†⟩, shape (blocks, q, 3n, 3n) [eV/Å²]."""
    kept = samples.triples.vectors.kept
    moved = [_block_sums(samples, samples.displacements[q][None], samples.odd[q][None] / -2, blocks) for q in kept]
    return _deviations(samples, moved)


def symmetric_deviations(matrices: DynamicalMatrices, deviations: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return deviations with the symmetry of the crystal, so scaled that the sum of their squares is the variance."""
    count = len(deviations)
    return np.asarray(np.sqrt(count / (count - 1)) * project(matrices.crystal, matrices.mesh, deviations))


def frequency_errors(matrices: DynamicalMatrices, deviations: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the standard deviation of ħω of every mode, zero for the translations, shape (q, 3n) [meV].

    To first order: where it exceeds the frequency itself, only the sign of ω² is in doubt, not its error.

    :param deviations: of ``symmetric_deviations``, shape (blocks, q, 3n, 3n) [eV/Å²].
    """
    frequencies, vectors = matrices.modes
    translations = acoustic_modes(vectors[0], matrices.crystal.masses)
    scaled = vectors / np.repeat(np.sqrt(matrices.crystal.masses), 3)[:, None]
    shifts = ((deviations @ scaled) * scaled.conj()).sum(axis=-2).real
    slopes = np.zeros_like(frequencies)
    vibrations = np.ones(frequencies.shape, dtype=bool)
    vibrations[0, translations] = False
    slopes[vibrations] = MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS**2 / (2 * np.abs(frequencies[vibrations]))
    return np.asarray(slopes * np.sqrt((shifts**2).sum(axis=0)))


def block_slices(count: int, blocks: int) -> list[slice]:
    """Return consecutive parts of nearly equal size."""
    edges = np.linspace(0, count, blocks + 1).round().astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _block_sums(samples: Samples, left: torch.Tensor, right: torch.Tensor, blocks: int) -> torch.Tensor:
    """Return Σ ρ left_a right_b* over each block, for left and right of shape (g, c, 3n) summed over g too."""
    sums = []
    for part in block_slices(len(samples), blocks):
        weighted = left[:, part] * samples.weights[part, None]
        size = weighted.shape[-1]
        sums.append(weighted.reshape(-1, size).T @ right[:, part].reshape(-1, size).conj())
    return torch.stack(sums)


def _mean_forces(samples: Samples, blocks: int) -> torch.Tensor:
    """Return Σ ρ f at Γ over each block, shape (blocks, 3n)."""
    weighted = samples.even[0] * samples.weights[:, None]
    return torch.stack([weighted[part].sum(dim=0) for part in block_slices(len(samples), blocks)])


def _force_response(
    samples: Samples, index: int, tensor: torch.Tensor, inverse_covariance: torch.Tensor
) -> torch.Tensor:
    """Return by how much a mean force c moves T X† through the term Υ⟨f⟩ of T, shape (3n, 3n, 3n): a, c, a'."""
    triples = samples.triples
    q = int(triples.vectors.kept[index])
    opposite = int(triples.opposite[q])
    number = int(triples.numbers[index, opposite])
    block = tensor[:, number] * (2 / (3 * triples.weights[index][number]))
    if triples.pairs[index][number, 0] != opposite:
        block = block.transpose(1, 2)
    moved = torch.einsum('ab,xbc->acx', inverse_covariance[q], block.conj())
    if index == 0:
        traces = torch.einsum('xpbc,pbc->x', tensor.conj(), inverse_covariance[triples.pairs[0][:, 0]]) / 3
        moved += torch.einsum('ac,x->acx', torch.eye(samples.size).to(traces), traces)
    return moved


def _deviations(samples: Samples, sums: list[torch.Tensor]) -> NDArray[np.complex128]:
    """Return S_b − W_b Σ S of the sums of all q kept, made hermitian by adding their transposes, on the whole mesh."""
    stacked = torch.stack(sums, dim=1)
    parts = block_slices(len(samples), len(stacked))
    norms = torch.stack([samples.weights[part].sum() for part in parts])
    scatter = stacked - norms[:, None, None, None] * stacked.sum(dim=0)
    return samples.triples.vectors.extend((scatter + scatter.transpose(2, 3).conj()).cpu().numpy())
