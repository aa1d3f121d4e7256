"""Minimise the free energy over auxiliary matrices and centroids with the forces of one ensemble.

At the minimum Φ = ⟨∂²V⟩ and ⟨f⟩ = 0; ``search`` steps there until both gradients are below their stochastic errors, or
the ensemble is used up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.ensemble_arrays import ensemble_from_arrays, matrices_to_arrays
from aiida_clathrate.kernels.io import Arrays, KernelError, Scalars
from aiida_clathrate.kernels.sscha.averages import Averages, Mean, WaveEnsemble
from aiida_clathrate.kernels.sscha.gaussian import Gaussian, NotPositiveError
from aiida_clathrate.kernels.sscha.response import Response
from aiida_clathrate.kernels.sscha.search import Point, Reason, Search
from aiida_clathrate.kernels.sscha.settings import Settings
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS

#: Ends that are no results to go on from: labels of exit codes.
STATUS = {'not positive': 'ERROR_IMAGINARY_FREQUENCIES', 'maximum steps': 'ERROR_NOT_CONVERGED'}
#: Columns of the trace whose last entry is a scalar result.
LAST = ('free_energy_error', 'gradient', 'gradient_error', 'force', 'force_error', 'kong_liu')
#: Arrays at the end.
ENDS = ('frequencies', 'frequency_errors', 'deviations', 'position_errors')


@dataclass(frozen=True)
class Trace:
    """What happened at each accepted step, the start included; s of them.

    :param free_energy: of the primitive cell, and its error, each of shape (s,) [eV].
    :param gradient: root of the mean over q of Σ|Φ − ⟨∂²V⟩|², and its error, shape (s,) [eV/Å²].
    :param force: norm of the mean forces on the atoms of the primitive cell, and its error, shape (s,) [eV/Å].
    :param kong_liu: effective over real size of the sample, shape (s,).
    :param frequencies: ħω of one of each pair ±q, shape (s, k, 3n) [meV].
    :param evaluations: how often the averages were evaluated up to this step, shape (s,).
    """

    free_energy: NDArray[np.float64]
    free_energy_error: NDArray[np.float64]
    gradient: NDArray[np.float64]
    gradient_error: NDArray[np.float64]
    force: NDArray[np.float64]
    force_error: NDArray[np.float64]
    kong_liu: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    evaluations: NDArray[np.int64]


@dataclass(frozen=True)
class Minimum:
    """The end of a minimisation on one ensemble.

    :param matrices: auxiliary matrices with the centroids.
    :param reason: why it ended.
    :param trace: what happened at each step.
    :param averages: at the end.
    :param frequencies: ħω of all q, zero for translations, shape (q, 3n) [meV].
    :param frequency_errors: their standard deviations between minima of ensembles like this, to first order; a shift
        of order 1/N of the minimum itself is not in them; shape (q, 3n) [meV].
    :param position_errors: standard deviations of the centroids, shape (n, 3) [Å].
    :param free_energy_bias: by how much the free energy at the minimum is expected to lie below the true one, because
        Φ is fitted to the configurations that it is averaged over; of the primitive cell, mostly negative [eV].
    :param pressure: tensor, its deviations those between minima, shape (3, 3) [GPa], ``None`` without stresses.
    :param deviations: by how much each block of the ensemble moves the minimum Φ, on the whole mesh, shape
        (b, q, 3n, 3n) [eV/Å²].
    :param parameters: number of independent parameters of Φ.
    """

    matrices: DynamicalMatrices
    reason: Reason
    trace: Trace
    averages: Averages
    frequencies: NDArray[np.float64]
    frequency_errors: NDArray[np.float64]
    position_errors: NDArray[np.float64]
    free_energy_bias: float
    pressure: Mean | None
    deviations: NDArray[np.complex128]
    parameters: int


def minimise(
    ensemble: ForceEnsemble,
    settings: Settings = Settings(),  # noqa: B008  # frozen
    progress: Callable[[Averages], None] = lambda averages: None,
) -> Minimum:
    """Return the minimum of the free energy, as far as the ensemble can tell.

    :param progress: called with the averages of each accepted step.
    :raises ValueError: if the ensemble has no forces or fewer than two independent configurations.
    """
    search = Search(WaveEnsemble(ensemble), settings)
    points, evaluations = [search.point(ensemble.matrices)], [1]
    progress(points[0].averages)
    reason: Reason | None = None
    while reason is None:
        if points[-1].ratio < settings.meaningful_factor:
            reason = 'converged'
        elif len(points) > settings.maximum_steps:
            reason = 'maximum steps'
        else:
            found, tried, reason = search.next(points)
            if found is not None:
                points.append(found)
                evaluations.append(evaluations[-1] + tried)
                progress(found.averages)
    return _result(search, points, np.array(evaluations), reason)


def _result(search: Search, points: list[Point], evaluations: NDArray[np.int64], reason: Reason) -> Minimum:
    """Return all that is known at the last point."""
    waves, averages = search.waves, points[-1].averages
    rows = [_row(point.averages) for point in points]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    gaussian = averages.gaussian
    origin = gaussian.vectors.origin
    shifts = Response(waves, averages, search.settings.relax_positions).shifts()
    deviations = waves.invariants.matrices(shifts.coefficients)
    return Minimum(
        replace(points[-1].matrices, level='sscha', temperature=waves.ensemble.temperature),
        reason,
        Trace(evaluations=evaluations, **columns),
        averages,
        gaussian.frequencies[origin],
        frequency_errors(gaussian, deviations)[origin],
        np.sqrt((shifts.positions**2).sum(axis=0)),
        shifts.free_energy_bias,
        None if shifts.pressure is None else replace(waves.pressure(averages), deviations=shifts.pressure),
        deviations,
        len(waves.invariants),
    )


def frequency_errors(gaussian: Gaussian, deviations: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the standard deviations of ħω that those of Φ mean to first order, shape (k, 3n) [meV].

    :param deviations: by how much each block moves Φ, shape (b, q, 3n, 3n) [eV/Å²].
    """
    _, vectors = gaussian.modes
    changes = gaussian.vectors.restrict(deviations)
    modes = vectors / np.repeat(np.sqrt(gaussian.matrices.crystal.masses), 3)[:, None]
    squares = np.einsum('kam,bkac,kcm->bkm', modes.conj(), changes, modes, optimize=True).real
    errors: NDArray[np.float64] = MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS**2 * np.sqrt((squares**2).sum(axis=0))
    safe = np.where(gaussian.active, gaussian.frequencies, np.inf)
    return np.asarray(errors / (2 * safe))


def _row(averages: Averages) -> dict[str, Any]:
    """Return one step of the trace."""
    return {
        'free_energy': float(averages.free_energy.value),
        'free_energy_error': float(averages.free_energy.error),
        'gradient': averages.gradient.norm[0],
        'gradient_error': averages.gradient.norm[1],
        'force': averages.force.norm[0],
        'force_error': averages.force.norm[1],
        'kong_liu': averages.kong_liu,
        'frequencies': averages.gaussian.frequencies,
    }


def run(scalars: Scalars, arrays: Arrays) -> tuple[Scalars, Arrays]:
    """Minimise in a run folder.

    :param scalars: those of an ensemble, and ``settings``.
    :param arrays: those of an ensemble.
    :return: ``status``, where there is one, is the label of an exit code beside the results.
    """
    settings, ensemble = Settings.from_scalars(scalars['settings']), ensemble_from_arrays(scalars, arrays)
    try:
        minimum = minimise(ensemble, settings)
    except NotPositiveError as error:
        raise KernelError('ERROR_IMAGINARY_FREQUENCIES', str(error)) from error
    measured = None if minimum.pressure is None else mean_pressure(minimum.pressure)
    pressure = ensemble.matrices.pressure if measured is None else measured[0]
    matrices, held = matrices_to_arrays(replace(minimum.matrices, pressure=pressure))
    trace = {f'trace_{name}': getattr(minimum.trace, name) for name in (part.name for part in fields(Trace))}
    held |= trace | {name: getattr(minimum, name) for name in ENDS}
    if minimum.pressure is not None:
        held |= {'pressure_tensor': minimum.pressure.value, 'pressure_error': minimum.pressure.error}
    results = matrices | _summary(minimum, len(ensemble)) | {'pressure': pressure}
    results['pressure_error'] = None if measured is None else measured[1]
    if minimum.reason in STATUS:
        results['status'] = STATUS[minimum.reason]
    return results, held


def mean_pressure(tensor: Mean) -> tuple[float, float]:
    """Return a third of the trace of a pressure tensor, and its standard deviation [GPa]."""
    deviations = np.trace(tensor.deviations, axis1=1, axis2=2) / 3
    return float(np.trace(tensor.value) / 3), float(np.linalg.norm(deviations))


def _summary(minimum: Minimum, number: int) -> Scalars:
    """Return the scalars of a result."""
    trace, count = minimum.trace, minimum.averages.kong_liu * number
    softest, error = _softest(minimum)
    warnings = []
    if number < minimum.parameters:
        warnings.append(
            f'{number} configurations for {minimum.parameters} independent force constants: noise decides; draw more'
        )
    return {
        'reason': minimum.reason,
        'steps': len(trace.kong_liu) - 1,
        'evaluations': int(trace.evaluations[-1]),
        'configurations': number,
        'parameters': minimum.parameters,
        'effective_configurations': float(count),
        'free_energy': float(trace.free_energy[-1]),
        'free_energy_bias': minimum.free_energy_bias,
        'smallest_frequency': softest,
        'smallest_frequency_error': error,
        'volume': minimum.matrices.crystal.volume,
        'warnings': warnings,
    } | {name: float(getattr(trace, name)[-1]) for name in LAST}


def _softest(minimum: Minimum) -> tuple[float, float]:
    """Return the smallest auxiliary frequency that is no translation, and its error [meV]."""
    gaussian = minimum.averages.gaussian
    frequencies = np.where(gaussian.active[gaussian.vectors.origin], minimum.frequencies, np.inf)
    where = np.unravel_index(np.argmin(frequencies), frequencies.shape)
    return float(frequencies[where]), float(minimum.frequency_errors[where])
