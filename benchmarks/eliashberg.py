"""How long T_c takes, beside the plain way in the same run, and how exact it is.

    OMP_NUM_THREADS=1 python benchmarks/eliashberg.py

The peer that can always be had is the textbook's: the full matrix, λ(ν) by direct sums, `scipy.linalg.eigh` for the
lowest eigenvalue and Brent's method in T. Of the public codes, elphmod (PyPI) has the closed formulas only; ebmb and
EPW (Fortran), IsoME (Julia) and SolveME are no Python packages. The numbers of ebmb are compared with, not its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.linalg import eigh, hankel, toeplitz
from scipy.optimize import brentq

from aiida_clathrate.kernels.matsubara.coulomb import Truncation, spacing
from aiida_clathrate.kernels.matsubara.critical_temperature import Instability, Search, tabulate
from aiida_clathrate.kernels.matsubara.sums import basis, sparse_basis
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import KELVIN_PER_MEV

POINTS = 5000
MU_STAR = 0.12
#: Einstein mode of 20 meV, μ* at ω_E, cutoff 15 ω_E: λ, μ*, T_c [K] of ebmb.
REFERENCES = ((1.0, 0.10, 16.746349), (2.0, 0.15, 32.504236), (0.5, 0.10, 2.741539))

Result = TypeVar('Result')


@dataclass(frozen=True)
class Row:
    """A line of the table: times in ms."""

    task: str
    ours: float
    limit: float
    peer: float | None = None
    accuracy: float | None = None


def timed(function: Callable[[], Result], repeats: int = 5) -> tuple[Result, float]:
    """Return the result and the shortest time of the processor, of all threads together [ms].

    On an idle machine one thread takes as long by the clock; what else runs on the machine hardly changes it.
    """
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        times.append(1e3 * (time.process_time() - start))
    return result, min(times)


def table(coupling: float) -> SpectralFunction:
    """Return an α²F of 5,000 points with λ as given: an acoustic continuum and a high optical peak."""
    frequencies = np.linspace(0, 100, POINTS + 1)
    values = 4e-4 * frequencies**2 * np.exp(-(((frequencies - 40) / 25) ** 2))
    values += 0.3 * np.exp(-(((frequencies - 85) / 5) ** 2))
    values[[0, -1]] = 0
    spectral = SpectralFunction.from_table(frequencies, values)
    return replace(spectral, couplings=spectral.couplings * coupling / spectral.coupling)


def fresh(spectral: SpectralFunction, factor: float) -> Search:
    """Return a search that has found nothing yet."""
    truncation = Truncation(factor * spectral.omega_max, spectral.omega_max)
    lowest = 1e-4 * spectral.omega_log * KELVIN_PER_MEV
    return Search(tabulate(spectral, truncation, lowest), truncation, lowest)


def dense(spectral: SpectralFunction, number: int, near: float) -> float:
    """Return T_c [K] the plain way, at fixed N, between 0.9 and 1.1 of ``near``."""
    truncation = Truncation(1.0, spectral.omega_max)
    squares = spectral.frequencies**2

    def lowest(temperature: float) -> float:
        places = spacing(temperature) * np.arange(2 * number)
        values = np.array([(spectral.couplings * squares / (squares + place**2)).sum() for place in places])
        matrix = -toeplitz(values[:number]) - hankel(values[1 : number + 1], values[number:])
        matrix += 2 * truncation.coulomb(MU_STAR, 'rescaled', temperature, number)
        matrix.flat[:: number + 1] += 2 * np.arange(number) + 1 + np.cumsum(np.append(values[0], 2 * values[1:number]))
        return float(eigh(matrix, eigvals_only=True, subset_by_index=[0, 0])[0])

    return float(brentq(lowest, 0.9 * near, 1.1 * near, xtol=1e-12, rtol=1e-13))


def again(search: Search) -> Search:
    """Return a search with the same λ(ν) that has found nothing yet."""
    return Search(search.interaction, search.truncation, search.lowest)


def curve_row(search: Search, label: str) -> Row:
    """Measure the curve of 24 points; the peer finds one of them, and its time is taken 24 times."""
    mu_stars = np.linspace(0.10, 0.15, 24)
    curve, duration = timed(lambda: again(search).curve(mu_stars, 'rescaled'))
    alone = [again(search).critical_temperature(float(value)) for value in mu_stars]
    error = max(abs(one.temperature / other.temperature - 1) for one, other in zip(curve, alone, strict=True))
    middle = again(search).critical_temperature(MU_STAR)
    _, plain = timed(lambda: dense(search.interaction.spectral, middle.number, middle.temperature), 1)
    return Row(f'{label}, N = {curve[0].number} to {curve[-1].number}', duration, 100.0, 24 * plain, error)


def rows() -> list[Row]:
    """Measure everything but the numbers of ebmb."""
    spectral = table(1.2)
    search, tabulation = timed(lambda: fresh(spectral, 10.0))
    found, single = timed(lambda: again(search).critical_temperature(MU_STAR), 20)
    plain, plain_time = timed(lambda: dense(spectral, found.number, found.temperature), 1)
    result = [
        Row(f'table of λ(ν), {POINTS} points, 10 ω_max', tabulation, 40.0),
        Row(f'T_c, N = {found.number}', single, 3.0, plain_time, found.temperature / plain - 1),
        curve_row(search, 'T_c(μ*), 24 points, λ = 1.2'),
        curve_row(fresh(table(0.45), 10.0), 'T_c(μ*), 24 points, λ = 0.45'),
    ]
    wide = fresh(spectral, 4000 * spacing(found.temperature) / spectral.omega_max)

    def large() -> Instability:
        basis.cache_clear()
        sparse_basis.cache_clear()
        return again(wide).critical_temperature(MU_STAR)

    many, large_time = timed(large)
    # One diagonalisation at N = 4,000 stands for the whole bisection: some ten of them are needed.
    matrix = np.eye(many.number) + 1 / (1 + np.abs(np.subtract.outer(np.arange(many.number), np.arange(many.number))))
    _, once = timed(lambda: eigh(matrix, eigvals_only=True, subset_by_index=[0, 0]), 1)
    result.append(Row(f'T_c, N = {many.number} (peer: one diagonalisation)', large_time, 300.0, once))
    return result


def references() -> list[Row]:
    """Compare with the numbers of ebmb."""
    result = []
    for coupling, mu_star, expected in REFERENCES:
        spectral = SpectralFunction(np.array([20.0]), np.array([coupling]))
        truncation = Truncation(300.0, 20.0, fewest=1, boundary='next')
        lowest = 1e-4 * spectral.omega_log * KELVIN_PER_MEV
        search = Search(tabulate(spectral, truncation, lowest), truncation, lowest)
        found, duration = timed(lambda search=search, mu_star=mu_star: search.critical_temperature(mu_star))
        result.append(
            Row(f'Einstein mode, λ = {coupling}, μ* = {mu_star}', duration, 3.0, None, found.temperature / expected - 1)
        )
    return result


def main() -> None:
    """Measure and print."""
    measured = rows() + references()
    console = Console()
    printed = Table('task', 'ours (ms)', 'limit (ms)', 'peer (ms)', 'T_c relative to the peer − 1', title='Eliashberg')
    for row in measured:
        peer = '' if row.peer is None else f'{row.peer:.0f}'
        accuracy = '' if row.accuracy is None else f'{row.accuracy:.1e}'
        colour = 'green' if row.ours <= row.limit and abs(row.accuracy or 0) <= 1e-6 else 'red'
        printed.add_row(row.task, f'[{colour}]{row.ours:.2f}[/]', f'{row.limit:.0f}', peer, accuracy)
    console.print(printed)
    console.print(
        'What limits it: the table, 160 × 5,000 divisions; T_c, filling an N × N matrix up to N = 256 and above it '
        f'{len(basis(4000))} cosine transforms of length 2N (at N = 4,000) for each of three to eight temperatures.'
    )


if __name__ == '__main__':
    main()
