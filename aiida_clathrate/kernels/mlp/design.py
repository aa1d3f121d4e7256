"""Derivatives of all features of the linear part: the design of a least-squares fit to energies, forces and virials."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.batches import Batch
from aiida_clathrate.kernels.mlp.moments import AngularMoments, RadialMoments, Shell
from aiida_clathrate.kernels.mlp.network import Channels, Linear

#: Elements of the derivatives of pairs that are held at a time, about a quarter of a gigabyte.
HELD = 2**25


@dataclass(frozen=True)
class Design:
    """What each coefficient adds to the results for one configuration; columns are species · features.

    :param energies: sums of the features, shape (columns,).
    :param forces: minus their derivatives, shape (n, 3, columns) [1/Å].
    :param virials: minus their derivatives with respect to a strain, shape (3, 3, columns).
    """

    energies: Tensor
    forces: Tensor
    virials: Tensor


def design(linear: Linear, architecture: Architecture, batch: Batch) -> Design:
    """Return the design of one configuration, in the precision of the linear part.

    :param batch: of one configuration.
    """
    radial, angular = RadialMoments(batch.radial, architecture), AngularMoments(batch.angular, architecture)
    sums, moments = radial.moments(), angular.moments()
    atoms, width = len(sums), linear.coefficients.shape[1]
    species, features = len(linear.coefficients), linear.channels.invariants.count + 1
    energies = sums.new_zeros(species, width)
    # The channels last, where they are contiguous; features have them first, in the end.
    forces = sums.new_zeros(species, atoms, 3, features, width // features)
    virials = sums.new_zeros(species, 3, 3, features, width // features)
    for element, members in batch.by_element(species):
        found = linear.channels(sums[members], moments[:, members], element)
        energies[element] = (found.flatten(1) - linear.middle[element]).sum(0)
        held = max(1, HELD // (3 * width * max(1, batch.angular.neighbours.shape[1])))
        for chunk in torch.split(members, held):
            own = radial_derivatives(linear.channels, radial, element, chunk)
            add_pairs(forces[element, :, :, :1], virials[element, :, :, :1], batch.radial, chunk, own)
            own = angular_derivatives(linear.channels, angular, moments[:, chunk], element, chunk)
            add_pairs(forces[element, :, :, 1:], virials[element, :, :, 1:], batch.angular, chunk, own)
    forces, virials = (array.transpose(3, 4).flatten(3).permute(1, 2, 0, 3).flatten(2) for array in (forces, virials))
    return Design(energies.flatten(), forces, virials)


def radial_derivatives(channels: Channels, radial: RadialMoments, element: int, atoms: Tensor) -> Tensor:
    """Return the derivatives of the radial sums with respect to the vectors, shape (n, j, 3, 1, channels)."""
    shell, mixing = radial.shell, channels.radial_mixing[element]
    slopes = mixed(radial.slopes, shell, mixing, atoms)
    unit = (shell.vectors[:, atoms] / radial.distance[atoms]).permute(1, 2, 0)
    return unit[..., None, None] * slopes[:, :, None, None]


def angular_derivatives(
    channels: Channels, angular: AngularMoments, moments: Tensor, element: int, atoms: Tensor
) -> Tensor:
    """Return the derivatives of the invariants with respect to the vectors, shape (n, j, 3, invariants, channels)."""
    order = channels.invariants.order_of_component
    by_component = invariant_derivatives(channels, torch.bmm(moments, channels.angular_mixing[element][order]))
    unit, distance = angular.unit[:, atoms], angular.distance[atoms]
    (count, places), width = distance.shape, by_component[0].shape[2]
    found = distance.new_zeros(count, places, 3, channels.invariants.count, width)
    for number in range(int(order[-1]) + 1):
        own = slice(number**2, (number + 1) ** 2)
        mixing = channels.angular_mixing[element][number]
        functions, slopes = (
            mixed(basis, angular.shell, mixing, atoms)[:, :, None] for basis in (angular.values, angular.slopes)
        )
        harmonic, gradient = angular.harmonics[own, atoms], angular.harmonic_gradients[:, own, atoms]
        tangent = (gradient - unit[:, None] * (gradient * unit[:, None]).sum(0)) / distance
        # Both kinds of derivatives of the harmonics, for one product of matrices: shape (n, j · 4, 2l + 1).
        both = torch.cat([tangent, harmonic[None]]).permute(2, 3, 0, 1).flatten(1, 2)
        for feature, derivatives in enumerate(by_component):
            part = derivatives[own]
            if not part.any():
                continue
            summed = torch.bmm(both, part.transpose(0, 1)).reshape(count, places, 4, width)
            along = summed[:, :, 3:] * slopes
            found[..., feature, :] += summed[:, :, :3] * functions + unit.permute(1, 2, 0)[..., None] * along
    return found


def mixed(basis: Tensor, shell: Shell, mixing: Tensor, atoms: Tensor) -> Tensor:
    """Return mixtures of radial functions, shape (n, j, channels).

    :param basis: shape (orders, all atoms, j).
    :param mixing: shape (species · orders, channels).
    """
    parts = zip(shell.blocks, torch.split(mixing, len(basis)), strict=True)
    return torch.cat([basis[:, atoms, block].permute(1, 2, 0) @ part for block, part in parts], dim=1)


def invariant_derivatives(channels: Channels, amplitudes: Tensor) -> list[Tensor]:
    """Return the derivative of each invariant with respect to A of its channel, shapes ((L + 1)², n, channels)."""
    with torch.enable_grad():
        own = amplitudes.detach().requires_grad_()
        invariants = channels.invariants(own)
        return [
            torch.autograd.grad(invariants[..., number].sum(), own, retain_graph=True)[0]
            for number in range(invariants.shape[2])
        ]


def add_pairs(forces: Tensor, virials: Tensor, shell: Shell, atoms: Tensor, by_pair: Tensor) -> None:
    """Add what derivatives with respect to the vectors of pairs give to forces and virials.

    :param forces: shape (n, 3, features, channels).
    :param virials: shape (3, 3, features, channels).
    :param by_pair: shape (members, j, 3, features, channels).
    """
    forces[atoms] += by_pair.sum(1)
    # Empty places point behind the last atom, and their derivatives vanish.
    neighbours = shell.neighbours[atoms].clamp(max=len(forces) - 1).reshape(-1)
    forces.index_add_(0, neighbours, by_pair.flatten(0, 1), alpha=-1)
    by_vector = shell.vectors[:, atoms].reshape(3, -1) @ by_pair.flatten(0, 1).flatten(1)
    virials -= by_vector.reshape(virials.shape).transpose(0, 1)
