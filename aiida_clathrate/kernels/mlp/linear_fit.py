"""The coefficients of the linear part, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.batches import Batch
from aiida_clathrate.kernels.mlp.design import design
from aiida_clathrate.kernels.mlp.examples import Example
from aiida_clathrate.kernels.mlp.fitting import Scales
from aiida_clathrate.kernels.mlp.network import Linear, described
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings

Floats = NDArray[np.float64]

#: Penalties that are tried, in units of the mean curvature of the loss.
PENALTIES = tuple(10.0**power for power in np.arange(-12, 0.1, 0.5))


@dataclass(frozen=True)
class LinearFit:
    """Coefficients that minimise loss and penalty.

    :param coefficients: shape (species, f) [eV].
    :param constants: energies of the elements on top of their references, shape (species,) [eV].
    :param penalty: that did best on the validation set.
    """

    coefficients: Floats
    constants: Floats
    penalty: float


@dataclass
class Equations:
    """Sums over a set of the products that a quadratic loss is made of: xᵀ A x − 2 bᵀ x + c."""

    matrix: Floats
    vector: Floats
    constant: float = 0.0

    @classmethod
    def empty(cls, size: int) -> Equations:
        """Return the sums over nothing."""
        return cls(np.zeros((size, size)), np.zeros(size))

    def add(self, rows: Floats, values: Floats, weight: float) -> None:
        """Add the squares of rows · x − values.

        :param rows: shape (r, size).
        :param values: shape (r,).
        """
        self.matrix += weight * rows.T @ rows
        self.vector += weight * rows.T @ values
        self.constant += weight * float(values @ values)

    def loss(self, solution: Floats) -> float:
        """Return the loss of coefficients."""
        return float(solution @ self.matrix @ solution - 2 * self.vector @ solution + self.constant)


def centre(linear: Linear, architecture: Architecture, batches: Sequence[Batch]) -> None:
    """Take the mean features of each element of a training set as those whose energy is zero."""
    totals, numbers = linear.middle.new_zeros(linear.middle.shape), linear.middle.new_zeros(len(linear.middle))
    for element, features in described(linear.channels, architecture, batches, len(numbers)):
        totals[element] += features.sum(0)
        numbers[element] += len(features)
    linear.middle.copy_(totals / numbers.clamp(min=1)[:, None])


def equations(
    linear: Linear, architecture: Architecture, examples: Sequence[Example], scales: Scales, settings: TrainingSettings
) -> Equations:
    """Return the loss of a set as a function of coefficients and constants.

    :param linear: in double precision, as the examples.
    """
    columns, species = linear.coefficients.numel(), len(linear.coefficients)
    found = Equations.empty(columns + species)
    components = sum(3 * each.atoms for each in examples)
    labelled = max(1, sum(each.virial is not None for each in examples))
    for each in examples:
        made = design(linear, architecture, each.batch)
        numbers = np.bincount(each.batch.species.cpu().numpy(), minlength=species)
        padded = np.zeros((3 * each.atoms, columns + species))
        padded[:, :columns] = made.forces.reshape(-1, columns).cpu().numpy()
        weight = settings.force_weight / scales.force**2 / components
        found.add(padded, each.forces.reshape(-1).double().cpu().numpy(), weight)
        row = np.concatenate([made.energies.cpu().numpy(), numbers])[None] / each.atoms
        weight = settings.energy_weight / scales.energy**2 / len(examples)
        found.add(row, np.array([each.energy / each.atoms]), weight)
        if each.virial is not None and settings.stress_weight > 0:
            rows = np.zeros((9, columns + species))
            rows[:, :columns] = made.virials.reshape(9, columns).cpu().numpy() / each.atoms
            weight = settings.stress_weight / scales.virial**2 / labelled / 9
            found.add(rows, each.virial.reshape(-1).double().cpu().numpy() / each.atoms, weight)
    return found


def solve(training: Equations, validation: Equations, species: int) -> LinearFit:
    """Return the coefficients with the penalty on their squares that does best on the validation set.

    Each coefficient counts in units of what it changes in the training set; constants are penalised by next to nothing.

    :param species: number of the constants, the last unknowns.
    :raises ValueError: if no feature has any influence.
    """
    size = len(training.vector)
    curvature = np.diag(training.matrix).copy()
    used = curvature > 1e-14 * curvature.max()
    if not used[: size - species].any():
        raise ValueError('no feature of the linear part varies: check the cutoffs')
    scale = np.zeros(size)
    scale[used] = 1 / np.sqrt(curvature[used])
    # Constants are fitted freely: large in these units.
    scale[size - species :] *= 1e2
    values, vectors = np.linalg.eigh(scale[:, None] * training.matrix * scale)
    target = vectors.T @ (scale * training.vector)
    mean = float(np.mean(np.maximum(values, 0)))
    best: tuple[float, float, Floats] | None = None
    for penalty in PENALTIES:
        solution = scale * (vectors @ (target / (np.maximum(values, 0) + penalty * mean)))
        loss = validation.loss(solution)
        if best is None or loss < best[0]:
            best = (loss, penalty, solution)
    if best is None or not np.isfinite(best[2]).all():
        raise ValueError('the linear part cannot be fitted: its equations are not finite')
    coefficients = best[2][: size - species].reshape(species, -1)
    return LinearFit(coefficients, best[2][size - species :], best[1])
