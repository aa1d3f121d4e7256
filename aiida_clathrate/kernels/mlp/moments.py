"""Moments of the neighbours of each atom, and forces from the derivatives of an energy with respect to them.

The moments M_(i,lm,sk) = Σ_(j of species s) T_k(2r_ij/R − 1) f_c(r_ij) S_lm(r̂_ij) hold no parameter. What a network
makes of them is differentiated by torch atom by atom; from there to forces and virial the way is linear in these
derivatives and written out here, so that training needs no second derivatives of what belongs to pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.harmonics import harmonics
from aiida_clathrate.kernels.mlp.neighbours import Places
from aiida_clathrate.kernels.mlp.radial import chebyshev


@dataclass(frozen=True)
class Shell:
    """Vectors to the neighbours within a cutoff.

    :param vectors: shape (3, n, j) [Å].
    :param neighbours: index of each neighbour among the n atoms of the batch, n for an empty place, shape (n, j).
    :param bounds: place where each species begins, and the end.
    """

    vectors: Tensor
    neighbours: Tensor
    bounds: tuple[int, ...]

    def to(self, device: torch.device, dtype: torch.dtype) -> Shell:
        """Return the shell on a device, with vectors in a precision."""
        return replace(self, vectors=self.vectors.to(device, dtype), neighbours=self.neighbours.to(device))

    @property
    def blocks(self) -> list[slice]:
        """Return the places of each species."""
        return [slice(*pair) for pair in zip(self.bounds, self.bounds[1:], strict=False)]


def shell(positions: Tensor, places: Places, cell: NDArray[np.float64], cutoff: float, dtype: torch.dtype) -> Shell:
    """Return the shell of several configurations of one structure.

    :param positions: shape (c, n, 3), double [Å].
    :param places: of the neighbours.
    :param cell: lattice vectors as rows [Å].
    :param cutoff: distance that empty places get [Å].
    :param dtype: of the vectors.
    """
    count, atoms = positions.shape[:2]
    device = positions.device
    empty = places.neighbours < 0
    index = torch.from_numpy(np.where(empty, 0, places.neighbours)).to(device)
    offsets = torch.from_numpy(places.shifts @ cell).permute(2, 0, 1).contiguous().to(device)
    flat = positions.permute(2, 0, 1).contiguous()
    vectors = flat[:, :, index.reshape(-1)].reshape(3, count, *index.shape)
    vectors = vectors.sub_(flat[..., None]).add_(offsets[:, None])
    hole = torch.from_numpy(empty).to(device)
    vectors.masked_fill_(hole, 0.0)
    vectors[0].masked_fill_(hole, cutoff)
    start = torch.arange(count, device=device)[:, None, None] * atoms
    neighbours = (index + start).masked_fill_(hole, count * atoms)
    return Shell(vectors.to(dtype).reshape(3, count * atoms, -1), neighbours.reshape(count * atoms, -1), places.bounds)


def joined(shells: Sequence[Shell], cutoff: float) -> Shell:
    """Return the shells of different structures as one, with as many places as the largest needs."""
    if len(shells) == 1:
        return shells[0]
    widths = np.array([np.diff(each.bounds) for each in shells]).max(axis=0)
    bounds = tuple(int(bound) for bound in np.concatenate([[0], np.cumsum(widths)]))
    total = sum(each.neighbours.shape[0] for each in shells)
    vectors = shells[0].vectors.new_zeros(3, total, bounds[-1])
    vectors[0] = cutoff
    neighbours = shells[0].neighbours.new_full((total, bounds[-1]), total)
    start = 0
    for each in shells:
        size = each.neighbours.shape[0]
        rows = slice(start, start + size)
        for new, old in zip(bounds, each.blocks, strict=False):
            columns = slice(new, new + old.stop - old.start)
            own = each.neighbours[:, old]
            vectors[:, rows, columns] = each.vectors[:, :, old]
            neighbours[rows, columns] = torch.where(own == size, total, own + start)
        start += size
    return Shell(vectors, neighbours, bounds)


class RadialMoments:
    """Sums of the radial basis over the neighbours of each species.

    :param shell: neighbours within the radial cutoff.
    :param architecture: order and cutoff.
    """

    def __init__(self, shell: Shell, architecture: Architecture):
        self.shell = shell
        self.distance = shell.vectors.square().sum(0).sqrt_()
        self.values, self.slopes = chebyshev(self.distance, architecture.radial_order, architecture.radial_cutoff)

    def moments(self) -> Tensor:
        """Return the sums, shape (n, species · orders)."""
        return torch.cat([self.values[:, :, block].sum(2) for block in self.shell.blocks]).T.contiguous()

    def pair_gradients(self, derivatives: Tensor) -> Tensor:
        """Return the derivatives of the energy with respect to the vectors, shape (3, n, j) [eV/Å].

        :param derivatives: of the energy with respect to the moments, shape (n, species · orders).
        """
        orders = len(self.values)
        radial = [
            torch.bmm(part[:, None, :], self.slopes[:, :, block].transpose(0, 1))[:, 0]
            for part, block in zip(torch.split(derivatives, orders, dim=1), self.shell.blocks, strict=True)
        ]
        return (torch.cat(radial, dim=1) / self.distance) * self.shell.vectors


class AngularMoments:
    """Sums of the angular basis over the neighbours of each species.

    :param shell: neighbours within the angular cutoff.
    :param architecture: orders and cutoff.
    """

    def __init__(self, shell: Shell, architecture: Architecture):
        self.shell = shell
        self.distance = shell.vectors.square().sum(0).sqrt_()
        self.unit = shell.vectors / self.distance
        self.values, self.slopes = chebyshev(self.distance, architecture.angular_order, architecture.angular_cutoff)
        self.harmonics, self.harmonic_gradients = harmonics(self.unit, architecture.largest_l)

    def moments(self) -> Tensor:
        """Return the sums, shape ((L + 1)², n, species · orders)."""
        sums = [
            torch.bmm(self.harmonics[:, :, block].transpose(0, 1), self.values[:, :, block].permute(1, 2, 0))
            for block in self.shell.blocks
        ]
        return torch.cat(sums, dim=2).transpose(0, 1)

    def pair_gradients(self, derivatives: Tensor) -> Tensor:
        """Return the derivatives of the energy with respect to the vectors, shape (3, n, j) [eV/Å].

        :param derivatives: of the energy with respect to the moments, shape ((L + 1)², n, species · orders).
        """
        orders = len(self.values)
        found = []
        for part, block in zip(torch.split(derivatives, orders, dim=2), self.shell.blocks, strict=True):
            matrix = part.transpose(0, 1)
            # Σ_k ∂E/∂M_(lm,k) times the radial function, and times its slope: shapes ((L + 1)², n, j).
            by_angle = torch.bmm(matrix, self.values[:, :, block].transpose(0, 1)).transpose(0, 1)
            by_length = torch.bmm(matrix, self.slopes[:, :, block].transpose(0, 1)).transpose(0, 1)
            radial = (by_length * self.harmonics[:, :, block]).sum(0)
            tangent = torch.stack([(by_angle * along[:, :, block]).sum(0) for along in self.harmonic_gradients])
            unit, distance = self.unit[:, :, block], self.distance[:, block]
            tangent = tangent / distance
            found.append(tangent + unit * (radial - (tangent * unit).sum(0)))
        return torch.cat(found, dim=2)


def forces_and_virials(
    parts: Sequence[tuple[Shell, Tensor]], configuration: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Return forces, and minus the derivative of the energy with respect to a homogeneous strain.

    :param parts: shells, and the derivatives of the energy with respect to their vectors, shape (3, n, j) [eV/Å].
    :param configuration: of each atom, shape (n,).
    :param count: of the configurations.
    :returns: shapes (n, 3) [eV/Å] and (count, 3, 3) [eV].
    """
    forces = virials = None
    for shell, gradients in parts:
        atoms = shell.neighbours.shape[0]
        by_pair = gradients.permute(1, 2, 0)
        pulled = by_pair.new_zeros(atoms + 1, 3).index_add(0, shell.neighbours.reshape(-1), by_pair.reshape(-1, 3))
        force = by_pair.sum(1) - pulled[:-1]
        by_atom = -torch.bmm(gradients.transpose(0, 1), shell.vectors.permute(1, 2, 0))
        virial = by_atom.new_zeros(count, 3, 3).index_add(0, configuration, by_atom)
        forces = force if forces is None else forces + force
        virials = virial if virials is None else virials + virial
    if forces is None or virials is None:
        raise ValueError('parts: need at least one')
    return forces, virials
