"""``show`` and ``plot``: what a node holds, in words and in figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiida.cmdline.params import arguments, types
from aiida.cmdline.utils import decorators, echo

from aiida_clathrate.cli.plots import NEEDS, Content, draw, read_reference

if TYPE_CHECKING:
    from rich.console import RenderableType

    from aiida_clathrate.cli.summary import Section


@click.command('show', epilog='\b\nExample:\n  aiida-clathrate show 123\n')
@arguments.NODE('node')
@decorators.with_dbenv()
def cmd_show(node):
    """Show what NODE (a pk or uuid) holds: a result, or a work chain with its results."""
    from rich.console import Console

    from aiida_clathrate.cli.summary import summarise

    try:
        sections = summarise(node)
    except ValueError as error:
        echo.echo_critical(f'show: {error}')
    console = Console()
    for section in sections:
        console.print(render(section))


def render(section: Section) -> RenderableType:
    """Return a panel with the names and values of a section, and its table below."""
    from rich import box
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style='dim')
    grid.add_column()
    for name, value in section.rows:
        grid.add_row(name, value)
    parts: list[RenderableType] = [grid] if section.rows else []
    if section.table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for number, head in enumerate(section.header):
            table.add_column(head, justify='right' if number or section.table[0][0][:1].isdigit() else 'left')
        for row in section.table:
            table.add_row(*row)
        parts.append(table)
    return Panel(Group(*parts), title=section.title, title_align='left', border_style='dim', expand=False)


@click.command('plot', epilog='\b\nExample:\n  aiida-clathrate plot 123 --kind dispersion --output KRbB6C6.pdf\n')
@arguments.NODE('node')
@click.option('--kind', type=click.Choice([*NEEDS, 'all']), help='Figure; the first that NODE has data for.')
@click.option('--output', type=click.Path(path_type=Path, dir_okay=False), help='pdf, png or svg file  [KIND-PK.pdf].')
@click.option('--smearing', type=click.IntRange(min=0), help='Index of the broadening  [the one of T_c].')
@click.option('--width', type=click.FloatRange(min=0, min_open=True), metavar='MEV', help='Width of the lines of α²F.')
@click.option(
    '--harmonic', type=types.NodeParamType(), metavar='NODE', help='Node with a dispersion or α²F to compare with.'
)
@click.option('--reference', 'references', multiple=True, metavar='LABEL=TC[@MU]', help='T_c found by others, in K.')
@decorators.with_dbenv()
def cmd_plot(node, kind, output, smearing, width, harmonic, references):
    """Draw what NODE (a pk or uuid) holds, and write the numbers of the figure beside it as JSON and CSV."""
    try:
        content = Content.gather(node)
        compared = None if harmonic is None else Content.gather(harmonic)
        kinds = content.kinds() if kind in (None, 'all') else [kind]
        if not kinds:
            raise ValueError(f'node {node.pk} has nothing to draw')
        points = [read_reference(text) for text in references]
        for name in kinds if kind == 'all' else kinds[:1]:
            path = output or Path(f'{name}-{node.pk}.pdf')
            if kind == 'all' and output:
                path = output.with_name(f'{output.stem}-{name}{output.suffix}')
            for file in draw(name, content, compared, smearing, width, points).save(path):
                echo.echo(str(file))
    except (ValueError, OSError) as error:
        echo.echo_critical(f'plot: {error}')
