"""Lattice vectors of Quantum ESPRESSO's Bravais lattices, for files that give ``ibrav`` and ``celldm`` instead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.files.text import Lines


def lattice_of_ibrav(ibrav: int, celldm: list[float], lines: Lines) -> NDArray[np.float64]:
    """Return the lattice vectors as rows, shape (3, 3) [alat].

    qe-tools knows the lattices, as part of reading an input file of pw.x.

    :param ibrav: not 0.
    :param celldm: the six numbers; the first one [bohr] sets the unit only.
    :param lines: the file, for messages.
    """
    from qe_tools import CONSTANTS
    from qe_tools.exceptions import ParsingError
    from qe_tools.parsers import PwInputFile

    given = ', '.join(f'celldm({i})={value!r}' for i, value in enumerate(celldm[1:], 2) if value)
    system = f'&SYSTEM\n ibrav={ibrav}, celldm(1)=1.0, {given + "," if given else ""} nat=1, ntyp=1\n/\n'
    cards = 'ATOMIC_SPECIES\nH 1.0 H.upf\nATOMIC_POSITIONS alat\nH 0 0 0\nK_POINTS gamma\n'
    try:
        structure = PwInputFile(f'&CONTROL\n/\n{system}&ELECTRONS\n/\n{cards}').structure
        cell: NDArray[np.float64] = np.array(structure['cell'], dtype=np.float64) / CONSTANTS.bohr_to_ang
    except (ParsingError, ValueError, KeyError, ArithmeticError) as error:
        raise lines.error(f'ibrav = {ibrav} with celldm = {celldm} is no lattice: {error}') from error
    if cell.shape != (3, 3) or not np.isfinite(cell).all():
        raise lines.error(f'ibrav = {ibrav} with celldm = {celldm} is no lattice')
    return cell
