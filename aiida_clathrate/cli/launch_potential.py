"""``launch train`` and ``launch evaluate-potential``: a potential from labelled configurations, and its forces."""

from __future__ import annotations

import click
from aiida.cmdline.params import options, types
from aiida.cmdline.utils import decorators

from aiida_clathrate.cli.launch_options import PYTHON
from aiida_clathrate.cli.potential_options import (
    ENSEMBLE,
    MAX_ENERGY_ERROR,
    MAX_FORCE_ERROR,
    POTENTIAL,
    labelled,
    set_value,
    with_cores,
)
from aiida_clathrate.cli.submission import code, launch

TRAIN_EXAMPLE = """\b
Examples:
  aiida-clathrate launch train 123 456 --architecture paper --training epochs=300 --cores 16
  aiida-clathrate launch train 123 --sought 789 --number 200 --max-force-error 30 --seed 1
"""
EVALUATE_EXAMPLE = """\b
Example:
  aiida-clathrate launch evaluate-potential 123 456 --cores 16
"""
CORES = options.OverridableOption(
    '--cores', type=click.IntRange(min=1), default=1, show_default=True, help='Cores of the job.'
)
WALLTIME = options.OverridableOption(
    '--walltime',
    type=click.IntRange(min=60),
    default=43200,
    show_default=True,
    help='Seconds that the scheduler grants.',
)


def settings(_context, parameter, texts):
    """Return the values of ``KEY=VALUE`` by key; of an architecture, a word alone is its preset."""
    import yaml

    values = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not equals and parameter.name == 'architecture':
            name, value = 'preset', text
        elif not equals:
            raise click.BadParameter(f'{text!r} is not KEY=VALUE, for instance epochs=300')
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise click.BadParameter(f'{text!r}: {value!r} is no value') from None
    return values


@click.command('train', epilog=TRAIN_EXAMPLE)
@click.argument('ensembles', nargs=-1, required=True, type=types.DataParamType(sub_classes=(ENSEMBLE,)))
@click.option(
    '--sought',
    type=types.DataParamType(sub_classes=(ENSEMBLE,)),
    metavar='NODE',
    multiple=True,
    help='Ensemble that was chosen because a potential was uncertain: it comes on top, and is not what accuracy is '
    'judged by.',
)
@PYTHON()
@click.option(
    '--architecture',
    multiple=True,
    metavar='PRESET|KEY=VALUE',
    callback=settings,
    help='fast or paper, and what differs from it, such as radial_cutoff=5  [fast].',
)
@click.option(
    '--training',
    multiple=True,
    metavar='KEY=VALUE',
    callback=settings,
    help='Of the loss and the optimiser, such as epochs=300 or model=linear.',
)
@click.option('--number', type=click.IntRange(min=1), help='Configurations to train with  [all but those held out].')
@click.option(
    '--validation-fraction',
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help='Fraction that is held out at least  [0.1].',
)
@click.option('--min-validation', type=click.IntRange(min=1), help='Configurations held out at least  [10].')
@click.option('--seed', type=click.IntRange(min=0), default=0, show_default=True, help='Of the random numbers.')
@MAX_ENERGY_ERROR()
@MAX_FORCE_ERROR()
@CORES()
@WALLTIME()
@decorators.with_dbenv()
def cmd_train(**arguments):
    """Train a potential on a part of labelled ENSEMBLES (pks or uuids), and judge it by the others."""
    launch(training_builder, **arguments)


def training_builder(ensembles, sought, python, architecture, training, seed, cores, walltime, **numbers):
    """Return a builder from the options of the command line.

    :raises ValueError: in one sentence with the name of the option.
    """
    from aiida.plugins import CalculationFactory, WorkflowFactory

    parameters = {'architecture': architecture, 'training': {'seed': seed} | training}
    CalculationFactory('clathrate.train').check_parameters(parameters)
    builder = WorkflowFactory('clathrate.potential').get_builder()
    builder.ensembles = labelled(ensembles) | labelled(sought, 'labels')
    builder.train.code, builder.train.parameters = code(python), parameters
    builder.train.metadata.options = {'resources': with_cores(cores), 'max_wallclock_seconds': walltime}
    builder.split_seed = seed
    for option, port in {
        'number': 'training_configurations',
        'validation_fraction': 'validation_fraction',
        'min_validation': 'min_validation',
        'max_energy_error': 'largest_energy_error',
        'max_force_error': 'largest_force_error',
    }.items():
        set_value(builder, port, numbers[option], option)
    return builder


@click.command('evaluate-potential', epilog=EVALUATE_EXAMPLE)
@click.argument('population', type=types.DataParamType(sub_classes=(ENSEMBLE,)))
@click.argument('potential', type=types.DataParamType(sub_classes=(POTENTIAL,)))
@PYTHON()
@click.option('--stress', is_flag=True, help='Stresses too.')
@click.option('--batch-size', type=click.IntRange(min=1), help='Configurations at a time  [32].')
@click.option('--precision', type=click.Choice(['single', 'double']), help='Of the potential  [single].')
@click.option('--device', type=click.Choice(['cpu', 'cuda']), help='[cpu]')
@CORES()
@WALLTIME()
@decorators.with_dbenv()
def cmd_evaluate_potential(**arguments):
    """Compute a POPULATION of configurations by a POTENTIAL, with the errors that it expects of itself."""
    launch(evaluation_builder, **arguments)


def evaluation_builder(population, potential, python, stress, cores, walltime, **given):
    """Return a builder from the options of the command line.

    :raises ValueError: if the potential cannot compute the population.
    """
    from aiida_clathrate.calculations.evaluate_potential import EvaluatePotentialCalculation, problem_of

    if problem := problem_of(potential, population):
        raise ValueError(problem)
    builder = EvaluatePotentialCalculation.get_builder()
    builder.code, builder.population, builder.potential = code(python), population, potential
    builder.parameters = {'stress': stress} | {name: value for name, value in given.items() if value is not None}
    builder.metadata.options = {'resources': with_cores(cores), 'max_wallclock_seconds': walltime}
    return builder
