"""Auxiliary matrices to start from: the harmonic ones on the mesh of the supercell, made positive."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.fourier import restrict
from aiida_clathrate.kernels.sscha.gaussian import LatticeModes
from aiida_clathrate.kernels.stability import ROUNDING
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS

#: An imaginary mode starts at least here: softer ones would let atoms run into each other [meV].
SOFTEST = 5.0


@dataclass(frozen=True)
class ChangedMode:
    """A mode that was not positive.

    :param qpoint: fractional.
    :param before: ħω, negative where imaginary [meV].
    :param after: ħω [meV].
    """

    qpoint: tuple[float, float, float]
    before: float
    after: float


@dataclass(frozen=True)
class Start:
    """Where an SSCHA starts.

    :param matrices: positive but for translations, with the symmetry of the crystal.
    :param changes: the modes that were made positive, of one of each pair ±q.
    """

    matrices: DynamicalMatrices
    changes: tuple[ChangedMode, ...]


def positive_start(
    matrices: DynamicalMatrices, mesh: tuple[int, int, int], temperature: float, softest: float = SOFTEST
) -> Start:
    """Return matrices on the mesh of the supercell in which |ω| stands for ω.

    :param matrices: harmonic, or auxiliary ones of an earlier run, on the mesh or a multiple of it.
    :param mesh: divisions of the supercell.
    :param temperature: of the SSCHA [K].
    :param softest: imaginary modes get at least this ħω [meV].
    :raises ValueError: if the mesh does not fit, or a number is out of its range.
    """
    if not (np.isfinite(temperature) and temperature >= 0):
        raise ValueError(f'temperature: must be 0 K or above, not {temperature} K')
    if not (np.isfinite(softest) and softest > 0):
        raise ValueError(f'softest: must be a positive ħω [meV], not {softest}')
    coarse = impose_constraints(restrict(matrices, mesh)).matrices
    modes = LatticeModes(coarse)
    frequencies, vectors = modes.modes
    wrong = modes.active & (frequencies < ROUNDING)
    raised = np.where(wrong, np.maximum(-frequencies, softest), frequencies)
    points = coarse.qpoints[modes.vectors.kept]
    changes = tuple(
        ChangedMode(tuple(points[k].tolist()), float(frequencies[k, m]), float(raised[k, m]))
        for k, m in np.argwhere(wrong)
    )
    mass = np.repeat(np.sqrt(coarse.crystal.masses), 3)
    squares = (raised / MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS) ** 2
    dynamical = (vectors * squares[:, None]) @ np.swapaxes(vectors, -1, -2).conj()
    force_constants = modes.vectors.extend(dynamical * np.outer(mass, mass)) if changes else coarse.force_constants
    return Start(
        replace(coarse, force_constants=force_constants, level='sscha', temperature=float(temperature)), changes
    )
