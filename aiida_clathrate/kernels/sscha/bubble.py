"""The static bubble: how a pair of modes answers, and the coordinates in which it is minus one.

The free-energy Hessian is H = Φ + T G (1 − M G)⁻¹ T with third and fourth derivatives T, M of the averaged potential
and, in mass-weighted modes, G_μν = ½ (a²_μ − a²_ν)/(ω²_μ − ω²_ν) (R. Bianco et al., Phys. Rev. B 96, 014111
(2017)). As a² falls with ω, G = −L L†, and H = Φ − b (1 + L†M L)⁻¹ b† with b = L†T: a hermitian problem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from aiida_clathrate.kernels.sscha.gaussian import Gaussian
from aiida_clathrate.kernels.sscha.pair_response import pair_response
from aiida_clathrate.kernels.sscha.triples import Tensors, Triples


@dataclass(frozen=True)
class Bubble:
    """L for every pair of wave vectors.

    :param vectors: e/√M, modes as columns, on the whole mesh, shape (q, 3n, 3n) [amu^(−1/2)].
    :param roots: √(−G) times the root of the number of orders of the pair, for each q kept, shape (p, 3n, 3n).
    """

    triples: Triples
    vectors: torch.Tensor
    roots: tuple[torch.Tensor, ...]

    def from_modes(self, modes: Tensors) -> Tensors:
        """Return L y, times the number of orders of each pair: ready to be contracted with pairs of waves."""
        result = []
        for pairs, root, tensor in zip(self.triples.pairs, self.roots, modes, strict=True):
            left, right = self.vectors[pairs[:, 0]], self.vectors[pairs[:, 1]]
            result.append(left @ (root * tensor) @ right.transpose(1, 2))
        return result

    def to_modes(self, tensors: Tensors) -> Tensors:
        """Return L† W."""
        result = []
        for pairs, root, tensor in zip(self.triples.pairs, self.roots, tensors, strict=True):
            left, right = self.vectors[pairs[:, 0]], self.vectors[pairs[:, 1]]
            result.append(root * (left.conj().transpose(1, 2) @ tensor @ right.conj()))
        return result


def bubble(gaussian: Gaussian, triples: Triples, device: torch.device) -> Bubble:
    """Return the bubble of the auxiliary matrices."""
    masses = np.repeat(gaussian.matrices.crystal.masses, 3)
    vectors = triples.full_mesh(gaussian.modes[1] / np.sqrt(masses)[:, None], device)
    response = pair_response(gaussian)
    # The same at ±q: number of the wave vector kept for each of the mesh.
    kept = np.searchsorted(triples.vectors.kept, np.minimum(np.arange(triples.vectors.cells), triples.opposite))
    roots = []
    for pairs, weights in zip(triples.pairs, triples.weights, strict=True):
        squares = -weights[:, None, None] * response[kept[pairs[:, 0]], :, kept[pairs[:, 1]]]
        roots.append(torch.from_numpy(np.sqrt(squares)).to(device))
    return Bubble(triples, vectors, tuple(roots))
