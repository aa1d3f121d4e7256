"""Triples of wave vectors that add up to zero: where the third-order tensors of a crystal live.

A tensor T that is invariant under the translations of the lattice has elements T(q a; q' b; q'' c) only where
q + q' + q'' is a reciprocal lattice vector. Of q one of each pair ±q is kept, T(−q; −q'; −q'') = T(q; q'; q'')*; of q'
and q'', in which the tensors here are symmetric, one order. Elements belong to waves exp(−i q·R), as in ``waves``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import mesh_index, mesh_points
from aiida_clathrate.kernels.sscha.waves import Waves, WaveVectors, wave_vectors

#: One tensor for each q kept, shape (3n, p, 3n, 3n): a, the pair (q', q''), b, c.
Tensors = list[torch.Tensor]


@dataclass(frozen=True)
class Triples:
    """The pairs (q', q'') of a mesh that belong to each q kept.

    :param mesh: divisions of the supercell.
    """

    mesh: tuple[int, int, int]

    @cached_property
    def vectors(self) -> WaveVectors:
        """Return the wave vectors q kept."""
        return wave_vectors(self.mesh)

    @cached_property
    def opposite(self) -> NDArray[np.int64]:
        """Return the position of −q on the mesh for each q, shape (q,)."""
        return mesh_index(self.mesh, -mesh_points(self.mesh))

    @cached_property
    def partners(self) -> NDArray[np.int64]:
        """Return the position on the mesh of q'' = −q − q' for each q kept and each q', shape (k, q)."""
        points = mesh_points(self.mesh)
        return mesh_index(self.mesh, -points[self.vectors.kept, None] - points)

    @cached_property
    def pairs(self) -> tuple[NDArray[np.int64], ...]:
        """Return positions on the mesh of q' ≤ q'' for each q kept, shape (p, 2)."""
        first = np.arange(self.vectors.cells)
        return tuple(np.stack([first, second], axis=1)[first <= second] for second in self.partners)

    @cached_property
    def weights(self) -> tuple[NDArray[np.float64], ...]:
        """Return how many orders each pair has, shape (p,): sums over all q' are sums over pairs with these."""
        return tuple(np.where(pairs[:, 0] == pairs[:, 1], 1.0, 2.0) for pairs in self.pairs)

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """Return the number of the pair in which each q' is, for each q kept, shape (k, q)."""
        numbers = np.empty_like(self.partners)
        for row, pairs in zip(numbers, self.pairs, strict=True):
            row[pairs[:, 0]] = row[pairs[:, 1]] = np.arange(len(pairs))
        return numbers

    def locate(self, q: int, first: int) -> tuple[int, int, bool, bool]:
        """Return number of q and of the pair where T(q; q'; q'') is stored, if in the other order, if conjugated.

        :param q: position on the mesh of q.
        :param first: position on the mesh of q'.
        """
        conjugate = bool(q > self.opposite[q])
        if conjugate:
            q, first = int(self.opposite[q]), int(self.opposite[first])
        index = int(np.searchsorted(self.vectors.kept, q))
        number = int(self.numbers[index, first])
        return index, number, bool(self.pairs[index][number, 0] != first), conjugate

    def element(self, tensors: Tensors, q: int, first: int) -> torch.Tensor:
        """Return T(q a; q' b; q'' c) for any q and q' of the mesh, shape (3n, 3n, 3n)."""
        index, number, swapped, conjugate = self.locate(q, first)
        block = tensors[index][:, number]
        block = block.transpose(1, 2) if swapped else block
        return block.conj() if conjugate else block

    def full_mesh(self, waves: Waves, device: torch.device) -> torch.Tensor:
        """Return arrays of the whole mesh, shape (q, a, b), from those of the wave vectors kept, (k, a, b)."""
        full = waves if self.vectors.real else self.vectors.extend(waves)
        return torch.from_numpy(np.ascontiguousarray(full)).to(device)

    def zeros(self, size: int, like: torch.Tensor) -> Tensors:
        """Return tensors of zeros for 3n = ``size``, of the type and on the device of ``like``."""
        return [like.new_zeros((size, len(pairs), size, size)) for pairs in self.pairs]

    def symmetrise_indices(self, tensors: Tensors) -> Tensors:
        """Return the average over the permutations of the three indices of tensors symmetric in the last two."""
        averages = []
        for index, pairs in enumerate(self.pairs):
            q = int(self.vectors.kept[index])
            average = tensors[index].clone()
            for number, (first, second) in enumerate(pairs.tolist()):
                average[:, number] += self.element(tensors, first, q).permute(1, 0, 2)
                average[:, number] += self.element(tensors, second, q).permute(1, 2, 0)
            averages.append(average / 3)
        return averages
