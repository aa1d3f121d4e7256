"""Options that commands of ``launch`` share."""

from __future__ import annotations

import click
from aiida.cmdline.params import options

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
PROTOCOL = options.OverridableOption(
    '--protocol',
    type=click.Choice(['fast', 'balanced', 'stringent']),
    default='balanced',
    show_default=True,
    help='Precision.',
)
PSEUDO_FAMILY = options.OverridableOption(
    '--pseudo-family', help="Label of the pseudopotentials' family, instead of the protocol's."
)
OVERRIDES = options.OverridableOption(
    '--overrides', type=click.File(), help='YAML file with values that replace the protocol.'
)
CALCULATOR = options.OverridableOption(
    '--calculator',
    '--calculator-code',
    'calculator',
    help='Code that names a calculator, for the forces of the SSCHA instead of pw.x.',
)
MESH = {'type': click.IntRange(min=1), 'nargs': 3, 'metavar': 'N N N'}
MU_STAR = {
    'default': '0.10:0.15:6',
    'show_default': True,
    'callback': lambda _ctx, _parameter, value: list(parse_mu_star(value)),
    'help': 'One μ*, or FIRST:LAST:NUMBER.',
}


def resource_options(command):
    """Add the options that say what each calculation of Quantum ESPRESSO gets."""
    return decorated(
        command,
        [
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
        ],
    )


def population_options(command):
    """Add the options that say how many configurations an SSCHA has."""
    return decorated(
        command,
        [
            click.option(
                '--populations',
                metavar='N,N,…',
                callback=whole_numbers,
                help="Configurations of each population, even and growing, instead of the protocol's.",
            ),
            click.option(
                '--hessian-configurations', type=click.IntRange(min=4), help='Configurations of the Hessian, even.'
            ),
            click.option('--seed', type=click.IntRange(min=0), help='Of the random numbers, 0 by default.'),
            click.option(
                '--reference/--no-reference',
                default=None,
                help='Whether to measure anharmonicity from harmonic phonons by the same forces.',
            ),
        ],
    )


def anharmonic_options(command):
    """Add the options of anharmonic phonons within a larger run."""
    return decorated(
        command,
        [
            click.option('--sscha', **MESH, help='Anharmonic phonons too, in this supercell.'),
            click.option('--temperature', type=click.FloatRange(min=0), help='Of the anharmonic phonons in K.'),
            click.option(
                '--anharmonic-modes',
                type=click.Choice(['auxiliary', 'hessian']),
                help='Modes of the anharmonic α²F: of the auxiliary matrices, the default, or of the Hessian.',
            ),
            CALCULATOR(),
            population_options,
        ],
    )


def whole_numbers(_context, _parameter, value):
    """Return the numbers of a list with commas."""
    try:
        return None if value is None else [int(part) for part in value.split(',')]
    except ValueError:
        raise click.BadParameter(f'{value!r} are no whole numbers; give for instance 100,200,400') from None


def decorated(command, decorators):
    """Return a command with options in the order of the help."""
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def crystal_options(command):
    """Add the options that describe a crystal and how to calculate its phonons."""
    return decorated(
        command,
        [
            click.argument('structure'),
            click.option('--pressure', type=float, default=0.0, show_default=True, help='Target pressure in GPa.'),
            PROTOCOL(),
            PW(),
            PH(),
            PSEUDO_FAMILY(),
            click.option('--qpoints', **MESH, help='q mesh of the phonons, instead of the distance of the protocol.'),
            click.option('--kpoints', **MESH, help='k mesh of the self-consistent cycles.'),
            click.option('--kpoints-dense', **MESH, help='k mesh at the Fermi surface.'),
            OVERRIDES(),
            resource_options,
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
        ],
    )
