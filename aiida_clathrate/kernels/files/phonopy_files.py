"""Files of phonopy: ``phonopy.yaml`` for the crystal and ``FORCE_CONSTANTS`` for Φ(R) in a supercell.

phonopy gives its dynamical matrices the phases of the atomic positions; Φ(R) has no phase. The order of the atoms of
its supercells is left to the package itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, Level, mesh_points
from aiida_clathrate.kernels.files.text import Lines
from aiida_clathrate.kernels.units import BOHR, FORCE_CONSTANT_PER_RYDBERG

if TYPE_CHECKING:
    from phonopy import Phonopy

CRYSTAL_FILES = ('phonopy.yaml', 'phonopy_params.yaml', 'phonopy_disp.yaml')
#: Units that ``phonopy.yaml`` may state, to Å and eV/Å².
LENGTHS = {'angstrom': 1.0, 'au': BOHR}
FORCE_CONSTANTS = {'eV/angstrom^2': 1.0, 'Ry/au^2': FORCE_CONSTANT_PER_RYDBERG}


@dataclass(frozen=True)
class Supercell:
    """Where the atoms of phonopy's supercell are.

    :param crystal: the repeated cell.
    :param mesh: repetitions.
    :param firsts: index in the supercell of each atom of the crystal, shape (n,).
    :param atoms: atom of the crystal of which each atom of the supercell is an image, shape (n·cells,).
    :param cells: lattice vector by which it lies away from the position of that atom, integers, shape (n·cells, 3);
        not always zero for ``firsts``, since phonopy wraps atoms into the supercell.
    """

    crystal: Crystal
    mesh: tuple[int, int, int]
    firsts: NDArray[np.int64]
    atoms: NDArray[np.int64]
    cells: NDArray[np.int64]


def read_phonopy_files(
    texts: Mapping[str, str],
    level: Level = 'harmonic',
    pressure: float | None = None,
    temperature: float | None = None,
) -> DynamicalMatrices:
    """Return Φ(q) on the mesh that the supercell holds.

    The crystal is phonopy's primitive cell, or its unit cell where the supercell does not repeat the primitive cell
    along its own vectors and the force constants are given for all atoms. Effective charges are left out.

    :param texts: contents of ``phonopy.yaml`` (or ``phonopy_params.yaml``) and, unless that holds force constants, of
        ``FORCE_CONSTANTS``, by name.
    :param level: the other parameters are those of ``DynamicalMatrices``.
    :raises ValueError: for files that are missing, damaged, not of each other, or of a supercell without a mesh.
    """
    name = next((name for name in CRYSTAL_FILES if name in texts), None)
    if name is None:
        raise ValueError(f'need one of {", ".join(CRYSTAL_FILES)} for the crystal, among {sorted(texts)[:5]}')
    content = _read_yaml(texts[name], name)
    if 'FORCE_CONSTANTS' in texts:
        rows, constants = parse_force_constants(texts['FORCE_CONSTANTS'], 'FORCE_CONSTANTS')
    elif content.force_constants is not None:
        rows, constants = None, np.asarray(content.force_constants, dtype=np.float64)
    else:
        raise ValueError(f'{name} holds no force constants: give FORCE_CONSTANTS too, which phonopy --writefc writes')
    supercell = _matching_supercell(content, name, constants.shape[:2])
    if constants.shape[0] == constants.shape[1]:
        constants = constants[supercell.firsts]
    elif rows is not None and not np.array_equal(rows, supercell.firsts):
        raise ValueError(f'FORCE_CONSTANTS is of the atoms {(rows + 1).tolist()}, {name} has others: mixed runs')
    return DynamicalMatrices(
        supercell.crystal,
        supercell.mesh,
        _to_reciprocal(supercell, constants * _unit_of(content, name)[1]),
        level,
        pressure,
        temperature,
    )


def write_phonopy_files(matrices: DynamicalMatrices) -> dict[str, str]:
    """Return ``phonopy.yaml`` and ``FORCE_CONSTANTS`` by name, in Å and eV/Å², of the supercell that the mesh spans."""
    import yaml

    crystal, mesh = matrices.crystal, matrices.mesh
    supercell = _locate(_supercell(crystal, np.diag(mesh)), 'primitive')
    points = [
        {'symbol': symbol, 'coordinates': position, 'mass': mass}
        for symbol, position, mass in zip(
            crystal.symbols, crystal.positions.tolist(), crystal.masses.tolist(), strict=True
        )
    ]
    content = {
        'phonopy': {'version': '4.0.0'},
        'physical_unit': {'atomic_mass': 'AMU', 'length': 'angstrom', 'force_constants': 'eV/angstrom^2'},
        'primitive_matrix': np.eye(3).tolist(),
        'supercell_matrix': np.diag(mesh).tolist(),
        'unit_cell': {'lattice': crystal.cell.tolist(), 'points': points},
    }
    constants = _to_real(supercell, matrices.force_constants)
    lines = [f'{constants.shape[0]:4d} {constants.shape[1]:4d}']
    for row, first in zip(constants, supercell.firsts, strict=True):
        for other, block in enumerate(row):
            lines.append(f'{first + 1} {other + 1}')
            lines += [''.join(f'{value:25.16e}' for value in line) for line in block]
    return {'phonopy.yaml': yaml.safe_dump(content, sort_keys=False), 'FORCE_CONSTANTS': '\n'.join(lines) + '\n'}


def parse_force_constants(text: str, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the index of the atom of each row, and Φ, shape (rows, atoms, 3, 3) [units of the file]."""
    lines = Lines(text, name)
    counts = lines.integers(len(lines.peek().split()))
    rows, atoms = (counts[0], counts[-1]) if counts else (0, 0)
    if len(counts) not in (1, 2) or not 1 <= rows <= atoms <= 100_000:
        raise lines.error('need the numbers of rows and of atoms of the supercell here')
    firsts, constants = [], []
    for _ in range(rows):
        pairs, blocks = [], []
        for _ in range(atoms):
            pairs.append(lines.integers(2))
            blocks.append([lines.numbers(3) for _ in range(3)])
        first = pairs[0][0]
        if pairs != [[first, other + 1] for other in range(atoms)]:
            raise lines.error(f'the block that ends here is not that of atom {first} with atoms 1 to {atoms}')
        firsts.append(first - 1)
        constants.append(blocks)
    return np.array(firsts), np.array(constants, dtype=np.float64)


def _read_yaml(text: str, name: str) -> Any:
    """Return phonopy's view of the file; phonopy's own loader would run code that a file contains."""
    import yaml
    from phonopy.interface.phonopy_yaml import load_phonopy_yaml

    try:
        data = yaml.load(text, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
        content = load_phonopy_yaml(data)
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f'{name} is not a file of phonopy, or is damaged: {error!s:.200}') from error
    if content.unitcell is None or content.supercell_matrix is None:
        raise ValueError(f'{name} has no unit cell or no supercell matrix: it must be of a phonopy run')
    return content


def _unit_of(content: Any, name: str) -> tuple[float, float]:
    from phonopy.physical_units import get_calculator_physical_units

    try:
        units = content.physical_units or get_calculator_physical_units(content.calculator)
        return LENGTHS[units.length_unit], FORCE_CONSTANTS[units.force_constants_unit]
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f'{name}: units must be Å and eV/Å² or bohr and Ry/bohr², not those of {error}') from error


def _matching_supercell(content: Any, name: str, shape: tuple[int, int]) -> Supercell:
    length = _unit_of(content, name)[0]
    unit = content.unitcell
    try:
        crystal = Crystal(unit.cell * length, tuple(unit.symbols), unit.scaled_positions, np.asarray(unit.masses))
        phonopy = _supercell(crystal, content.supercell_matrix, content.primitive_matrix)
        found = _locate(phonopy, 'primitive')
    except (RuntimeError, ValueError) as error:
        if shape[0] != shape[1]:
            raise ValueError(f'{name}: {error}; write all force constants (--full-fc)') from error
        found = _locate(_supercell(crystal, content.supercell_matrix), 'unit')
    if shape[1] != len(found.atoms) or shape[0] not in (len(found.firsts), shape[1]):
        raise ValueError(f'force constants of {shape} atoms do not fit the {len(found.atoms)} atoms of {name}')
    return found


def _supercell(crystal: Crystal, matrix: NDArray[Any], primitive: NDArray[np.float64] | None = None) -> Phonopy:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        cell=crystal.cell, symbols=crystal.symbols, scaled_positions=crystal.positions, masses=crystal.masses
    )
    axes = np.eye(3) if primitive is None else primitive
    return Phonopy(cell, supercell_matrix=matrix, primitive_matrix=axes, is_symmetry=False)


def _locate(phonopy: Phonopy, kind: str) -> Supercell:
    primitive, supercell = phonopy.primitive, phonopy.supercell
    repetitions = supercell.cell @ np.linalg.inv(primitive.cell)
    mesh = np.rint(np.diag(repetitions)).astype(int)
    if np.abs(repetitions - np.diag(mesh)).max() > 1e-4 or mesh.min() < 1:
        raise ValueError(f'the supercell does not repeat the {kind} cell along its own vectors: it has no q mesh')
    firsts = np.asarray(primitive.p2s_map, dtype=np.int64)
    atoms = np.array([primitive.p2p_map[index] for index in primitive.s2p_map], dtype=np.int64)
    positions = np.array(primitive.scaled_positions)
    if len(primitive) == len(phonopy.unitcell):
        # Atoms stay where the file has them: wrapping one would change the phases of Φ(q).
        positions += np.rint(phonopy.unitcell.scaled_positions - positions)
    cells = supercell.positions @ np.linalg.inv(primitive.cell) - positions[atoms]
    crystal = Crystal(
        np.array(primitive.cell), tuple(primitive.symbols), positions, np.array(primitive.masses, dtype=np.float64)
    )
    first, second, third = (int(n) for n in mesh)
    return Supercell(crystal, (first, second, third), firsts, atoms, np.rint(cells).astype(np.int64))


def _to_reciprocal(supercell: Supercell, constants: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return Φ(q) of Φ(a, s), shape (n, n·cells, 3, 3)."""
    members = np.eye(len(supercell.firsts))[supercell.atoms]
    blocks = np.einsum('qas,sb,asij->qaibj', _phases(supercell), members, constants, optimize=True)
    size = 3 * len(supercell.firsts)
    return np.asarray(blocks.reshape(-1, size, size), dtype=np.complex128)


def _to_real(supercell: Supercell, force_constants: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return Φ(a, s), shape (n, n·cells, 3, 3), of Φ(q)."""
    atoms = len(supercell.firsts)
    blocks = force_constants.reshape(-1, atoms, 3, atoms, 3)[:, :, :, supercell.atoms]
    real = np.einsum('qas,qaisj->asij', _phases(supercell).conj(), blocks) / len(force_constants)
    if np.abs(real.imag).max() > 1e-6 * np.abs(real).max():
        raise ValueError('force constants are not real in space: Φ(−q) must be Φ(q)*')
    return np.asarray(real.real, dtype=np.float64)


def _phases(supercell: Supercell) -> NDArray[np.complex128]:
    """Return exp(+i q·R) for the lattice vector R from the cell of atom a to that of atom s, shape (q, n, n·cells)."""
    vectors = supercell.cells - supercell.cells[supercell.firsts][:, None]
    return np.asarray(np.exp(2j * np.pi * np.einsum('qi,asi->qas', mesh_points(supercell.mesh), vectors)))
