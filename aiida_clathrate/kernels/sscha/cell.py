"""The next cell on the way to a pressure, from the pressure tensors of the cells so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices

#: No element of the strain changes by more in one step.
LARGEST_STRAIN = 0.02


@dataclass(frozen=True)
class MeasuredCell:
    """A cell and the pressure that was found in it.

    :param cell: lattice vectors as rows, shape (3, 3) [Å].
    :param pressure: tensor, positive under compression, shape (3, 3) [GPa].
    :param error: its standard deviation, shape (3, 3) [GPa].
    """

    cell: NDArray[np.float64]
    pressure: NDArray[np.float64]
    error: NDArray[np.float64]


def reached(measured: MeasuredCell, target: float, tolerance: float) -> bool:
    """Whether the pressure is hydrostatic and the target [GPa], each element to the tolerance [GPa] or its error."""
    return bool(np.all(np.abs(excess(measured, target)) <= np.maximum(measured.error, tolerance)))


def excess(measured: MeasuredCell, target: float) -> NDArray[np.float64]:
    """Return P − target·1, shape (3, 3) [GPa]."""
    return measured.pressure - target * np.eye(3)


def next_strain(history: Sequence[MeasuredCell], target: float, bulk_modulus: float = 100.0) -> NDArray[np.float64]:
    """Return the symmetric strain that takes the last cell towards the target pressure, shape (3, 3).

    A quasi-Newton step by Broyden's update: it begins with the response of an isotropic solid that does not contract
    across a pull, strain = excess / 3B, and learns the true one from the cells so far. The pressure tensor has the
    symmetry of the crystal, and so has the strain.

    :param history: the cells, oldest first, all strained forms of one crystal.
    :param target: [GPa].
    :param bulk_modulus: B to begin with [GPa].
    :raises ValueError: if there is no cell, or the bulk modulus is not positive.
    """
    if not history:
        raise ValueError('history: the pressure of at least one cell is needed')
    if not bulk_modulus > 0:
        raise ValueError(f'bulk_modulus: must be positive, not {bulk_modulus} GPa')
    strains = [np.linalg.solve(history[0].cell, each.cell) - np.eye(3) for each in history]
    vectors = [0.5 * (strain + strain.T).ravel() for strain in strains]
    tensors = [excess(each, target).ravel() for each in history]
    response = np.eye(9) / (3 * bulk_modulus)
    for index in range(1, len(history)):
        move, change = vectors[index] - vectors[index - 1], tensors[index - 1] - tensors[index]
        denominator = move @ response @ change
        # A change that is lost in the noise of the pressure teaches nothing.
        if np.abs(change).max() > np.sqrt(2) * history[index].error.max() and denominator > 0:
            response = response + np.outer(move - response @ change, move @ response) / denominator
    strain = (response @ tensors[-1]).reshape(3, 3)
    strain = 0.5 * (strain + strain.T)
    largest = np.abs(strain).max()
    return np.asarray(strain * min(1.0, LARGEST_STRAIN / largest) if largest > 0 else strain)


def strained(matrices: DynamicalMatrices, strain: NDArray[np.float64]) -> DynamicalMatrices:
    """Return matrices with the same Φ in a strained cell; fractional coordinates stay."""
    crystal = matrices.crystal
    cell = crystal.cell @ (np.eye(3) + strain)
    return replace(matrices, crystal=Crystal(cell, crystal.symbols, crystal.positions, crystal.masses), pressure=None)
