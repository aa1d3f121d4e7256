"""A trained potential as two files: a description in JSON, and its numbers as safetensors.

They are made to be shared, so what is read may come from anybody. Nothing in them is executed, sizes are bounded before
anything is read, and what does not fit together is refused.

``potential.json`` holds ``format``, ``version``, ``units``, ``architecture``, ``species`` (the order of the first axis
of the weights), ``baseline`` (``symbols``, ``mesh``, ``level``, ``pressure`` and ``matrices_temperature`` of harmonic
matrices, or null), ``record`` (how it was trained and how good it is) and ``sha256`` of the other file.
``potential.safetensors`` holds the weights as ``weights.NAME``; of a baseline ``baseline.cell`` [Å],
``baseline.positions`` [fractional], ``baseline.masses`` [amu] and ``baseline.force_constants`` (q, 3n, 3n, 2) [eV/Å²],
real and imaginary part last.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble_arrays import matrices_from_arrays, matrices_to_arrays
from aiida_clathrate.kernels.files import strict_json
from aiida_clathrate.kernels.files.tensor_files import Shape, tensor_shapes, tensors_from_bytes, tensors_to_bytes
from aiida_clathrate.kernels.io import Arrays, Scalars
from aiida_clathrate.kernels.mlp import weights
from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.potential import Potential
from aiida_clathrate.kernels.scalars import is_number

DESCRIPTION, NUMBERS = FILES = ('potential.json', 'potential.safetensors')
#: Most that is read or written of each file: the most weights that there may be, and 64 MiB for a baseline [bytes].
LARGEST = {DESCRIPTION: strict_json.LARGEST, NUMBERS: 8 * weights.LARGEST_NUMBER + 2**26}
#: In the crystal of a baseline: the check of its distances needs memory as the square.
MOST_ATOMS = 500

FORMAT, VERSION = 'aiida-clathrate potential', 1
UNITS = {'energy': 'eV', 'length': 'angstrom', 'mass': 'amu', 'pressure': 'GPa', 'temperature': 'K'}
KEYS = ('architecture', 'baseline', 'format', 'record', 'sha256', 'species', 'units', 'version')
BASELINE_KEYS = ('level', 'matrices_temperature', 'mesh', 'pressure', 'symbols')


def save(potential: Potential, folder: Path) -> None:
    """Write both files to the folder, the description last: one that exists is complete."""
    content = to_bytes(potential)
    for name in (NUMBERS, DESCRIPTION):
        draft = folder / f'{name}.part'
        draft.write_bytes(content[name])
        draft.replace(folder / name)


def load(folder: Path) -> Potential:
    """Return the potential in a folder; errors are those of ``from_bytes``, or ``FileNotFoundError``."""
    return read(lambda name: (folder / name).open('rb'))


def read(open_file: Callable[[str], AbstractContextManager[BinaryIO]]) -> Potential:
    """Return the potential in files that ``open_file`` opens by name; no more than ``LARGEST`` is read of each."""
    content = {}
    for name in FILES:
        with open_file(name) as file:
            content[name] = file.read(LARGEST[name] + 1)
    return from_bytes(content)


def to_bytes(potential: Potential) -> dict[str, bytes]:
    """Return the content of both files by name; equal potentials have equal files.

    :raises ValueError: for a potential that ``from_bytes`` would not return.
    """
    weights.check(potential)
    scalars, arrays = (None, {}) if potential.baseline is None else _baseline_to_arrays(potential.baseline)
    arrays |= {f'weights.{name}': array for name, array in potential.weights.items()}
    numbers = tensors_to_bytes(arrays)
    description = {
        'format': FORMAT,
        'version': VERSION,
        'units': UNITS,
        'architecture': potential.architecture.scalars(),
        'species': list(potential.species),
        'baseline': scalars,
        'record': dict(potential.record),
        'sha256': hashlib.sha256(numbers).hexdigest(),
    }
    text = json.dumps(description, indent=2, sort_keys=True, allow_nan=False)
    content = {DESCRIPTION: text.encode(), NUMBERS: numbers}
    _check_sizes(content)
    return content


def from_bytes(content: Mapping[str, bytes]) -> Potential:
    """Return the potential of ``to_bytes``.

    :param content: of both files, by name.
    :raises ValueError: naming the file and what is wrong in it: of another format or version, too large, truncated, not
        finite, or with other weights than the architecture has.
    """
    _check_sizes(content)
    description = strict_json.parse(content[DESCRIPTION], DESCRIPTION)
    _check_format(description)
    numbers = content[NUMBERS]
    shapes = tensor_shapes(numbers, NUMBERS)
    try:
        architecture = Architecture.from_scalars(description['architecture'])
        if architecture.scalars() != description['architecture']:
            raise ValueError('architecture: is not complete')
        species = _symbols(description['species'], 'species')
        _check_shapes(shapes, _expected_shapes(architecture, len(species), description['baseline']))
        if hashlib.sha256(numbers).hexdigest() != description['sha256']:
            raise ValueError(f'sha256: is that of another {NUMBERS}; copy both files again')
        arrays = tensors_from_bytes(numbers, NUMBERS)
        potential = Potential(
            architecture,
            species,
            {name: array for key, array in arrays.items() if (name := key.removeprefix('weights.')) != key},
            _baseline_from_arrays(description['baseline'], arrays),
            description['record'],
        )
        weights.check(potential)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f'{DESCRIPTION} and {NUMBERS}: {error}') from error
    return potential


def _check_sizes(content: Mapping[str, bytes]) -> None:
    for name, largest in LARGEST.items():
        if len(content[name]) > largest:
            raise ValueError(f'{name}: is larger than {largest} bytes, more than a potential needs')


def _check_format(description: Scalars) -> None:
    if description.get('format') != FORMAT:
        raise ValueError(f'{DESCRIPTION}: its format is {str(description.get("format"))[:40]!r}, not {FORMAT!r}')
    version = description.get('version')
    if type(version) is not int or version != VERSION:
        remedy = '; update aiida-clathrate' if type(version) is int and version > VERSION else ''
        raise ValueError(f'{DESCRIPTION}: its version is {str(version)[:40]}, this program reads {VERSION}{remedy}')
    if wrong := sorted(set(description) ^ set(KEYS)):
        raise ValueError(f'{DESCRIPTION}: {wrong[0][:40]!r} is missing or unknown; it must hold {", ".join(KEYS)}')
    if description['units'] != UNITS:
        raise ValueError(f'{DESCRIPTION}: units must be {UNITS}')
    if not isinstance(description['record'], dict):
        raise ValueError(f'{DESCRIPTION}: record must be an object')


def _expected_shapes(architecture: Architecture, species_count: int, baseline: Any) -> dict[str, Shape]:
    """Return the shapes of all arrays that must be there."""
    shapes = {f'weights.{name}': shape for name, shape in weights.expected(architecture, species_count).items()}
    if baseline is not None:
        _check_baseline(baseline)
        atoms = len(baseline['symbols'])
        matrices = (math.prod(baseline['mesh']), 3 * atoms, 3 * atoms, 2)
        shapes |= {'baseline.cell': (3, 3), 'baseline.masses': (atoms,), 'baseline.positions': (atoms, 3)}
        shapes |= {'baseline.force_constants': matrices}
    return shapes


def _check_shapes(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> None:
    if missing := sorted(set(expected) - set(found)):
        raise ValueError(f'{missing[0]} is missing')
    if unknown := sorted(set(found) - set(expected)):
        raise ValueError(f'{unknown[0][:40]!r} is no array of this architecture')
    for name, shape in expected.items():
        if found[name] != shape:
            raise ValueError(f'{name} has the shape {found[name]}, needs {shape}')


def _symbols(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(symbol, str) for symbol in value):
        raise ValueError(f'{name}: must be a list of chemical symbols')
    return tuple(value)


def _check_baseline(scalars: Any) -> None:
    if not isinstance(scalars, dict) or set(scalars) != set(BASELINE_KEYS):
        raise ValueError(f'baseline: must be null or hold {", ".join(BASELINE_KEYS)}')
    if len(_symbols(scalars['symbols'], 'baseline: symbols')) > MOST_ATOMS:
        raise ValueError(f'baseline: more than {MOST_ATOMS} atoms in the primitive cell')
    mesh = scalars['mesh']
    if not isinstance(mesh, list) or len(mesh) != 3 or not all(type(n) is int and n > 0 for n in mesh):
        raise ValueError('baseline: mesh must be three whole numbers above 0')
    for name in ('pressure', 'matrices_temperature'):
        if scalars[name] is not None and not is_number(scalars[name]):
            raise ValueError(f'baseline: {name} must be a number or null')


def _baseline_to_arrays(matrices: DynamicalMatrices) -> tuple[Scalars, Arrays]:
    scalars, arrays = matrices_to_arrays(matrices)
    _check_baseline(scalars)
    parts = np.ascontiguousarray(arrays['force_constants'], dtype=np.complex128)[..., None].view(np.float64)
    return scalars, {f'baseline.{name}': array for name, array in (arrays | {'force_constants': parts}).items()}


def _baseline_from_arrays(scalars: Any, arrays: Mapping[str, NDArray[Any]]) -> DynamicalMatrices | None:
    if scalars is None:
        return None
    held = {name: array for key, array in arrays.items() if (name := key.removeprefix('baseline.')) != key}
    if wrong := [name for name, array in held.items() if array.dtype != np.float64]:
        raise ValueError(f'baseline.{wrong[0]} must be in double precision')
    held['force_constants'] = held['force_constants'].view(np.complex128)[..., 0]
    return matrices_from_arrays(scalars, held)
