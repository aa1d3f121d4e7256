"""A small skewed cell of two elements, and models with random weights: what the parts of a potential are tested on."""

from __future__ import annotations

import numpy as np
import torch

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.examples import configuration_batch
from aiida_clathrate.kernels.mlp.model import Model
from aiida_clathrate.kernels.mlp.potential import Potential
from aiida_clathrate.kernels.mlp.weights import expected

#: Atoms see their own images.
CELL = np.array([[4.2, 0.0, 0.0], [1.3, 3.9, 0.0], [-0.6, 0.9, 4.4]])
SYMBOLS = ('C', 'H', 'C', 'H', 'C')
SPECIES = ('C', 'H')
FRACTIONS = np.array([[0.0, 0.0, 0.0], [0.4, 0.1, 0.2], [0.5, 0.5, 0.6], [0.1, 0.6, 0.3], [0.8, 0.9, 0.7]])
NUMBERS = np.array([SPECIES.index(symbol) for symbol in SYMBOLS])
ARCHITECTURE = Architecture(
    radial_order=4, radial_cutoff=4.6, angular_order=3, angular_cutoff=3.7, largest_l=3, channels=3, linear_channels=4,
    attention_heads=2, token_size=4, hidden=(6, 5),
)  # fmt: skip


def positions(count=1, spread=0.15, seed=0):
    """Return displaced configurations, shape (count, 5, 3)."""
    return FRACTIONS @ CELL + spread * np.random.default_rng(seed).normal(size=(count, 5, 3))


def random_model(architecture=ARCHITECTURE, linear=True, network=True, seed=3):
    """Return a model all of whose weights count."""
    model = Model(architecture, len(SPECIES))
    model.initialise(seed)
    generator = torch.Generator().manual_seed(seed + 10)
    with torch.no_grad():
        for weight in [*model.network.parameters(), model.linear.coefficients, model.linear.middle]:
            weight.add_(torch.randn(weight.shape, generator=generator, dtype=torch.float64), alpha=0.3)
        model.network.scale *= 0.7
        model.network.shift += 0.2
    model.has_linear, model.has_network = linear, network
    model.energy_scale = 0.4 if network else 0.0
    return model


def random_potential(baseline=None, **options):
    """Return a random model as a potential."""
    model = random_model(**options)
    rng = np.random.default_rng(7)
    weights = model.arrays()
    if not model.has_linear:
        weights['linear.coefficients'] *= 0
    shapes = expected(model.architecture, len(SPECIES))
    weights |= {
        'reference': np.array([-3.0, -1.5]), 'energy_scale': np.array(model.energy_scale),
        'spread_factor': rng.normal(size=shapes['spread_factor']), 'calibration': np.array([-1.0, 0.8]),
    }  # fmt: skip
    return Potential(model.architecture, SPECIES, weights, baseline)


def batch_of(configuration, cell=CELL, numbers=NUMBERS, architecture=ARCHITECTURE, dtype=torch.float64):
    """Return one configuration with its exact neighbours."""
    return configuration_batch(configuration, cell, np.asarray(numbers), len(SPECIES), architecture, dtype)
