"""Ports of the work chains that train a potential and label what it does not know, and what they refuse."""

from __future__ import annotations

from functools import partial

from aiida import orm
from aiida.plugins import CalculationFactory, WorkflowFactory

from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.workflows.port_values import define_value, fraction, not_negative, part, positive
from aiida_clathrate.workflows.relax_phonon_ports import at_least_one

EvaluatePotentialCalculation = CalculationFactory('clathrate.evaluate_potential')
ForcesWorkChain = WorkflowFactory('clathrate.forces')
TrainPotentialCalculation = CalculationFactory('clathrate.train')

#: What a work chain gives to each training itself.
TRAINING_SET = ('ensembles', 'baseline')


def define_training_inputs(spec):
    """Define the input ports of the ``PotentialWorkChain``."""
    define_training_set(spec)
    spec.expose_inputs(
        TrainPotentialCalculation, namespace='train',
        exclude=('ensembles', 'split', 'baseline', 'previous', 'parent_folder'),
    )  # fmt: skip
    number = partial(define_value, spec)
    number('training_configurations', orm.Int, 0, not_negative,
           'Configurations to train with, drawn from all ensembles; the others are held out. 0: all but '
           '`validation_fraction` of them.')  # fmt: skip
    number('validation_fraction', orm.Float, 0.1, part, 'Fraction that is held out at least.')
    number('min_validation', orm.Int, 10, positive, 'Configurations that are held out at least.')
    number('split_seed', orm.Int, 0, not_negative, 'Of the draw.')
    # Configurations that were sought because a potential was uncertain of them are not counted.
    number('largest_energy_error', orm.Float, 0.5, positive,
           'Largest root mean square error of the energies that were held out [meV/atom].')  # fmt: skip
    number('largest_force_error', orm.Float, 50.0, positive,
           'Largest root mean square error of the components of the forces that were held out [meV/Å].')  # fmt: skip
    number('max_attempts', orm.Int, 2, at_least_one,
           'How often a training is tried; stopped by the wall time it goes on and does not count.')  # fmt: skip


def define_training_set(spec):
    """Define the ports of the labelled configurations."""
    spec.input_namespace(
        'ensembles', dynamic=True, required=False, valid_type=ForceEnsembleData, validator=check_computed,
        help='Configurations with forces, by a label for each ensemble.',
    )  # fmt: skip
    spec.input(
        'baseline', valid_type=orm.Str, required=False, serializer=orm.to_aiida_type,
        help='Label of the ensemble whose matrices are the baseline: the potential is what the energy differs by from '
        'theirs. Left out: the potential is the whole energy.',
    )  # fmt: skip
    spec.inputs.validator = check_training_set


def define_training_outputs(spec):
    """Define outputs and exit codes of the ``PotentialWorkChain``."""
    optional = {'required': False}
    spec.output('potential', valid_type=PotentialData, help='Also where it is not accurate.', **optional)
    spec.output('report', valid_type=orm.Dict, help='Errors, limits, worst configurations.', **optional)
    spec.output(
        'validation', valid_type=orm.ArrayData, help='Held-out configurations: labels and predictions.', **optional
    )
    spec.output('history', valid_type=orm.ArrayData, help='Course of the training.', **optional)
    for status, label, message in (
        (401, 'ERROR_SPLIT', 'No training set: {reason}'),
        (402, 'ERROR_SUB_PROCESS_FAILED_TRAINING', 'The training failed: {reason}'),
        (440, 'ERROR_POTENTIAL_INACCURATE',
         'The potential misses the limits: {errors}. Give more configurations, or larger `largest_energy_error` and '
         '`largest_force_error`.'),
    ):  # fmt: skip
        spec.exit_code(status, label, message=message)


def define_labelling_inputs(spec, potential_work_chain):
    """Define the input ports of the ``LabelledForcesWorkChain``."""
    spec.expose_inputs(potential_work_chain, exclude=('metadata',))
    spec.input('population', valid_type=ForceEnsembleData, help='Configurations without forces.')
    spec.input('potential', valid_type=PotentialData, help='To begin with; the ensembles are what it was trained on.')
    spec.expose_inputs(
        EvaluatePotentialCalculation, namespace='evaluate', exclude=('population', 'potential', 'parent_folder')
    )
    spec.expose_inputs(
        ForcesWorkChain, namespace='forces', exclude=('population', 'potential'),
        namespace_options={'help': 'Where labels come from.'},
    )  # fmt: skip
    number = partial(define_value, spec)
    number('largest_deviation', orm.Float, 100.0, positive,
           'Configurations whose expected error of the forces is larger are labelled, the largest first. The default '
           'is twice the default of `largest_force_error`, which is a mean over configurations [meV/Å].')  # fmt: skip
    number('max_labels', orm.Int, 20, at_least_one, 'Configurations that are labelled in a round, at most.')
    number('max_rounds', orm.Int, 3, not_negative, 'Rounds of labels and training for a population, at most.')
    number('largest_fraction_beyond', orm.Float, 0.001, fraction,
           'Fraction of a population that may stay beyond `largest_deviation` after that.')  # fmt: skip
    spec.inputs.validator = check_labelling


def define_labelling_outputs(spec):
    """Define outputs and exit codes of the ``LabelledForcesWorkChain``."""
    optional = {'required': False}
    spec.output('ensemble', valid_type=ForceEnsembleData, help='The population with the last forces.', **optional)
    spec.output('potential', valid_type=PotentialData, help='That gave them.', **optional)
    spec.output_namespace('labels', dynamic=True, valid_type=ForceEnsembleData, help='What was labelled.')
    spec.output('report', valid_type=orm.Dict, help='Each round: deviations, labels, training.', **optional)
    spec.output('validation', valid_type=orm.ArrayData, help='Of the last training, if there was one.', **optional)
    for status, label, message in (
        (401, 'ERROR_SUB_PROCESS_FAILED_EVALUATION', 'The evaluation failed: {reason}'),
        (402, 'ERROR_SELECTION', 'No configurations can be selected: {reason}'),
        (403, 'ERROR_SUB_PROCESS_FAILED_LABELS',
         'No labels: {reason}; to go on, give {uuid} as `forces.restart_from`.'),
        (404, 'ERROR_SUB_PROCESS_FAILED_TRAINING', 'No potential: {reason}'),
        (440, 'ERROR_POTENTIAL_INACCURATE', 'Trained with the labels, {reason}'),
        (441, 'ERROR_POTENTIAL_OUTSIDE_RANGE',
         '{beyond} of {number} configurations are beyond `largest_deviation` after {rounds} rounds of labels: allow '
         'more rounds or labels, or a larger deviation.'),
    ):  # fmt: skip
        spec.exit_code(status, label, message=message)


def check_computed(ensembles, port):
    """Refuse ensembles without forces."""
    for label, ensemble in (ensembles or {}).items():
        if not ensemble.base.attributes.get('computed'):
            return f'{port.name}.{label}: its configurations have no forces; compute them, or leave it out'
    return None


def check_training_set(inputs, _):
    """Refuse to train with nothing, or with a baseline that is no ensemble."""
    ensembles = inputs.get('ensembles') or {}
    if not ensembles:
        return 'ensembles: give at least one ensemble with forces, to train with'
    return check_baseline(inputs, ensembles)


def check_baseline(inputs, ensembles):
    """Refuse a baseline that is no ensemble."""
    if 'baseline' in inputs and inputs['baseline'].value not in ensembles:
        return f'baseline: {inputs["baseline"].value!r} is no label of the ensembles {", ".join(sorted(ensembles))}'
    return None


def check_labelling(inputs, _):
    """Refuse what cannot be evaluated, or be trained again."""
    ensembles = inputs.get('ensembles') or {}
    if 'max_rounds' in inputs and inputs['max_rounds'].value and not ensembles:
        return 'ensembles: give what the potential was trained on, to train it again; or 0 as max_rounds'
    return check_baseline(inputs, ensembles) or check_evaluation(inputs.get('evaluate', {}))


def check_evaluation(inputs):
    """Refuse a parameter of the evaluation that the work chain sets."""
    if 'parameters' in inputs and 'stress' in inputs['parameters'].get_dict():
        return 'evaluate.parameters: stress is an input of the forces; leave it out here'
    return None
