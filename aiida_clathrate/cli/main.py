"""The command group, the same under ``aiida-clathrate`` and ``verdi data clathrate``.

Commands are imported when they are called, and a profile is loaded by those that need one. So ``--help`` and ``tc``
answer at once, also where AiiDA has never been configured.
"""

from __future__ import annotations

from importlib import import_module

import click
from aiida.cmdline.groups import VerdiCommandGroup
from aiida.cmdline.params import options, types

#: Name of each command, where it is, and its line in the list of commands.
COMMANDS = {
    'setup': ('setup:cmd_setup', 'Find the codes and install pseudopotentials.'),
    'structure': ('structure:cmd_structure', 'Make and store a crystal from its name.'),
    'launch': ('launch:cmd_launch', 'Submit a work chain or calculation to the daemon.'),
    'status': ('status:cmd_status', 'Show what a work chain is doing.'),
    'show': ('inspect:cmd_show', 'Show what a node holds.'),
    'plot': ('inspect:cmd_plot', 'Draw what a node holds.'),
    'query': ('query:cmd_query', 'List results by formula, pressure or T_c.'),
    'import': ('import_export:cmd_import', 'Store a file of another program as a node.'),
    'export': ('import_export:cmd_export', 'Write a node as a file of another program.'),
    'tc': ('tc:cmd_tc', 'Calculate T_c from a file with α²F; needs no profile.'),
}


class LazyGroup(VerdiCommandGroup):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or fail with the names that are similar."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module, attribute = COMMANDS[cmd_name][0].split(':')
            self.add_command(getattr(import_module(f'aiida_clathrate.cli.{module}'), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section('Commands'):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


EXAMPLE = """\b
Example:
  aiida-clathrate setup --pseudos FOLDER
  aiida-clathrate launch critical-temperature SrB3C3 --protocol fast
  aiida-clathrate tc alpha2F.dat --mu-star 0.10:0.15:6
"""


# The default of PROFILE would load a profile for every command; `with_dbenv` loads it for those that need one.
@click.group('clathrate', cls=LazyGroup, context_settings={'help_option_names': ['-h', '--help']}, epilog=EXAMPLE)
@options.PROFILE(type=types.ProfileParamType(load_profile=True), default=None, expose_value=False)
@click.version_option(package_name='aiida-clathrate')
def cmd_root():
    """Predict superconducting clathrates: from a crystal to its critical temperature."""
