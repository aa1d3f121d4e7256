"""Calculators that the environment of a run names: the code on the computer chooses what is imported, never an input.

An archive or an ensemble may come from anybody. What they contain is data; a module that is imported because of them
would be a program of a stranger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from aiida_clathrate.kernels.io import KernelError

#: ``package.module:factory``, and the keywords of the factory as a JSON object.
NAME_VARIABLE, OPTIONS_VARIABLE = 'CLATHRATE_CALCULATOR', 'CLATHRATE_CALCULATOR_OPTIONS'

Results = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]
#: The same with the expected root mean square error of the force components of each configuration, (c,) [eV/Å].
ScoredResults = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.float64]]


class Evaluator(Protocol):
    """What can compute several configurations of one supercell."""

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Results:
        """Return energies (c,) [eV], forces (c, s, 3) [eV/Å] and stresses (c, 3, 3) [eV/Å³] with the sign of ASE.

        :param positions: shape (c, s, 3), not wrapped [Å].
        :param cell: lattice vectors as rows [Å].
        """


@dataclass(frozen=True)
class CalculatorName:
    """Where a calculator comes from.

    :param path: ``package.module:factory``.
    :param options: keywords of the factory.
    :raises ValueError: if the path names no attribute of a module.
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        module, _, factory = self.path.partition(':')
        if not (all(map(str.isidentifier, module.split('.'))) and factory.isidentifier()):
            raise ValueError(f'{self.path!r} is not of the form package.module:factory')

    @property
    def source(self) -> str:
        """Return what an ensemble says about its origin."""
        return f'ase:{self.path}'

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> CalculatorName:
        """Return what the variables of a code name.

        :raises KernelError: ERROR_CALCULATOR_MISSING where they name nothing, or are not to be understood.
        """
        if NAME_VARIABLE not in environment:
            raise KernelError(
                'ERROR_CALCULATOR_MISSING',
                f'the code sets no {NAME_VARIABLE}; make one with "aiida-clathrate setup calculator"',
            )
        try:
            options = json.loads(environment.get(OPTIONS_VARIABLE, '{}'))
        except ValueError as error:
            raise KernelError('ERROR_CALCULATOR_MISSING', f'{OPTIONS_VARIABLE} is no JSON: {error}') from error
        if not isinstance(options, dict):
            raise KernelError('ERROR_CALCULATOR_MISSING', f'{OPTIONS_VARIABLE} must be a JSON object, not {options!r}')
        try:
            return cls(environment[NAME_VARIABLE], options)
        except ValueError as error:
            raise KernelError('ERROR_CALCULATOR_MISSING', f'{NAME_VARIABLE}: {error}') from error

    def build(self) -> Any:
        """Import the module and call the factory.

        :raises KernelError: ERROR_CALCULATOR_MISSING with what went wrong.
        """
        module, _, factory = self.path.partition(':')
        try:
            return getattr(import_module(module), factory)(**self.options)
        except Exception as error:
            raise KernelError(
                'ERROR_CALCULATOR_MISSING', f'{self.path} cannot be made: {type(error).__name__}: {error}'
            ) from error


class AseEvaluator:
    """An ASE calculator, which takes one configuration at a time.

    :param calculator: of ASE.
    :param symbols: of the atoms of the supercell.
    :param stress: whether stresses are needed.
    :raises KernelError: if it cannot give what is needed.
    """

    def __init__(self, calculator: Any, symbols: list[str], stress: bool):
        properties = getattr(calculator, 'implemented_properties', ())
        if 'forces' not in properties:
            raise KernelError('ERROR_FORCES_MISSING', f'{type(calculator).__name__} computes no forces')
        if stress and 'stress' not in properties:
            raise KernelError(
                'ERROR_STRESSES_MISSING',
                f'{type(calculator).__name__} computes no stresses; take another calculator, or a fixed cell without '
                '`stress`',
            )
        self.stress = stress
        # Forces are derivatives of the free energy of the electrons, not of their energy.
        self.consistent = 'free_energy' in properties
        self.atoms = Atoms(symbols, positions=np.zeros((len(symbols), 3)), pbc=True)
        self.atoms.calc = calculator

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Results:
        """Return energies, forces and stresses as the protocol has them."""
        self.atoms.set_cell(cell)
        energies, forces, stresses = [], [], []
        for configuration in positions:
            self.atoms.set_positions(configuration)
            energies.append(self.atoms.get_potential_energy(force_consistent=self.consistent))
            forces.append(self.atoms.get_forces())
            if self.stress:
                stresses.append(self.atoms.get_stress(voigt=False))
        return np.array(energies), np.array(forces), np.array(stresses) if self.stress else None
