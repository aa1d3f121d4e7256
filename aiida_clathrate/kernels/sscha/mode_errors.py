"""Errors of modes of an interpolated Hessian, at the wave vectors where those of its source are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, acoustic_modes


def carried_errors(
    matrices: DynamicalMatrices, measured: DynamicalMatrices, errors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the standard deviations of ħω of matrices that share their statistical error with measured ones.

    The variance of ω² of a mode is the mean of those of the measured modes, each weighted by the overlap of the
    eigenvectors. That is exact where these agree, as they do where the same harmonic matrices were taken off and
    added again, and neglects the covariance of the modes that mix where they do not.

    :param matrices: on the mesh of the measured ones.
    :param measured: matrices whose errors are known.
    :param errors: standard deviations of their ħω, shape (q, 3n) [meV].
    :return: shape (q, 3n), zero for the translations [meV].
    :raises ValueError: if meshes or numbers of modes differ.
    """
    known, basis = measured.modes
    frequencies, vectors = matrices.modes
    if matrices.mesh != measured.mesh or not frequencies.shape == known.shape == errors.shape:
        raise ValueError(
            f'errors: those of {errors.shape} modes on the mesh {measured.mesh} cannot be carried to '
            f'{frequencies.shape} modes on {matrices.mesh}'
        )
    overlaps = np.abs(np.swapaxes(basis, -1, -2).conj() @ vectors) ** 2
    variances = np.einsum('qmn,qm->qn', overlaps, (2 * known * errors) ** 2)
    vibrations = np.ones(frequencies.shape, dtype=bool)
    vibrations[0, acoustic_modes(vectors[0], matrices.crystal.masses)] = False
    twice = np.where(vibrations, 2 * np.abs(frequencies), np.inf)
    return np.asarray(np.sqrt(variances) / twice)
