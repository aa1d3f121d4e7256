"""The loss of the network, by hand."""

import numpy as np
import pytest
import torch
from mixed_cells import ARCHITECTURE, SPECIES, random_model
from teachers import NETWORK_TEACHER, labelled

from aiida_clathrate.kernels.mlp.batches import join
from aiida_clathrate.kernels.mlp.examples import examples
from aiida_clathrate.kernels.mlp.fitting import Scales, errors_of, loss_of, validation_loss
from aiida_clathrate.kernels.mlp.model import predict
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings

SETS = [labelled(NETWORK_TEACHER, 3, 0), labelled(NETWORK_TEACHER, 2, 1, stresses=False)]
EXAMPLES = examples(SETS, SPECIES, np.array([-3.0, -1.5]), ARCHITECTURE, None, torch.float64)
SETTINGS = TrainingSettings(force_weight=0.7, energy_weight=1.3, stress_weight=0.4)


def test_loss():
    """Mean squares of forces, energies for each atom, and virials where they are known, in units of the scales."""
    model, scales = random_model(), Scales(0.02, 0.3, 0.05)
    found = predict(model, join([each.batch for each in EXAMPLES], ARCHITECTURE))
    errors = errors_of(model, EXAMPLES, 2)
    forces = 0.7 * np.mean(np.square(errors.forces)) / 0.3**2
    energies = 1.3 * np.mean(np.square(errors.energies)) / 0.02**2
    virials = 0.4 * np.mean(np.square(np.array(errors.virials[:3]) / 5)) / 0.05**2
    assert errors.virials[3:] == [None, None]
    assert float(loss_of(found, EXAMPLES, scales, SETTINGS)) == pytest.approx(forces + energies + virials, rel=1e-10)
    assert validation_loss(errors, scales, SETTINGS) == pytest.approx(forces + energies, rel=1e-10)


def test_scales():
    """They are the spreads of the labels; energies that are all equal have a scale too."""
    scales = Scales.of(EXAMPLES)
    forces = np.concatenate([frames.forces.reshape(-1) for frames in SETS])
    assert scales.force == pytest.approx(np.sqrt(np.mean(forces**2)))
    energies = np.concatenate([frames.energies / 5 for frames in SETS])
    assert scales.energy == pytest.approx(energies.std())
    assert Scales.of(EXAMPLES[:1]).energy == pytest.approx(1e-4 * Scales.of(EXAMPLES[:1]).force)
