"""From the imaginary to the real axis: Padé approximants of Δ(iω_n) and the gap edge.

H. J. Vidberg and J. W. Serene, J. Low Temp. Phys. 29, 179 (1977). A single approximant can be wrong without notice; a
gap edge is returned only if several of them, of different length, predict the Matsubara points that they have not seen
and agree with one another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.matsubara.gap import GapSolution

#: Numbers of points of the approximants, and how many of them have to pass.
LENGTHS = (12, 16, 20, 24, 32, 48)
FEWEST = 3
#: Largest error at the points that an approximant has not seen, relative to Δ(iω_0).
PREDICTION = 1e-3
#: Largest spread of the gap edge between approximants, and largest Im Δ there, relative to it.
SPREAD = 1e-2
DAMPING = 0.05


def pade(
    points: NDArray[np.complex128], values: NDArray[np.complex128], places: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """Return the continued fraction through ``values`` at ``points``, evaluated at ``places`` (Thiele)."""
    row = values.astype(np.complex128)
    coefficients = [row[0]]
    with np.errstate(divide='ignore', invalid='ignore'):
        for index in range(1, len(points)):
            row = (row[0] / row[1:] - 1) / (points[index:] - points[index - 1])
            coefficients.append(row[0])
        result = np.ones_like(places)
        for coefficient, point in zip(coefficients[:0:-1], points[-2::-1], strict=True):
            result = 1 + coefficient * (places - point) / result
        return np.asarray(coefficients[0] / result)


def gap_edge(solution: GapSolution) -> float:
    """Return Δ₀ with Re Δ(ω = Δ₀) = Δ₀ [meV].

    :param solution: Δ(iω_n) far below T_c, where the edge is sharp.
    :raises KernelError: ``ERROR_CONTINUATION_FAILED`` if fewer than three approximants are sound, or they differ by
        more than 1 %: at a tenth of T_c they agree to some 1e-4, above half of T_c often not at all.
    """
    edges = [edge for length in LENGTHS if (edge := edge_of(solution, length)) is not None]
    if len(edges) < FEWEST:
        raise KernelError(
            'ERROR_CONTINUATION_FAILED',
            f'only {len(edges)} of {len(LENGTHS)} Padé approximants at {solution.temperature:.4g} K reproduce Δ(iω_n) '
            'and have an edge: give a lower temperature',
        )
    edge = float(np.median(edges))
    if max(edges) - min(edges) > SPREAD * edge:
        raise KernelError(
            'ERROR_CONTINUATION_FAILED',
            f'the gap edge is {min(edges):.6g} meV for one Padé approximant, {max(edges):.6g} meV for another',
        )
    return edge


def edge_of(solution: GapSolution, length: int) -> float | None:
    """Return the gap edge by the first ``length`` frequencies, or ``None`` if that approximant is not sound."""
    gaps = solution.gaps.astype(np.complex128)
    points = (1j * solution.frequencies).astype(np.complex128)
    if len(gaps) < 2 * length:
        return None
    used, unseen = slice(length), slice(length, 2 * length)
    error = np.abs(pade(points[used], gaps[used], points[unseen]) - gaps[unseen]).max()
    if not error <= PREDICTION * abs(gaps[0]):
        return None

    def at(frequency: float) -> complex:
        return complex(pade(points[used], gaps[used], np.array([frequency], dtype=np.complex128))[0])

    # The edge lies close to Δ(iω_0): Δ changes on the scale of the phonons.
    low, high = 0.5 * abs(gaps[0]), 2 * abs(gaps[0])
    if not (at(low).real > low and at(high).real < high):
        return None
    edge = float(brentq(lambda frequency: at(frequency).real - frequency, low, high, xtol=1e-12 * high))
    # A pole between the ends also changes the sign.
    value = at(edge)
    if abs(value.real - edge) > 1e-6 * edge or abs(value.imag) > DAMPING * edge:
        return None
    return edge
