"""The command group: what it lists, what it imports, and that it is registered."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from aiida_clathrate.cli.main import COMMANDS, cmd_root


@pytest.mark.parametrize('name', COMMANDS)
def test_commands(name):
    """Each command can be imported, has the name under which it is listed, and its help ends with an example."""
    command = cmd_root.get_command(click.Context(cmd_root), name)
    assert command.name == name
    result = CliRunner().invoke(cmd_root, [name, '--help'])
    assert result.exit_code == 0, result.output
    subcommands = getattr(command, 'commands', {})
    for help_text in [
        result.output,
        *(CliRunner().invoke(cmd_root, [name, sub, '--help']).output for sub in subcommands),
    ]:
        assert 'Example' in help_text


def test_help_lists_all():
    """The list of commands is complete, and every line ends as a sentence."""
    output = CliRunner().invoke(cmd_root, ['--help']).output
    for name, (_, summary) in COMMANDS.items():
        assert name in output
        assert summary.endswith('.')


def test_similar_names():
    """A command that does not exist is answered with the similar ones."""
    result = CliRunner().invoke(cmd_root, ['strcture'])
    assert result.exit_code == 2
    assert 'structure' in result.output


def test_help_imports_nothing_heavy():
    """Listing the commands imports neither the object-relational mapper nor the kernels."""
    script = (
        'import sys, json; from aiida_clathrate.cli.main import cmd_root\n'
        'cmd_root(["--help"], standalone_mode=False)\n'
        'print(json.dumps([name for name in ("aiida.orm", "numpy", "rich", "aiida_clathrate.cli.tc") '
        'if name in sys.modules]))'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize('group', ['console_scripts', 'aiida.cmdline.data', 'aiida.cmdline.verdi'])
def test_entry_points(group):
    """The group is registered in the three places."""
    name = 'aiida-clathrate' if group == 'console_scripts' else 'clathrate'
    (found,) = entry_points(group=group, name=name)
    assert found.load() is cmd_root


def test_profile_on_demand():
    """No profile is loaded unless one is named, or a command needs one."""
    (option,) = (parameter for parameter in cmd_root.params if parameter.name == 'profile')
    assert option.get_default(click.Context(cmd_root)) is None


def test_without_profile(tmp_path):
    """The installed command needs no profile to show a structure, and says so in one sentence where it needs one."""
    command = str(Path(sys.executable).parent / 'aiida-clathrate')
    environment = os.environ | {'AIIDA_PATH': str(tmp_path), 'PYTHONWARNINGS': 'ignore'}

    def run(*arguments):
        return subprocess.run([command, *arguments], capture_output=True, text=True, env=environment, check=False)

    shown = run('structure', 'KRbB6C6', '--dry-run')
    assert shown.returncode == 0, shown.stderr
    assert 'Pm-3 (200)' in shown.stdout
    refused = run('setup')
    assert refused.returncode != 0
    assert 'verdi presto' in refused.stderr
    assert 'Traceback' not in refused.stderr
