"""Blocks of Cartesian matrices M(q), as ph.x writes them for force constants and for electron-phonon matrices alike.

The blocks are in the phase convention of ``DynamicalMatrices``: neither conjugated nor transposed. matdyn.x sums
Φ(Ra, 0b) exp(−i q·R), which is Φ(0a, Rb) exp(+i q·R); the tests show it on the range of force constants and linewidths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import mesh_index, mesh_points
from aiida_clathrate.kernels.files.text import Lines

#: Eight decimals are printed: two elements that should be equal differ by no more than this [units of the file].
ROUNDING = 2e-8
#: Relative to the largest element: what is left of the convergence of a run.
TOLERANCE = 1e-5
LARGEST_DIVISION = 128

Blocks = tuple[NDArray[np.float64], NDArray[np.complex128]]


def read_blocks(lines: Lines, atoms: int) -> Blocks:
    """Read the blocks that follow, up to the first other heading.

    :return: Cartesian wave vectors, shape (k, 3) [2π/alat]; hermitian matrices, shape (k, 3n, 3n) [units of the file].
    :raises ValueError: for numbers that are missing or not finite, wrong order of atoms, or matrices not hermitian.
    """
    qpoints, matrices = [], []
    while is_heading(lines.peek()):
        lines.read_filled()
        line = lines.read_filled()
        if 'q = (' not in line:
            raise lines.error('need the wave vector of the matrix, "q = ( x y z )"')
        qpoints.append(lines.parse(line.partition('(')[2].partition(')')[0], 3))
        matrices.append(_read_matrix(lines, atoms))
    return np.array(qpoints).reshape(-1, 3), np.array(matrices, dtype=np.complex128).reshape(-1, 3 * atoms, 3 * atoms)


def is_heading(line: str) -> bool:
    """Whether a line announces a block."""
    return line.split()[:5] == ['Dynamical', 'Matrix', 'in', 'cartesian', 'axes']


def format_block(qpoint: NDArray[np.float64], matrix: NDArray[np.complex128]) -> str:
    """Return the block of one wave vector, with all digits.

    :param qpoint: Cartesian, shape (3,) [2π/alat].
    :param matrix: shape (3n, 3n) [units of the file].
    """
    # q2r.x reads the heading and q from fixed columns, and all the rest free of format.
    lines = ['', '     Dynamical  Matrix in cartesian axes', '']
    lines += ['     q = ( ' + ''.join(f'{value:14.9f}' for value in qpoint) + ' ) ', '']
    for a in range(len(matrix) // 3):
        for b in range(len(matrix) // 3):
            lines.append(f'{a + 1:5d}{b + 1:5d}')
            lines += [
                '   '.join(f'{value.real:24.16e}{value.imag:24.16e}' for value in row)
                for row in matrix[3 * a : 3 * a + 3, 3 * b : 3 * b + 3]
            ]
    return '\n'.join(lines) + '\n'


def infer_mesh(qpoints: NDArray[np.float64], tolerance: float = 1e-5) -> tuple[int, int, int]:
    """Return the coarsest mesh with Γ that holds all of the fractional wave vectors, shape (k, 3).

    :raises ValueError: if there is none.
    """
    divisions = np.arange(1, LARGEST_DIVISION + 1)
    scaled = np.asarray(qpoints[:, :, None] * divisions)
    fits = np.abs(scaled - np.round(scaled)).max(axis=0) < tolerance * divisions
    if not np.all(fits.max(axis=1)):
        wrong = int(np.argmin(fits.max(axis=1))) + 1
        raise ValueError(f'the q points lie on no mesh with up to {LARGEST_DIVISION} divisions of direction {wrong}')
    first, second, third = (int(n) for n in divisions[fits.argmax(axis=1)])
    return first, second, third


def on_mesh(
    mesh: tuple[int, int, int], parts: Sequence[tuple[str, NDArray[np.float64], NDArray[np.complex128]]]
) -> NDArray[np.complex128]:
    """Return the matrices of the whole mesh, in the order of ``mesh_points``, completed by M(−q) = M(q)*.

    :param parts: for each file its name, fractional wave vectors (k, 3) and matrices (k, 3n, 3n).
    :raises ValueError: if a wave vector is missing, off the mesh, or given twice with different matrices.
    """
    size = math.prod(mesh)
    given = sum(len(part[1]) for part in parts)
    if not size / 2 <= given <= 2 * size:
        raise ValueError(f'{given} wave vectors cannot fill the q mesh {mesh}: are files missing or of another mesh?')
    full = np.zeros((size, *parts[0][2].shape[1:]), dtype=np.complex128)
    known = np.zeros(size, dtype=bool)
    opposite = mesh_index(mesh, -mesh_points(mesh))
    for conjugate in (False, True):
        for name, qpoints, matrices in parts:
            indices = mesh_index(mesh, qpoints)
            for index, matrix in zip(indices, matrices, strict=True):
                place, value = (opposite[index], matrix.conj()) if conjugate else (index, matrix)
                if known[place]:
                    _check_equal(name, mesh_points(mesh)[place], full[place], value)
                else:
                    full[place], known[place] = value, True
    if not known.all():
        missing = np.round(mesh_points(mesh)[np.argmin(known)], 6).tolist()
        raise ValueError(f'q = {missing} (fractional) of the q mesh {mesh} is in none of the files: is one missing?')
    return full


def _read_matrix(lines: Lines, atoms: int) -> NDArray[np.complex128]:
    rows = np.empty((atoms, atoms, 3, 3), dtype=np.complex128)
    for a in range(atoms):
        for b in range(atoms):
            if lines.integers(2) != [a + 1, b + 1]:
                raise lines.error(f'need the block of atoms {a + 1} and {b + 1} here: lines are missing or exchanged')
            for direction in range(3):
                values = np.array(lines.numbers(6))
                lines.check_complete()
                rows[a, b, direction] = values[::2] + 1j * values[1::2]
    matrix = np.moveaxis(rows, 1, 2).reshape(3 * atoms, 3 * atoms)
    largest = float(np.abs(matrix).max())
    if largest > 1e100:
        raise lines.error(f'a matrix element of {largest:.3g} cannot be right')
    error = float(np.abs(matrix - matrix.conj().T).max())
    if error > ROUNDING + TOLERANCE * largest:
        raise lines.error(f'the matrix that ends here is not hermitian (by {error:.2e}): the file is damaged')
    # Elements that are equal by definition were rounded one by one.
    return np.asarray(0.5 * (matrix + matrix.conj().T))


def _check_equal(
    name: str, qpoint: NDArray[np.float64], known: NDArray[np.complex128], again: NDArray[np.complex128]
) -> None:
    error = float(np.abs(known - again).max())
    if error > 2 * ROUNDING + 10 * TOLERANCE * float(np.abs(known).max()):
        raise ValueError(
            f'{name}: the matrix of q = {np.round(qpoint, 6).tolist()} or of −q was given before and differs by '
            f'{error:.2e}: files of different runs are mixed, or one is damaged'
        )
