"""``tc``: T_c from a file with α²F, without a profile, by the code that the ``EliashbergCalculation`` runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from aiida_clathrate.kernels.files.alpha2f_tables import Alpha2FTable
    from aiida_clathrate.kernels.superconductivity import Superconductivity

EXAMPLE = """\b
Example:
  aiida-clathrate tc a2F.dos10
  aiida-clathrate tc alpha2F.dat --units THz --mu-star 0.10:0.15:6 --json
"""
UNITS = ('meV', 'THz', 'cm-1', 'Ry', 'Ha')
ROWS = ('lambda', 'omega_log_meV', 'omega_2_meV', 'omega_max_meV', 'omega_ref_meV', 'mu_star', 'critical_temperature')
MOST_MU_STARS = 1000


def parse_mu_star(text: str) -> tuple[float, ...]:
    """Return the values of μ* of ``0.1`` or ``FIRST:LAST:NUMBER``.

    :raises click.BadParameter: for anything else, or values outside [0, 0.5).
    """
    first, *rest = text.split(':')
    try:
        ends = [float(first), float(rest[0] if rest else first)]
        number = int(rest[1]) if len(rest) == 2 else 1
    except ValueError:
        raise click.BadParameter(f'{text!r} is no μ*: give one such as 0.1, or FIRST:LAST:NUMBER') from None
    if len(rest) not in (0, 2) or not 1 <= number <= MOST_MU_STARS or (number == 1 and ends[0] != ends[1]):
        raise click.BadParameter(f'{text!r} is no range of μ*: give FIRST:LAST:NUMBER, for instance 0.10:0.15:6')
    if not all(0 <= end < 0.5 for end in ends):
        raise click.BadParameter(f'{text}: μ* must be in [0, 0.5); usual values are 0.10 to 0.15')
    # Rounded, so that 0.11 stays 0.11 in the results.
    return tuple(round(ends[0] + (ends[1] - ends[0]) * i / max(number - 1, 1), 12) for i in range(number))


def parse_reference(text: str) -> str | float:
    """Return ω_ref: one of three names, or a frequency [meV]."""
    if text in ('max', 'log', 'second'):
        return text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float('inf'):
        raise click.BadParameter(f'{text!r} is neither max, log, second nor a positive frequency in meV')
    return value


@click.command('tc', epilog=EXAMPLE)
@click.argument('file', type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option('--units', type=click.Choice(UNITS), help='Unit of ω  [that of the format; meV for plain columns].')
@click.option('--column', type=click.IntRange(min=0), default=0, show_default=True, help='Which α²F, counted from 0.')
@click.option(
    '--mu-star',
    'mu_stars',
    default='0.10:0.15:6',
    show_default=True,
    callback=lambda _ctx, _parameter, value: parse_mu_star(value),
    help='One μ*, or FIRST:LAST:NUMBER.',
)
@click.option(
    '--omega-ref',
    'reference',
    default='max',
    show_default=True,
    metavar='max|log|second|VALUE',
    callback=lambda _ctx, _parameter, value: parse_reference(value),
    help='Frequency to which μ* belongs: ω_max, ω_log, ω₂, or a value in meV.',
)
@click.option('--json', 'as_json', is_flag=True, help='Print JSON and nothing else.')
def cmd_tc(file, units, column, mu_stars, reference, as_json):
    """Calculate T_c from FILE with α²F: of matdyn.x, lambda.x, alpha2f.x, EPW, or plain columns ω and α²F."""
    from aiida_clathrate.kernels.eliashberg import solve
    from aiida_clathrate.kernels.io import KernelError
    from aiida_clathrate.kernels.matsubara.settings import Settings

    try:
        table = read(file, units)
        # The gap below T_c is left out: it takes most of the time.
        settings = Settings(mu_stars=mu_stars, omega_ref=reference, reduced_temperatures=())
        result = solve(table.spectral(column), settings=settings)
    except (ValueError, KernelError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(to_json(result), indent=2, allow_nan=False))
    else:
        show(result, table, column)


def read(file: Path, units: str | None) -> Alpha2FTable:
    """Return the table in a file.

    :raises ValueError: if it is none.
    """
    from aiida_clathrate.kernels.files.alpha2f_tables import read_alpha2f, recognise

    try:
        text = file.read_text()
    except UnicodeDecodeError:
        raise ValueError(f'{file.name} is no text file; give a table of ω and α²F') from None
    except OSError as error:
        raise ValueError(f'{file}: {error.strerror}') from None
    if not text.strip():
        raise ValueError(f'{file.name} is empty; give a table of ω and α²F')
    if units is None and recognise(text, file.name)[1] is None:
        click.echo(f'Warning: {file.name} does not tell the unit of ω; taken as meV, see --units', err=True)
        units = 'meV'
    return read_alpha2f(text, file.name, units)


def to_json(result: Superconductivity) -> dict[str, Any]:
    """Return what ``--json`` prints: names with units, ``null`` where there is no superconductivity."""
    scalars, _ = result.to_results()
    return {name: scalars[name] for name in ROWS}


def show(result: Superconductivity, table: Alpha2FTable, column: int) -> None:
    """Print moments and temperatures."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    values = to_json(result)
    console = Console(highlight=False)
    console.print(f'{table.name} ({table.format}, ω in {table.units}), {table.columns[column]}', style='dim')
    console.print(
        f'λ = {values["lambda"]:.4f}   ω_log = {values["omega_log_meV"]:.3f} meV   ω₂ = {values["omega_2_meV"]:.3f} meV'
        f'   ω_max = {values["omega_max_meV"]:.2f} meV'
    )
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, title='T_c [K]', title_justify='left')
    for name in ('μ*', 'rescaled', 'raw', 'Allen–Dynes', 'McMillan'):
        grid.add_column(name, justify='right')
    columns = values['critical_temperature']
    names = ('rescaled', 'raw', 'allen_dynes', 'mcmillan')
    for row, mu_star in enumerate(values['mu_star']):
        cells = (columns[name][row] for name in names)
        grid.add_row(f'{mu_star:.4g}', *('none' if cell is None else f'{cell:.4g}' for cell in cells))
    console.print(grid)
    console.print(f'rescaled: μ* belongs to {values["omega_ref_meV"]:.2f} meV; raw: to the cutoff', style='dim')
