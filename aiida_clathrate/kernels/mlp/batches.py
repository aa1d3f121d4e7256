"""Batches of configurations, and what a network says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.moments import (
    AngularMoments,
    RadialMoments,
    Shell,
    forces_and_virials,
    joined,
)
from aiida_clathrate.kernels.mlp.network import Network


@dataclass(frozen=True)
class Batch:
    """Atoms of several configurations with their neighbours.

    :param species: number of the species of each atom, shape (n,).
    :param configuration: number of the configuration of each atom, shape (n,).
    :param count: of the configurations.
    :param radial: neighbours within the radial cutoff.
    :param angular: neighbours within the angular cutoff.
    """

    species: Tensor
    configuration: Tensor
    count: int
    radial: Shell
    angular: Shell

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return replace(
            self, species=self.species.to(device), configuration=self.configuration.to(device),
            radial=self.radial.to(device), angular=self.angular.to(device),
        )  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """What a network says of a batch, the energies of the elements and a baseline left out.

    :param energies: of the configurations, shape (c,) [eV].
    :param forces: shape (n, 3) [eV/Å].
    :param virials: minus the derivative with respect to a homogeneous strain, shape (c, 3, 3) [eV].
    :param features: of the atoms, shifted and scaled, where asked for, shape (n, features).
    """

    energies: Tensor
    forces: Tensor
    virials: Tensor
    features: Tensor | None = None


def join(batches: Sequence[Batch], architecture: Architecture) -> Batch:
    """Return several batches as one."""
    counts = np.cumsum([0] + [batch.count for batch in batches])
    return Batch(
        torch.cat([batch.species for batch in batches]),
        torch.cat([batch.configuration + int(start) for batch, start in zip(batches, counts, strict=False)]),
        int(counts[-1]),
        joined([batch.radial for batch in batches], architecture.radial_cutoff),
        joined([batch.angular for batch in batches], architecture.angular_cutoff),
    )


def predict(
    network: Network, batch: Batch, scale: float, *, training: bool = False, features: bool = False
) -> Prediction:
    """Return energies, forces and virials.

    Forces are exact derivatives of the energies: torch differentiates the part of each atom, the moments are
    differentiated by hand.

    :param scale: ε of the energies [eV].
    :param training: whether the result is to be differentiated with respect to the weights.
    :param features: whether those of the atoms are wanted.
    """
    radial, angular = (
        RadialMoments(batch.radial, network.architecture), AngularMoments(batch.angular, network.architecture)
    )  # fmt: skip
    sums, moments = radial.moments().requires_grad_(), angular.moments().requires_grad_()
    energies = sums.new_zeros(len(sums))
    kept = sums.new_zeros(len(sums), network.shift[0].numel()) if features else None
    with torch.enable_grad():
        for element in range(network.count):
            atoms = torch.nonzero(batch.species == element)[:, 0]
            if not len(atoms):
                continue
            found = network.features(sums[atoms], moments[:, atoms], element)
            energies = energies.index_add(0, atoms, network.energies(found, element))
            if kept is not None:
                scaled = (found.detach() - network.shift[element]) * network.scale[element]
                kept[atoms] = scaled.flatten(1)
        total = scale * energies.sum()
        by_sum, by_moment = torch.autograd.grad(total, (sums, moments), create_graph=training)
    with torch.set_grad_enabled(training):
        parts = [(batch.radial, radial.pair_gradients(by_sum)), (batch.angular, angular.pair_gradients(by_moment))]
        forces, virials = forces_and_virials(parts, batch.configuration, batch.count)
        by_configuration = energies.new_zeros(batch.count, dtype=torch.float64).index_add(
            0, batch.configuration, scale * energies.double()
        )
    return Prediction(by_configuration, forces, virials, kept)
