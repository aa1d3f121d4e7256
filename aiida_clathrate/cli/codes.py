"""Executables on a computer: where they are, which version they are, and the codes that run them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida.orm import Computer, InstalledCode
    from aiida.transports import Transport

PROGRAMS = ('pw', 'ph', 'q2r', 'matdyn')
OLDEST, FIRST_UNTESTED = (6, 7), (8, 0)
#: Threaded linear algebra on top of MPI processes slows both down.
PREPEND = 'export OMP_NUM_THREADS=1'


@dataclass(frozen=True)
class Program:
    """An executable that has been found.

    :param name: for instance ``pw``.
    :param path: absolute path on the computer.
    :param version: as printed, for instance ``6.7MaX``; ``None`` if it printed none.
    """

    name: str
    path: str
    version: str | None


class Shell:
    """Commands on a computer, each after the same lines.

    :param transport: open connection.
    :param prepend: lines that make the programs available, such as ``module load``.
    """

    def __init__(self, transport: Transport, prepend: str):
        self._transport = transport
        self._prepend = prepend

    def run(self, command: str) -> tuple[int, str]:
        """Return the exit status and what the command printed, on either stream."""
        status, output, errors = self._transport.exec_command_wait(f'{self._prepend}\n{command}')
        return status, output + errors

    def find(self, executable: str) -> str | None:
        """Return the absolute path of an executable, ``None`` if the computer does not find it."""
        status, output = self.run(f'command -v {executable}')
        lines = [line for line in output.splitlines() if line.startswith('/')]
        return lines[-1] if status == 0 and lines else None


def find_program(shell: Shell, name: str) -> Program:
    """Return a program of Quantum ESPRESSO after running it without input.

    :raises ValueError: if it is not there, or older than what is supported.
    """
    path = shell.find(f'{name}.x')
    if path is None:
        raise ValueError(f'{name}.x: not found on the computer; load its module with --prepend, or extend PATH there')
    # It complains about the missing input and leaves files behind, after the banner with the version.
    _, output = shell.run(f'folder=$(mktemp -d) && cd "$folder" && {path} < /dev/null; cd / && rm -rf "$folder"')
    version = banner_version(output)
    if version is not None and numbers(version) < OLDEST:
        raise ValueError(f'{name}.x: version {version} is older than 6.7; install Quantum ESPRESSO 6.7 or 7.x')
    return Program(name, path, version)


def banner_version(output: str) -> str | None:
    """Return the version in the banner of a program of Quantum ESPRESSO."""
    found = re.search(r'Program \S+ v\.(\d+\.\d+\S*)', output)
    return found[1] if found else None


def numbers(version: str) -> tuple[int, int]:
    """Return major and minor number of a version such as ``6.7MaX``."""
    major, minor = re.findall(r'\d+', version)[:2]
    return int(major), int(minor)


def check_python(shell: Shell, python: str) -> str:
    """Return the version of this package in an interpreter on the computer.

    :raises ValueError: if it cannot be imported there.
    """
    import aiida_clathrate

    script = 'import aiida_clathrate, aiida_clathrate.kernels.eliashberg; print(aiida_clathrate.__version__)'
    status, output = shell.run(f"cd / && {python} -c '{script}'")
    if status != 0:
        last = (output.strip().splitlines() or ['no output'])[-1]
        raise ValueError(
            f'{python}: aiida_clathrate cannot be imported there ({last}); install it with '
            f'"{python} -m pip install aiida-clathrate=={aiida_clathrate.__version__}", or name another with --python'
        )
    return output.strip().splitlines()[-1]


def check_calculator(shell: Shell, python: str, lines: str) -> None:
    """Make the calculator that the lines of a code name, and take it down again.

    :param lines: shell lines of the code.
    :raises ValueError: if it cannot be made there.
    """
    script = 'import os; from aiida_clathrate.kernels.calculators import CalculatorName as Name; '
    script += 'Name.from_environment(os.environ).build()'
    status, output = shell.run(f"{lines}\ncd / && {python} -c '{script}'")
    if status != 0:
        raise ValueError((output.strip().splitlines() or ['no output'])[-1].rpartition('KernelError: ')[2])


def calculator_lines(path: str, options: Mapping[str, Any]) -> str:
    """Return the shell lines that name a calculator to the kernel ``evaluate``."""
    from aiida_clathrate.kernels.calculators import NAME_VARIABLE, OPTIONS_VARIABLE, CalculatorName

    name = CalculatorName(path, options)
    lines = [f'export {NAME_VARIABLE}={name.path}']
    if options:
        lines.append(f'export {OPTIONS_VARIABLE}={shlex.quote(json.dumps(options, sort_keys=True))}')
    return '\n'.join(lines)


def ensure_code(computer: Computer, label: str, path: str, plugin: str, prepend: str) -> tuple[InstalledCode, bool]:
    """Return the code ``label`` on the computer and whether it was made now."""
    from aiida.common.exceptions import NotExistent
    from aiida.orm import InstalledCode, load_code

    try:
        return load_code(f'{label}@{computer.label}'), False
    except NotExistent:
        code = InstalledCode(
            label=label,
            computer=computer,
            filepath_executable=path,
            default_calc_job_plugin=plugin,
            prepend_text=prepend,
            # A Python process is no MPI program: mpirun would start several that do the same.
            with_mpi=False if plugin.startswith('clathrate.') else None,
        )
        return code.store(), True


def adapt_mpi(computer: Computer, shell: Shell, processes: int | None) -> list[str]:
    """Make the MPI settings of the computer usable, and return a sentence for each change.

    Open MPI refuses to run as root, and to start more processes than it counts cores.
    """
    changes = []
    if processes is not None or computer.get_default_mpiprocs_per_machine() is None:
        computer.set_default_mpiprocs_per_machine(processes or 1)
        changes.append(f'{processes or 1} MPI processes for each machine by default')
    plain = computer.get_mpirun_command() in ([], ['mpirun', '-np', '{tot_num_mpiprocs}'])
    if plain and shell.run('id -u')[1].strip() == '0' and 'Open MPI' in shell.run('mpirun --version')[1]:
        command = 'mpirun --allow-run-as-root --oversubscribe -np {tot_num_mpiprocs}'
        computer.set_mpirun_command(command.split())
        changes.append(f'MPI command: {command}')
    return changes
