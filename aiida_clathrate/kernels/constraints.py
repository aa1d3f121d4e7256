"""What every set of dynamical matrices must fulfil: the symmetry of its crystal and the acoustic sum rule."""

from __future__ import annotations

from dataclasses import dataclass

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.sum_rule import SumRuleViolation, impose_sum_rule, sum_rule_violation
from aiida_clathrate.kernels.symmetry import SymmetryViolation, symmetrise, symmetry_violation


@dataclass(frozen=True)
class ConstrainedMatrices:
    """Matrices that fulfil the constraints, and how far they were from that before.

    :param matrices: symmetric and free of forces under a uniform shift.
    :param symmetry: violation of the symmetry before.
    :param sum_rule: violation of the acoustic sum rule before.
    """

    matrices: DynamicalMatrices
    symmetry: SymmetryViolation
    sum_rule: SumRuleViolation


def impose_constraints(matrices: DynamicalMatrices) -> ConstrainedMatrices:
    """Return the nearest matrices that have the symmetry of their crystal and obey the acoustic sum rule.

    The two projections commute, so their order does not matter and a second call changes nothing.

    :raises ValueError: if the mesh has less symmetry than the crystal.
    """
    symmetric = symmetrise(matrices)
    return ConstrainedMatrices(
        impose_sum_rule(symmetric), symmetry_violation(matrices, symmetric), sum_rule_violation(matrices)
    )
