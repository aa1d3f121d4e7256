"""Base of the calculations that give a population its forces."""

from __future__ import annotations

from typing import Any

from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.resumable import ResumableCalculation
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.evaluation_parts import FOLDER


class PopulationCalculation(ResumableCalculation):
    """Run a kernel on all configurations of a population; its scalars are species, ``settings`` and the time it has."""

    _large_arrays = True
    _kept_folder = FOLDER

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input(
            'population',
            valid_type=ForceEnsembleData,
            validator=cls.validate_population,
            help='Configurations without forces.',
        )
        spec.output('ensemble', valid_type=ForceEnsembleData, help='The population with energies, forces, stresses.')
        for status, label, message in (
            (211, 'ERROR_PARTS_REFUSED', 'The parts of the earlier run cannot be used: {message}'),
            (221, 'ERROR_FORCES_MISSING', 'No forces: {message}'),
            (222, 'ERROR_STRESSES_MISSING', 'No stresses: {message}'),
            (311, 'ERROR_CALCULATOR_FAILED', 'The calculator failed: {message}'),
            (312, 'ERROR_RESULTS_UNUSABLE', 'The calculator gave what cannot be used: {message}'),
        ):
            # What is behind the name of a calculator is no input that caching knows.
            spec.exit_code(status, label, message=message, invalidates_cache=True)

    @classmethod
    def validate_population(cls, population: ForceEnsembleData | None, _: Any) -> str | None:
        """Refuse configurations that have forces already: they would be replaced without a word."""
        if population is not None and population.base.attributes.get('computed'):
            return 'population: the configurations have forces already; give one without'
        return None

    def get_scalars(self) -> io.Scalars:
        """Return settings, species and the time that the kernel may take."""
        population = self.inputs.population.to_kernel()
        return {
            'settings': super().get_scalars(),
            'symbols': list(supercell_crystal(population.crystal, population.mesh).symbols),
            'max_seconds': self.max_seconds,
        }

    def get_arrays(self) -> io.Arrays:
        """Return the positions of all configurations and the cell of the supercell."""
        population = self.inputs.population.to_kernel()
        supercell = supercell_crystal(population.crystal, population.mesh)
        return {'positions': population.positions, 'cell': supercell.cell}
