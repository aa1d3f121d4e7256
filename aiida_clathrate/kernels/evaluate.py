"""Energies, forces and stresses of a population of configurations by the calculator that the code names."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiida_clathrate.kernels.calculators import AseEvaluator, CalculatorName, Evaluator, Results, ScoredResults
from aiida_clathrate.kernels.clock import Clock
from aiida_clathrate.kernels.evaluation_parts import FOLDER, Evaluated, Parts, join
from aiida_clathrate.kernels.io import Arrays, KernelError, Scalars
from aiida_clathrate.kernels.scalars import from_scalars
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

#: A part is written at least so often [s].
SECONDS_PER_PART = 10.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How to evaluate.

    :param stress: whether stresses are needed.
    :param batch_size: so many configurations are given to a calculator that takes several at a time.
    :raises ValueError: for values that mean nothing.
    """

    stress: bool = False
    batch_size: int = 64

    def __post_init__(self) -> None:
        if type(self.stress) is not bool:
            raise ValueError(f'stress: {self.stress!r} is neither true nor false')
        if type(self.batch_size) is not int or self.batch_size < 1:
            raise ValueError(f'batch_size: {self.batch_size!r} is not a number of configurations, 1 or more')

    @classmethod
    def from_scalars(cls, scalars: Scalars) -> Settings:
        """Return settings from plain JSON; unknown names are refused."""
        return from_scalars(cls, scalars)


def run(scalars: Scalars, arrays: Arrays) -> tuple[Scalars, Arrays]:
    """Evaluate all configurations with the calculator of the environment.

    :param scalars: as in ``evaluate_population``, ``settings`` as the fields of ``Settings``.
    :param arrays: as in ``evaluate_population``.
    :returns: as ``evaluate_population``, and ``source`` and ``calculator_options``.
    :raises KernelError: as ``evaluate_population``, and for a calculator that cannot be used.
    """
    settings = Settings.from_scalars(scalars['settings'])
    name = CalculatorName.from_environment(os.environ)

    def prepare() -> Evaluation:
        evaluator = make_evaluator(name, scalars['symbols'], settings.stress)
        batch = 1 if isinstance(evaluator, AseEvaluator) else settings.batch_size
        return Evaluation(evaluator.evaluate, arrays['cell'], settings.stress, batch, settings.batch_size)

    summary, results = evaluate_population(scalars, arrays, [name.path, name.options, settings.stress], prepare)
    return summary | {'source': name.source, 'calculator_options': dict(name.options)}, results


def evaluate_population(
    scalars: Scalars, arrays: Arrays, method: list[Any], prepare: Callable[[], Evaluation]
) -> tuple[Scalars, Arrays]:
    """Evaluate all configurations, those of earlier parts in the folder excepted.

    :param scalars: ``symbols`` of the supercell, ``max_seconds`` that the run may take or ``None``.
    :param arrays: ``positions`` (c, s, 3) [Å] and ``cell`` [Å].
    :param method: what the results depend on beside species, cell and positions, as plain JSON.
    :param prepare: makes what computes, if anything is left to be computed.
    :returns: ``configurations``, ``reused`` ones from earlier parts, ``seconds``; arrays ``energies`` (c,) [eV],
        ``forces`` (c, s, 3) [eV/Å] and, where asked for, ``stresses`` (c, 3, 3), positive under compression [GPa], and
        ``deviations`` (c,) [eV/Å] where they are given.
    :raises KernelError: for results that cannot be used, parts of something else, or when time is up, with the parts
        kept.
    """
    clock = Clock(scalars['max_seconds'])
    positions = arrays['positions']
    origin = json.dumps([arrays['cell'].tolist(), scalars['symbols'], *method], sort_keys=True)
    parts = Parts(Path(FOLDER), positions, origin)
    found = parts.read()
    remaining = np.arange(len(positions))
    for part in found:
        remaining = np.setdiff1d(remaining, part.indices)
    if len(remaining):
        found += prepare().run(parts, remaining, clock)
    results = join(found)
    if not np.array_equal(results.indices, np.arange(len(positions))):
        raise KernelError('ERROR_PARTS_REFUSED', 'the parts overlap; start without the parent folder')
    summary = {
        'configurations': len(positions),
        'reused': len(positions) - len(remaining),
        'seconds': round(clock.elapsed, 3),
    }
    return summary, {key: array for key, array in results.arrays().items() if key != 'indices'}


def make_evaluator(name: CalculatorName, symbols: list[str], stress: bool) -> Evaluator:
    """Return the calculator, for several configurations at a time if it takes them."""
    calculator = name.build()
    return calculator if hasattr(calculator, 'evaluate') else AseEvaluator(calculator, symbols, stress)


@dataclass(frozen=True)
class Evaluation:
    """Batches of configurations through a calculator.

    :param compute: from positions and cell as in the protocol ``Evaluator``.
    :param cell: of the supercell [Å].
    :param stress: whether stresses are needed.
    :param batch: so many configurations are computed at a time.
    :param largest_part: so many are written at a time, at most.
    """

    compute: Callable[[NDArray[np.float64], NDArray[np.float64]], Results | ScoredResults]
    cell: NDArray[np.float64]
    stress: bool
    batch: int
    largest_part: int

    def run(self, parts: Parts, remaining: NDArray[np.int64], clock: Clock) -> list[Evaluated]:
        """Evaluate the remaining configurations, and write them to parts as they come.

        :raises KernelError: when time is up, or the calculator fails; what is finished is in the parts.
        """
        written: list[Evaluated] = []
        pending: list[Evaluated] = []
        total = len(parts.positions)
        done, since = total - len(remaining), clock.elapsed
        try:
            for start in range(0, len(remaining), self.batch):
                if clock.is_up():
                    raise self._out_of_time(done + start, start, total, clock)
                pending.append(self._evaluate(parts.positions, remaining[start : start + self.batch]))
                clock.lap()
                full = sum(len(part.indices) for part in pending) >= self.largest_part
                if full or clock.elapsed - since >= SECONDS_PER_PART:
                    written.append(flush(parts, pending))
                    since = clock.elapsed
        finally:
            if pending:
                written.append(flush(parts, pending))
        return written

    def _out_of_time(self, done: int, computed: int, total: int, clock: Clock) -> KernelError:
        label = 'ERROR_OUT_OF_WALLTIME' if computed else 'ERROR_WALLTIME_TOO_SHORT'
        return KernelError(label, f'{done} of {total} configurations after {clock.elapsed:.0f} s')

    def _evaluate(self, positions: NDArray[np.float64], indices: NDArray[np.int64]) -> Evaluated:
        try:
            results = self.compute(positions[indices], self.cell)
        except KernelError as error:
            raise KernelError(error.label, f'{named(indices)}: {error}') from error
        except Exception as error:
            raise KernelError(
                'ERROR_CALCULATOR_FAILED',
                f'{named(indices)}: {type(error).__name__}: {error}; if memory is short, lower batch_size',
            ) from error
        return checked(results, positions[indices].shape, indices, self.stress)


def flush(parts: Parts, pending: list[Evaluated]) -> Evaluated:
    """Write what is pending as one part, and say so."""
    part = join(pending)
    parts.write(part)
    pending.clear()
    logger.info('configurations %d to %d of %d', part.indices[0] + 1, part.indices[-1] + 1, len(parts.positions))
    return part


def checked(
    results: Results | ScoredResults, shape: tuple[int, ...], indices: NDArray[np.int64], stress: bool
) -> Evaluated:
    """Return results with our units and sign of the stress.

    :raises KernelError: for wrong shapes and numbers that are not finite, and for missing stresses.
    """
    energies, forces, stresses = results[:3]
    if forces is None:
        raise KernelError('ERROR_FORCES_MISSING', 'the calculator gave no forces')
    found = Evaluated(
        indices,
        as_finite('energies', energies, shape[:1], indices),
        as_finite('forces', forces, shape, indices),
        deviations=as_finite('deviations', results[3], shape[:1], indices) if len(results) == 4 else None,
    )
    if not stress:
        return found
    if stresses is None:
        raise KernelError(
            'ERROR_STRESSES_MISSING', 'the calculator gave no stresses; take another, or a fixed cell without `stress`'
        )
    tensile = as_finite('stresses', stresses, (shape[0], 3, 3), indices)
    return replace(found, stresses=-GPA_PER_EV_ANGSTROM3 * tensile)


def as_finite(name: str, values: ArrayLike, shape: tuple[int, ...], indices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return an array after a look at its shape and its numbers."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise KernelError(
            'ERROR_RESULTS_UNUSABLE', f'{name} of {named(indices)}: need the shape {shape}, not {array.shape}'
        )
    if not np.isfinite(array).all():
        wrong = indices[~np.isfinite(array.reshape(len(array), -1)).all(axis=1)]
        raise KernelError('ERROR_RESULTS_UNUSABLE', f'{name} of configuration {wrong[0]} are not finite')
    return array


def named(indices: NDArray[np.int64]) -> str:
    """Return the configurations of a batch in words."""
    return f'configuration {indices[0]}' if len(indices) == 1 else f'configurations {indices[0]} to {indices[-1]}'
