"""``structure``: from a name to a stored crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from aiida.cmdline.utils import decorators, echo

if TYPE_CHECKING:
    from aiida.orm import StructureData

    from aiida_clathrate.kernels.structures import NamedCrystal

EXAMPLE = """\b
Example:
  aiida-clathrate structure KRbB6C6
  aiida-clathrate structure KPbB6C6 --set x_boron=0.2513 --set x_carbon=0.2485 --dry-run
"""


@click.command('structure', epilog=EXAMPLE)
@click.argument('name')
@click.option('--lattice-constant', type=float, metavar='Å', help='a of the conventional cell.')
@click.option('--pressure', type=float, metavar='GPA', help='Pressure for which to look up the lattice constant.')
@click.option('--occupation', type=click.Choice(['C-6f', 'B-6f']), help='XYB6C6: the element on (x, 0, 1/2).')
@click.option('--set', 'settings', multiple=True, metavar='NAME=VALUE', help='A free parameter: x, u, x_boron …')
@click.option('--conventional', is_flag=True, help='The conventional cell instead of the primitive one.')
@click.option('--dry-run', is_flag=True, help='Show it, store nothing; needs no profile.')
def cmd_structure(name, lattice_constant, pressure, occupation, settings, conventional, dry_run):
    """Make the crystal NAME, such as SrB3C3, KRbB6C6, NaC6, FC10, BC31, Na-hP4 or graphite, and store it."""
    from aiida_clathrate.kernels.structures import named_crystal

    try:
        options = dict(map(read_setting, settings)) | ({'occupation': occupation} if occupation else {})
        found = named_crystal(name, lattice_constant, pressure, primitive=not conventional, **options)
    except ValueError as error:
        echo.echo_critical(str(error))
    describe(found)
    if not dry_run:
        node = store(found)
        echo.echo_success(f'stored as StructureData {node.pk} ({node.uuid})')


def read_setting(text: str) -> tuple[str, float | int]:
    """Return the name and the number of ``NAME=VALUE``."""
    name, equals, value = text.partition('=')
    try:
        return name, int(value) if name == 'site' else float(value)
    except ValueError:
        problem = f'{value!r} is not a number' if equals else 'there is no "="'
        raise ValueError(f'--set {text}: {problem}; write for instance --set u=0.12') from None


def describe(found: NamedCrystal) -> None:
    """Print what a user must check before a calculation."""
    crystal = found.crystal
    distance, (i, j) = crystal.shortest_distance()
    constant = found.lattice_constant
    rows = {
        'Prototype': found.prototype,
        'Space group': crystal.space_group(),
        'Cell': f'{len(crystal.symbols)} atoms, {crystal.formula}, {crystal.volume:.3f} Å³',
        'Lattice constant': f'{constant.value:.4f} Å ({"estimate: " if constant.estimated else ""}{constant.source})',
        'Shortest distance': f'{distance:.4f} Å ({crystal.symbols[i]}–{crystal.symbols[j]})',
    }
    for label, text in rows.items():
        echo.echo(f'{label:<18}{text}')


@decorators.with_dbenv()
def store(found: NamedCrystal) -> StructureData:
    """Store the crystal."""
    return node_of(found).store()


def node_of(found: NamedCrystal) -> StructureData:
    """Return an unstored node of the crystal, with the origin of its lattice constant as description."""
    from aiida.orm import StructureData

    node = StructureData(ase=found.crystal.to_ase())
    node.label = found.name
    node.description = f'{found.prototype}; a = {found.lattice_constant.value:.4f} Å: {found.lattice_constant.source}'
    return node
