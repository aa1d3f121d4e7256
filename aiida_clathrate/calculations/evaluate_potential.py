"""Forces on a population of configurations by a trained potential."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.base import PASSIVE_THREADS
from aiida_clathrate.calculations.population_base import PopulationCalculation
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.mlp.baseline import Baseline
from aiida_clathrate.kernels.mlp.evaluation_settings import EvaluationSettings
from aiida_clathrate.kernels.mlp.potential_files import FILES

#: Centroids may be so far from the atoms of the baseline [Å]; what is farther is another atom.
LARGEST_SHIFT = 0.5


class EvaluatePotentialCalculation(PopulationCalculation):
    """Compute energies, forces, stresses and expected errors of all configurations of a population.

    Parameters are the fields of ``kernels.mlp.evaluation_settings.EvaluationSettings``; ``threads``, unless given, is
    the resource ``num_cores_per_mpiproc``.
    """

    _kernel = 'mlp.evaluate_potential'

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, help='Trained on the species of the population.')
        spec.inputs.validator = cls.validate_inputs
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'clathrate.evaluate_potential'
        options['environment_variables'].default = lambda: dict(PASSIVE_THREADS)
        spec.output(
            'deviations',
            valid_type=orm.ArrayData,
            help='`deviations` (c,): expected root mean square error of the force components of each configuration '
            '[eV/Å], calibrated on the validation set of the training.',
        )
        spec.exit_code(
            440, 'ERROR_OUTSIDE_RANGE', message='A configuration is beyond what the potential can compute: {message}'
        )

    @classmethod
    def check_parameters(cls, parameters: dict[str, Any]) -> None:
        """Raise for what the kernel would refuse."""
        EvaluationSettings.from_scalars(parameters)

    @classmethod
    def validate_inputs(cls, inputs: dict[str, Any], _: Any) -> str | None:
        """Return why the potential cannot be that of the population."""
        # A work chain may expose only a part of the ports.
        if not {'population', 'potential'} <= set(inputs):
            return None
        return problem_of(inputs['potential'], inputs['population'])

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the run folder, with the files of the potential."""
        calcinfo = super().prepare_for_submission(folder)
        calcinfo.local_copy_list = [(self.inputs.potential.uuid, name, name) for name in FILES]
        return calcinfo

    def get_scalars(self) -> io.Scalars:
        """Return settings, species and the time that the kernel may take."""
        scalars = super().get_scalars()
        return scalars | {'settings': {'threads': self.cores} | scalars['settings']}


def problem_of(potential: PotentialData, population: ForceEnsembleData) -> str | None:
    """Return why a potential cannot compute a population, ``None`` if it can."""
    known, needed = potential.base.attributes.get('species'), population.base.attributes.get('symbols')
    if missing := [symbol for symbol in dict.fromkeys(needed) if symbol not in known]:
        return (
            f'potential: knows {", ".join(known)}, the population has {", ".join(missing)} too; train one on ensembles '
            'with these elements'
        )
    baseline = potential.to_kernel().baseline
    if baseline is None:
        return None
    mesh, divisions = (node.base.attributes.get('mesh') for node in (potential, population))
    if mesh != divisions:
        names = ('×'.join(map(str, each)) for each in (mesh, divisions))
        return 'potential: its harmonic baseline is of the supercell {}, not {}; train one without'.format(*names)
    ensemble = population.to_kernel()
    supercell = supercell_crystal(ensemble.crystal, ensemble.mesh)
    try:
        Baseline(baseline).check(supercell.symbols, supercell.cell)
    except ValueError as error:
        return f'potential: {error}'
    if (shift := ensemble.crystal.largest_shift(baseline.crystal)) > LARGEST_SHIFT:
        return (
            f'potential: an atom of the population is {shift:.2f} Å from its place in the harmonic baseline; do not '
            'wrap atoms into the cell, train one on this crystal, or without a baseline'
        )
    return None
