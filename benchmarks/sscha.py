"""How long the SSCHA takes at 112 atoms, beside python-sscha in the same run, and how exact it is.

    PYTHON_SSCHA=… python benchmarks/sscha.py [--large] [--json FILE]

KRbB6C6 with the bonds of ``tests/kernels/morse_clathrate.py``, 14 atoms in 2×2×2 cells, 300 K: populations of matrices
that earlier ones have minimised. ``PYTHON_SSCHA`` is an interpreter with python-sscha, see ``python_sscha.py``; without
it the columns of the peer stay empty. It gets few configurations unless more are asked for; ~ marks what is
extrapolated.

Every task runs in a process of its own, whose largest resident size is the peak memory. Times are the best of a few: by
the clock, and of the processor, of all its threads together, which hardly depends on what else runs on the machine.
Threads that wait for others sleep, or their waiting would count as work.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from sscha_tasks import (
    Numbers,
    add,
    alone,
    ask,
    curvature,
    draw,
    evaluate,
    load,
    minimise_all,
    multiply,
    prepare,
)

CELLS = (2, 2, 2)
#: What GNU OpenMP, OpenBLAS and MKL look at.
THREAD_VARIABLES = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')
#: Configurations of the peer's Hessian, whose cost is proportional to them but for a constant that it tells apart.
FEW = 40
#: Of the comparison with fourth order, which the peer can do at 14 atoms.
SMALL = 400


@dataclass(frozen=True)
class Row:
    """A line of the table.

    :param wall: by the clock, best of a few [s].
    :param processor: of all threads together [s].
    :param memory: largest resident size of the process, or of its GPU [GB].
    :param limit: that is to be kept: of ``wall``, or of ``value`` where there is one.
    :param value: what is to be kept within the limit where it is no time.
    :param flop: floating-point operations of the matrix products.
    :param bound: what limits it.
    :param peer: the same of python-sscha, of the processor [s].
    :param extrapolated: whether ``peer`` is not measured at this size.
    :param peer_memory: [GB].
    :param difference: largest difference to the peer, relative to the largest element.
    """

    task: str
    wall: float
    processor: float
    memory: float
    limit: float
    value: float | None = None
    flop: float | None = None
    bound: str = ''
    peer: float | None = None
    extrapolated: bool = False
    peer_memory: float | None = None
    difference: float | None = None

    @property
    def rate(self) -> float | None:
        """Return how many GFLOP/s of the processor the matrix products make, if they were all that it does."""
        return None if self.flop is None else 1e-9 * self.flop / self.processor


@dataclass(frozen=True)
class Bench:
    """One run of everything.

    :param folder: of the files.
    :param threads: of each task.
    :param device: of the Hessians, ``cpu`` or ``cuda``.
    :param largest: whether the Hessian of 40,000 configurations is wanted.
    :param asked: configurations that python-sscha gets.
    """

    folder: Path
    threads: int
    device: str
    largest: bool
    asked: int

    @property
    def peer(self) -> bool:
        """Whether python-sscha is there."""
        return 'PYTHON_SSCHA' in os.environ

    @property
    def sizes(self) -> tuple[int, int]:
        """Return how many configurations python-sscha gets, twice, for a line."""
        return max(self.asked // 4, 40), self.asked

    def row(self, task: str, limit: float, bound: str, numbers: Numbers, **changes: Any) -> Row:
        """Return a line of the table."""
        times = {name: numbers[name] for name in ('wall', 'processor', 'memory')}
        return Row(task, **times, limit=limit, bound=bound, flop=numbers.get('flop'), **changes)

    def theirs(self, task: str, number: int, steps: tuple[str, ...], **extra: Any) -> tuple[Numbers, dict[str, Any]]:
        """Return what python-sscha takes for so many configurations, and its last answer."""
        if not self.peer:
            return {}, {}
        times, answer = [], {}
        for size in self.sizes:
            data = first_of(load(self.folder, f'crystal_{self.asked}'), size)
            answer = ask(self.folder, task, data | extra | {'configurations': np.array(size)})
            times.append(sum(float(answer[f'processor_seconds_{step}']) for step in steps))
        memory = 1e-9 * float(answer['peak_memory'])
        exact = number == self.asked
        peer = times[1] if exact else line(times[0], times[1], self.sizes, number)
        return {'peer': peer, 'extrapolated': not exact, 'peer_memory': memory}, answer

    def sampling(self) -> Row:
        """Draw 10,000 configurations."""
        numbers = alone(draw, self.folder, 10000)
        peer, _ = self.theirs('generate', 10000, ('generate',), seed=np.array(1))
        return self.row('sampling, 10,000', 3.0, 'random numbers, then passes through memory', numbers, **peer)

    def gradient(self, number: int, limit: float) -> Row:
        """Take one gradient with re-weighting."""
        numbers = alone(evaluate, self.folder, number)
        steps = ('weights', 'gradient', 'symmetry')
        peer, answer = self.theirs('evaluate', number, steps)
        error = None
        if answer:
            alone(evaluate, self.folder, self.asked)
            error = difference(load(self.folder, f'gradient_{self.asked}')['gradient'], answer['gradient'])
        bound = f'passes through memory; the first one, which makes the waves, {numbers["first"]:.2f} s'
        return self.row(f'gradient, {number:,}', limit, bound, numbers, difference=error, **peer)

    def minimisation(self) -> Row:
        """Count evaluations for each accepted step."""
        numbers = alone(minimise_all, self.folder, 10000)
        value = numbers['evaluations'] / numbers['steps']
        settings = {
            'step': np.array(0.05), 'meaningful_factor': np.array(1e-6), 'threshold': np.array(1e-8),
            'kong_liu_ratio': np.array(0.6), 'largest_number': np.array(30),
        }  # fmt: skip
        peer, answer = {}, {}
        if self.peer:
            answer = ask(self.folder, 'minimise', first_of(load(self.folder, f'crystal_{self.asked}'), 1000) | settings)
            peer = {'peer': float(answer['evaluations']) / float(answer['accepted']), 'extrapolated': False}
        bound = f'{numbers["steps"]} steps in {numbers["wall"]:.1f} s, ended: {numbers["reason"]}'
        bound += f'; peer: its first {int(answer["evaluations"])} evaluations at 1,000' if answer else ''
        return self.row('evaluations for each step, 10,000', 1.5, bound, numbers, value=value, **peer)

    def interpolation(self) -> Row:
        """Interpolate to the fine mesh."""
        numbers = alone(add, self.folder)
        peer: Numbers = {}
        if self.peer:
            data = load(self.folder, 'crystal')
            answer = ask(self.folder, 'interpolate', data)
            ours = load(self.folder, 'interpolated')['force_constants']
            peer = {'peer': float(answer['processor_seconds_interpolate']), 'peer_memory': 1e-9 * answer['peak_memory']}
            peer |= {'difference': difference(ours, answer['force_constants'])}
        return self.row('interpolation to 6×6×6', 3.0, 'distances of all images of all pairs', numbers, **peer)

    def hessian(self, number: int, fourth: bool, limit: float, **peer: Any) -> Row:
        """Calculate a Hessian."""
        numbers = alone(curvature, self.folder, f'crystal_{number}', fourth, self.threads, self.device)
        order = 'third and fourth order' if fourth else 'third order'
        bound = 'symmetry of the tensor and matrix products, alike'
        if fourth:
            most = 'matrix products' if number > 10000 else 'symmetry and orthogonalisation of tensors'
            bound = f'{most}, {numbers["iterations"]} iterations'
        return self.row(f'Hessian, {order}, {number:,}', limit, bound, numbers, **peer)

    def third_order_peer(self) -> Numbers:
        """Return what the third order costs python-sscha for 1,000 configurations."""
        if not self.peer:
            return {}
        alone(draw, self.folder, FEW)
        alone(curvature, self.folder, f'crystal_{FEW}', False, self.threads, 'cpu')
        data = without_step(load(self.folder, f'crystal_{FEW}'))
        answer = ask(self.folder, 'hessian', data | {'fourth': np.array(False)})
        average = float(answer['processor_seconds_average'])
        peer = float(answer['processor_seconds_hessian']) + average * (1000 / FEW - 1)
        ours = load(self.folder, f'hessian_crystal_{FEW}_False')['force_constants']
        error = difference(ours, answer['force_constants'])
        memory = 1e-9 * float(answer['peak_memory'])
        return {'peer': peer, 'extrapolated': True, 'peer_memory': memory, 'difference': error}

    def fourth_order_peer(self, number: int) -> Numbers:
        """Return what the fourth order would cost python-sscha, from 14 atoms, where it agrees with ours."""
        if not self.peer:
            return {}
        alone(prepare, self.folder, (1, 1, 1), 'cell')
        alone(draw, self.folder, SMALL, 'cell')
        alone(curvature, self.folder, f'cell_{SMALL}', True, self.threads, 'cpu')
        data = without_step(load(self.folder, f'cell_{SMALL}'))
        answer = ask(self.folder, 'hessian', data | {'fourth': np.array(True)})
        # Every element of a tensor of rank four is an average; its matrices are of order 336².
        peer = float(answer['processor_seconds_average']) * 8**4 * number / SMALL
        ours = load(self.folder, f'hessian_cell_{SMALL}_True')['force_constants']
        error = difference(ours, answer['force_constants'])
        return {'peer': peer, 'extrapolated': True, 'peer_memory': 7 * 8e-9 * 336**4, 'difference': error}

    def rows(self) -> list[Row]:
        """Measure everything."""
        alone(prepare, self.folder, CELLS, 'crystal')
        for number in {1000, self.asked, *((40000,) if self.largest else ())}:
            alone(draw, self.folder, number)
        measured = [self.row('matrix product, 2,000 × 2,000', np.inf, 'arithmetic', alone(multiply)), self.sampling()]
        measured.append(self.gradient(10000, 0.5))
        if not self.largest:
            alone(draw, self.folder, 40000)
        measured += [self.gradient(40000, 2.0), self.minimisation(), self.interpolation()]
        measured.append(self.hessian(1000, False, 15.0, **self.third_order_peer()))
        fourth = self.fourth_order_peer(1000)
        measured.append(self.hessian(1000, True, 300.0, **fourth))
        if self.largest:
            peer = fourth | {'peer': 40 * fourth['peer']} if fourth else {}
            measured.append(self.hessian(40000, True, 3600.0, **peer))
        return measured


def first_of(data: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the first configurations of an ensemble."""
    names = ('displacements', 'energies', 'forces', 'stresses')
    return data | {name: data[name][:number] for name in names}


def difference(ours: Any, theirs: Any) -> float:
    """Return the largest difference, relative to the largest element."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def line(short: float, long: float, sizes: tuple[int, int], number: int) -> float:
    """Return what two times, at two sizes, mean for another size."""
    slope = (long - short) / (sizes[1] - sizes[0])
    return long + slope * (number - sizes[1])


def without_step(data: dict[str, Any]) -> dict[str, Any]:
    """Return an ensemble without the matrices of the next step."""
    return {name: array for name, array in data.items() if not name.startswith('new_')}


def seconds(value: float | None, mark: str = '') -> str:
    """Return a time in words."""
    if value is None:
        return ''
    return f'{mark}{value / 3600:.1f} h' if value > 7200 else f'{mark}{value:.2f}'


def show(console: Console, rows: list[Row], threads: int) -> None:
    """Print the table, and what limits each row."""
    names = ('task', 'limit', 'ours', 'processor', 'GB', 'GFLOP/s', 'peer', 'peer GB', 'difference')
    table = Table(*names, title=f'SSCHA at 112 atoms, {threads} threads; times in s; ~ extrapolated')
    for row in rows:
        kept = row.wall if row.value is None else row.value
        mark = '~' if row.extrapolated else ''
        # Where only the clock is late, something else had the machine.
        late = 'yellow' if row.value is None and row.processor <= row.limit else 'red'
        colour = 'green' if kept <= row.limit else late
        table.add_row(
            row.task,
            '' if np.isinf(row.limit) else f'{row.limit:g}',
            f'[{colour}]{seconds(kept)}[/]',
            seconds(row.processor) if row.value is None else '',
            f'{row.memory:.2f}',
            '' if row.rate is None else f'{row.rate:.1f}',
            seconds(row.peer, mark),
            '' if row.peer_memory is None else f'{mark}{row.peer_memory:.1f}',
            '' if row.difference is None else f'{row.difference:.0e}',
        )
    console.print(table)
    for row in rows:
        console.print(f'{row.task}: {row.bound}')


@click.command()
@click.option('--threads', type=click.IntRange(min=1), default=2, show_default=True, help='Of each task.')
@click.option('--device', type=click.Choice(['cpu', 'cuda']), default='cpu', show_default=True, help='Of the Hessians.')
@click.option('--large', is_flag=True, help='With the Hessian of 40,000 configurations.')
@click.option('--peer-configurations', type=click.IntRange(min=200), default=4000, show_default=True)
@click.option('--json', 'file', type=click.Path(path_type=Path, dir_okay=False), help='Write the numbers there.')
def main(threads: int, device: str, large: bool, peer_configurations: int, file: Path | None) -> None:
    """Measure and print."""
    os.environ |= dict.fromkeys(THREAD_VARIABLES, str(threads)) | {'OMP_WAIT_POLICY': 'PASSIVE'}
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        rows = Bench(Path(folder), threads, device, large, peer_configurations).rows()
    show(console, rows, threads)
    if not large:
        console.print('Left out: the Hessian with fourth order of 40,000 configurations (--large).')
    if 'PYTHON_SSCHA' not in os.environ:
        console.print('Without the peer: PYTHON_SSCHA names no interpreter with python-sscha.')
    console.print(
        'GFLOP/s: of matrix products, over the time of the processor; the first row is what the machine can do.'
    )
    console.print('difference: to the peer, largest, over the largest element; of the Hessian at few configurations.')
    if file is not None:
        file.write_text(json.dumps([asdict(row) | {'rate': row.rate} for row in rows], indent=1))


if __name__ == '__main__':
    main()
