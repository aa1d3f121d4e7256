"""Harmonic matrices from the forces on single displaced atoms, with the forces of the SSCHA.

The difference of anharmonic and harmonic matrices is free of what both have in common (k mesh, cutoff, the mean error
of a potential) only if both come from the same forces.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.invariants import Invariants
from aiida_clathrate.kernels.space_group import space_group
from aiida_clathrate.kernels.sscha.waves import Waves, WaveVectors, to_waves, wave_vectors

#: Displacement of an atom [Å]; ± pairs remove the third order.
STEP = 0.01
#: Singular values below this fraction of a displacement are none.
RANK_TOLERANCE = 1e-6


def single_displacements(matrices: DynamicalMatrices, step: float = STEP) -> ForceEnsemble:
    """Return pairs of displacements of single atoms that fix all force constants of a supercell.

    Of atoms that symmetry exchanges one is displaced, along axes whose images under the operations that keep this atom
    span space.

    :param matrices: their crystal is displaced, their mesh is the supercell.
    :param step: how far [Å].
    :return: an ensemble without forces; at 0 K, and not a sample of any Gaussian.
    """
    group = space_group(matrices.crystal)
    atoms = int(np.prod(matrices.mesh)) * len(matrices.crystal.symbols)
    chosen: list[NDArray[np.float64]] = []
    for atom in np.unique(group.permutations.min(axis=0)):
        site = group.cartesian[group.permutations[:, atom] == atom]
        span = np.zeros((0, 3))
        for axis in range(3):
            grown = np.vstack([span, site[:, :, axis]])
            if np.linalg.matrix_rank(grown, tol=RANK_TOLERANCE) > np.linalg.matrix_rank(span, tol=RANK_TOLERANCE):
                displacement = np.zeros((atoms, 3))
                displacement[atom, axis] = step
                chosen += [displacement, -displacement]
                span = grown
    return ForceEnsemble(matrices, 0.0, np.array(chosen))


def fit_harmonic(ensemble: ForceEnsemble) -> DynamicalMatrices:
    """Return the harmonic matrices that fit the forces of ``single_displacements`` best.

    :raises ValueError: if there are no forces, or they do not fix all force constants.
    """
    if ensemble.forces is None:
        raise ValueError('ensemble: has no forces yet; compute them first')
    invariants = Invariants(ensemble.crystal, ensemble.mesh)
    # Half the difference of a pair: odd in the displacement, without residual forces and third order.
    displacements = 0.5 * (ensemble.displacements[::2] - ensemble.displacements[1::2])
    forces = 0.5 * (ensemble.forces[::2] - ensemble.forces[1::2])
    largest = float(np.abs(displacements).max())
    fit, _, rank, _ = np.linalg.lstsq(
        _design(invariants, displacements) / largest, _rows(forces, ensemble.mesh) / largest, rcond=RANK_TOLERANCE
    )
    if rank < len(invariants):
        raise ValueError(f'ensemble: its displacements fix {rank} of the {len(invariants)} force constants')
    force_constants = invariants.matrices(np.asarray(fit, dtype=np.float64))
    fitted = replace(ensemble.matrices, force_constants=force_constants, level='harmonic', temperature=None)
    return impose_constraints(fitted).matrices


def _design(invariants: Invariants, displacements: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the forces on displaced configurations for each parameter, shape (rows, p) [eV/Å for 1 eV/Å²]."""
    vectors = wave_vectors(invariants.mesh)
    waves = to_waves(displacements, invariants.mesh)
    parameters = vectors.restrict(invariants.matrices(np.eye(len(invariants))))
    forces = -np.einsum('pkab,kcb->pkca', parameters, waves, optimize=True)
    return np.array([_flat(each, vectors) for each in forces]).T


def _rows(fields: NDArray[np.float64], mesh: tuple[int, int, int]) -> NDArray[np.float64]:
    return _flat(to_waves(fields, mesh), wave_vectors(mesh))


def _flat(waves: Waves, vectors: WaveVectors) -> NDArray[np.float64]:
    """Return waves as real numbers with the norm of the fields that they belong to."""
    weighted = waves * np.sqrt(vectors.weights)[:, None, None]
    return np.concatenate([weighted.real.ravel(), weighted.imag.ravel()])
