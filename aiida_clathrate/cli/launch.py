"""``launch``: submit the work chains and calculations."""

from __future__ import annotations

import click
from aiida.cmdline.params import options, types
from aiida.cmdline.utils import decorators, echo

EXAMPLE = """\b
Example:
  aiida-clathrate launch {command}
"""

PW = options.OverridableOption('--pw', default='pw@localhost', show_default=True, help='Code of pw.x.')
PH = options.OverridableOption('--ph', default='ph@localhost', show_default=True, help='Code of ph.x.')
PYTHON = options.OverridableOption(
    '--python', default='clathrate@localhost', show_default=True, help='Python code with this package.'
)
MESH = {'type': click.IntRange(min=1), 'nargs': 3, 'metavar': 'N N N'}


def crystal_options(command):
    """Add the options that describe a crystal and how to calculate its phonons."""
    for decorator in reversed(
        [
            click.argument('structure'),
            click.option('--pressure', type=float, default=0.0, show_default=True, help='Target pressure in GPa.'),
            click.option(
                '--protocol',
                type=click.Choice(['fast', 'balanced', 'stringent']),
                default='balanced',
                show_default=True,
                help='Precision.',
            ),
            PW(),
            PH(),
            click.option('--pseudo-family', help="Label of the pseudopotentials' family, instead of the protocol's."),
            click.option('--qpoints', **MESH, help='q mesh of the phonons, instead of the distance of the protocol.'),
            click.option('--kpoints', **MESH, help='k mesh of the self-consistent cycles.'),
            click.option('--kpoints-dense', **MESH, help='k mesh at the Fermi surface.'),
            click.option('--overrides', type=click.File(), help='YAML file with values that replace the protocol.'),
            click.option(
                '--mpi',
                'processes',
                type=click.IntRange(min=1),
                default=1,
                show_default=True,
                help='MPI processes of each calculation.',
            ),
            click.option(
                '--pools',
                type=click.IntRange(min=1),
                help='Groups of MPI processes that share the k points; small cells need one for each process.',
            ),
            click.option(
                '--walltime',
                type=click.IntRange(min=60),
                default=43200,
                show_default=True,
                help='Seconds that the scheduler grants each calculation.',
            ),
            click.option('--parallelize-qpoints', is_flag=True, help='Each q point as a calculation of its own.'),
            click.option(
                '--max-concurrent',
                type=click.IntRange(min=1),
                default=4,
                show_default=True,
                help='How many of them at the same time.',
            ),
            click.option(
                '--electron-phonon',
                type=click.Choice(['interpolated', 'tetrahedra', 'none']),
                default='interpolated',
                show_default=True,
                help='How to sum the double delta at the Fermi surface.',
            ),
            click.option('--no-relax', is_flag=True, help='Take the structure as it is.'),
        ]
    ):
        command = decorator(command)
    return command


@click.group('launch')
def cmd_launch():
    """Submit a work chain or calculation to the daemon."""


@cmd_launch.command(
    'relax-phonon', epilog=EXAMPLE.format(command='relax-phonon SrB3C3 --protocol fast --electron-phonon none')
)
@crystal_options
@click.option('--insulator', is_flag=True, help='Fixed occupations; needs `--electron-phonon none`.')
@decorators.with_dbenv()
def cmd_relax_phonon(insulator, **arguments):
    """Relax STRUCTURE (a pk, a uuid or a name such as KRbB6C6) and calculate its phonons."""
    from aiida.plugins import WorkflowFactory
    from aiida_quantumespresso.common.types import ElectronicType

    process_class = WorkflowFactory('clathrate.relax_phonon')
    launch(
        process_class,
        electronic_type=ElectronicType.INSULATOR if insulator else ElectronicType.METAL,
        **builder_arguments(**arguments),
    )


@cmd_launch.command(
    'critical-temperature',
    epilog=EXAMPLE.format(command='critical-temperature KRbB6C6 --pressure 15 --mu-star 0.10:0.15:6'),
)
@crystal_options
@PYTHON()
@click.option('--mu-star', default='0.10:0.15:6', show_default=True, help='One μ*, or FIRST:LAST:NUMBER.')
@decorators.with_dbenv()
def cmd_critical_temperature(python, mu_star, **arguments):
    """Relax STRUCTURE, calculate its phonons and their coupling, α²F and T_c."""
    from aiida.plugins import WorkflowFactory

    launch(
        WorkflowFactory('clathrate.critical_temperature'),
        python_code=code(python),
        eliashberg={'mu_stars': mu_stars(mu_star)},
        **builder_arguments(**arguments),
    )


@cmd_launch.command('eliashberg', epilog=EXAMPLE.format(command='eliashberg 1234 --mu-star 0.10:0.15:6'))
@click.argument('spectral-function', type=types.DataParamType(sub_classes=('aiida.data:clathrate.spectral',)))
@PYTHON()
@click.option('--mu-star', default='0.10:0.15:6', show_default=True, help='One μ*, or FIRST:LAST:NUMBER.')
@click.option('--smearing', type=click.IntRange(min=0), help='Index of the broadening to report T_c for.')
@decorators.with_dbenv()
def cmd_eliashberg(spectral_function, python, mu_star, smearing):
    """Solve the Eliashberg equations for SPECTRAL_FUNCTION, a stored α²F."""
    from aiida.plugins import CalculationFactory

    builder = CalculationFactory('clathrate.eliashberg').get_builder()
    builder.code, builder.spectral_function = code(python), spectral_function
    builder.parameters = {'mu_stars': mu_stars(mu_star)} | ({} if smearing is None else {'smearing': smearing})
    submit_builder(builder)


def builder_arguments(
    structure,
    overrides,
    processes,
    walltime,
    parallelize_qpoints,
    max_concurrent,
    no_relax,
    electron_phonon,
    pw,
    ph,
    **rest,
):
    """Return the arguments of ``get_builder_from_protocol`` from those of the command line."""
    import yaml

    given = yaml.safe_load(overrides) if overrides else {}
    given |= {'parallelize_qpoints': parallelize_qpoints, 'max_concurrent': max_concurrent}
    resources = {'num_machines': 1, 'num_mpiprocs_per_machine': processes}
    return rest | {
        'structure': load_structure(structure),
        'pw_code': code(pw),
        'ph_code': code(ph),
        'overrides': given,
        'options': {'resources': resources, 'max_wallclock_seconds': walltime},
        'electron_phonon': None if electron_phonon == 'none' else electron_phonon,
        'relax': not no_relax,
    }


def load_structure(identifier):
    """Return the stored structure, or a new one where the identifier is the name of a prototype."""
    from aiida import orm
    from aiida.common.exceptions import MultipleObjectsError, NotExistent

    from aiida_clathrate.kernels.structures import structure_from_name

    try:
        return orm.load_node(identifier, sub_classes=(orm.StructureData,))
    except (NotExistent, MultipleObjectsError, ValueError):
        try:
            return orm.StructureData(ase=structure_from_name(identifier).to_ase())
        except ValueError as error:
            echo.echo_critical(f'structure: {identifier!r} is no stored structure, and no prototype: {error}')


def code(identifier):
    """Return a stored code."""
    from aiida import orm
    from aiida.common.exceptions import NotExistent

    try:
        return orm.load_code(identifier)
    except NotExistent:
        echo.echo_critical(f'code: {identifier!r} does not exist; `aiida-clathrate setup` makes the usual ones')


def mu_stars(text):
    """Return the μ* of ``0.1`` or ``0.10:0.15:6``."""
    from aiida_clathrate.cli.tc import parse_mu_star

    return list(parse_mu_star(text))


def launch(process_class, **arguments):
    """Submit a work chain with inputs from its protocol."""
    try:
        builder = process_class.get_builder_from_protocol(**arguments)
    except ValueError as error:
        echo.echo_critical(str(error))
    submit_builder(builder)


def submit_builder(builder):
    """Submit a builder and say how to follow it."""
    from aiida.engine import submit

    try:
        node = submit(builder)
    except (ValueError, TypeError) as error:
        echo.echo_critical(str(error))
    echo.echo_success(f'submitted {node.process_label} {node.pk}')
    echo.echo(f'Follow it with `aiida-clathrate status {node.pk} --watch`.')
