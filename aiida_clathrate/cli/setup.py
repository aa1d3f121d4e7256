"""``setup``: codes and pseudopotentials; what is there already stays as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.utils import decorators, echo
from click.core import ParameterSource

if TYPE_CHECKING:
    from aiida.orm import Computer

    from aiida_clathrate.cli.codes import Shell

EXAMPLE = """\b
Example:
  aiida-clathrate setup --pseudos /usr/share/pseudos --family my-family --cutoff-wfc 80
  aiida-clathrate setup --computer cluster --prepend "module load QuantumESPRESSO" --python /home/me/venv/bin/python
  aiida-clathrate setup calculator mace mace.calculators:mace_mp --option model=medium --option device=cuda
"""
CALCULATOR_EXAMPLE = """\b
Example:
  aiida-clathrate setup calculator emt ase.calculators.emt:EMT
  aiida-clathrate setup calculator mace mace.calculators:mace_mp --option model=medium --option device=cuda
"""


@click.group('setup', invoke_without_command=True, epilog=EXAMPLE)
@click.option('--computer', 'label', default='localhost', show_default=True, help='Label of a configured computer.')
@click.option('--prepend', default='', help='Shell lines before every program, such as "module load …".')
@click.option('--python', default=None, help='Python with this package on the computer; here, the one that runs this.')
@click.option('--mpi', 'processes', type=click.IntRange(min=1), help='Default number of MPI processes on a machine.')
@click.option(
    '--pseudos',
    'folder',
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help='Folder with one UPF file for each element and nothing else.',
)
@click.option('--family', help='Label of the family made from --pseudos  [name of the folder].')
@click.option('--cutoff-wfc', type=click.FloatRange(min=0, min_open=True), metavar='RY', help="Instead of the files'.")
@click.option('--cutoff-rho', type=click.FloatRange(min=0, min_open=True), metavar='RY', help="Instead of the files'.")
@click.pass_context
def cmd_setup(context, label, prepend, python, processes, folder, family, cutoff_wfc, cutoff_rho):
    """Find Quantum ESPRESSO, make the codes, and install pseudopotentials. Harmless to run again."""
    if context.invoked_subcommand:
        given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(f'options of "setup {context.invoked_subcommand}" come after its name', context)
        return
    load_profile()
    try:
        setup_codes(load_computer(label), prepend, python, processes)
        setup_pseudos(folder, family, cutoff_wfc, cutoff_rho)
    except ValueError as error:
        echo.echo_critical(str(error))


@cmd_setup.command('calculator', epilog=CALCULATOR_EXAMPLE)
@click.argument('label')
@click.argument('path', metavar='PACKAGE.MODULE:FACTORY')
@click.option('--option', 'options', multiple=True, metavar='KEY=VALUE', help='Keyword of the factory; JSON or text.')
@click.option('--computer', 'computer_label', default='localhost', show_default=True, help='A configured computer.')
@click.option('--prepend', default='', help='Shell lines before Python, such as "module load …".')
@click.option(
    '--python', default=None, help='Python with this package and the calculator [here: the one that runs this].'
)
def cmd_calculator(label, path, options, computer_label, prepend, python):
    """Make the code LABEL, which computes forces with an ASE calculator.

    The code names what is imported, so that nothing in an archive can.
    """
    load_profile()
    try:
        setup_calculator(load_computer(computer_label), label, path, dict(map(parse_option, options)), prepend, python)
    except ValueError as error:
        echo.echo_critical(str(error))


def parse_option(text: str) -> tuple[str, Any]:
    """Return key and value of ``key=value``; a value that is no JSON is text."""
    key, separator, value = text.partition('=')
    if not (separator and key.isidentifier()):
        raise ValueError(f'--option {text!r} is not of the form key=value')
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def setup_calculator(
    computer: Computer, label: str, path: str, options: dict[str, Any], prepend: str, python: str | None
) -> None:
    """Make the code of a calculator after making the calculator there once."""
    from aiida_clathrate.cli.codes import PREPEND, Shell, calculator_lines, check_calculator, check_python, ensure_code

    python = python or default_python(computer)
    named = calculator_lines(path, options)
    with computer.get_transport() as transport:
        shell = Shell(transport, prepend)
        version = check_python(shell, python)
        check_calculator(shell, python, named)
        python = absolute(shell, python)
    lines = f'{prepend}\n{PREPEND}\n{named}'.strip()
    code, created = ensure_code(computer, label, python, 'clathrate.evaluate', lines)
    if not created and code.prepend_text != lines:
        raise ValueError(f'{code.full_label} exists and runs something else; relabel it to renew')
    report(code, created, python, version)


def default_python(computer: Computer) -> str:
    """Return the interpreter that runs this, if the computer is this one."""
    if computer.transport_type != 'core.local':
        raise ValueError(f'{computer.label}: name its Python that has this package with --python')
    return sys.executable


def load_profile() -> None:
    """Load the profile, or say how to make one."""
    from aiida.manage.configuration import get_config, get_profile

    if get_profile() is None and get_config(create=True).default_profile_name is None:
        echo.echo_critical('there is no AiiDA profile; make one with "verdi presto --use-zeromq"')
    decorators.with_dbenv()(lambda: None)()


def load_computer(label: str) -> Computer:
    """Return a configured computer."""
    from aiida.common.exceptions import NotExistent
    from aiida.orm import Computer

    try:
        computer = Computer.collection.get(label=label)
    except NotExistent:
        raise ValueError(f'{label}: no such computer; make it with "verdi computer setup", then configure it') from None
    if not computer.is_configured:
        raise ValueError(f'{label}: not configured; run "verdi computer configure {computer.transport_type} {label}"')
    return computer


def setup_codes(computer: Computer, prepend: str, python: str | None, processes: int | None) -> None:
    """Make the codes on the computer that are missing."""
    from aiida_clathrate.cli.codes import PREPEND, PROGRAMS, Shell, adapt_mpi, check_python, ensure_code, find_program

    python = python or default_python(computer)
    lines = f'{prepend}\n{PREPEND}'.strip()
    with computer.get_transport() as transport:
        shell = Shell(transport, prepend)
        programs = [find_program(shell, name) for name in PROGRAMS]
        version = check_python(shell, python)
        for change in adapt_mpi(computer, shell, processes):
            echo.echo_success(f'{computer.label}: {change}')
        python = absolute(shell, python)
    for program in programs:
        warn_about_version(program.name, program.version)
        plugin = f'quantumespresso.{program.name}'
        report(*ensure_code(computer, program.name, program.path, plugin, lines), program.path, program.version)
    report(*ensure_code(computer, 'clathrate', python, 'clathrate.eliashberg', lines), python, version)


def absolute(shell: Shell, python: str) -> str:
    """Return the absolute path of an interpreter, which a code must have."""
    path = shell.find(python)
    if path is None:
        raise ValueError(f'{python}: not found on the computer; give its absolute path with --python')
    return path


def warn_about_version(name: str, version: str | None) -> None:
    """Say what is not known about a version."""
    from aiida_clathrate.cli.codes import FIRST_UNTESTED, numbers

    if version is None:
        echo.echo_warning(f'{name}.x printed no version, as where only compute nodes may run it; 6.7 to 7.x will do')
    elif numbers(version) >= FIRST_UNTESTED:
        echo.echo_warning(f'{name}.x: version {version} has not been tested; 6.7 to 7.x have')


def report(code, created: bool, path: str, version: str | None) -> None:
    """Say that a code was made, or that there is one."""
    text = f'{code.full_label}: {code.filepath_executable}, version {version or "unknown"}'
    if created:
        echo.echo_success(f'made {text}')
    elif str(code.filepath_executable) == path:
        echo.echo_report(f'exists: {text}')
    else:
        echo.echo_warning(f'exists: {code.full_label} runs {code.filepath_executable}, not {path}; relabel it to renew')


def setup_pseudos(folder: Path | None, label: str | None, wfc: float | None, rho: float | None) -> None:
    """Make a family from a folder, or say what to do without one."""
    from aiida.orm import QueryBuilder
    from aiida_pseudo.groups.family import PseudoPotentialFamily

    from aiida_clathrate.cli.pseudos import install_family

    labels = sorted(QueryBuilder().append(PseudoPotentialFamily, project='label').all(flat=True))
    if folder is None:
        if labels:
            echo.echo_report(f'pseudopotential families: {", ".join(labels)}')
        else:
            echo.echo_warning('no pseudopotentials: "aiida-pseudo install pseudo-dojo" fetches them, or use --pseudos')
        return
    label = label or folder.resolve().name
    if label in labels:
        echo.echo_report(f'exists: pseudopotential family {label}')
        return
    family = install_family(folder, label, wfc, rho)
    echo.echo_success(f'made pseudopotential family {label}: {", ".join(sorted(family.elements))}')
