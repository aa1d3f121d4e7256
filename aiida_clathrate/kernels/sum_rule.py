"""The acoustic sum rule: a crystal that is shifted as a whole feels no force.

Σ_b,R Φ(a0, bR) = 0 for every a, and by the symmetry of second derivatives for every b. A uniform shift is a
displacement of q = 0, so the rule says Φ(Γ) T = 0 for the three translations T and nothing about any other Φ(q). The
matrices nearest to the given ones in the supercell, where the squared distance is the sum over q of the squared
distances of Φ(q), therefore differ at Γ alone, by the projection P Φ(Γ) P with P = 1 − T T†. It commutes with the
symmetry of the crystal, which turns translations into translations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, acoustic_modes


@dataclass(frozen=True)
class SumRuleViolation:
    """How far matrices were from the acoustic sum rule.

    :param force_constant: largest element of Σ_b Φ_ab(Γ) [eV/Å²].
    :param frequencies: the three acoustic modes at Γ, negative where imaginary [meV].
    """

    force_constant: float
    frequencies: tuple[float, float, float]


def sum_rule_violation(matrices: DynamicalMatrices) -> SumRuleViolation:
    """Return by how much the matrices miss the acoustic sum rule."""
    atoms = len(matrices.crystal.symbols)
    sums = matrices.force_constants[0].reshape(3 * atoms, atoms, 3).sum(axis=1)
    frequencies, vectors = matrices.modes
    first, second, third = frequencies[0, acoustic_modes(vectors[0], matrices.crystal.masses)]
    return SumRuleViolation(float(np.abs(sums).max()), (float(first), float(second), float(third)))


def impose_sum_rule(matrices: DynamicalMatrices) -> DynamicalMatrices:
    """Return the nearest matrices that obey the acoustic sum rule."""
    atoms = len(matrices.crystal.symbols)
    translations = np.kron(np.full((atoms, 1), atoms**-0.5), np.eye(3))
    projector = np.eye(3 * atoms) - translations @ translations.T
    force_constants = matrices.force_constants.copy()
    force_constants[0] = projector @ force_constants[0] @ projector
    return replace(matrices, force_constants=force_constants)
