"""Ensembles as extended XYZ through ASE: what potentials are trained on, and what other programs exchange.

Energies of the supercell in eV, forces in eV/Å, stresses in ASE's sign: negative under compression, eV/Å³.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble, supercell_crystal
from aiida_clathrate.kernels.files.configurations import Configurations
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

if TYPE_CHECKING:
    from ase import Atoms

#: Of the cells of the configurations [Å].
TOLERANCE = 1e-4


def write_extxyz(ensemble: ForceEnsemble) -> str:
    """Return the configurations as text, with energies, forces and stresses where they are known."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write
    from ase.stress import full_3x3_to_voigt_6_stress

    template = supercell_crystal(ensemble.crystal, ensemble.mesh).to_ase()
    frames = []
    for index, positions in enumerate(ensemble.positions):
        atoms = template.copy()
        atoms.positions = positions
        if ensemble.energies is not None and ensemble.forces is not None:
            results: dict[str, Any] = {'energy': float(ensemble.energies[index]), 'forces': ensemble.forces[index]}
            if ensemble.stresses is not None:
                results['stress'] = full_3x3_to_voigt_6_stress(-ensemble.stresses[index] / GPA_PER_EV_ANGSTROM3)
            atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    stream = StringIO()
    write(stream, frames, format='extxyz')
    return stream.getvalue()


def read_extxyz(path: Path, matrices: DynamicalMatrices, temperature: float, source: str = 'extxyz') -> ForceEnsemble:
    """Return the configurations of a file as an ensemble.

    The energy is the one that the forces are the derivative of, ``free_energy``, where the file has it.

    :param matrices: that the configurations were drawn from.
    :param temperature: that they were drawn at [K].
    :param source: where energies and forces come from.
    :raises ValueError: for a damaged file, configurations of another structure or drawn from other matrices, and for
        energies, forces or stresses of a part of the configurations.
    """
    from ase.io import read

    try:
        frames: list[Atoms] = list(read(path, index=':', format='extxyz'))
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise ValueError(f'{path} cannot be read as extended XYZ: {error}') from error
    if not frames:
        raise ValueError(f'{path} holds no configurations')
    supercell = supercell_crystal(matrices.crystal, matrices.mesh)
    symbols = tuple(frames[0].get_chemical_symbols())
    for number, atoms in enumerate(frames, 1):
        if tuple(atoms.get_chemical_symbols()) != symbols:
            raise ValueError(f'{path}: configuration {number} has other atoms than the first, or another order')
        if np.abs(atoms.cell.array - supercell.cell).max() > TOLERANCE:
            raise ValueError(
                f'{path}: the cell of configuration {number} is not the supercell {"×".join(map(str, matrices.mesh))} '
                'of the matrices'
            )
    results = [dict(atoms.calc.results) if atoms.calc else {} for atoms in frames]
    return Configurations(
        str(path),
        np.array([atoms.positions for atoms in frames]),
        _all_or_none(path, 'energies', [result.get('free_energy', result.get('energy')) for result in results]),
        _all_or_none(path, 'forces', [result.get('forces') for result in results]),
        _stresses(path, frames, results),
        symbols,
    ).ensemble(matrices, temperature, source)


def _stresses(path: Path, frames: list[Atoms], results: list[dict[str, Any]]) -> NDArray[np.float64] | None:
    from ase.stress import voigt_6_to_full_3x3_stress

    stresses = _all_or_none(path, 'stresses', [result.get('stress') for result in results])
    if stresses is None:
        return None
    full = np.array([voigt_6_to_full_3x3_stress(stress) if stress.shape == (6,) else stress for stress in stresses])
    return np.asarray(-full * GPA_PER_EV_ANGSTROM3)


def _all_or_none(path: Path, name: str, values: list[Any]) -> NDArray[np.float64] | None:
    present = [index for index, value in enumerate(values) if value is not None]
    if not present:
        return None
    if len(present) < len(values):
        raise ValueError(
            f'{path}: {name} of {len(present)} of {len(values)} configurations; compute all of them or none'
        )
    return np.array(values, dtype=np.float64)
