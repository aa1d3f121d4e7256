"""Labels by potentials with random weights and by a clathrate of Morse bonds, for small trainings."""

from __future__ import annotations

import numpy as np
from mixed_cells import CELL, SYMBOLS, positions, random_potential
from morse_clathrate import MorseClathrate

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator
from aiida_clathrate.kernels.mlp.frames import Frames
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

#: Of the draws in ``random_potential``: a student with this seed has the random channels of the teacher.
SEED = 3
LINEAR_TEACHER = random_potential(network=False, seed=SEED)
NETWORK_TEACHER = random_potential(linear=False, seed=SEED)
MORSE = Architecture(
    radial_order=8, radial_cutoff=3.6, angular_order=5, angular_cutoff=3.2, largest_l=3, linear_channels=8, channels=2,
    attention_heads=0, token_size=4, hidden=(8,),
)  # fmt: skip


def labelled(teacher, count, seed, cell=CELL, symbols=SYMBOLS, stresses=True):
    """Return configurations of the mixed cell with the labels of a potential."""
    atoms = slice(len(symbols))
    configurations = positions(count, 0.25, seed)[:, atoms] @ np.linalg.solve(CELL, cell)
    energies, forces, found = PotentialEvaluator(teacher, symbols, precision='double').evaluate(configurations, cell)
    labels = -GPA_PER_EV_ANGSTROM3 * found if stresses else None
    return Frames(tuple(symbols), cell, configurations, energies, forces, labels)


def morse(count, seed):
    """Return configurations of the clathrate with its labels."""
    model = MorseClathrate()
    cell = model.reference.cell.array
    configurations = model.reference.positions + np.random.default_rng(seed).normal(0, 0.08, (count, 14, 3))
    energies, forces, stresses = model.evaluate(configurations, cell)
    symbols = tuple(model.reference.get_chemical_symbols())
    return Frames(symbols, cell, configurations, energies, forces, -GPA_PER_EV_ANGSTROM3 * stresses)
