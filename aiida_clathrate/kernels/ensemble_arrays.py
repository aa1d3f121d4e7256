"""An ensemble in the run folder of a calculation: scalars and arrays with constant names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.io import Arrays, Scalars

#: Those that an ensemble may be without.
RESULTS = ('energies', 'forces', 'stresses')


def matrices_to_arrays(matrices: DynamicalMatrices) -> tuple[Scalars, Arrays]:
    """Return scalars and arrays of dynamical matrices with their crystal."""
    crystal = matrices.crystal
    scalars = {
        'symbols': list(crystal.symbols),
        'mesh': [int(division) for division in matrices.mesh],
        'level': matrices.level,
        'pressure': matrices.pressure,
        'matrices_temperature': matrices.temperature,
    }
    arrays = {
        'cell': crystal.cell,
        'positions': crystal.positions,
        'masses': crystal.masses,
        'force_constants': matrices.force_constants,
    }
    return scalars, arrays


def matrices_from_arrays(scalars: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> DynamicalMatrices:
    """Return the matrices of ``matrices_to_arrays``."""
    first, second, third = scalars['mesh']
    return DynamicalMatrices(
        Crystal(arrays['cell'], tuple(scalars['symbols']), arrays['positions'], arrays['masses']),
        (int(first), int(second), int(third)),
        arrays['force_constants'],
        scalars['level'],
        scalars['pressure'],
        scalars['matrices_temperature'],
    )


def ensemble_to_arrays(ensemble: ForceEnsemble) -> tuple[Scalars, Arrays]:
    """Return scalars and arrays of an ensemble with the matrices that it was drawn from."""
    scalars, arrays = matrices_to_arrays(ensemble.matrices)
    scalars |= {name: getattr(ensemble, name) for name in ('temperature', 'antithetic', 'seed', 'source')}
    present = [name for name in RESULTS if getattr(ensemble, name) is not None]
    arrays |= {name: getattr(ensemble, name) for name in ('displacements', *present)}
    return scalars, arrays


def ensemble_from_arrays(scalars: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> ForceEnsemble:
    """Return the ensemble of ``ensemble_to_arrays``; single precision becomes double."""
    numbers = {name: arrays[name].astype(np.float64) for name in ('displacements', *RESULTS) if name in arrays}
    return ForceEnsemble(
        matrices_from_arrays(scalars, arrays),
        float(scalars['temperature']),
        antithetic=scalars['antithetic'],
        seed=scalars['seed'],
        source=scalars['source'],
        **numbers,
    )
