"""Binary ensembles of python-sscha: an array to a file, and the matrices.

``energies_popP.npy`` Ry for the supercell; ``forces_popP.npy`` Ry/Å; ``xats_popP.npy`` positions in Å;
``stresses_popP.npy`` Ry/bohr³, positive under compression; ``dyn_gen_popP_1`` … the matrices. Atoms are written in our
order, which is that of python-sscha; reading does not rely on it.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.files.configurations import Configurations
from aiida_clathrate.kernels.files.qe_dyn import write_dyn_files
from aiida_clathrate.kernels.units import GPA_PER_RYDBERG_BOHR3, RYDBERG


def is_binary(folder: Path, population: int) -> bool:
    """Whether a folder holds a population in this format."""
    return (folder / f'xats_pop{population}.npy').is_file()


def read_binary(folder: Path, population: int) -> Configurations:
    """Return the configurations of a population.

    :raises ValueError: for files that are missing, damaged or of unexpected shape.
    """
    arrays = {name: _load(folder / f'{name}_pop{population}.npy') for name in ('xats', 'energies', 'forces')}
    stresses = folder / f'stresses_pop{population}.npy'
    for name, array in arrays.items():
        if array.ndim != (1 if name == 'energies' else 3) or array.shape[2:] not in ((), (3,)):
            raise ValueError(f'{folder / name}_pop{population}.npy: unexpected shape {array.shape}')
    return Configurations(
        f'{folder}, population {population}',
        arrays['xats'],
        arrays['energies'] * RYDBERG,
        arrays['forces'] * RYDBERG,
        _load(stresses) * GPA_PER_RYDBERG_BOHR3 if stresses.is_file() else None,
    )


def write_binary(ensemble: ForceEnsemble, population: int) -> dict[str, bytes]:
    """Return the contents of the files of a population by name, for python-sscha's ``load_bin``.

    The temperature is in none of them.

    :raises ValueError: for an ensemble that was not computed: python-sscha would take zero for its forces.
    """
    if ensemble.energies is None or ensemble.forces is None:
        raise ValueError('the ensemble has no forces: python-sscha would take them for zero')
    arrays = {
        'energies': ensemble.energies / RYDBERG,
        'forces': ensemble.forces / RYDBERG,
        'xats': ensemble.positions,
    }
    if ensemble.stresses is not None:
        arrays['stresses'] = ensemble.stresses / GPA_PER_RYDBERG_BOHR3
    files = {f'{name}_pop{population}.npy': _bytes(array) for name, array in arrays.items()}
    properties: dict[str, list[dict[str, float]]] = {'properties': [{} for _ in range(len(ensemble))]}
    files[f'all_properties_pop{population}.json'] = json.dumps(properties).encode()
    prefix = f'dyn_gen_pop{population}_'
    matrices = write_dyn_files(ensemble.matrices, prefix)
    return files | {name: text.encode() for name, text in matrices.items() if name != f'{prefix}0'}


def _bytes(array: NDArray[np.float64]) -> bytes:
    stream = BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _load(path: Path) -> NDArray[np.float64]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    if not isinstance(array, np.ndarray) or array.dtype.kind != 'f':
        raise ValueError(f'{path} holds no array of real numbers')
    return np.ascontiguousarray(array, dtype=np.float64)
