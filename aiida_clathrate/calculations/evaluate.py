"""Forces on a population of configurations by a calculator on a computer."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.base import KernelCalculation
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.evaluate import Settings
from aiida_clathrate.kernels.evaluation_parts import FOLDER

#: Share of the wall time after which the kernel stops by itself; the rest is for writing the results.
SHARE_OF_WALLTIME = 0.9


class EvaluateCalculation(KernelCalculation):
    """Compute energies, forces and stresses of all configurations of a population in one job.

    The calculator is named by the code: its prepend text sets ``CLATHRATE_CALCULATOR=package.module:factory``. Nothing
    that comes with an archive can choose what is imported. Parameters are the fields of ``kernels.evaluate.Settings``.
    """

    _kernel = 'evaluate'
    _large_arrays = True

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
        spec.input(
            'parent_folder',
            valid_type=orm.RemoteData,
            required=False,
            help='Folder of an earlier run of the same population that was stopped: its parts are not computed again.',
        )
        spec.inputs['metadata']['options']['parser_name'].default = 'clathrate.evaluate'
        spec.output('ensemble', valid_type=ForceEnsembleData, help='The population with energies, forces, stresses.')
        spec.default_output_node = 'output_parameters'
        for status, label, message in (
            (211, 'ERROR_PARTS_REFUSED', 'The parts of the earlier run cannot be used: {message}'),
            (220, 'ERROR_CALCULATOR_MISSING', 'No calculator: {message}'),
            (221, 'ERROR_FORCES_MISSING', 'No forces: {message}'),
            (222, 'ERROR_STRESSES_MISSING', 'No stresses: {message}'),
            (311, 'ERROR_CALCULATOR_FAILED', 'The calculator failed: {message}'),
            (312, 'ERROR_RESULTS_UNUSABLE', 'The calculator gave what cannot be used: {message}'),
            (400, 'ERROR_OUT_OF_WALLTIME', 'Stopped by the wall time, to be continued from the folder: {message}'),
            (401, 'ERROR_WALLTIME_TOO_SHORT', 'Not one batch fits into the wall time, grant more: {message}'),
        ):
            # What is behind the name of a calculator, and the wall time, are no inputs that caching knows.
            spec.exit_code(status, label, message=message, invalidates_cache=True)

    @classmethod
    def check_parameters(cls, parameters: dict[str, Any]) -> None:
        """Raise for what the kernel would refuse."""
        Settings.from_scalars(parameters)

    @classmethod
    def validate_population(cls, population: ForceEnsembleData | None, _: Any) -> str | None:
        """Refuse configurations that have forces already: they would be replaced without a word."""
        if population is not None and population.base.attributes.get('computed'):
            return 'population: the configurations have forces already; give one without'
        return None

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the run folder, with the parts of the earlier run if there is one."""
        calcinfo = super().prepare_for_submission(folder)
        if 'parent_folder' in self.inputs:
            parent = self.inputs.parent_folder
            path = f'{parent.get_remote_path()}/{FOLDER}'
            calcinfo.remote_copy_list = [(parent.computer.uuid, path, FOLDER)]
        return calcinfo

    def get_scalars(self) -> io.Scalars:
        """Return settings, species and the time that the kernel may take."""
        population, wall = self.inputs.population.to_kernel(), self.options.get('max_wallclock_seconds')
        return {
            'settings': super().get_scalars(),
            'symbols': list(supercell_crystal(population.crystal, population.mesh).symbols),
            'max_seconds': SHARE_OF_WALLTIME * wall if wall else None,
        }

    def get_arrays(self) -> io.Arrays:
        """Return the positions of all configurations and the cell of the supercell."""
        population = self.inputs.population.to_kernel()
        supercell = supercell_crystal(population.crystal, population.mesh)
        return {'positions': population.positions, 'cell': supercell.cell}
