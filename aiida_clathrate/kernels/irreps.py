"""Irreducible representations of phonon modes.

The modes of a degenerate set carry a representation of the little group of q. Multiplied by phases it represents the
little co-group, the point group of q, unless the space group has glides or screws and q is on the boundary of the zone;
there it can be projective (C. J. Bradley and A. P. Cracknell, The Mathematical Theory of Symmetry in Solids, Oxford
1972, chapter 3). Ordinary representations are named by Mulliken's symbols in the setting of phonopy's character tables,
projective ones by their degeneracy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import spglib
from numpy.typing import NDArray
from phonopy.phonon.character_table import CharTableEntry, character_table

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.space_group import space_group
from aiida_clathrate.kernels.spglib_search import search
from aiida_clathrate.kernels.symmetry import representation

#: Modes closer than that are degenerate: matrices that have the symmetry repeat frequencies to rounding [meV].
DEGENERACY = 1e-3
#: How far a multiplicity, a product of a reciprocal and a lattice vector or an image may be from its exact value.
TOLERANCE = 1e-2
#: Fractional coordinates that points of high site symmetry have.
COORDINATES = sorted({k / 8 for k in range(-4, 5)} | {k / 6 for k in range(-3, 4)})


@dataclass(frozen=True)
class Irrep:
    """What a degenerate set of modes is.

    :param label: Mulliken's symbol, ``T2g``; several joined by + if modes are degenerate by accident or by time
        reversal; ``E/2`` for one of the two complex conjugate representations that the tables join to E; the
        degeneracy, ``2-fold``, for a projective representation and in a cell that is not primitive.
    :param little_co_group: point group of the operations that leave q where it is, ``m-3m``.
    :param modes: indices of the modes, ascending.
    """

    label: str
    little_co_group: str
    modes: tuple[int, ...]

    def __str__(self) -> str:
        return f'{self.label} ({self.little_co_group})'


def irreps(
    crystal: Crystal, qpoint: NDArray[np.float64], frequencies: NDArray[np.float64], vectors: NDArray[np.complex128]
) -> tuple[Irrep, ...]:
    """Return the irreducible representations of all modes at one wave vector, by ascending frequency.

    On the boundary of the zone g and u refer to the origin of the crystal, or to the point nearest to it about which
    the little group is a point group.

    :param qpoint: fractional, shape (3,).
    :param frequencies: ascending, shape (3n,) [meV].
    :param vectors: eigenvectors as columns, shape (3n, 3n), of matrices that have the symmetry of the crystal.
    :raises ValueError: if the modes do not have the symmetry of the crystal.
    """
    group = space_group(crystal)
    steps = group.rotate(qpoint) - qpoint
    little = np.flatnonzero(np.abs(steps - np.round(steps)).max(axis=1) < 1e-5)
    group = group.subset(little)
    rotations, translations = group.rotations, group.translations
    point_group = _point_group(rotations)[0]
    matrices = representation(group, qpoint)
    table = None
    origin = _origin(rotations, translations, qpoint)
    if origin is not None:
        moved = translations + (rotations - np.eye(3)) @ origin
        matrices = np.exp(2j * np.pi * moved @ qpoint)[:, None, None] * matrices
        table = _characters(rotations)
    found = []
    for modes in np.split(np.arange(len(frequencies)), np.flatnonzero(np.diff(frequencies) > DEGENERACY) + 1):
        basis = vectors[:, modes]
        images = matrices @ basis
        if np.abs(images - basis @ (basis.conj().T @ images)).max() > TOLERANCE:
            raise ValueError(
                f'modes {modes.tolist()} at q = {np.round(qpoint, 4).tolist()} do not turn into each other: impose the '
                'symmetry of the crystal on the matrices first'
            )
        traces = np.einsum('im,gim->g', basis.conj(), images)
        label = f'{len(modes)}-fold' if table is None else _decompose(table, traces)
        found.append(Irrep(label, point_group, tuple(modes.tolist())))
    return tuple(found)


def _point_group(rotations: NDArray[np.int64]) -> tuple[str, NDArray[np.float64]]:
    """Return the symbol of the point group and its axes as columns in terms of those of the crystal."""
    found = search(spglib.get_pointgroup, np.unique(rotations, axis=0))
    if found is None:
        raise ValueError('the rotations that leave q where it is form no point group')
    return found[0].strip(), np.asarray(found[2], dtype=np.float64)


def _origin(
    rotations: NDArray[np.int64], translations: NDArray[np.float64], qpoint: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return an origin about which the little group represents the co-group without factors, ``None`` without one.

    With the phases exp(i q·w) operations multiply as their rotations but for exp(−i K·w'), K = W1ᵀ q − q being a
    reciprocal lattice vector: where all K·w' are integers, there is no factor.
    """
    if len(np.unique(rotations, axis=0)) < len(rotations):
        return None
    reciprocal = np.round(qpoint @ rotations - qpoint)
    origins = np.array(sorted(product(COORDINATES, repeat=3), key=lambda point: (np.linalg.norm(point), point[::-1])))
    moved = translations + np.einsum('gij,oj->ogi', rotations - np.eye(3), origins)
    products = moved @ reciprocal.T
    fits = np.abs(products - np.round(products)).max(axis=(1, 2)) < TOLERANCE
    return np.asarray(origins[fits.argmax()]) if fits.any() else None


def _characters(rotations: NDArray[np.int64]) -> dict[str, NDArray[np.complex128]]:
    """Return the character of each rotation in each irreducible representation of the point group they form."""
    symbol, axes = _point_group(rotations)
    standard = np.round(np.linalg.inv(axes) @ rotations @ axes).astype(int)
    entry, classes = _setting(symbol, standard)
    order = entry['rotation_list']
    columns = [([order] if isinstance(order, str) else list(order)).index(name) for name in classes]
    return {
        label: np.atleast_1d(np.array(characters, dtype=np.complex128))[columns]
        for label, characters in entry['character_table'].items()
    }


def _setting(symbol: str, standard: NDArray[np.int64]) -> tuple[CharTableEntry, list[str]]:
    """Return the table whose setting, or one with its axes exchanged, has all rotations, and the class of each."""
    for axes, entry in product(permutations(range(3)), character_table[symbol]):
        exchanged = np.ascontiguousarray(standard[:, axes][:, :, axes])
        members = {
            np.array(rotation).tobytes(): name for name, turned in entry['mapping_table'].items() for rotation in turned
        }
        classes = [members[rotation.tobytes()] for rotation in exchanged if rotation.tobytes() in members]
        if len(classes) == len(standard):
            return entry, classes
    raise ValueError(f'there is no character table of the point group {symbol} in this setting')


def _decompose(table: dict[str, NDArray[np.complex128]], traces: NDArray[np.complex128]) -> str:
    """Return the representations that the traces contain."""
    parts = []
    for label, reference in table.items():
        number = np.vdot(reference, traces).real / np.vdot(reference, reference).real
        halves = round(2 * number)
        if abs(2 * number - halves) > 2 * TOLERANCE:
            raise ValueError(f'{number:.3f} times {label}: the modes do not have the symmetry of the crystal')
        parts += [label] * (halves // 2) + [f'{label}/2'] * (halves % 2)
    return '+'.join(parts)
