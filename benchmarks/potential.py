"""How good and how fast the trained potential is, beside what is published and beside MACE, pypolymlp and NEP.

    CLATHRATE_PEERS=… python benchmarks/potential.py accuracy --mlearn FOLDER
    CLATHRATE_PEERS=… python benchmarks/potential.py ensembles --ensemble FILE
    CLATHRATE_PEERS=… python benchmarks/potential.py speed
    python benchmarks/potential.py uncertainty --ensemble FILE --plot FILE

``CLATHRATE_PEERS`` is an interpreter with the peers, see ``potential_peers.py``; without it their lines are left out.
The sets of mlearn are those of Zuo et al., J. Phys. Chem. A 124, 731 (2020), the ensemble is that of the tests of
CellConstructor, as an NPZ file with ``cell``, ``positions`` [Å], ``forces_eVA``, ``sscha_forces_eVA``, ``energies_eV``.

Every task runs in a process of its own. Times are by the clock, and of the processor, of all its threads together,
which hardly depends on what else the machine does. Minutes that are asked for are of the processor, of each thread; a
training may end before, for want of progress. Errors are of test sets by which neither the weights nor the time to
stop were chosen.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
from matplotlib.axes import Axes
from potential_data import (
    PUBLISHED,
    Errors,
    Floats,
    Split,
    by_energy,
    clathrate,
    graphite,
    mlearn,
    pairs,
    population,
    split_pairs,
)
from potential_tasks import ask, first, learn, machine, speed, use
from rich.console import Console
from rich.table import Table
from sscha_tasks import Numbers, alone

from aiida_clathrate.kernels.figures.plot import new_figure
from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.validation import rank_correlation

THREADS = click.option('--threads', type=click.IntRange(min=1), default=2, show_default=True, help='Of each task.')
PRESET = click.option('--preset', default='fast', show_default=True, help='Orders of the descriptors.')
MODEL = click.option(
    '--model', default='auto', show_default=True, help='Linear, network, both, or the better of linear and both.'
)
SEED = click.option('--seed', type=int, default=0, show_default=True)
ENSEMBLE = click.option('--ensemble', 'file', type=click.Path(path_type=Path, exists=True), required=True)
#: Share of a training set that decides when to stop.
VALIDATION = 0.1
#: A population that users want to have evaluated.
POPULATION = 40000
#: Peers, with their precision, the configurations that they get, and how many at a time.
SPEED_PEERS = {
    'mace_32': ('MACE, 32 scalar channels', 'single', 16, 8),
    'mace_64': ('MACE, 64 scalar channels', 'single', 16, 8),
    'nep_4': ('NEP4, orders 4 and 4', 'double', 64, 1),
    'nep_12': ('NEP4, orders 12 and 10', 'double', 64, 1),
    'polymlp_2': ('pypolymlp, second order', 'double', 64, 64),
    'polymlp_3': ('pypolymlp, third order', 'double', 64, 64),
}
#: Temperatures of the test [K]; the training is at the first.
TEMPERATURES = (300.0, 600.0, 900.0, 1200.0)


def peers() -> bool:
    """Whether the peers are there."""
    return 'CLATHRATE_PEERS' in os.environ


def close(console: Console, threads: int) -> None:
    """Print what the numbers were measured with."""
    load = os.getloadavg()[0]
    console.print(f'{threads} threads of {os.cpu_count()} cores; mean load of the last minute {load:.1f}.')
    if not peers():
        console.print('Without the peers: CLATHRATE_PEERS names no interpreter with them.')


def table_of(title: str, *names: str) -> Table:
    """Return an empty table."""
    return Table(*names, title=title)


def cells(numbers: Numbers) -> tuple[str, ...]:
    """Return errors and times in words."""
    energies = f'{numbers["energy_mae"]:.2f}', f'{numbers["energy_rmse"]:.2f}'
    return *energies, f'{numbers["force_mae"]:.1f}', f'{numbers["force_rmse"]:.1f}', *times(numbers)


def times(numbers: Numbers) -> tuple[str, str]:
    """Return times in words."""
    return f'{numbers["wall"]:.0f}', f'{numbers["processor"]:.0f}'


ARRAYS = ('positions', 'energies', 'forces')
ERRORS = ('E MAE', 'E RMSE', 'F MAE', 'F RMSE', 's', 'processor s')


def held_out(number: int) -> int:
    """Return how many of so many labels decide when to stop, in pairs."""
    return 2 * max(round(VALIDATION * number / 2), 2)


def polynomial(folder: Path, split: Split) -> Numbers:
    """Return errors and times of a polynomial that pypolymlp fits to the same labels."""
    sets = [split.training[0], split.validation[0], split.test[0]]
    arrays = {name: np.concatenate([getattr(each, name) for each in sets]) for name in ARRAYS}
    question = arrays | {'cell': sets[0].cell, 'symbols': np.array(sets[0].symbols)}
    question |= {'training': np.array(len(sets[0])), 'validation': np.array(len(sets[1]))}
    answer = ask(folder, 'polymlp_fit', question)
    test = sets[2]
    energies = (answer['energies'] - test.energies) / len(test.symbols)
    return answer | asdict(Errors.of(energies, answer['forces'] - test.forces)) | clock(answer)


def clock(answer: Numbers) -> Numbers:
    """Return the times of a peer under our names."""
    return {'wall': float(answer['seconds']), 'processor': float(answer['processor_seconds'])}


@click.group()
def main() -> None:
    """Measure and print."""


@main.command()
@click.option('--mlearn', 'folder', type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
@click.option('--element', 'elements', multiple=True, default=tuple(PUBLISHED), help='All if left out.')
@click.option('--minutes', type=float, default=14.0, show_default=True, help='Of each training.')
@PRESET
@MODEL
@THREADS
@SEED
def accuracy(
    folder: Path, elements: tuple[str, ...], minutes: float, preset: str, model: str, threads: int, seed: int
) -> None:
    """Train on the sets of mlearn, one set of hyper-parameters for all, beside the published errors."""
    use(threads)
    console = Console()
    table = table_of('Errors on the test sets of mlearn; E in meV/atom, F in meV/Å', 'set', 'potential', *ERRORS)
    for element in elements:
        split = mlearn(folder, element, VALIDATION, seed)
        settings = {'model': model, 'threads': threads, 'seed': seed}
        numbers = alone(learn, split, {'preset': preset}, settings, 60 * minutes)
        table.add_row(element, numbers['name'], *cells(numbers))
        for name, (energy, force) in PUBLISHED[element].items():
            table.add_row('', f'{name}, published', f'{energy:.2f}', '', f'{1e3 * force:.0f}', '', '', '')
    console.print(table)
    close(console, threads)


@main.command()
@ENSEMBLE
@click.option('--labels', multiple=True, type=int, default=(16, 32, 64, 128), show_default=True)
@click.option('--minutes', multiple=True, type=float, default=(3.0, 10.0), show_default=True, help='With 90 labels.')
@click.option('--curve-minutes', type=float, default=3.0, show_default=True, help='For each number of labels.')
@PRESET
@MODEL
@THREADS
@SEED
def ensembles(
    file: Path, labels: tuple[int, ...], minutes: tuple[float, ...], curve_minutes: float, preset: str, model: str,
    threads: int, seed: int,
) -> None:  # fmt: skip
    """Train on members of an SSCHA ensemble of graphite: errors against time and against labels."""
    use(threads)
    console = Console()
    ensemble = graphite(file)
    order = np.random.default_rng(seed).permutation(len(ensemble) // 2)
    title = f'Errors on the other members of {len(ensemble)}; E in meV/atom, F in meV/Å'
    table = table_of(title, 'labels', 'potential', *ERRORS)
    with tempfile.TemporaryDirectory() as folder:
        for number, limits in ((90, minutes), *((number, (curve_minutes,)) for number in labels)):
            split = split_pairs(ensemble, order, number, held_out(number))
            for limit in limits:
                settings = {'model': model, 'threads': threads, 'seed': seed}
                numbers = alone(learn, split, {'preset': preset}, settings, 60 * limit)
                table.add_row(str(number), numbers['name'], *cells(numbers))
            if peers():
                numbers = polynomial(Path(folder), split)
                table.add_row('', f'{numbers["version"]}, {numbers["coefficients"]} coefficients', *cells(numbers))
    console.print(table)
    console.print(f'All labels are counted, with the {VALIDATION:.0%} that decide when to stop.')
    close(console, threads)


@main.command(name='speed')
@click.option('--preset', 'presets', multiple=True, default=('fast', 'paper'), show_default=True)
@click.option('--threads', 'threads', multiple=True, type=click.IntRange(min=1), default=(1, 2), show_default=True)
@click.option('--batch', 'batches', multiple=True, type=int, default=(1, 32), show_default=True, help='Configurations.')
@click.option('--configurations', type=click.IntRange(min=1), default=128, show_default=True, help='Of ours.')
@SEED
def measure(
    presets: tuple[str, ...], threads: tuple[int, ...], batches: tuple[int, ...], configurations: int, seed: int
) -> None:
    """Evaluate energy, forces and stress of KRbB6C6, 112 atoms, displaced as at 300 K."""
    console = Console()
    title = f'Energy, forces and stress of 112 atoms; minutes for {POPULATION:,} configurations by the clock'
    names = ('code', 'precision', 'threads', 'at a time', 'µs/atom', 'processor µs/atom', 'minutes', 'peak GB')
    table = table_of(title, *names)
    remarks = []
    ensemble = population(clathrate((2, 2, 2)), TEMPERATURES[0], configurations + 8, seed)
    split = split_pairs(ensemble, np.arange(len(ensemble) // 2), 8, 4)
    test = split.test[0]
    with tempfile.TemporaryDirectory() as folder:
        for count in threads:
            use(count)
            able = alone(machine, count)
            for preset in presets:
                potential = alone(first, split, Architecture.from_scalars({'preset': preset}))
                for precision in able:
                    for size in batches:
                        question = (potential, test.symbols, test.positions, test.cell, precision, count, size)
                        numbers = alone(speed, *question)
                        table.add_row(f'ours, {preset}', precision, str(count), str(size), *rates(numbers))
                    name = f'ours, {preset}, {precision}, {count} threads'
                    remarks.append(bound(name, numbers, able[precision], count))
            for task in SPEED_PEERS if peers() else ():
                name, precision, number, size = SPEED_PEERS[task]
                question = {'positions': test.positions[:number], 'cell': test.cell, 'batch': np.array(size)}
                answer = ask(Path(folder), task, question | {'symbols': np.array(test.symbols)})
                atoms = len(test.symbols) * len(question['positions'])
                numbers = {part: 1e6 * value / atoms for part, value in clock(answer).items()}
                numbers['memory'] = 1e-9 * float(answer['peak_memory'])
                table.add_row(f'{name} ({answer["version"]})', precision, str(count), str(size), *rates(numbers))
    console.print(table)
    for remark in remarks:
        console.print(remark)
    close(console, max(threads))


def rates(numbers: Numbers) -> tuple[str, ...]:
    """Return times for each atom, for a population, and memory, in words."""
    minutes = POPULATION * 112 * 1e-6 * numbers['wall'] / 60
    return f'{numbers["wall"]:.0f}', f'{numbers["processor"]:.0f}', f'{minutes:.1f}', f'{numbers["memory"]:.2f}'


def bound(name: str, numbers: Numbers, able: Numbers, threads: int) -> str:
    """Return what bounds the speed, against what the machine can do; times of the processor over threads."""
    floors = {
        'the matrix products at the rate of large ones': 1e-3 * numbers['flop'] / able['gflops'],
        'all traffic at the rate of the cache': 1e-3 * numbers['bytes'] / able['cache'],
        'all traffic at the rate of the memory': 1e-3 * numbers['bytes'] / able['memory'],
    }
    measured = numbers['processor'] / threads
    least = ', '.join(f'{part} {value:.1f} µs' for part, value in floors.items())
    shares = f'{numbers["products"]:.0%} of the time in products, {numbers["elements"]:.0%} element by element, '
    return (
        f'{name}: {1e-6 * numbers["flop"]:.2f} MFLOP in products and {1e-6 * numbers["bytes"]:.2f} MB of traffic for '
        f'each atom; would take: {least}; measured {measured:.1f} µs; {shares}{numbers["moves"]:.0%} moving. '
        f'Machine: {able["gflops"]:.0f} GFLOP/s, {able["memory"]:.1f} GB/s from memory, {able["cache"]:.0f} from cache.'
    )


@main.command()
@click.option('--ensemble', 'file', type=click.Path(path_type=Path, exists=True), help='Of graphite; else left out.')
@click.option('--labels', type=int, default=90, show_default=True, help='Of the clathrate.')
@click.option('--minutes', type=float, default=3.0, show_default=True, help='Of each training.')
@click.option('--plot', type=click.Path(path_type=Path, dir_okay=False), help='Write the calibration there, as PNG.')
@PRESET
@MODEL
@THREADS
@SEED
def uncertainty(
    file: Path | None, labels: int, minutes: float, plot: Path | None, preset: str, model: str, threads: int, seed: int
) -> None:
    """Train on cold configurations, and compare expected with true errors of hot ones."""
    use(threads)
    console = Console()
    settings = {'model': model, 'threads': threads, 'seed': seed}
    sets = {'KRbB6C6, from 300 to 1200 K': heated(labels, seed)}
    if file is not None:
        ensemble = graphite(file)
        half = 2 * ((len(ensemble) // 2 + 1) // 2)
        split = split_pairs(ensemble, by_energy(ensemble, seed), half, held_out(half))
        sets['graphite, from low to high energies'] = split
    names = ('set', 'E RMSE', 'F RMSE', 'rank correlation', 'worst 10 % caught', 'true / expected')
    table = table_of('Expected errors of the forces of configurations; 20 % are flagged', *names)
    figure, axes = new_figure(4.5 * len(sets), 4.0, columns=len(sets))
    for axis, (name, split) in zip(axes, sets.items(), strict=True):
        numbers = alone(learn, split, {'preset': preset}, settings, 60 * minutes)
        true, expected = numbers['errors'], numbers['deviations']
        rank = rank_correlation(true, expected)
        ratio = float(np.sqrt(np.mean(true**2) / np.mean(expected**2)))
        rmse = f'{numbers["energy_rmse"]:.2f}', f'{numbers["force_rmse"]:.1f}'
        table.add_row(name, *rmse, f'{rank or np.nan:.2f}', f'{caught(true, expected):.0%}', f'{ratio:.2f}')
        draw(axis, true, expected, {each.name: len(each) for each in split.test})
        axis.set_title(name)
    console.print(table)
    if plot is not None:
        figure.savefig(plot, dpi=150)
    close(console, threads)


def heated(labels: int, seed: int) -> Split:
    """Return cold configurations of KRbB6C6 for training, and others at all temperatures for the test."""
    matrices = clathrate((2, 2, 2))
    cold = population(matrices, TEMPERATURES[0], labels + 100, seed)
    split = split_pairs(cold, np.arange(len(cold) // 2), labels, held_out(labels))
    hot = [
        pairs(population(matrices, temperature, 100, seed + number), np.arange(50), f'{temperature:.0f} K')
        for number, temperature in enumerate(TEMPERATURES[1:], start=1)
    ]
    return replace(split, test=sum(hot, split.test))


def caught(true: Floats, expected: Floats) -> float:
    """Return which share of the tenth with the largest errors is in the fifth that is expected to have them."""
    worst, flagged = (set(np.argsort(-each)[: len(true) // part]) for each, part in ((true, 10), (expected, 5)))
    return len(worst & flagged) / len(worst)


def draw(axis: Axes, true: Floats, expected: Floats, sizes: dict[str, int]) -> None:
    """Draw true against expected errors, and their root mean squares in tenths of the configurations.

    :param sizes: of the sets that the configurations are from, by name.
    """
    parts = np.split(np.arange(len(true)), np.cumsum(list(sizes.values()))[:-1])
    for name, part in zip(sizes, parts, strict=True):
        axis.loglog(1e3 * expected[part], 1e3 * true[part], '.', markersize=3, label=name)
    for part in np.array_split(np.argsort(expected), 10):
        point = [1e3 * np.sqrt(np.mean(each[part] ** 2)) for each in (expected, true)]
        axis.plot(*point, 'o', color='black', markerfacecolor='white')
    ends = 1e3 * np.array([min(true.min(), expected.min()), max(true.max(), expected.max())])
    axis.plot(ends, ends, color='black', linewidth=0.8)
    axis.set(xlabel='expected RMSE of the forces (meV/Å)', ylabel='true RMSE of the forces (meV/Å)')
    axis.legend()


if __name__ == '__main__':
    main()
