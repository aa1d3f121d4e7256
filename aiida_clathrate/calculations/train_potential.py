"""Training of a potential on ensembles, on a computer."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.base import PASSIVE_THREADS
from aiida_clathrate.calculations.resumable import ResumableCalculation
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.ensemble_arrays import ensemble_to_arrays
from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.potential_files import FILES
from aiida_clathrate.kernels.mlp.selection import check_split
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings

#: Between the label of an ensemble and the name of an array.
SEPARATOR = '__'


class TrainPotentialCalculation(ResumableCalculation):
    """Train a potential on labelled configurations, and judge it on others.

    Parameters: ``architecture``, fields of ``kernels.mlp.architecture.Architecture`` and its ``preset``, and
    ``training``, fields of ``kernels.mlp.training_settings.TrainingSettings``; of these ``threads``, unless given, is
    the resource ``num_cores_per_mpiproc``.
    """

    _kernel = 'mlp.train'
    _large_arrays = True
    _kept_folder = 'checkpoint'

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input_namespace(
            'ensembles', dynamic=True, valid_type=ForceEnsembleData, help='Configurations with forces, by label.'
        )
        spec.input(
            'split',
            valid_type=orm.Dict,
            serializer=orm.to_aiida_type,
            help='Of each ensemble, by its label, the indices of the configurations for `training` and `validation`.',
        )
        spec.input(
            'baseline',
            valid_type=orm.Str,
            required=False,
            serializer=orm.to_aiida_type,
            help='Label of the ensemble whose matrices are the harmonic baseline: the potential is what is to be added '
            'to their energy, and belongs to their supercell. Without it, the potential is all of the energy.',
        )
        spec.input(
            'previous',
            valid_type=PotentialData,
            required=False,
            help='Potential whose weights the training starts from, of the same architecture and species.',
        )
        spec.inputs.validator = cls.validate_inputs
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'clathrate.train'
        options['environment_variables'].default = lambda: dict(PASSIVE_THREADS)
        cls.define_outputs(spec)

    @classmethod
    def define_outputs(cls, spec: CalcJobProcessSpec) -> None:
        """Define outputs and exit codes."""
        spec.output('potential', valid_type=PotentialData, help='The best on the validation set.')
        spec.output(
            'validation',
            valid_type=orm.ArrayData,
            help='Labels and predictions of the validation set: `energies` and `predicted_energies` (c,) [eV/atom], '
            '`forces` and `predicted_forces` (n, 3), atom by atom [eV/Å], `validation_index` (c, 2) number of the '
            'ensemble in the order of the labels and of the configuration in it, `force_errors` (c,) root mean square '
            'error of the components and `deviations` (c,) the expected one [eV/Å].',
        )
        spec.output(
            'history',
            valid_type=orm.ArrayData,
            help='The course of the training, an array for each of the `history_columns` of the output parameters.',
        )
        for status, label, message in (
            (212, 'ERROR_LABELS_INVALID', 'Labels that cannot be right: {message}'),
            (213, 'ERROR_TOO_FEW_CONFIGURATIONS', 'Too few configurations: {message}'),
            (411, 'ERROR_NOT_FINITE', 'The training diverged: {message}'),
        ):
            spec.exit_code(status, label, message=message)
        spec.exit_code(
            211,
            'ERROR_CHECKPOINT_REFUSED',
            message='The checkpoint of the earlier run cannot be used: {message}',
            invalidates_cache=True,
        )

    @classmethod
    def check_parameters(cls, parameters: dict[str, Any]) -> None:
        """Raise for what the kernel would refuse."""
        if unknown := sorted(set(parameters) - {'architecture', 'training'}):
            raise ValueError(f'{unknown[0]}: no such parameter; there are architecture, training')
        Architecture.from_scalars(parameters.get('architecture', {}))
        TrainingSettings.from_scalars(parameters.get('training', {}))

    @classmethod
    def validate_inputs(cls, inputs: dict[str, Any], _: Any) -> str | None:
        """Return what is wrong with the inputs together."""
        # A work chain may expose only a part of the ports.
        if 'split' not in inputs:
            return None
        ensembles = inputs.get('ensembles')
        if not ensembles:
            return 'ensembles: need at least one'
        for label, ensemble in ensembles.items():
            if not ensemble.base.attributes.get('computed'):
                return f'ensembles: the configurations of {label} have no forces; compute them first'
        try:
            check_split(
                inputs['split'].get_dict(),
                {label: ensemble.base.attributes.get('number') for label, ensemble in ensembles.items()},
            )
        except ValueError as error:
            return f'split: {error}'
        return other_supercell(inputs['baseline'].value, ensembles) if 'baseline' in inputs else None

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the run folder, with the files of the earlier potential if there is one."""
        calcinfo = super().prepare_for_submission(folder)
        if 'previous' in self.inputs:
            calcinfo.local_copy_list = [(self.inputs.previous.uuid, name, name) for name in FILES]
        calcinfo.retrieve_temporary_list += FILES
        return calcinfo

    def get_scalars(self) -> io.Scalars:
        """Return labels, split and settings."""
        parameters, baseline = super().get_scalars(), self.inputs.get('baseline')
        return {
            'ensembles': {
                label: ensemble_to_arrays(ensemble.to_kernel())[0] for label, ensemble in self.inputs.ensembles.items()
            },
            'split': self.inputs.split.get_dict(),
            'architecture': parameters.get('architecture', {}),
            'settings': {'threads': self.cores} | parameters.get('training', {}),
            'baseline': None if baseline is None else baseline.value,
            'max_seconds': self.max_seconds,
            'previous': 'previous' in self.inputs,
        }

    def get_arrays(self) -> io.Arrays:
        """Return the arrays of all ensembles, with their labels."""
        return {
            f'{label}{SEPARATOR}{name}': array
            for label, ensemble in self.inputs.ensembles.items()
            for name, array in ensemble_to_arrays(ensemble.to_kernel())[1].items()
        }


def other_supercell(baseline: str, ensembles: dict[str, ForceEnsembleData]) -> str | None:
    """Return why a baseline cannot be that of all ensembles, ``None`` if it can."""
    if baseline not in ensembles:
        return f'baseline: {baseline} is none of the ensembles {", ".join(sorted(ensembles))}'
    for name in ('mesh', 'symbols'):
        wanted = ensembles[baseline].base.attributes.get(name)
        for label, ensemble in ensembles.items():
            if (found := ensemble.base.attributes.get(name)) != wanted:
                return f'baseline: {name} {wanted} of {baseline} are not those of {label}, {found}; train without it'
    return None
