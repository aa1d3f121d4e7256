"""Potentials with random weights: as good as any other for what is stored and read."""

from __future__ import annotations

import numpy as np
from springs import rocksalt, spring_matrices

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.potential import Potential
from aiida_clathrate.kernels.mlp.weights import expected

ARCHITECTURE = Architecture(
    radial_order=3, angular_order=2, largest_l=2, channels=2, attention_heads=2, token_size=4, hidden=(3,)
)
RECORD = {
    'model': 'both',
    'energy_rmse': 0.25,
    'force_rmse': 31.5,
    'stress_rmse': None,
    'training_configurations': 40,
    'validation_configurations': 8,
    'seed': 7,
    'note': 'ΔE of −1 meV',
}


def small_potential(baseline=True, seed=1, single=()):
    """Return a potential of rock salt with random weights, those named in ``single`` in single precision."""
    rng = np.random.default_rng(seed)
    matrices = spring_matrices(rocksalt(), (2, 1, 3))
    species = tuple(sorted(set(matrices.crystal.symbols)))
    weights = {
        name: rng.normal(size=shape).astype('f4' if name in single else 'f8')
        for name, shape in expected(ARCHITECTURE, len(species)).items()
    }
    return Potential(ARCHITECTURE, species, weights, matrices if baseline else None, dict(RECORD))
