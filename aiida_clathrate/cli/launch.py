"""``launch``: submit the work chains and calculations."""

from __future__ import annotations

import click
from aiida.cmdline.params import options, types
from aiida.cmdline.utils import decorators, echo

from aiida_clathrate.cli.tc import parse_mu_star

EXAMPLE = """\b
Example:
  aiida-clathrate launch {command}
"""

PW = options.OverridableOption('--pw', default='pw@localhost', show_default=True, help='Code of pw.x.')
PH = options.OverridableOption('--ph', default='ph@localhost', show_default=True, help='Code of ph.x.')
PYTHON = options.OverridableOption(
    '--python', default='clathrate@localhost', show_default=True, help='Python code with this package.'
)
SMEARING = options.OverridableOption(
    '--smearing', type=click.IntRange(min=0), help='Index, from 0, of the broadening whose T_c is reported.'
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
                help="How many of them at the same time, instead of the protocol's.",
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


GROUP_EXAMPLE = """\b
Examples:
  aiida-clathrate launch critical-temperature KRbB6C6 --pressure 15 --protocol fast
  aiida-clathrate launch relax-phonon 123 --qpoints 2 2 2 --kpoints 8 8 8 --kpoints-dense 16 16 16
"""
MU_STAR = {
    'default': '0.10:0.15:6',
    'show_default': True,
    'callback': lambda _ctx, _parameter, value: list(parse_mu_star(value)),
    'help': 'One μ*, or FIRST:LAST:NUMBER.',
}


@click.group('launch', epilog=GROUP_EXAMPLE)
def cmd_launch():
    """Submit a work chain or calculation to the daemon."""


@cmd_launch.command(
    'relax-phonon', epilog=EXAMPLE.format(command='relax-phonon SrB3C3 --protocol fast --electron-phonon none')
)
@crystal_options
@click.option('--insulator', is_flag=True, help='Fixed occupations, and no coupling.')
@decorators.with_dbenv()
def cmd_relax_phonon(insulator, **arguments):
    """Relax STRUCTURE (a pk, a uuid or a name such as KRbB6C6) and calculate its phonons."""
    from aiida.plugins import WorkflowFactory
    from aiida_quantumespresso.common.types import ElectronicType

    if insulator:
        arguments['electron_phonon'] = 'none'
    launch(
        WorkflowFactory('clathrate.relax_phonon'),
        electronic_type=ElectronicType.INSULATOR if insulator else ElectronicType.METAL,
        **builder_arguments(**arguments),
    )


@cmd_launch.command(
    'critical-temperature',
    epilog=EXAMPLE.format(command='critical-temperature KRbB6C6 --pressure 15 --mu-star 0.10:0.15:6'),
)
@crystal_options
@PYTHON()
@click.option('--mu-star', 'mu_stars', **MU_STAR)
@SMEARING()
@decorators.with_dbenv()
def cmd_critical_temperature(python, mu_stars, smearing, **arguments):
    """Relax STRUCTURE, calculate its phonons and their coupling, α²F and T_c."""
    from aiida.plugins import WorkflowFactory

    launch(
        WorkflowFactory('clathrate.critical_temperature'),
        python_code=code(python),
        eliashberg=parameters(mu_stars, smearing),
        **builder_arguments(**arguments),
    )


@cmd_launch.command('alpha2f', epilog=EXAMPLE.format(command='alpha2f 123 456'))
@click.argument('electron-phonon', type=types.DataParamType(sub_classes=('aiida.data:clathrate.electron_phonon',)))
@click.argument('matrices', type=types.DataParamType(sub_classes=('aiida.data:clathrate.dynamical_matrix',)))
@click.option(
    '--gamma',
    type=click.Choice(['zero', 'drop']),
    default='zero',
    show_default=True,
    help='Whether Γ keeps its weight in the sum over q, or loses it.',
)
@decorators.with_dbenv()
def cmd_alpha2f(electron_phonon, matrices, gamma):
    """Couple ELECTRON_PHONON to the modes of MATRICES, of any level: harmonic, sscha or hessian."""
    from aiida_clathrate.calculations.alpha2f import spectral_function

    result, node = spectral_function.run_get_node(electron_phonon, matrices, {'gamma': gamma})
    if not node.is_finished_ok:
        echo.echo_critical(node.exit_message)
    couplings = ', '.join(f'{value:.3f}' for value in result.base.attributes.get('couplings'))
    echo.echo_success(f'stored the spectral function {result.pk}')
    echo.echo(f'λ for each broadening: {couplings}')


@cmd_launch.command('eliashberg', epilog=EXAMPLE.format(command='eliashberg 1234 --mu-star 0.10:0.15:6'))
@click.argument('spectral-function', type=types.DataParamType(sub_classes=('aiida.data:clathrate.spectral',)))
@PYTHON()
@click.option('--mu-star', 'mu_stars', **MU_STAR)
@SMEARING()
@decorators.with_dbenv()
def cmd_eliashberg(spectral_function, python, mu_stars, smearing):
    """Solve the Eliashberg equations for SPECTRAL_FUNCTION, a stored α²F."""
    from aiida.plugins import CalculationFactory

    builder = CalculationFactory('clathrate.eliashberg').get_builder()
    builder.code, builder.spectral_function = code(python), spectral_function
    builder.parameters = parameters(mu_stars, smearing)
    submit_builder(builder)


def parameters(mu_stars, smearing):
    """Return the parameters of the ``EliashbergCalculation``; what was not given is left to its defaults."""
    return {'mu_stars': mu_stars} | ({} if smearing is None else {'smearing': smearing})


def builder_arguments(
    structure,
    pressure,
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
    resources = {'num_machines': 1, 'num_mpiprocs_per_machine': processes}
    # Options that are left out do not replace what the file says.
    loop = {'parallelize_qpoints': parallelize_qpoints or None, 'max_concurrent': max_concurrent}
    return rest | {
        'structure': load_structure(structure, pressure),
        'pressure': pressure,
        'pw_code': code(pw),
        'ph_code': code(ph),
        'overrides': read_overrides(overrides) | {name: value for name, value in loop.items() if value is not None},
        'options': {'resources': resources, 'max_wallclock_seconds': walltime},
        'electron_phonon': None if electron_phonon == 'none' else electron_phonon,
        'relax': not no_relax,
    }


def read_overrides(file):
    """Return the values of a YAML file that replace those of the protocol."""
    import yaml

    try:
        given = yaml.safe_load(file) if file else None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        echo.echo_critical(f'--overrides: {file.name} is no YAML: {error}')
    if given is not None and not isinstance(given, dict):
        echo.echo_critical(f'--overrides: {file.name} must hold names and values, such as "scf: {{…}}"')
    return given or {}


def load_structure(identifier, pressure):
    """Return the stored structure, or a new one where the identifier is the name of a prototype."""
    from aiida import orm
    from aiida.common.exceptions import MultipleObjectsError, NotExistent

    from aiida_clathrate.cli.structure import node_of
    from aiida_clathrate.kernels.structures import named_crystal

    try:
        return orm.load_node(identifier, sub_classes=(orm.StructureData,))
    except (NotExistent, MultipleObjectsError, ValueError):
        pass
    try:
        found = named_crystal(identifier, pressure=pressure)
    except ValueError as error:
        echo.echo_critical(f'structure: {identifier!r} is no stored structure, and no prototype: {error}')
    constant = found.lattice_constant
    if constant.estimated:
        echo.echo_warning(f'{found.name}: a = {constant.value:.4f} Å is an estimate: {constant.source}')
    else:
        echo.echo_report(f'{found.name}: a = {constant.value:.4f} Å ({constant.source})')
    return node_of(found)


def code(identifier):
    """Return a stored code."""
    from aiida import orm
    from aiida.common.exceptions import NotExistent

    try:
        return orm.load_code(identifier)
    except NotExistent:
        echo.echo_critical(f'code: {identifier!r} does not exist; `aiida-clathrate setup` makes the usual ones')


def launch(process_class, **arguments):
    """Submit a work chain with inputs from its protocol."""
    try:
        builder = process_class.get_builder_from_protocol(**arguments)
    except (AttributeError, TypeError, ValueError) as error:  # the first two for overrides of a wrong kind
        echo.echo_critical(str(error))
    submit_builder(builder)


def submit_builder(builder):
    """Submit a builder and say how to follow it."""
    from aiida.common.exceptions import InvalidOperation
    from aiida.engine import submit

    try:
        node = submit(builder)
    except (InvalidOperation, TypeError, ValueError) as error:
        echo.echo_critical(str(error))
    echo.echo_success(f'submitted {node.process_label} {node.pk}')
    echo.echo(f'Follow it with `aiida-clathrate status {node.pk} --watch`.')
