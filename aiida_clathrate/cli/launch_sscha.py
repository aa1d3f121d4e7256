"""``launch sscha``: the quantum anharmonic lattice, from harmonic matrices or from where an earlier run ended."""

from __future__ import annotations

import click
from aiida.cmdline.params import types
from aiida.cmdline.utils import decorators
from click.core import ParameterSource

from aiida_clathrate.cli.launch_options import (
    CALCULATOR,
    MESH,
    OVERRIDES,
    PROTOCOL,
    PSEUDO_FAMILY,
    PYTHON,
    population_options,
    resource_options,
)
from aiida_clathrate.cli.potential_options import PORTS, PotentialOptions, potential_options, set_value
from aiida_clathrate.cli.submission import code, launch, read_overrides, resources

EXAMPLE = """\b
Examples:
  aiida-clathrate launch sscha 123 --supercell 2 2 2 --temperature 300 --populations 100,200,400
  aiida-clathrate launch sscha 123 --supercell 2 2 2 --temperature 0 --calculator mace@localhost --protocol stringent
  aiida-clathrate launch sscha 123 --supercell 2 2 2 --temperature 300 --populations 40,80 --potential
  aiida-clathrate launch sscha --restart 456
"""
NUMBERS = ('populations', 'hessian_configurations', 'seed', 'reference', 'max_concurrent')
#: What may be other than in the run that is gone on with: nothing that the forces depend on.
RESTARTABLE = {'restart', 'processes', 'walltime', 'potential_cores', *NUMBERS, *PORTS}


@click.command('sscha', epilog=EXAMPLE)
@click.argument(
    'matrices', required=False, type=types.DataParamType(sub_classes=('aiida.data:clathrate.dynamical_matrix',))
)
@click.option('--supercell', **MESH, help='Its divisions; they divide the q mesh of MATRICES.')
@click.option('--temperature', type=click.FloatRange(min=0), help='In K.')
@click.option('--pressure', type=float, help='Target of a variable cell in GPa.')
@click.option('--variable-cell', is_flag=True, help='Let the cell go to the pressure.')
@click.option('--pw', '--pw-code', 'pw', help='Code of pw.x for the forces.  [default: pw@localhost]')
@CALCULATOR()
@PYTHON()
@PROTOCOL()
@population_options
@potential_options
@click.option('--kpoints', **MESH, help='k mesh of the supercell, instead of the distance of the protocol.')
@PSEUDO_FAMILY()
@OVERRIDES()
@resource_options
@click.option('--max-concurrent', type=click.IntRange(min=1), help='How many configurations run at the same time.')
@click.option(
    '--restart',
    type=types.ProcessParamType(),
    help='Go on from the last population of this SschaWorkChain, finished or not, with its inputs; only numbers of '
    'configurations, limits of a potential, seed, reference and resources may be others.',
)
@click.pass_context
@decorators.with_dbenv()
def cmd_sscha(context, restart, **arguments):
    """Find the anharmonic lattice, its free energy and stability from harmonic MATRICES (a pk or uuid)."""
    if restart is None:
        launch(new_builder, **arguments)
    else:
        launch(restarted_builder, earlier=restart, given=given_options(context), **arguments)


def given_options(context):
    """Return the parameters that were given, by name, as the user wrote them."""
    return {
        parameter.name: parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name) == ParameterSource.COMMANDLINE
    }


def new_builder(
    matrices, supercell, temperature, pressure, variable_cell, pw, calculator, python, overrides, processes, walltime,
    protocol, kpoints, pseudo_family, pools, **numbers,
):  # fmt: skip
    """Return a builder from the options of the command line.

    :raises ValueError: in one sentence with the name of the option.
    """
    from aiida.plugins import WorkflowFactory

    if matrices is None:
        raise ValueError('MATRICES: missing; give the pk of harmonic matrices, or an earlier run with --restart')
    for name, value, example in (('supercell', supercell, '2 2 2'), ('temperature', temperature, '300')):
        if value is None:
            raise ValueError(f'--{name}: missing; give for instance --{name} {example}')
    check_source(calculator, pw=pw, kpoints=kpoints, pseudo_family=pseudo_family, pools=pools)
    if variable_cell != (pressure is not None):
        raise ValueError('--variable-cell and --pressure: a cell that varies goes to a pressure; give both or neither')
    potential = PotentialOptions.taken_from(numbers)
    values = potential.values()
    forces = {'calculator_code': code(calculator)} if calculator else {'pw_code': code(pw or 'pw@localhost')}
    builder = WorkflowFactory('clathrate.sscha').get_builder_from_protocol(
        python_code=code(python),
        dynamical_matrices=matrices,
        supercell=supercell,
        temperature=temperature,
        pressure=pressure,
        variable_cell=variable_cell,
        overrides=read_overrides(overrides),
        options=resources(processes, walltime),
        protocol=protocol,
        kpoints=kpoints,
        pseudo_family=pseudo_family,
        pools=pools,
        potential=values,
        **forces,
    )
    set_numbers(builder, None if values is None else potential, **numbers)
    return builder


def check_source(calculator, **options):
    """Refuse options of pw.x beside a calculator.

    :raises ValueError: if there are any.
    """
    given = [name.replace('_', '-') for name, value in options.items() if value is not None]
    if calculator and given:
        raise ValueError(f'--{given[0]} and --calculator {calculator}: forces come from one place; leave one out')


def restarted_builder(earlier, given, **arguments):
    """Return a builder that goes on from an earlier run.

    :param given: the options that were given, by name.
    :raises ValueError: in one sentence with the name of the option.
    """
    from aiida_clathrate.workflows.sscha_restart import restart_builder

    if others := [option for name, option in given.items() if name not in RESTARTABLE]:
        raise ValueError(f'{others[0]}: run {earlier.pk} brings its own; leave it out beside --restart')
    try:
        builder = restart_builder(earlier)
    except ValueError as error:
        raise ValueError(f'--restart: {error}') from None
    job = builder.forces.calculator if earlier.inputs.forces.get('calculator') else builder.forces.pw.pw
    wanted = resources(arguments['processes'], arguments['walltime'])
    for name, option in {'processes': 'resources', 'walltime': 'max_wallclock_seconds'}.items():
        if name in given:
            job.metadata.options[option] = wanted[option]
    potential, has_one = PotentialOptions.taken_from(arguments), 'potential' in earlier.inputs
    if potential.given() and not has_one:
        raise ValueError(f'{potential.given()[0]}: run {earlier.pk} has no potential; leave it out')
    set_numbers(builder, potential if has_one else None, **{name: arguments[name] for name in NUMBERS})
    return builder


def set_numbers(builder, potential, max_concurrent=None, hessian_configurations=None, **numbers):
    """Set the numbers that were given, none of ``None``, on a builder of an SSCHA.

    :param potential: the options of its potential, ``None`` if it has none.
    :raises ValueError: for numbers that are refused.
    """
    for name, value in numbers.items():
        set_value(builder, name, value)
    if potential is None:
        set_value(builder, 'hessian_configurations', hessian_configurations)
    else:
        potential.set_on(builder.potential, hessian_configurations)
    if max_concurrent is not None:
        builder.forces.max_concurrent = max_concurrent
