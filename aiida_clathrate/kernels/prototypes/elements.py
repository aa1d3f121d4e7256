"""Phases of the elements that clathrates are compared with.

Lattice constants are those of the conventional cell [Å]; ``primitive`` returns the smallest cell.
"""

from __future__ import annotations

import math

import numpy as np

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.prototypes.sites import Site, crystal_from_sites, cubic, hexagonal

C2C, I41AMD, R3M, P63MMC, I43D, FM3M, IM3M = 90, 426, 458, 488, 516, 523, 529


def bcc(symbol: str, a: float, primitive: bool = True) -> Crystal:
    """Return the body-centred cubic phase, Im-3m (229), 1 atom."""
    return crystal_from_sites(IM3M, cubic(a), [(symbol, (0, 0, 0))], primitive)


def fcc(symbol: str, a: float, primitive: bool = True) -> Crystal:
    """Return the face-centred cubic phase, Fm-3m (225), 1 atom."""
    return crystal_from_sites(FM3M, cubic(a), [(symbol, (0, 0, 0))], primitive)


def hcp(symbol: str, a: float, c: float) -> Crystal:
    """Return the hexagonal close-packed phase, P6_3/mmc (194), 2 atoms."""
    return crystal_from_sites(P63MMC, hexagonal(a, c), [(symbol, (1 / 3, 2 / 3, 0.25))], primitive=True)


def ci16(symbol: str, a: float, x: float = 0.049, primitive: bool = True) -> Crystal:
    """Return the cI16 phase of compressed alkali metals, I-43d (220), 8 atoms.

    :param x: free coordinate of 16c (x, x, x), 0 in bcc; the default is lithium's near 39 GPa (M. Hanfland et al.,
        Nature 408, 174 (2000)).
    """
    return crystal_from_sites(I43D, cubic(a), [(symbol, (x, x, x))], primitive)


def hp4(symbol: str, a: float, c: float) -> Crystal:
    """Return the hP4 phase of sodium, P6_3/mmc (194), 4 atoms (Y. Ma et al., Nature 458, 182 (2009))."""
    sites: list[Site] = [(symbol, (0, 0, 0)), (symbol, (2 / 3, 1 / 3, 0.25))]
    return crystal_from_sites(P63MMC, hexagonal(a, c), sites, primitive=True)


def graphite(a: float, c: float) -> Crystal:
    """Return graphite, P6_3/mmc (194), 4 atoms."""
    sites: list[Site] = [('C', (0, 0, 0.25)), ('C', (1 / 3, 2 / 3, 0.25))]
    return crystal_from_sites(P63MMC, hexagonal(a, c), sites, primitive=True)


def alpha_boron(a: float, c: float, primitive: bool = True) -> Crystal:
    """Return α-B12, R-3m (166), 12 atoms, in hexagonal axes.

    Coordinates (x, x, z) of 6h in rhombohedral axes: B. F. Decker and J. S. Kasper, Acta Cryst. 12, 503 (1959).
    """
    sites: list[Site] = []
    for x, z in ((0.0104, -0.3427), (0.2206, -0.3677)):
        height = (2 * x + z) / 3
        sites.append(('B', (x - height, height - x, height)))
    return crystal_from_sites(R3M, hexagonal(a, c), sites, primitive)


def fluorine(a: float, bond: float = 1.42, primitive: bool = True) -> Crystal:
    """Return molecular α-F2, C2/c (15), 4 atoms: layers of molecules, their axes tilted against the normal.

    The shape of the cell (5.50, 3.28, 7.28 Å, 102.17°) and the tilt of 11°, to alternate sides from layer to layer,
    are those of L. Meyer, C. S. Barrett and S. C. Greer, J. Chem. Phys. 49, 1902 (1968), at 23 K.

    :param bond: length of the molecule [Å].
    """
    beta, tilt = math.radians(102.17), math.radians(11)
    b, c = a * 3.28 / 5.50, a * 7.28 / 5.50
    cell = np.array([[a, 0, 0], [0, b, 0], [c * math.cos(beta), 0, c * math.sin(beta)]])
    atom = bond / 2 * np.array([0, math.sin(tilt), math.cos(tilt)]) @ np.linalg.inv(cell)
    return crystal_from_sites(C2C, cell, [('F', (float(atom[0]), float(atom[1]), float(atom[2])))], primitive)


def atomic_hydrogen(a: float, c: float, primitive: bool = True) -> Crystal:
    """Return atomic metallic hydrogen, I4_1/amd (141), 2 atoms: caesium IV's structure."""
    return crystal_from_sites(I41AMD, np.diag([a, a, c]), [('H', (0, 0, 0))], primitive)
