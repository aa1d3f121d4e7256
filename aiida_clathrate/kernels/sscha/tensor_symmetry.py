"""The symmetry of third-order tensors of a crystal, imposed exactly.

An operation carries T(q; q'; q'') to the images of the three wave vectors, with the matrices of ``representation`` on
its three indices. The average over a group G with a subgroup H is that over H followed by that over one operation of
each coset of H in G, so a chain of subgroups needs few operations: of the 24 of Pm-3, five.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import mesh_points
from aiida_clathrate.kernels.space_group import SpaceGroup, space_group
from aiida_clathrate.kernels.sscha.triples import Tensors, Triples
from aiida_clathrate.kernels.symmetry import representation


@dataclass(frozen=True)
class Operation:
    """What an operation does to the tensors of one q.

    :param target: number of the q to which they go.
    :param conjugated: whether it is −q that the operation leads to.
    :param numbers: of the pair to which each pair goes, shape (p,).
    :param swapped: whether its q' and q'' come out in the other order, shape (p,).
    :param matrices: of a, shape (3n, 3n), of b and of c for each pair, shape (p, 3n, 3n).
    """

    target: int
    conjugated: bool
    numbers: torch.Tensor
    swapped: torch.Tensor
    matrices: tuple[torch.Tensor, torch.Tensor, torch.Tensor]

    def apply(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return what the tensors become, in the order of the pairs of their target."""
        outer, left, right = self.matrices
        turned = (outer @ tensor.reshape(len(tensor), -1)).reshape(tensor.shape)
        turned = left @ turned @ right.transpose(1, 2)
        turned[:, self.swapped] = turned[:, self.swapped].transpose(2, 3)
        result = torch.empty_like(turned)
        result[:, self.numbers] = turned.conj() if self.conjugated else turned
        return result


@dataclass(frozen=True)
class TensorSymmetry:
    """The average over the space group.

    :param steps: of the chain of subgroups: for each coset but the subgroup itself, the operation on each q.
    """

    steps: tuple[tuple[tuple[Operation, ...], ...], ...]

    def average(self, tensors: Tensors) -> Tensors:
        """Return the tensors nearest to the given ones that have the symmetry of the crystal."""
        for cosets in self.steps:
            total = [tensor.clone() for tensor in tensors]
            for operations in cosets:
                for operation, tensor in zip(operations, tensors, strict=True):
                    total[operation.target] += operation.apply(tensor)
            tensors = [tensor / (1 + len(cosets)) for tensor in total]
        return tensors


def tensor_symmetry(crystal: Crystal, triples: Triples, like: torch.Tensor) -> TensorSymmetry:
    """Return the average over the space group of the crystal for tensors of the type and on the device of ``like``.

    :raises ValueError: if the mesh has less symmetry than the crystal.
    """
    group = space_group(crystal)
    images = group.images(triples.mesh)
    return TensorSymmetry(
        tuple(
            tuple(_operation(group.subset(np.array([number])), images[number], triples, like) for number in cosets)
            for cosets in coset_chain(group)
        )
    )


def coset_chain(group: SpaceGroup) -> list[list[int]]:
    """Return operations, one of each coset but the first, of each step of a chain of subgroups from 1 to the group."""
    table = multiplication_table(group)
    subgroup = [int(np.flatnonzero((table == np.arange(len(group))).all(axis=1))[0])]
    chain = []
    while len(subgroup) < len(group):
        rest = sorted(set(range(len(group))) - set(subgroup))
        larger = min((_closure(table, [*subgroup, number]) for number in rest), key=len)
        cosets, covered = [], set(subgroup)
        for number in larger:
            if number not in covered:
                cosets.append(number)
                covered |= set(table[number, subgroup].tolist())
        chain.append(cosets)
        subgroup = larger
    return chain


def multiplication_table(group: SpaceGroup) -> NDArray[np.int64]:
    """Return the number of the operation i after j, modulo translations of the lattice, shape (g, g)."""
    # Where the atoms go fixes the translation; the rotation of a single atom is seen in W alone.
    keys = np.hstack([group.rotations.reshape(len(group), -1), group.permutations])
    numbers = {key.tobytes(): number for number, key in enumerate(keys)}
    table = np.empty((len(group), len(group)), dtype=np.int64)
    for i, j in np.ndindex(table.shape):
        rotation = group.rotations[i] @ group.rotations[j]
        key = np.concatenate([rotation.ravel(), group.permutations[i][group.permutations[j]]])
        table[i, j] = numbers[key.tobytes()]
    return table


def _closure(table: NDArray[np.int64], members: list[int]) -> list[int]:
    """Return the smallest subgroup with these members."""
    found = set(members)
    while True:
        listed = sorted(found)
        larger = set(table[np.ix_(listed, listed)].ravel().tolist())
        if larger == found:
            return listed
        found = larger


def _operation(
    group: SpaceGroup, images: NDArray[np.int64], triples: Triples, like: torch.Tensor
) -> tuple[Operation, ...]:
    """Return what the only operation of ``group``, which leads from q to ``images``, does to the tensors of each q."""
    unitary = np.concatenate([representation(group, point) for point in mesh_points(triples.mesh)])
    matrices = torch.from_numpy(unitary if like.is_complex() else unitary.real.copy()).to(like)
    operations = []
    for kept, pairs in zip(triples.vectors.kept, triples.pairs, strict=True):
        found = [triples.locate(int(images[kept]), int(images[first])) for first, _ in pairs]
        target, _, _, conjugated = found[0]
        operations.append(
            Operation(
                target,
                conjugated,
                torch.tensor([number for _, number, _, _ in found], device=like.device),
                torch.tensor([swapped for _, _, swapped, _ in found], device=like.device),
                (matrices[kept], matrices[pairs[:, 0]], matrices[pairs[:, 1]]),
            )
        )
    return tuple(operations)
