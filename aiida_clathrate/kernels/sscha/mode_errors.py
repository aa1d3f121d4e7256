"""Errors of the modes of interpolated matrices, from those of the matrices on the supercell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, acoustic_modes
from aiida_clathrate.kernels.fourier import interpolate
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS


def frequency_deviations(
    matrices: DynamicalMatrices, coarse: DynamicalMatrices, deviations: NDArray[np.complex128]
) -> NDArray[np.float64]:
    """Return by how much each block of an ensemble moves the modes of interpolated matrices, to first order.

    :param matrices: coarse matrices interpolated, or harmonic ones plus the interpolated change.
    :param coarse: auxiliary matrices or Hessian on the mesh of the supercell.
    :param deviations: by how much each block moves these, shape (b, q, 3n, 3n) [eV/Å²].
    :return: changes of ħω, zero for the translations of Γ, shape (b, q', 3n) [meV]; the covariance of the modes is the
        sum over blocks of their products.
    :raises ValueError: if the shape of the deviations is not that of the coarse matrices.
    """
    if deviations.shape[1:] != coarse.force_constants.shape:
        raise ValueError(f'deviations: need blocks of shape {coarse.force_constants.shape}, not {deviations.shape[1:]}')
    frequencies, vectors = matrices.modes
    modes = vectors / np.repeat(np.sqrt(matrices.crystal.masses), 3)[:, None]
    vibrations = np.ones(frequencies.shape, dtype=bool)
    vibrations[0, acoustic_modes(vectors[0], matrices.crystal.masses)] = False
    twice = np.where(vibrations, 2 * np.abs(frequencies), np.inf)
    moved = np.empty((len(deviations), *frequencies.shape))
    for index, block in enumerate(deviations):
        fine = interpolate(replace(coarse, force_constants=block), matrices.mesh).force_constants
        moved[index] = np.einsum('qam,qac,qcm->qm', modes.conj(), fine, modes, optimize=True).real
    return np.asarray(MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS**2 * moved / twice)


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
