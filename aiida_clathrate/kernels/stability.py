"""Is a crystal dynamically stable: the verdict on its dynamical matrices, with the evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, acoustic_modes, diagonalise, mesh_points
from aiida_clathrate.kernels.fourier import force_constants
from aiida_clathrate.kernels.irreps import irreps
from aiida_clathrate.kernels.symmetry import stars

Verdict = Literal['stable', 'soft-acoustic', 'unstable']

#: Eight decimals of Ry/bohr² in the files are up to 0.02 meV for a proton: less is not a frequency [meV].
ROUNDING = 0.05


@dataclass(frozen=True)
class ImaginaryMode:
    """An imaginary mode, or a degenerate set of them, at one wave vector of a star.

    :param frequency: negative [meV].
    :param qpoint: fractional.
    :param irrep: label with the little co-group, ``T1u (m-3m)``.
    :param degeneracy: number of modes.
    :param interpolated: whether the wave vector is off the mesh of the matrices.
    """

    frequency: float
    qpoint: tuple[float, float, float]
    irrep: str
    degeneracy: int
    interpolated: bool


@dataclass(frozen=True)
class Stability:
    """The verdict.

    ``stable``: no mode is imaginary, neither on the mesh of the matrices nor interpolated between its points.
    ``soft-acoustic``: modes are imaginary only where they are interpolated, acoustic, nearer to Γ than half the
    distance of the nearest point of the mesh, and not below −tolerance: the sign of the sound velocity is not resolved
    by the mesh. ``unstable``: anything else.

    :param verdict: ``stable``, ``soft-acoustic`` or ``unstable``.
    :param smallest_frequency: on the mesh of the matrices and among the imaginary modes between its points, without the
        acoustic modes of Γ [meV].
    :param qpoint: where it is, fractional.
    :param irrep: of that mode.
    :param imaginary_modes: one entry for each star and degenerate set, lowest first.
    :param tolerance: that was used [meV].
    :param mesh: that was interpolated to.
    """

    verdict: Verdict
    smallest_frequency: float
    qpoint: tuple[float, float, float]
    irrep: str
    imaginary_modes: tuple[ImaginaryMode, ...]
    tolerance: float
    mesh: tuple[int, int, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as what JSON can hold, under ``class``, and the rest under their own names."""
        values = asdict(self)
        return {'class': values.pop('verdict'), **values}


def stability(matrices: DynamicalMatrices, tolerance: float = 1.0, refinement: int = 4) -> Stability:
    """Return whether the matrices are those of a dynamically stable crystal.

    :param matrices: with symmetry and sum rule, see ``impose_constraints``.
    :param tolerance: how far below zero interpolated acoustic modes near Γ may be [meV].
    :param refinement: how many times finer than that of the matrices the interpolated mesh is; along a direction with a
        single division nothing is interpolated, as nothing is known about the dispersion.
    :raises ValueError: if the tolerance is negative, the modes do not have the symmetry of the crystal, or there are no
        modes but uniform translations.
    """
    if tolerance < 0 or refinement < 1:
        raise ValueError(f'need a tolerance ≥ 0 and a refinement ≥ 1, not {tolerance} meV and {refinement}')
    first, second, third = (refinement * size if size > 1 else 1 for size in matrices.mesh)
    mesh = (first, second, third)
    crystal = matrices.crystal
    qpoints = mesh_points(mesh)[stars(crystal, mesh).representatives]
    frequencies, vectors = diagonalise(force_constants(matrices).at(qpoints), crystal.masses)
    # Uniform translations are no vibrations: they never count.
    vibrations = frequencies.copy()
    vibrations[0, acoustic_modes(vectors[0], crystal.masses)] = np.inf

    steps = qpoints * np.array(matrices.mesh)
    interpolated = np.abs(steps - np.round(steps)).max(axis=1) > 1e-6
    imaginary = vibrations < -ROUNDING
    # How near to Γ the interpolation goes must not decide on the smallest frequency of a stable crystal.
    candidates = np.where(interpolated[:, None] & ~imaginary, np.inf, vibrations)
    if np.isinf(candidates).all():
        raise ValueError('one atom and Γ alone have no vibrations to judge: compute a q mesh')
    lowest, branch = np.unravel_index(np.argmin(candidates), candidates.shape)
    modes = []
    named = {}
    for q in {int(lowest), *np.flatnonzero(imaginary.any(axis=1)).tolist()}:
        named[q] = irreps(crystal, qpoints[q], frequencies[q], vectors[q])
        for irrep in named[q]:
            if imaginary[q, irrep.modes[0]]:
                frequency, count = float(frequencies[q, irrep.modes[0]]), len(irrep.modes)
                modes.append(ImaginaryMode(frequency, _point(qpoints[q]), str(irrep), count, bool(interpolated[q])))
    excused = _long_waves(matrices, qpoints, vectors) & (vibrations >= -tolerance)
    return Stability(
        _verdict(imaginary, excused),
        float(vibrations[lowest, branch]),
        _point(qpoints[lowest]),
        next(str(irrep) for irrep in named[int(lowest)] if branch in irrep.modes),
        tuple(sorted(modes, key=lambda mode: mode.frequency)),
        tolerance,
        mesh,
    )


def _verdict(imaginary: NDArray[np.bool_], excused: NDArray[np.bool_]) -> Verdict:
    if not imaginary.any():
        return 'stable'
    return 'unstable' if np.any(imaginary & ~excused) else 'soft-acoustic'


def _long_waves(
    matrices: DynamicalMatrices, qpoints: NDArray[np.float64], vectors: NDArray[np.complex128]
) -> NDArray[np.bool_]:
    """Return which modes are acoustic waves longer than the mesh resolves, shape (q, 3n).

    Their q is nearer to Γ than half the distance of the nearest other point of the mesh, so it is interpolated, and
    they are more than half a translation √M exp(i q·τ).
    """
    crystal = matrices.crystal
    folded = first_zone(crystal, qpoints)
    neighbours = first_zone(crystal, matrices.qpoints[1:])
    nearest = np.linalg.norm(neighbours @ crystal.reciprocal_cell, axis=1).min(initial=np.inf)
    near = np.linalg.norm(folded @ crystal.reciprocal_cell, axis=1) < 0.5 * nearest
    waves = np.sqrt(crystal.masses / crystal.masses.sum()) * np.exp(2j * np.pi * folded @ crystal.positions.T)
    atoms = vectors.reshape(len(qpoints), len(crystal.symbols), 3, -1)
    weights = (np.abs(np.einsum('qa,qaim->qim', waves.conj(), atoms)) ** 2).sum(axis=1)
    return np.asarray(near[:, None] & (weights > 0.5))


def first_zone(crystal: Crystal, qpoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the equivalent wave vectors in the first Brillouin zone, all fractional, shape (q, 3)."""
    reduced, operation = minkowski_reduce(crystal.reciprocal_cell)
    centred = qpoints @ np.linalg.inv(operation)
    images = (centred - np.round(centred))[:, None] + np.array(list(np.ndindex(3, 3, 3))) - 1
    chosen = np.linalg.norm(images @ reduced, axis=-1).argmin(axis=1)
    return np.asarray(images[np.arange(len(qpoints)), chosen] @ operation)


def _point(qpoint: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(qpoint[0]), float(qpoint[1]), float(qpoint[2])
