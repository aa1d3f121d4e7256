"""Which atom of another program's supercell is which of ours: found by where they are, never assumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.ensemble import supercell_positions


def match_supercell(
    crystal: Crystal,
    mesh: tuple[int, int, int],
    positions: NDArray[np.float64],
    symbols: Sequence[str] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the order of atoms that is ours, and where our centroids are in the other program.

    :param crystal: the primitive crystal.
    :param mesh: divisions of the supercell.
    :param positions: of the atoms of the other program, about where the centroids are, shape (s, 3) [Å].
    :param symbols: of the other program's atoms, where it tells them.
    :return: for each atom of ours its number in the other program, shape (s,); our centroids, moved by lattice vectors
        of the supercell to the images that the other program has, shape (s, 3) [Å].
    :raises ValueError: if numbers or kinds of atoms disagree, or an atom has no counterpart nearer than half of the
        shortest distance between atoms.
    """
    reference = supercell_positions(crystal, mesh)
    shape = '×'.join(map(str, mesh))
    if positions.shape != reference.shape:
        raise ValueError(
            f'{len(positions)} atoms, where the supercell {shape} of {crystal.formula} has {len(reference)}'
        )
    cell = crystal.cell * np.array(mesh)[:, None]
    images = np.round((positions - reference[:, None]) @ np.linalg.inv(cell)) @ cell
    distances = np.linalg.norm(positions - reference[:, None] - images, axis=-1)
    order = distances.argmin(axis=1)
    numbers = np.arange(len(reference))
    nearest = distances[numbers, order]
    limit = 0.5 * crystal.shortest_distance()[0]
    names = crystal.symbols * (len(reference) // len(crystal.symbols))
    if nearest.max() > limit or len(set(order.tolist())) < len(order):
        worst = int(nearest.argmax())
        raise ValueError(
            f'no atom belongs to {names[worst]} number {worst + 1} of the supercell {shape} of {crystal.formula}, the '
            f'nearest is {nearest[worst]:.2f} Å away: another structure, another supercell, or positions that were '
            'wrapped into the cell'
        )
    if symbols is not None and (wrong := [atom for atom in numbers if symbols[order[atom]] != names[atom]]):
        raise ValueError(
            f'atom {order[wrong[0]] + 1} is {symbols[order[wrong[0]]]}, where the crystal has {names[wrong[0]]}'
        )
    return order, reference + images[numbers, order]
