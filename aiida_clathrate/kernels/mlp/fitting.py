"""Steps of the training of a network: loss, moving average, errors on a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aiida_clathrate.kernels.mlp.batches import join
from aiida_clathrate.kernels.mlp.examples import Example
from aiida_clathrate.kernels.mlp.model import Model, Prediction, predict
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings

Floats = NDArray[np.float64]

#: Energies for each atom count in units of no less than the work of a typical force over this way [Å].
LEAST_LENGTH = 1e-4


@dataclass(frozen=True)
class Scales:
    """Units of the errors in the loss: spreads of what the network has to explain.

    :param energy: of the energies for each atom [eV].
    :param force: of the force components [eV/Å].
    :param virial: of the elements of the virials for each atom [eV].
    """

    energy: float
    force: float
    virial: float

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Scales:
        """Return those of a training set.

        :raises ValueError: if all forces vanish: nothing can be learnt from them.
        """
        energies = np.array([each.energy / each.atoms for each in examples])
        forces = torch.cat([each.forces for each in examples])
        virials = [(each.virial / each.atoms).flatten() for each in examples if each.virial is not None]
        force = float(forces.double().square().mean().sqrt())
        if force == 0:
            raise ValueError('all forces are zero: nothing can be learnt from them')
        # The energies of a pair ±u differ by rounding alone, which is no scale.
        energy = max(float(energies.std()), LEAST_LENGTH * force)
        virial = float(torch.stack(virials).double().std(0).square().mean().sqrt()) if len(virials) > 1 else 0.0
        return cls(energy, force, virial or force)


def loss_of(found: Prediction, examples: Sequence[Example], scales: Scales, settings: TrainingSettings) -> Tensor:
    """Return the loss of a batch: weighted mean squares of errors in units of the scales."""
    device = found.energies.device
    atoms = torch.tensor([each.atoms for each in examples], dtype=torch.float64, device=device)
    energies = torch.tensor([each.energy for each in examples], dtype=torch.float64, device=device)
    wrong = (found.energies - energies) / atoms / scales.energy
    forces = torch.cat([each.forces for each in examples])
    loss = settings.force_weight * ((found.forces - forces) / scales.force).square().mean()
    loss = loss + settings.energy_weight * wrong.square().mean().to(loss.dtype)
    known = [number for number, each in enumerate(examples) if each.virial is not None]
    if known and settings.stress_weight > 0:
        targets = torch.stack([each.virial for each in examples if each.virial is not None])
        off = (found.virials[known] - targets) / atoms[known, None, None].to(targets.dtype)
        loss = loss + settings.stress_weight * (off / scales.virial).square().mean()
    return loss


def step(
    model: Model, optimiser: torch.optim.Optimizer, examples: Sequence[Example], scales: Scales,
    settings: TrainingSettings,
) -> float:  # fmt: skip
    """Take one step of the optimiser, and return the loss before it."""
    batch = join([each.batch for each in examples], model.architecture)
    optimiser.zero_grad(set_to_none=True)
    loss = loss_of(predict(model, batch, training=True), examples, scales, settings)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.network.parameters(), 10.0)
    optimiser.step()
    return float(loss.detach())


@dataclass(frozen=True)
class Errors:
    """Predictions minus labels of the configurations of a set.

    :param energies: for each atom, shape (c,) [eV].
    :param forces: of each configuration, shapes (n, 3) [eV/Å].
    :param virials: of each configuration, shape (3, 3) [eV], ``None`` where there is no label.
    :param features: of the atoms of each configuration where asked for, shapes (n, f).
    """

    energies: Floats
    forces: list[Floats]
    virials: list[Floats | None]
    features: list[Floats]

    @property
    def energy_rmse(self) -> float:
        """Return the root of the mean square error of the energies [eV/atom]."""
        return float(np.sqrt(np.mean(self.energies**2)))

    @property
    def force_rmse(self) -> float:
        """Return the root of the mean square error of the force components [eV/Å]."""
        return float(np.sqrt(np.mean(np.concatenate(self.forces) ** 2)))


def errors_of(model: Model, examples: Sequence[Example], size: int, features: bool = False) -> Errors:
    """Return the errors of a model on a set.

    :param size: configurations in a batch.
    """
    energies, forces, virials, kept = [], [], [], []
    for start in range(0, len(examples), size):
        chosen = examples[start : start + size]
        found = predict(model, join([each.batch for each in chosen], model.architecture), features=features)
        counts = [each.atoms for each in chosen]
        by_configuration = zip(chosen, found.energies, torch.split(found.forces, counts), found.virials, strict=True)
        for each, energy, force, virial in by_configuration:
            energies.append((float(energy) - each.energy) / each.atoms)
            forces.append((force - each.forces).double().cpu().numpy())
            virials.append(None if each.virial is None else (virial - each.virial).double().cpu().numpy())
        if found.features is not None:
            kept += [part.double().cpu().numpy() for part in torch.split(found.features, counts)]
    return Errors(np.array(energies), forces, virials, kept)


def validation_loss(errors: Errors, scales: Scales, settings: TrainingSettings) -> float:
    """Return the loss of errors in energies and forces."""
    energies = settings.energy_weight * (errors.energy_rmse / scales.energy) ** 2
    return float(energies + settings.force_weight * (errors.force_rmse / scales.force) ** 2)
