"""Linear part and network together: energies of atoms, and with the moments energies, forces and virials of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.batches import Batch
from aiida_clathrate.kernels.mlp.moments import AngularMoments, RadialMoments, forces_and_virials
from aiida_clathrate.kernels.mlp.network import Linear, Network


class Model(nn.Module):
    """E = Σ_i θ·(f_i − f̄) + ε · network(f'_i), with features f of random channels and f' of learnt ones.

    :param architecture: orders and sizes.
    :param count: of the species.
    """

    linear: Linear
    network: Network

    def __init__(self, architecture: Architecture, count: int):
        super().__init__()
        self.architecture, self.count = architecture, count
        self.linear, self.network = Linear(architecture, count), Network(architecture, count)
        self.energy_scale = 0.0
        self.has_linear = self.has_network = False

    def initialise(self, seed: int) -> None:
        """Draw all weights."""
        self.linear.initialise(torch.Generator().manual_seed(seed))
        self.network.initialise(torch.Generator().manual_seed(seed + 1))

    def remove_network(self) -> None:
        """Leave the linear part alone."""
        self.has_network, self.energy_scale = False, 0.0
        with torch.no_grad():
            for weight in self.network.parameters():
                weight.zero_()

    def features(self, sums: Tensor, moments: Tensor, element: int) -> Tensor:
        """Return the features of the linear part for atoms of one element, shape (n, channels, features)."""
        found: Tensor = self.linear.channels(sums, moments, element)
        return found

    def energies(self, sums: Tensor, moments: Tensor, element: int, features: Tensor | None) -> Tensor:
        """Return the energies of atoms of one element, shape (n,) [eV].

        :param sums: radial moments of the atoms.
        :param moments: angular ones.
        :param features: of the linear part; ``None`` where it is not used.
        """
        found = sums.new_zeros(len(sums))
        if features is not None and self.has_linear:
            found = found + self.linear(features, element)
        if self.has_network:
            learnt = self.network.channels(sums, moments, element)
            found = found + self.energy_scale * self.network(learnt, element)
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the weights as arrays by name."""
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.state_dict().items()}

    @classmethod
    def from_arrays(cls, architecture: Architecture, count: int, arrays: Mapping[str, NDArray[Any]]) -> Model:
        """Return the model with given weights, ``energy_scale`` among them; others are left alone."""
        model = cls(architecture, count)
        names = model.state_dict()
        model.load_state_dict({name: torch.from_numpy(np.array(arrays[name])) for name in names})
        model.energy_scale = float(arrays['energy_scale'])
        model.has_linear = bool(model.linear.coefficients.any())
        model.has_network = model.energy_scale > 0
        return model


@dataclass(frozen=True)
class Prediction:
    """What a model says of a batch, the energies of the elements and a baseline left out.

    :param energies: of the configurations, shape (c,) [eV].
    :param forces: shape (n, 3) [eV/Å].
    :param virials: minus the derivative with respect to a homogeneous strain, shape (c, 3, 3) [eV].
    :param features: of the atoms, in the linear part, where asked for, shape (n, f).
    """

    energies: Tensor
    forces: Tensor
    virials: Tensor
    features: Tensor | None = None


def predict(model: Model, batch: Batch, *, training: bool = False, features: bool = False) -> Prediction:
    """Return energies, forces and virials.

    Forces are exact derivatives of the energies: torch differentiates the part of each atom, the moments are
    differentiated by hand.

    :param training: whether the result is to be differentiated with respect to the weights.
    :param features: whether those of the atoms are wanted.
    """
    architecture = model.architecture
    radial, angular = RadialMoments(batch.radial, architecture), AngularMoments(batch.angular, architecture)
    sums, moments = radial.moments().requires_grad_(), angular.moments().requires_grad_()
    energies, kept = sums.new_zeros(len(sums)), None
    with torch.enable_grad():
        for element, atoms in batch.by_element(model.count):
            own = sums[atoms], moments[:, atoms]
            described = model.features(*own, element) if features or model.has_linear else None
            energies = energies.index_add(0, atoms, model.energies(*own, element, described))
            if features and described is not None:
                # In reference to their mean over the training set.
                found = described.detach().flatten(1) - model.linear.middle[element]
                kept = found.new_zeros(len(sums), found.shape[1]) if kept is None else kept
                kept[atoms] = found
        by_sum, by_moment = gradients(energies, (sums, moments), training)
    with torch.set_grad_enabled(training):
        parts = [(batch.radial, radial.pair_gradients(by_sum)), (batch.angular, angular.pair_gradients(by_moment))]
        forces, virials = forces_and_virials(parts, batch.configuration, batch.count)
        total = energies.new_zeros(batch.count, dtype=torch.float64)
        total = total.index_add(0, batch.configuration, energies.double())
    return Prediction(total, forces, virials, kept)


def gradients(energies: Tensor, moments: tuple[Tensor, Tensor], training: bool) -> tuple[Tensor, Tensor]:
    """Return the derivatives of the sum of energies with respect to both kinds of moments."""
    if not energies.requires_grad:
        return torch.zeros_like(moments[0]), torch.zeros_like(moments[1])
    first, second = torch.autograd.grad(energies.sum(), moments, create_graph=training)
    return first, second
