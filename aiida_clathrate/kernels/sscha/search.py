"""Steps over auxiliary matrices and centroids with the averages of one ensemble.

Each step goes to the Φ and the centroids that the averages ask for, the natural-gradient step of length one, improved
by Anderson's mixing over the last steps (D. G. Anderson, J. ACM 12, 547 (1965)), so that one evaluation makes one step.
A step is shortened where the new matrices are not positive or the ensemble would no longer stand for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.sscha.averages import Averages, WaveEnsemble, newton_shift
from aiida_clathrate.kernels.sscha.settings import Settings

#: Why a search ended: ``converged``, gradients below ``meaningful_factor`` times their errors; ``kong-liu``, the
#: ensemble no longer stands for the matrices; ``not positive``, no step keeps the matrices positive; ``maximum steps``.
Reason = Literal['converged', 'kong-liu', 'not positive', 'maximum steps']

#: A step that is shortened more often leads nowhere.
MAX_SHORTENINGS = 12
#: Where less of a step than this is left before the ensemble no longer stands for the matrices, it is used up.
SHORTEST = 0.3
#: Steps that Anderson's mixing looks back.
DEPTH = 6
#: Gradients below this fraction of the largest force constant are rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Point:
    """A place of the search.

    :param matrices: auxiliary matrices with the centroids.
    :param averages: under them.
    :param variables: coefficients of Φ, then the positions of the atoms, flat [eV/Å², Å].
    :param step: where the averages want to go from here, in the same order.
    :param ratio: the larger of gradient over error of the two.
    """

    matrices: DynamicalMatrices
    averages: Averages
    variables: NDArray[np.float64]
    step: NDArray[np.float64]
    ratio: float


@dataclass(frozen=True)
class Search:
    """Steps over the free parameters: coefficients of Φ, then centroids.

    :param waves: the ensemble.
    :param settings: when to stop, how far to step.
    """

    waves: WaveEnsemble
    settings: Settings

    def point(self, matrices: DynamicalMatrices) -> Point:
        """Return the place of matrices."""
        averages = self.waves.at(matrices)
        invariants, count = self.waves.invariants, len(matrices.crystal.symbols)
        shift = np.zeros((count, 3))
        if self.settings.relax_positions:
            shift = newton_shift(averages)
        positions = matrices.crystal.positions @ matrices.crystal.cell
        coefficients = invariants.coefficients(matrices.force_constants)
        variables = np.concatenate([coefficients, positions.ravel()])
        step = np.concatenate([-averages.gradient.value, shift.ravel()])
        return Point(matrices, averages, variables, step, self.ratio(averages))

    def ratio(self, averages: Averages) -> float:
        """Return the larger of gradient over error; what is rounding, or forbidden by symmetry, is no gradient."""
        means = [averages.gradient] + [averages.force] * self.settings.relax_positions
        smallest = ROUNDING * stiffness(averages)
        norms = [mean.norm for mean in means]
        # Errors vanish where the forces are harmonic.
        return max(norm / max(error, smallest) if norm > smallest else 0.0 for norm, error in norms)

    def next(self, points: list[Point]) -> tuple[Point | None, int, Reason | None]:
        """Return the next point if there is one, how many evaluations it took, and why it is the last one if it is."""
        last, settings = points[-1], self.settings
        step, length, obstacle, tried = self.mixed(points), settings.step, None, 0
        for _ in range(MAX_SHORTENINGS):
            try:
                found = self.point(self.matrices(last, last.variables + length * step))
            except ValueError:  # not positive, or atoms that run into each other
                step, length, obstacle = last.step, 0.5 * length, obstacle or 'not positive'
                continue
            tried += 1
            ratio = found.averages.kong_liu
            if ratio >= settings.kong_liu_ratio:
                used_up = obstacle == 'kong-liu' and length < SHORTEST * settings.step
                return found, tried, 'kong-liu' if used_up else None
            length *= self.shortening(last.averages, found.averages)
            obstacle = 'kong-liu'
        return None, tried, 'kong-liu' if obstacle == 'kong-liu' else 'not positive'

    def shortening(self, start: Averages, end: Averages) -> float:
        """Return by how much to shorten a step so that the ensemble just bears it.

        For normally distributed ln ρ the ratio of Kong and Liu is exp(−spread²), and the spread grows with the step.
        """
        reach = 0.95 * np.sqrt(-np.log(self.settings.kong_liu_ratio))
        return float(np.clip((reach - start.spread) / max(end.spread - start.spread, 1e-6), 0.05, 0.8))

    def mixed(self, points: list[Point]) -> NDArray[np.float64]:
        """Return Anderson's step from the last points; components count in units of their errors."""
        last, history = points[-1], points[-DEPTH:]
        if len(history) < 2:
            return last.step
        scale = self.scale(last.averages)
        changes = np.array([b.step - a.step for a, b in pairwise(history)])
        moves = np.array([b.variables - a.variables for a, b in pairwise(history)])
        weights = np.linalg.lstsq((changes * scale).T, last.step * scale, rcond=1e-10)[0]
        return np.asarray(last.step - weights @ (changes + moves))

    def scale(self, averages: Averages) -> NDArray[np.float64]:
        """Return one over the error of each kind of variable."""
        size = stiffness(averages)
        errors = averages.gradient.norm[1], averages.force.norm[1]
        gradient, force = (1 / error if error > ROUNDING * size else 0.0 for error in errors)
        kinds = [(averages.gradient.value.size, gradient), (averages.force.value.size, force * size)]
        return np.concatenate([np.full(count, value) for count, value in kinds])

    def matrices(self, point: Point, variables: NDArray[np.float64]) -> DynamicalMatrices:
        """Return the matrices that belong to the variables."""
        crystal, count = point.matrices.crystal, point.averages.gradient.value.size
        positions = variables[count:].reshape(-1, 3) @ np.linalg.inv(crystal.cell)
        moved = Crystal(crystal.cell, crystal.symbols, positions, crystal.masses)
        return replace(point.matrices, crystal=moved, force_constants=self.waves.invariants.matrices(variables[:count]))


def stiffness(averages: Averages) -> float:
    """Return the largest force constant at Γ [eV/Å²]."""
    return float(np.abs(averages.gaussian.force_constants[0]).max())
