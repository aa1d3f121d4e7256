"""Diamond, and diamond with one carbon atom of a supercell replaced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from aiida_clathrate.kernels.crystal import Crystal, supercell_indices
from aiida_clathrate.kernels.prototypes.sites import PRIMITIVE, check_space_group, crystal_from_sites, cubic, wrap

FD3M = 525

#: Atoms of the supercell: its centring, its edge in conventional cells, and the space group of the doped crystal.
#: These are the cubic ones: as isotropic as can be, so that each dopant is as far as can be from the next.
SUPERCELLS = {
    8: ('P', 1, 215, 'P-43m'),
    16: ('F', 2, 216, 'F-43m'),
    32: ('I', 2, 217, 'I-43m'),
    54: ('F', 3, 216, 'F-43m'),
    64: ('P', 2, 215, 'P-43m'),
}


def diamond(a: float, symbol: str = 'C', primitive: bool = True) -> Crystal:
    """Return diamond, Fd-3m (227), 2 atoms; ``a`` is the lattice constant of the conventional cell [Å]."""
    return crystal_from_sites(FD3M, cubic(a), [(symbol, (0, 0, 0))], primitive)


def doped_diamond(dopant: str, atoms: int, a: float, site: int = 0) -> Crystal:
    """Return diamond in which ``dopant`` replaces one carbon atom of a cubic supercell.

    :param atoms: number of atoms of the supercell: 8, 16, 32, 54 or 64.
    :param a: lattice constant of the conventional cell of diamond [Å].
    :param site: index of the atom that is replaced; by symmetry every choice gives the same crystal.
    :raises ValueError: for another number of atoms, an index outside the supercell, or carbon as dopant.
    """
    if atoms not in SUPERCELLS:
        raise ValueError(f'doped diamond: no cubic supercell has {atoms} atoms; choose from {sorted(SUPERCELLS)}')
    if not 0 <= site < atoms:
        raise ValueError(f'doped diamond: site {site} is outside the supercell of {atoms} atoms')
    if atomic_numbers.get(dopant, 0) == 0:
        raise ValueError(f'doped diamond: {dopant!r} is not a chemical element')
    centring, edge, number, name = SUPERCELLS[atoms]
    host = supercell(diamond(a), edge * PRIMITIVE[centring] * a)
    symbols = [*host.symbols]
    symbols[site] = dopant
    masses = host.masses.copy()
    masses[site] = atomic_masses[atomic_numbers[dopant]]
    crystal = replace(host, symbols=tuple(symbols), masses=masses)
    check_space_group(crystal, number, name)
    return crystal


def supercell(crystal: Crystal, cell: np.ndarray) -> Crystal:
    """Return ``crystal`` repeated to fill ``cell``, shape (3, 3) [Å], which its lattice must fit."""
    multiples = cell @ np.linalg.inv(crystal.cell)
    copies = round(abs(float(np.linalg.det(multiples))))
    # More lattice points than needed, of which those inside the new cell are kept.
    reach = int(np.ceil(np.abs(multiples).sum()))
    points = (supercell_indices((2 * reach + 1,) * 3) - reach) @ np.linalg.inv(multiples)
    inside = points[np.all((points > -1e-6) & (points < 1 - 1e-6), axis=1)]
    if len(inside) != copies:
        raise ValueError(f'supercell: the cell holds {len(inside)} lattice points, not {copies}; it does not fit')
    positions = (crystal.positions @ np.linalg.inv(multiples))[:, None] + inside
    return Crystal(
        cell,
        tuple(symbol for symbol in crystal.symbols for _ in range(copies)),
        wrap(positions.reshape(-1, 3)),
        np.repeat(crystal.masses, copies),
    )
