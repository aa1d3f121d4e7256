"""The tasks of ``sscha.py``, each to be run in a process of its own, on files in a folder."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

HERE = Path(__file__).resolve().parent
# Where the forces come from; the processes that are started below inherit the path.
sys.path.append(str(HERE.parent / 'tests' / 'kernels'))
PEER = HERE / 'python_sscha.py'
FINE, TEMPERATURE = (6, 6, 6), 300.0

Result = TypeVar('Result')
Numbers = dict[str, Any]


def timed(function: Callable[[], Result], repeats: int = 3) -> tuple[Result, Numbers]:
    """Return the result, the shortest times and the peak memory so far."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        result = function()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    peak = 1024e-9 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return result, {'wall': min(walls), 'processor': min(processors), 'memory': peak}


def load(folder: Path, name: str) -> dict[str, Any]:
    """Return arrays of a file."""
    with np.load(folder / f'{name}.npz', allow_pickle=False) as file:
        return dict(file)


def matrices_of(data: dict[str, Any], name: str = 'force_constants', mesh: str = 'mesh') -> Any:
    """Return matrices of a file."""
    from aiida_clathrate.kernels.crystal import Crystal
    from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices

    crystal = Crystal(data['cell'], tuple(data['symbols'].tolist()), data['positions'], data['masses'])
    return DynamicalMatrices(crystal, tuple(data[mesh].tolist()), data[name])


def ensemble_of(folder: Path, name: str) -> Any:
    """Return an ensemble of a file."""
    from aiida_clathrate.kernels.ensemble import ForceEnsemble

    data = load(folder, name)
    arrays = {part: data[part] for part in ('energies', 'forces', 'stresses')}
    return ForceEnsemble(matrices_of(data), TEMPERATURE, data['displacements'], **arrays)


def describe(matrices: Any) -> dict[str, Any]:
    """Return a crystal with its matrices as ``python_sscha.py`` reads them."""
    crystal = matrices.crystal
    return {
        'cell': crystal.cell, 'symbols': np.array(crystal.symbols), 'positions': crystal.positions,
        'masses': crystal.masses, 'mesh': np.array(matrices.mesh), 'force_constants': matrices.force_constants,
        'temperature': TEMPERATURE,
    }  # fmt: skip


def with_forces(ensemble: Any) -> Any:
    """Return the ensemble with the forces of the Morse bonds."""
    from morse_clathrate import MorseClathrate

    from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

    model = MorseClathrate(ensemble.mesh)
    energies, forces, stresses = model.evaluate(ensemble.positions, model.reference.cell.array)
    return replace(ensemble, energies=energies, forces=forces, stresses=-GPA_PER_EV_ANGSTROM3 * stresses)


def prepare(folder: Path, cells: tuple[int, int, int], name: str) -> Numbers:
    """Write harmonic matrices, those that populations have minimised, and others to which a small one leads."""
    from morse_clathrate import clathrate_atoms

    from aiida_clathrate.kernels.crystal import Crystal
    from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
    from aiida_clathrate.kernels.finite_displacements import fit_harmonic, single_displacements
    from aiida_clathrate.kernels.fourier import interpolate
    from aiida_clathrate.kernels.sscha.minimisation import minimise
    from aiida_clathrate.kernels.sscha.sampling import sample

    crystal = Crystal.from_ase(clathrate_atoms())
    nothing = np.zeros((int(np.prod(cells)), 42, 42), dtype=complex)
    harmonic = fit_harmonic(with_forces(single_displacements(DynamicalMatrices(crystal, cells, nothing))))
    first = harmonic
    for seed, number in enumerate((1000, 1000, 4000), start=1):
        first = minimise(with_forces(sample(first, TEMPERATURE, number, seed))).matrices
    second = minimise(with_forces(sample(first, TEMPERATURE, 1000, 4))).matrices
    extra = {'new_force_constants': second.force_constants, 'new_positions': crystal.positions}
    extra |= {'harmonic': harmonic.force_constants, 'fine_mesh': np.array(FINE)}
    if name == 'crystal':
        extra['fine_harmonic'] = interpolate(harmonic, FINE).force_constants
    # They moved by 4e-6 Å: less than what we take for a tie between images, more than what the peer does.
    np.savez(folder / f'{name}.npz', **describe(replace(first, crystal=crystal)), **extra)
    return {}


def draw(folder: Path, number: int, crystal: str = 'crystal') -> Numbers:
    """Draw configurations; write them with their forces."""
    from aiida_clathrate.kernels.sscha.sampling import sample

    data = load(folder, crystal)
    matrices = matrices_of(data)
    ensemble, times = timed(lambda: sample(matrices, TEMPERATURE, number, 5), 5)
    computed = with_forces(ensemble)
    names = ('displacements', 'energies', 'forces', 'stresses')
    arrays = {name: getattr(computed, name) for name in names}
    np.savez(folder / f'{crystal}_{number}.npz', **data, **arrays)
    # The root of the covariance, 42 × 42, for each wave, and the 8 × 8 of the Fourier transform.
    return times | {'flop': number / 2 * 336 * 2 * (42 + 8)}


def evaluate(folder: Path, number: int) -> Numbers:
    """Take the averages under other matrices."""
    from aiida_clathrate.kernels.sscha.averages import WaveEnsemble

    target = matrices_of(load(folder, f'crystal_{number}'), 'new_force_constants')
    waves = WaveEnsemble(ensemble_of(folder, f'crystal_{number}'))
    _, first = timed(lambda: waves.at(target), 1)
    averages, times = timed(lambda: waves.at(target), 30)
    gradient = waves.invariants.matrices(averages.gradient.value)
    np.savez(folder / f'gradient_{number}.npz', gradient=gradient, weights=averages.weights)
    # Υu, Φu and the outer product of Υu and δf, each 42 × 42 for each wave.
    return times | {'flop': number * 336 * 2 * 42 * 3, 'first': first['wall'], 'kong_liu': averages.kong_liu}


def minimise_all(folder: Path, number: int) -> Numbers:
    """Minimise the free energy until the gradient is a millionth of its error."""
    from aiida_clathrate.kernels.sscha.minimisation import minimise

    ensemble = ensemble_of(folder, f'crystal_{number}')
    found, times = timed(lambda: minimise(ensemble), 2)
    steps, evaluations = len(found.trace.kong_liu) - 1, int(found.trace.evaluations[-1])
    return times | {'steps': steps, 'evaluations': evaluations, 'reason': found.reason}


def add(folder: Path) -> Numbers:
    """Interpolate the change by anharmonicity to the fine mesh."""
    from aiida_clathrate.kernels.fourier import add_difference

    data = load(folder, 'crystal')
    anharmonic, harmonic = matrices_of(data), matrices_of(data, 'harmonic')
    fine = matrices_of(data, 'fine_harmonic', 'fine_mesh')
    total, times = timed(lambda: add_difference(fine, anharmonic, harmonic), 5)
    np.savez(folder / 'interpolated.npz', force_constants=total.force_constants)
    return times


def curvature(folder: Path, name: str, fourth: bool, threads: int, device: str) -> Numbers:
    """Calculate the Hessian."""
    from aiida_clathrate.kernels.sscha.hessian import hessian
    from aiida_clathrate.kernels.sscha.hessian_settings import HessianSettings

    ensemble = ensemble_of(folder, name)
    blocks = min(50, len(ensemble) // 4)
    settings = HessianSettings(fourth_order=fourth, threads=threads, blocks=blocks, device=device)
    result, times = timed(lambda: hessian(ensemble, settings=settings), 1 if len(ensemble) > 1000 else 3)
    np.savez(folder / f'hessian_{name}_{fourth}.npz', force_constants=result.matrices.force_constants)
    # Every pair ±u meets the three wave vectors q + q' + q'' = 0 in 36 ways, each 42³ elements, on a mesh of half
    # reciprocal lattice vectors: once for the average of third order, four times for each product with the fourth, and
    # six times for the errors.
    products = 1 + 4 * result.iterations + (6 if fourth else 4)
    cells = len(ensemble.matrices.force_constants)
    ways = 36 if cells == 8 else 1
    times |= {'flop': len(ensemble) / 2 * ways * 42**3 * 2 * products, 'iterations': result.iterations}
    return times | {'memory': result.peak_memory} if device == 'cuda' else times


def multiply(size: int = 2000) -> Numbers:
    """Multiply matrices: what the machine can do."""
    a, b = np.random.default_rng(0).standard_normal((2, size, size))
    _, times = timed(lambda: a @ b, 20)
    return times | {'flop': 2 * size**3}


def alone(function: Callable[..., Numbers], *arguments: Any) -> Numbers:
    """Run a task in a process of its own."""
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def ask(folder: Path, task: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return what python-sscha says, with its times."""
    source, target = folder / 'question.npz', folder / 'answer.npz'
    np.savez(source, **data)
    subprocess.run([os.environ['PYTHON_SSCHA'], PEER, task, source, target], check=True)
    return load(folder, 'answer')
