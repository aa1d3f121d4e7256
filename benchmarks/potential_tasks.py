"""The tasks of ``potential.py``, each to be run in a process of its own."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from potential_data import Floats, Split, errors, predict
from potential_peers import peak_memory
from sscha import THREAD_VARIABLES
from sscha_tasks import Numbers, load, timed
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from aiida_clathrate.kernels.io import Scalars
from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator
from aiida_clathrate.kernels.mlp.frames import Frames
from aiida_clathrate.kernels.mlp.network_training import HISTORY
from aiida_clathrate.kernels.mlp.outcome import Trained
from aiida_clathrate.kernels.mlp.potential import Potential
from aiida_clathrate.kernels.mlp.training import train
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings
from aiida_clathrate.kernels.mlp.validation import force_errors

PEERS = Path(__file__).resolve().parent / 'potential_peers.py'
#: Sizes of arrays that no cache holds, and that the second one does [byte].
LARGE, SMALL = 2**30, 2**17
DTYPES = {'single': torch.float32, 'double': torch.float64}
#: Operations of torch that multiply matrices, and that only move numbers; the others go through elements.
PRODUCTS = {'mm', 'bmm', 'addmm', 'baddbmm', 'mv', 'dot', 'addmv'}
MOVES = {'copy_', 'cat', 'index', 'index_add_', 'index_select', 'gather', 'fill_', 'zero_', 'masked_fill_', 'nonzero'}
#: Configurations of which the operations are counted.
COUNTED = 4
#: Epochs that tell how long one takes.
TRIAL = 6


def use(threads: int) -> None:
    """Let processes that are started from now on have so many threads, which sleep while they wait."""
    os.environ |= dict.fromkeys(THREAD_VARIABLES, str(threads)) | {'OMP_WAIT_POLICY': 'PASSIVE'}


def ask(folder: Path, task: str, data: dict[str, Any]) -> Numbers:
    """Return what a task of ``potential_peers.py`` says."""
    source, target = folder / 'question.npz', folder / 'answer.npz'
    np.savez(source, **data)
    command = [os.environ['CLATHRATE_PEERS'], '-W', 'ignore', PEERS, task, source, target]
    # What MACE lacks for other machines it says at every start.
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return load(folder, 'answer')


def learn(split: Split, architecture: Scalars, settings: Scalars, limit: float | None = None) -> Numbers:
    """Train, and judge by the test set.

    :param limit: as many epochs as fit into this time of the processor, for each thread; the learning rate comes down
        with the last one [s]. The epochs of the settings if left out.
    :returns: fields of ``Errors``; ``errors``, of the forces of each configuration of the test, and ``deviations``,
        what the potential expected [eV/Å]; ``name`` and ``record`` of the potential, and times of the training.
    """
    orders, chosen = Architecture.from_scalars(architecture), TrainingSettings.from_scalars(settings)
    if limit is not None and chosen.model != 'linear':
        chosen = replace(chosen, epochs=epochs_within(split, orders, chosen, limit))
    trained, times = timed(lambda: fit(split, orders, chosen), 1)
    potential = trained.potential
    judged = [judge(potential, frames, chosen.threads) for frames in split.test]
    found = {name: np.concatenate([each[name] for each in judged]) for name in ('errors', 'deviations')}
    summary = asdict(errors([each['differences'] for each in judged]))
    return times | summary | found | {'record': dict(potential.record), 'name': name_of(potential)}


def epochs_within(split: Split, architecture: Architecture, settings: TrainingSettings, limit: float) -> int:
    """Return how many epochs end within a time of the processor, with what comes before and after them [s]."""
    trial, times = timed(lambda: fit(split, architecture, replace(settings, epochs=TRIAL, evaluate_every=1)), 1)
    seconds = trial.history[:, HISTORY.index('seconds')]
    busy = times['processor'] / times['wall'] / settings.threads
    # The clock of the history has tenths of a second.
    epoch = busy * max(float(seconds[-1] - seconds[0]) / (len(seconds) - 1), 0.01)
    rest = times['processor'] / settings.threads - TRIAL * epoch
    return max(int((limit - rest) / epoch), TRIAL)


def name_of(potential: Potential) -> str:
    """Return what a table calls a potential."""
    return f'ours, {potential.record["model"]}, {potential.record["epochs"]} epochs'


def fit(split: Split, architecture: Architecture, settings: TrainingSettings) -> Trained:
    """Train."""
    return train(split.training, split.validation, architecture, settings)


def first(split: Split, architecture: Architecture) -> Potential:
    """Return one with both parts after one epoch: the speed does not depend on the weights."""
    return fit(split, architecture, TrainingSettings(model='both', epochs=1)).potential


def judge(potential: Potential, frames: Frames, threads: int) -> dict[str, Any]:
    """Return differences to labels, errors of the forces of each configuration, and what was expected."""
    evaluator = PotentialEvaluator(potential, frames.symbols, threads=threads)
    expected: list[Floats] = []

    def evaluate(positions: Floats, cell: Floats) -> tuple[Any, ...]:
        results = evaluator.evaluate_scored(positions, cell)
        expected.append(results[3])
        return results

    differences = predict(evaluate, frames)
    wrong = force_errors(frames.forces, frames.forces + differences[1])
    return {'differences': differences, 'errors': wrong, 'deviations': np.concatenate(expected)}


def speed(
    potential: Potential, symbols: tuple[str, ...], positions: Floats, cell: Floats, precision: str, threads: int,
    batch: int,
) -> Numbers:  # fmt: skip
    """Return times for each atom [µs], and what was computed for it."""
    evaluator = PotentialEvaluator(potential, symbols, precision=precision, threads=threads)
    parts = [positions[start : start + batch] for start in range(0, len(positions), batch)]
    evaluator.evaluate(parts[0], cell)
    _, times = timed(lambda: [evaluator.evaluate(part, cell) for part in parts])
    atoms = len(positions) * len(symbols)
    found = {name: 1e6 * times[name] / atoms for name in ('wall', 'processor')} | {'memory': 1e-9 * peak_memory()}
    # What counts sees nothing of other threads.
    return found | counted(lambda: evaluator._part(positions[:COUNTED], cell, False), COUNTED * len(symbols))


class Traffic(TorchDispatchMode):
    """Counts the bytes that operations read and write, as if each found its arrays in memory and left them there."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation."""
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            leaves = torch.utils._pytree.tree_leaves((args, kwargs, result))
            self.bytes += sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))
        return result


def counted(function: Callable[[], Any], atoms: int) -> Numbers:
    """Return, for each atom, the operations of the matrix products, bytes, and shares of the time by kind."""
    with FlopCounterMode(display=False) as products:
        function()
    with Traffic() as traffic:
        function()
    with torch.autograd.profiler.profile(use_kineto=False) as profile:
        function()
    times: Counter[str] = Counter()
    for event in profile.key_averages():
        name = event.key.removeprefix('aten::')
        kind = 'products' if name in PRODUCTS else 'moves' if name in MOVES else 'elements'
        times[kind] += event.self_cpu_time_total
    shares = {kind: time / sum(times.values()) for kind, time in times.items()}
    return shares | {'flop': products.get_total_flops() / atoms, 'bytes': traffic.bytes / atoms}


def machine(threads: int) -> dict[str, Numbers]:
    """Return what threads can do: GFLOP/s of large products, GB/s of sums in memory and in the second cache."""
    torch.set_num_threads(threads)
    found = {}
    for name, dtype in DTYPES.items():
        a, b = (torch.randn(2000, 2000, dtype=dtype) for _ in range(2))
        _, product = timed(lambda a=a, b=b: a @ b, 5)
        numbers = {'gflops': 16 * threads / product['processor']}
        for place, size, repeats in (('memory', LARGE, 1), ('cache', SMALL, 2000)):
            x, y, z = (torch.ones(size // dtype.itemsize // 3, dtype=dtype) for _ in range(3))

            def add(x: Any = x, y: Any = y, z: Any = z, repeats: int = repeats) -> None:
                for _ in range(repeats):
                    torch.add(x, y, out=z)

            numbers[place] = 1e-9 * size * repeats * threads / timed(add, 5)[1]['processor']
        found[name] = numbers
    return found
