"""``launch``: submit the work chains and calculations."""

from __future__ import annotations

import click
from aiida.cmdline.params import types
from aiida.cmdline.utils import decorators, echo

from aiida_clathrate.cli.launch_options import (
    EXAMPLE,
    MU_STAR,
    PYTHON,
    SMEARING,
    anharmonic_options,
    crystal_options,
)
from aiida_clathrate.cli.launch_potential import cmd_evaluate_potential, cmd_train
from aiida_clathrate.cli.launch_sscha import cmd_sscha, set_numbers
from aiida_clathrate.cli.potential_options import PotentialOptions, potential_options
from aiida_clathrate.cli.submission import code, launch, load_structure, read_overrides, resources, submit_builder

GROUP_EXAMPLE = """\b
Examples:
  aiida-clathrate launch critical-temperature KRbB6C6 --pressure 15 --protocol fast
  aiida-clathrate launch relax-phonon 123 --qpoints 2 2 2 --kpoints 8 8 8 --kpoints-dense 16 16 16
  aiida-clathrate launch sscha 456 --supercell 2 2 2 --temperature 300 --potential
  aiida-clathrate launch train 789 --architecture paper
"""


@click.group('launch', epilog=GROUP_EXAMPLE)
def cmd_launch():
    """Submit a work chain or calculation to the daemon."""


for command in (cmd_sscha, cmd_train, cmd_evaluate_potential):
    cmd_launch.add_command(command)


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
        WorkflowFactory('clathrate.relax_phonon').get_builder_from_protocol,
        electronic_type=ElectronicType.INSULATOR if insulator else ElectronicType.METAL,
        **builder_arguments(**arguments),
    )


@cmd_launch.command(
    'critical-temperature',
    epilog=EXAMPLE.format(command='critical-temperature KRbB6C6 --pressure 15 --sscha 2 2 2 --temperature 300'),
)
@crystal_options
@PYTHON()
@click.option('--mu-star', 'mu_stars', **MU_STAR)
@SMEARING()
@anharmonic_options
@potential_options
@decorators.with_dbenv()
def cmd_critical_temperature(**arguments):
    """Relax STRUCTURE, calculate its phonons and their coupling, α²F and T_c; with --sscha also anharmonic ones."""
    launch(critical_temperature_builder, **arguments)


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


def critical_temperature_builder(
    python, mu_stars, smearing, sscha, temperature, anharmonic_modes, calculator, populations, hessian_configurations,
    seed, reference, **arguments,
):  # fmt: skip
    """Return a builder from the options of the command line.

    :raises ValueError: in one sentence with the name of the option.
    """
    from aiida.plugins import WorkflowFactory

    numbers = {
        'populations': populations, 'hessian_configurations': hessian_configurations, 'seed': seed,
        'reference': reference,
    }  # fmt: skip
    potential = PotentialOptions.taken_from(arguments)
    options = {'temperature': temperature, 'calculator': calculator, 'anharmonic-modes': anharmonic_modes} | numbers
    alone = [f'--{name.replace("_", "-")}' for name, value in options.items() if value is not None] + potential.given()
    if sscha is None and alone:
        raise ValueError(f'{alone[0]}: belongs to an anharmonic run; add for instance --sscha 2 2 2')
    if sscha is not None and temperature is None:
        raise ValueError('--temperature: missing; an anharmonic run needs it, for instance --temperature 300')
    forces = {'calculator_code': code(calculator)} if calculator else {}
    values = potential.values()
    if values is not None:
        forces['potential'] = values
    builder = WorkflowFactory('clathrate.critical_temperature').get_builder_from_protocol(
        python_code=code(python),
        eliashberg=parameters(mu_stars, smearing),
        sscha={'supercell': sscha, 'temperature': temperature, **forces} if sscha else None,
        **builder_arguments(**arguments),
    )
    if sscha is not None:
        set_numbers(builder.sscha, None if values is None else potential, arguments['max_concurrent'], **numbers)
    if anharmonic_modes is not None:
        builder.anharmonic_modes = anharmonic_modes
    return builder


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
    # Options that are left out do not replace what the file says.
    loop = {'parallelize_qpoints': parallelize_qpoints or None, 'max_concurrent': max_concurrent}
    return rest | {
        'structure': load_structure(structure, pressure),
        'pressure': pressure,
        'pw_code': code(pw),
        'ph_code': code(ph),
        'overrides': read_overrides(overrides) | {name: value for name, value in loop.items() if value is not None},
        'options': resources(processes, walltime),
        'electron_phonon': None if electron_phonon == 'none' else electron_phonon,
        'relax': not no_relax,
    }
