"""Phonon dispersion along the high-symmetry path of a crystal.

The path is that of Y. Hinuma, G. Pizzi, Y. Kumagai, F. Oba and I. Tanaka, Comput. Materials Sci. 128, 140 (2017).
seekpath gives it for its own standard primitive cell; here it is turned into the reciprocal basis of the crystal as it
stands.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import seekpath
import spglib
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, Level, diagonalise
from aiida_clathrate.kernels.fourier import force_constants
from aiida_clathrate.kernels.spglib_search import search


@dataclass(frozen=True)
class BandPath:
    """Wave vectors along a path through the Brillouin zone of a crystal.

    :param qpoints: fractional, in the reciprocal basis of the crystal, shape (p, 3).
    :param distances: along the path, without a step where the path jumps, shape (p,) [1/Å].
    :param labels: index and name of each high-symmetry point, named as by seekpath (``GAMMA``, ``X``, ``SIGMA_0``).
    :param breaks: index of the first point after each jump.
    :param cells: number of primitive cells in the cell of the crystal. Above 1 the path is that of the Brillouin zone
        of the cell as a lattice of its own, into which the branches of the primitive cell are folded.
    """

    qpoints: NDArray[np.float64]
    distances: NDArray[np.float64]
    labels: tuple[tuple[int, str], ...]
    breaks: tuple[int, ...]
    cells: int


@dataclass(frozen=True)
class Dispersion:
    """Phonon frequencies along a path.

    :param qpoints: as in ``BandPath``.
    :param distances: as in ``BandPath`` [1/Å].
    :param labels: as in ``BandPath``.
    :param breaks: as in ``BandPath``.
    :param frequencies: ħω, ascending, negative where imaginary, shape (p, 3n) [meV].
    :param level: of the dynamical matrices.
    """

    qpoints: NDArray[np.float64]
    distances: NDArray[np.float64]
    labels: tuple[tuple[int, str], ...]
    breaks: tuple[int, ...]
    frequencies: NDArray[np.float64]
    level: Level = 'harmonic'


def dispersion(matrices: DynamicalMatrices, spacing: float = 0.02, path: BandPath | None = None) -> Dispersion:
    """Return the dispersion of Fourier interpolated matrices.

    :param spacing: largest distance of neighbouring points [1/Å].
    :param path: another path than that of the crystal.
    """
    path = band_path(matrices.crystal, spacing) if path is None else path
    dynamical = force_constants(matrices).at(path.qpoints)
    frequencies, _ = diagonalise(dynamical, matrices.crystal.masses)
    return Dispersion(path.qpoints, path.distances, path.labels, path.breaks, frequencies, matrices.level)


def band_path(crystal: Crystal, spacing: float = 0.02, tolerance: float = 1e-4) -> BandPath:
    """Return the high-symmetry path of the crystal.

    :param spacing: largest distance of neighbouring points [1/Å].
    :param tolerance: of the symmetry [Å].
    :raises ValueError: if the spacing is not positive or seekpath's cell does not fit the crystal.
    """
    if not spacing > 0:
        raise ValueError(f'the spacing of the points of a path must be positive, not {spacing} 1/Å')
    structure = crystal.spglib_cell
    found, transformation = _standard_path(structure, tolerance)
    cells = round(1 / abs(np.linalg.det(transformation)))
    if cells > 1:
        # One atom at the origin stands for the lattice of the cell itself.
        found, transformation = _standard_path((structure[0], [[0.0, 0.0, 0.0]], [1]), tolerance)
    # Products of q with the lattice vectors: those of seekpath's cell are ``transformation`` times the crystal's.
    to_crystal = np.linalg.inv(np.round(transformation))
    points = {name: to_crystal @ np.array(values) for name, values in found['point_coords'].items()}

    return _sample(crystal, found['path'], points, spacing, cells)


def _sample(
    crystal: Crystal,
    segments: list[tuple[str, str]],
    points: dict[str, NDArray[np.float64]],
    spacing: float,
    cells: int,
) -> BandPath:
    """Return the points of the segments; the end of one and the start of the next are one point where they agree."""
    qpoints: list[NDArray[np.float64]] = []
    distances: list[float] = []
    labels: list[tuple[int, str]] = []
    breaks: list[int] = []
    for start, end in segments:
        if not labels or labels[-1][1] != start:
            if labels:
                breaks.append(len(qpoints))
            labels.append((len(qpoints), start))
            distances.append(distances[-1] if distances else 0.0)
            qpoints.append(points[start])
        vector, origin = points[end] - points[start], distances[-1]
        length = float(np.linalg.norm(vector @ crystal.reciprocal_cell))
        fractions = np.linspace(0, 1, max(1, int(np.ceil(length / spacing))) + 1)[1:]
        qpoints += [points[start] + fraction * vector for fraction in fractions]
        distances += (origin + fractions * length).tolist()
        labels.append((len(qpoints) - 1, end))
    return BandPath(np.array(qpoints), np.array(distances), tuple(labels), tuple(breaks), cells)


def _standard_path(
    structure: tuple[list[list[float]], list[list[float]], list[int]], tolerance: float
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Return what seekpath finds and its primitive lattice vectors in terms of those of the structure, shape (3, 3)."""
    dataset = search(spglib.get_symmetry_dataset, structure, symprec=tolerance)
    if dataset is None:
        raise ValueError(f'spglib finds no symmetry within {tolerance} Å; check the structure')
    with warnings.catch_warnings():
        # seekpath reads spglib's dataset in a way that spglib will drop.
        warnings.simplefilter('ignore', DeprecationWarning)
        found = seekpath.get_path(structure, symprec=tolerance)
    # Both standard lattices are turned against the crystal; columns turn by R, so rows turn back by R.
    lattice = found['primitive_lattice'] @ dataset.std_rotation_matrix
    transformation = lattice @ np.linalg.inv(np.array(structure[0]))
    integers = np.linalg.inv(transformation)
    if np.abs(integers - np.round(integers)).max() > 0.01:
        raise ValueError('the standard primitive cell of seekpath is not a cell of the crystal: refine the structure')
    return found, transformation
