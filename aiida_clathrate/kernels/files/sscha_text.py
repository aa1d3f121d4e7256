"""Text ensembles of python-sscha: a file of energies and, for configuration i of population P, three or four files.

``energies_supercell_populationP.dat`` Ry for the supercell; ``scf_populationP_i.dat`` cell and positions in Å;
``u_populationP_i.dat`` displacements in bohr; ``forces_populationP_i.dat`` Ry/bohr; ``pressures_populationP_i.dat``
Ry/bohr³, positive under compression. Matrices are in ``dyn_start_populationP_1`` …
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.ensemble import ForceEnsemble, supercell_crystal
from aiida_clathrate.kernels.files.configurations import Configurations
from aiida_clathrate.kernels.files.qe_dyn import write_dyn_files
from aiida_clathrate.kernels.files.text import Lines, read_text
from aiida_clathrate.kernels.units import BOHR, GPA_PER_RYDBERG_BOHR3, RYDBERG

Array = NDArray[np.float64]
FORCE = RYDBERG / BOHR
#: Displacements in one file, positions in another [Å].
TOLERANCE = 1e-5


def is_text(folder: Path, population: int) -> bool:
    """Whether a folder holds a population in this format."""
    return _energies(folder, population).is_file()


def read_configurations(folder: Path, population: int) -> Configurations:
    """Return the configurations of a population.

    :raises ValueError: for files that are missing, damaged, of different atoms or cells, and for positions that do not
        differ by the displacements from the same centroids.
    """
    energies = _rows(_energies(folder, population), 1)[:, 0]
    count = len(energies)
    numbers = _numbers(folder, population, 'scf')
    if numbers != list(range(1, count + 1)):
        raise ValueError(
            f'{folder}: {_energies(folder, population).name} has {count} energies, and there are {len(numbers)} files '
            f'scf_population{population}_i.dat; need one for each, numbered from 1'
        )
    symbols, cell, first = _read_scf(folder, population, 1)
    positions, forces = np.empty((2, count, *first.shape))
    centroids: Array | None = None
    for number in numbers:
        others, other_cell, positions[number - 1] = _read_scf(folder, population, number)
        if others != symbols or not np.allclose(other_cell, cell, rtol=0, atol=TOLERANCE):
            raise ValueError(
                f'{_name(folder, population, "scf", number)}: other atoms or another cell than in number 1'
            )
        forces[number - 1] = _rows(_name(folder, population, 'forces', number), 3, len(symbols)) * FORCE
        displacements = _name(folder, population, 'u', number)
        if displacements.is_file():
            found = positions[number - 1] - _rows(displacements, 3, len(symbols)) * BOHR
            centroids = found if centroids is None else centroids
            if np.abs(found - centroids).max() > TOLERANCE:
                raise ValueError(f'{displacements}: not the displacements of the positions in the file scf beside it')
    return Configurations(
        f'{folder}, population {population}',
        positions,
        energies * RYDBERG,
        forces,
        _stresses(folder, population, count),
        symbols,
    )


def write_configurations(ensemble: ForceEnsemble, population: int) -> dict[str, str]:
    """Return the contents of the files of a population by name, for python-sscha's ``load``: four for a configuration.

    :raises ValueError: for an ensemble that was not computed.
    """
    if ensemble.energies is None or ensemble.forces is None:
        raise ValueError('the ensemble has no forces to write')
    crystal = supercell_crystal(ensemble.crystal, ensemble.mesh)
    header = ['CELL_PARAMETERS angstrom', *_lines(crystal.cell), '', 'ATOMIC_POSITIONS angstrom']
    files = {_energies(Path(), population).name: _text(ensemble.energies[:, None] / RYDBERG)}
    positions = ensemble.positions
    for index in range(len(ensemble)):
        lines = [f'{symbol:4s}{line}' for symbol, line in zip(crystal.symbols, _lines(positions[index]), strict=True)]
        name = f'population{population}_{index + 1}.dat'
        files[f'scf_{name}'] = '\n'.join([*header, *lines]) + '\n'
        files[f'u_{name}'] = _text(ensemble.displacements[index] / BOHR)
        files[f'forces_{name}'] = _text(ensemble.forces[index] / FORCE)
        if ensemble.stresses is not None:
            files[f'pressures_{name}'] = _text(ensemble.stresses[index] / GPA_PER_RYDBERG_BOHR3)
    prefix = f'dyn_start_population{population}_'
    matrices = write_dyn_files(ensemble.matrices, prefix)
    return files | {name: text for name, text in matrices.items() if name != f'{prefix}0'}


def _energies(folder: Path, population: int) -> Path:
    return folder / f'energies_supercell_population{population}.dat'


def _name(folder: Path, population: int, kind: str, number: int) -> Path:
    return folder / f'{kind}_population{population}_{number}.dat'


def _numbers(folder: Path, population: int, kind: str) -> list[int]:
    pattern = re.compile(rf'{kind}_population{population}_([1-9][0-9]*)\.dat', re.ASCII)
    return sorted(int(match[1]) for path in folder.iterdir() if (match := pattern.fullmatch(path.name)))


def _stresses(folder: Path, population: int, count: int) -> Array | None:
    numbers = _numbers(folder, population, 'pressures')
    if not numbers:
        return None
    if numbers != list(range(1, count + 1)):
        raise ValueError(f'{folder}: stresses of {len(numbers)} of {count} configurations; compute all of them or none')
    files = [_name(folder, population, 'pressures', number) for number in numbers]
    return np.asarray([_rows(file, 3, 3) * GPA_PER_RYDBERG_BOHR3 for file in files])


def _read_scf(folder: Path, population: int, number: int) -> tuple[tuple[str, ...], Array, Array]:
    """Return symbols, cell (3, 3) [Å] and positions (s, 3) [Å]."""
    path = _name(folder, population, 'scf', number)
    lines = Lines(read_text(path), path.name)
    if lines.read_filled().split() != ['CELL_PARAMETERS', 'angstrom']:
        raise lines.error('need CELL_PARAMETERS angstrom here; save the ensemble again with use_alat=False')
    cell = np.array([lines.numbers(3) for _ in range(3)])
    if lines.read_filled().split() != ['ATOMIC_POSITIONS', 'angstrom']:
        raise lines.error('need ATOMIC_POSITIONS angstrom here')
    symbols, positions = [], []
    while not lines.done:
        symbol, _, numbers = lines.read_filled().strip().partition(' ')
        symbols.append(symbol)
        positions.append(lines.parse(numbers, 3))
    if not symbols:
        raise lines.error('no atoms: the file is incomplete')
    return tuple(symbols), cell, np.array(positions)


def _rows(path: Path, columns: int, count: int | None = None) -> Array:
    """Return the numbers of a file, row by row, ``count`` rows where it is given."""
    lines = Lines(read_text(path), path.name)
    rows = []
    while not lines.done:
        rows.append(lines.numbers(columns))
    if not rows or (count is not None and len(rows) != count):
        raise ValueError(f'{path}: need {count or "some"} lines of {columns} numbers, not {len(rows)}')
    return np.array(rows)


def _lines(array: Array) -> Iterable[str]:
    return (''.join(f'{value:25.16f}' for value in row) for row in array)


def _text(array: Array) -> str:
    return '\n'.join(' '.join(f'{value:.18e}' for value in row) for row in array) + '\n'
