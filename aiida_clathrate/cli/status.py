"""``status``: what a work chain is doing, as a tree that can be watched."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import click
from aiida.cmdline.params import arguments
from aiida.cmdline.utils import decorators, echo

from aiida_clathrate.cli.configurations import fold
from aiida_clathrate.cli.process_tree import Process, last_report, read_processes

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

MARKS = {
    'finished': ('✓', 'green'),
    'failed': ('✗', 'red'),
    'excepted': ('✗', 'red'),
    'killed': ('✗', 'red'),
    'running': ('▶', 'cyan'),
    'waiting': ('…', 'cyan'),
    'paused': ('‖', 'yellow'),
    'created': ('·', 'dim'),
}


@click.command('status', epilog='\b\nExample:\n  aiida-clathrate status 123 --watch\n')
@arguments.PROCESS('process')
@click.option('--watch', 'watched', is_flag=True, help='Refresh until the process ends; then exit with 1 if it failed.')
@click.option('--interval', type=click.FloatRange(min=0.2), default=2, show_default=True, help='Seconds to refresh.')
@decorators.with_dbenv()
def cmd_status(process, watched, interval):
    """Show what PROCESS (a pk or uuid) and all that it called are doing."""
    from rich.console import Console

    console = Console()
    if not watched:
        console.print(render(*snapshot(process.pk)))
        return
    try:
        root = watch(process.pk, console, interval)
    except KeyboardInterrupt:
        echo.echo_report(f'No longer watching; process {process.pk} goes on: aiida-clathrate status {process.pk}')
        return
    if not root.succeeded:
        raise click.exceptions.Exit(1)


def watch(pk: int, console: Console, interval: float = 2) -> Process:
    """Show the tree of process ``pk`` until it ends, and return its last state; ``interval`` in seconds."""
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        while True:
            processes, report = snapshot(pk)
            live.update(render(processes, report), refresh=True)
            if processes[0].terminated:
                return processes[0]
            time.sleep(interval)


def snapshot(pk: int) -> tuple[list[Process], str | None]:
    """Return the processes of the tree, the root first, and the newest line of their reports."""
    processes = read_processes(pk)
    return processes, last_report([process.pk for process in processes])


def render(processes: list[Process], report: str | None) -> RenderableType:
    """Return the tree of processes with the last report below."""
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

    states = {
        parent: Counter(p.terminated for p in processes if p.caller == parent)
        for parent in {p.caller for p in processes}
    }
    branches: dict[int, Tree] = {}
    visible, notes = fold(processes)
    for process in visible:
        line = describe(process, states.get(process.pk, Counter()), notes.get(process.pk))
        parent = branches.get(process.caller) if process.caller is not None else None
        branches[process.pk] = parent.add(line) if parent else Tree(line, guide_style='dim')
    foot = Text(f'Last report: {report}', style='dim', overflow='ellipsis', no_wrap=True) if report else Text()
    return Group(branches[processes[0].pk], foot)


def describe(process: Process, called: Counter[bool], note: str | None = None) -> Text:
    """Return one line: mark, label, pk, state, exit code, progress, elapsed time."""
    from rich.text import Text

    state = 'failed' if process.state == 'finished' and not process.succeeded else process.state
    mark, style = MARKS.get(state, ('?', 'yellow'))
    words = [process.state]
    if process.exit_status:
        words.append(f'[{process.exit_status}] {process.exit_message or ""}'.strip())
    if process.progress:
        words.append(f'q-points {process.progress[0]}/{process.progress[1]}')
    elif note or called.total() > 1:
        words.append(note or f'steps ended {called[True]}/{called.total()}')
    if process.detail:
        words.append(process.detail.splitlines()[0])
    text = Text.assemble((f'{mark} ', style), (process.label, 'bold'), (f' ({process.pk})  ', 'dim'))
    return text.append(' · '.join(words), style).append(f'  {clock(process.elapsed)}', 'dim')


def clock(elapsed: timedelta) -> str:
    """Return a duration as h:mm:ss."""
    seconds = max(0, int(elapsed.total_seconds()))
    return f'{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}'
