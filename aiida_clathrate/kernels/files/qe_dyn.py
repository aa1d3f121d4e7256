"""Dynamical matrix files: ``dyn0``, ``dyn1`` … of ph.x and matdyn.x, and those of python-sscha, which have no ``dyn0``.

Each file holds one star: the crystal, then Φ(q) [Ry/bohr²] of each wave vector of the star. Lengths are in alat.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, Level, mesh_points
from aiida_clathrate.kernels.files.qe_blocks import format_block, infer_mesh, is_heading, on_mesh, read_blocks
from aiida_clathrate.kernels.files.qe_lattice import lattice_of_ibrav
from aiida_clathrate.kernels.files.star_groups import star_groups
from aiida_clathrate.kernels.files.text import Lines
from aiida_clathrate.kernels.units import AMU_PER_RYDBERG_MASS, BOHR, FORCE_CONSTANT_PER_RYDBERG

_SPECIES = re.compile(r"\s*(\d+)\s+'([^']*)'\s*(\S+)\s*")


@dataclass(frozen=True)
class DynFile:
    """The content of one file.

    :param name: name of the file.
    :param crystal: the crystal.
    :param alat: unit of length of the file [Å].
    :param qpoints: wave vectors of the star, fractional, not wrapped, shape (k, 3).
    :param force_constants: Φ(q), shape (k, 3n, 3n) [eV/Å²].
    :param dielectric: ε∞, shape (3, 3) [dimensionless]; ``None`` where the file has none.
    :param charges: Born effective charges, first index of the field, shape (n, 3, 3) [e], or ``None``.
    """

    name: str
    crystal: Crystal
    alat: float
    qpoints: NDArray[np.float64]
    force_constants: NDArray[np.complex128]
    dielectric: NDArray[np.float64] | None = None
    charges: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class DynFiles:
    """The files of one run.

    :param mesh: divisions of the q mesh.
    :param files: one for each star, in the order of their numbers.
    :raises ValueError: if the files are of different crystals.
    """

    mesh: tuple[int, int, int]
    files: tuple[DynFile, ...]

    def __post_init__(self) -> None:
        first = self.files[0]
        for file in self.files[1:]:
            same = first.crystal.same_lattice(file.crystal, 1e-5) and abs(file.alat - first.alat) < 1e-6
            if not same or not np.allclose(file.crystal.masses, first.crystal.masses, rtol=1e-6):
                raise ValueError(f'{file.name} and {first.name} belong to different crystals: files of runs are mixed')

    @property
    def crystal(self) -> Crystal:
        """Return the crystal."""
        return self.files[0].crystal

    def matrices(
        self, level: Level = 'harmonic', pressure: float | None = None, temperature: float | None = None
    ) -> DynamicalMatrices:
        """Return Φ(q) on the whole mesh; the parameters are those of ``DynamicalMatrices``.

        The part of Φ that is not analytic at Γ in an insulator is not among the matrices: a warning says so.
        """
        parts = [(file.name, file.qpoints, file.force_constants / FORCE_CONSTANT_PER_RYDBERG) for file in self.files]
        full = on_mesh(self.mesh, parts) * FORCE_CONSTANT_PER_RYDBERG
        for file in self.files:
            if file.dielectric is not None:
                warnings.warn(
                    f'{file.name}: the dielectric tensor and the effective charges are left out, and with them the '
                    'splitting of longitudinal and transverse modes at Γ',
                    stacklevel=2,
                )
        return DynamicalMatrices(self.crystal, self.mesh, full, level, pressure, temperature)


def read_dyn_files(
    texts: Mapping[str, str],
    prefix: str = 'dyn',
    level: Level = 'harmonic',
    pressure: float | None = None,
    temperature: float | None = None,
) -> DynamicalMatrices:
    """Return the matrices of ``PREFIX1``, ``PREFIX2`` … on the whole mesh.

    :param texts: contents of files by name; others than those of the prefix are ignored.
    :param prefix: what precedes the numbers in the names.
    :param level: ``harmonic`` for ph.x, ``sscha`` or ``hessian`` for python-sscha.
    :param pressure: [GPa].
    :param temperature: [K].
    :raises ValueError: for files that are missing, damaged, of different crystals, or that leave q points out.
    """
    return parse_dyn_files(texts, prefix).matrices(level, pressure, temperature)


def parse_dyn_files(texts: Mapping[str, str], prefix: str = 'dyn') -> DynFiles:
    """Return the contents of the files of one run star by star, see ``read_dyn_files``."""
    numbers = {name[len(prefix) :] for name in texts if name.startswith(prefix)}
    count = len({number for number in numbers if re.fullmatch('[1-9][0-9]*', number, re.ASCII)})
    if not count:
        raise ValueError(f'no files {prefix}1, {prefix}2 … among {sorted(texts)[:5]}: give the prefix of the names')
    mesh = None
    if '0' in numbers:
        mesh, count = parse_dyn0(texts[f'{prefix}0'], f'{prefix}0')
    missing = [f'{prefix}{number}' for number in range(1, count + 1) if str(number) not in numbers]
    if missing:
        raise ValueError(f'of {count} files {prefix}N these are missing: {", ".join(missing[:5])}')
    files = tuple(parse_dyn(texts[f'{prefix}{n}'], f'{prefix}{n}') for n in range(1, count + 1))
    return DynFiles(mesh or infer_mesh(np.concatenate([file.qpoints for file in files])), files)


def parse_dyn0(text: str, name: str) -> tuple[tuple[int, int, int], int]:
    """Return the q mesh and the number of stars."""
    lines = Lines(text, name)
    first, second, third = lines.integers(3)
    (count,) = lines.integers(1)
    if min(first, second, third, count) < 1 or count > first * second * third:
        raise lines.error(f'a mesh {first} × {second} × {third} cannot have {count} stars')
    for _ in range(count):
        lines.numbers(3)
    return (first, second, third), count


def parse_dyn(text: str, name: str) -> DynFile:
    """Return the content of one file.

    :raises ValueError: if it is damaged, incomplete or not of this format.
    """
    if text.lstrip().startswith('<'):
        raise ValueError(f'{name} is XML: give fildyn a name that does not end in .xml and run ph.x again')
    lines = Lines(text, name)
    if not lines.read().strip().lower().startswith('dynamical matrix file'):
        raise lines.error('not a file of dynamical matrices, which starts with "Dynamical matrix file"')
    lines.read()
    crystal, cell, alat = _read_crystal(lines)
    cartesian, matrices = read_blocks(lines, len(crystal.symbols))
    if not len(matrices):
        raise lines.error('need the heading "Dynamical Matrix in cartesian axes" here')
    dielectric, charges = _read_response(lines, len(crystal.symbols))
    return DynFile(name, crystal, alat, cartesian @ cell.T, matrices * FORCE_CONSTANT_PER_RYDBERG, dielectric, charges)


def write_dyn_files(matrices: DynamicalMatrices, prefix: str = 'dyn') -> dict[str, str]:
    """Return the texts of ``PREFIX0``, ``PREFIX1`` … by name, as q2r.x and python-sscha read them."""
    crystal, points = matrices.crystal, mesh_points(matrices.mesh)
    alat = float(np.linalg.norm(crystal.cell[0]))
    cartesian = points @ np.linalg.inv(crystal.cell / alat).T
    header = _format_crystal(crystal, alat)
    texts, representatives = {}, []
    for members in star_groups(crystal, matrices.mesh):
        blocks = [format_block(cartesian[q], matrices.force_constants[q] / FORCE_CONSTANT_PER_RYDBERG) for q in members]
        representatives.append(cartesian[members[0]])
        texts[f'{prefix}{len(representatives)}'] = header + ''.join(blocks)
    listed = ''.join(''.join(f'{value:24.15E}' for value in q) + '\n' for q in representatives)
    first, second, third = matrices.mesh
    return {f'{prefix}0': f'{first:4d}{second:4d}{third:4d}\n{len(representatives):4d}\n{listed}', **texts}


def _read_crystal(lines: Lines) -> tuple[Crystal, NDArray[np.float64], float]:
    values = lines.numbers(9)
    kinds, atoms, ibrav = (int(value) for value in values[:3])
    alat = values[3] * BOHR
    if values[:3] != [kinds, atoms, ibrav] or not 1 <= kinds <= atoms <= 10_000 or not 1e-3 < alat < 1e6:
        raise lines.error('need numbers of species and atoms, ibrav and celldm(1) > 0 [bohr] here')
    if ibrav:
        cell = lattice_of_ibrav(ibrav, values[3:], lines)
    else:
        lines.read()
        cell = np.array([lines.numbers(3) for _ in range(3)])
    species = [_read_species(lines, kind + 1) for kind in range(kinds)]
    symbols, masses, positions = [], [], []
    for atom in range(atoms):
        number, kind, *position = lines.numbers(5)
        if number != atom + 1 or kind not in range(1, kinds + 1):
            raise lines.error(f'need atom {atom + 1} of species 1 to {kinds} here')
        symbols.append(species[int(kind) - 1][0])
        masses.append(species[int(kind) - 1][1])
        positions.append(position)
    if abs(np.linalg.det(cell)) < 1e-6:
        raise lines.error('the lattice vectors of the file span no volume')
    try:
        fractional = np.array(positions) @ np.linalg.inv(cell)
        return Crystal(cell * alat, tuple(symbols), fractional, np.array(masses)), cell, alat
    except (ValueError, RuntimeError) as error:
        raise lines.error(str(error)) from error


def _read_species(lines: Lines, number: int) -> tuple[str, float]:
    from ase.data import atomic_numbers

    match = _SPECIES.fullmatch(lines.read_filled())
    if match is None or match[1] != str(number):
        raise lines.error(f'need species {number}, its name in quotes and its mass, as in "{number} \'H \' 918.7"')
    # Names of species may carry numbers and marks: H1, Fe_up.
    found = re.match('[A-Za-z]+', match[2].strip())
    symbol = found[0].capitalize() if found else ''
    if symbol not in atomic_numbers or symbol == 'X':
        raise lines.error(f'species {match[2].strip()!r} does not begin with the symbol of an element')
    (mass,) = lines.parse(match[3], 1)
    return symbol, mass * AMU_PER_RYDBERG_MASS


def _read_response(lines: Lines, atoms: int) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    dielectric = charges = None
    while not lines.done:
        line = lines.read_filled()
        if 'Diagonalizing' in line:
            break
        if is_heading(line):
            raise lines.error('a matrix after the dielectric tensor: the file is damaged')
        if 'Dielectric Tensor' in line:
            dielectric = np.array([lines.numbers(3) for _ in range(3)])
        elif 'Effective Charges E-U' in line:
            charges = np.array([_read_charge(lines) for _ in range(atoms)])
    return dielectric, charges


def _read_charge(lines: Lines) -> list[list[float]]:
    if 'atom' not in lines.read_filled():
        raise lines.error('need "atom # N" here')
    return [lines.numbers(3) for _ in range(3)]


def _format_crystal(crystal: Crystal, alat: float) -> str:
    species = list(dict.fromkeys(zip(crystal.symbols, crystal.masses.tolist(), strict=True)))
    atoms = [species.index(pair) + 1 for pair in zip(crystal.symbols, crystal.masses.tolist(), strict=True)]
    numbers = ''.join(f'{value:22.16f}' for value in (alat / BOHR, 0, 0, 0, 0, 0))
    lines = ['Dynamical matrix file', crystal.formula, f'{len(species):3d}{len(atoms):5d}{0:4d}{numbers}']
    lines += ['Basis vectors', *(''.join(f'{value:24.16f}' for value in row) for row in crystal.cell / alat)]
    lines += [
        f"{number:12d}  '{symbol:<3s}'  {mass / AMU_PER_RYDBERG_MASS:.14f}"
        for number, (symbol, mass) in enumerate(species, 1)
    ]
    positions = crystal.positions @ crystal.cell / alat
    for number, (kind, position) in enumerate(zip(atoms, positions, strict=True), 1):
        lines.append(f'{number:5d}{kind:5d}' + ''.join(f'{value:24.16f}' for value in position))
    return '\n'.join(lines) + '\n'
