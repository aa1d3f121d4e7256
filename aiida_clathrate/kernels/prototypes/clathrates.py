"""Cages of boron and carbon with atoms inside, and the empty carbon cages.

``a`` is always the lattice constant of the conventional cubic cell [Å]; ``primitive`` returns the smallest cell.
"""

from __future__ import annotations

import math
from typing import Literal

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.prototypes.sites import Site, crystal_from_sites, cubic

#: Which element sits on the sites 6f (x, 0, 1/2) of Pm-3; the other one is on 6g (x, 1/2, 0).
Occupation = Literal['B-6f', 'C-6f']

PM3, PM3M, PM3N, FM3M, IM3M = 494, 517, 520, 523, 529


def xb3c3(guest: str, a: float) -> Crystal:
    """Return XB3C3, Pm-3n (223), 14 atoms: bipartite sodalite cages, nothing free but ``a``."""
    sites: list[Site] = [(guest, (0, 0, 0)), ('B', (0.25, 0.5, 0)), ('C', (0.25, 0, 0.5))]
    return crystal_from_sites(PM3N, cubic(a), sites, primitive=True)


def xyb6c6(
    first: str, second: str, a: float, x_boron: float = 0.25, x_carbon: float = 0.25, occupation: Occupation = 'C-6f'
) -> Crystal:
    """Return XYB6C6, Pm-3 (200), 14 atoms: XB3C3 with ``first`` at the corner and ``second`` in the centre.

    The two occupations are one crystal in two orientations, a quarter turn apart; both are offered because published
    coordinates use both.

    :param x_boron: free coordinate of boron, x ≈ 1/4, on (x, 0, 1/2) or (x, 1/2, 0).
    :param x_carbon: free coordinate of carbon.
    """
    on_f, on_g = (0, 0.5), (0.5, 0)
    if occupation not in ('B-6f', 'C-6f'):
        raise ValueError(f"occupation: {occupation!r} is neither 'B-6f' nor 'C-6f'")
    boron, carbon = (on_f, on_g) if occupation == 'B-6f' else (on_g, on_f)
    sites: list[Site] = [
        (first, (0, 0, 0)),
        (second, (0.5, 0.5, 0.5)),
        ('B', (x_boron, *boron)),
        ('C', (x_carbon, *carbon)),
    ]
    return crystal_from_sites(PM3, cubic(a), sites, primitive=True)


def bond_lengths(a: float, x_boron: float, x_carbon: float) -> tuple[float, float]:
    """Return the lengths d1 and d2 of the B–C bonds of XYB6C6 [Å]: in squares between two X, and between two Y.

    d1 = a √(x_B² + x_C²), d2 = a √((½−x_B)² + (½−x_C)²); equal for x = 1/4, where d = a/√8.
    """
    return a * math.hypot(x_boron, x_carbon), a * math.hypot(0.5 - x_boron, 0.5 - x_carbon)


def c6(a: float, primitive: bool = True) -> Crystal:
    """Return sodalite carbon, Im-3m (229), 6 atoms; C–C = a/√8."""
    return crystal_from_sites(IM3M, cubic(a), [('C', (0.25, 0, 0.5))], primitive)


def xc6(guest: str, a: float, primitive: bool = True) -> Crystal:
    """Return XC6, Im-3m (229), 7 atoms: sodalite carbon with every cage filled."""
    return crystal_from_sites(IM3M, cubic(a), [(guest, (0, 0, 0)), ('C', (0.25, 0, 0.5))], primitive)


def xc12(guest: str, a: float, x: float = 0.25) -> Crystal:
    """Return XC12, Pm-3m (221), 13 atoms: every second cage filled; ``x`` is free, near 1/4."""
    return crystal_from_sites(PM3M, cubic(a), [(guest, (0, 0, 0)), ('C', (x, 0.5, 0))], primitive=True)


def c10(a: float, u: float = 0.12, primitive: bool = True) -> Crystal:
    """Return the carbon cages of the LaH10 type, Fm-3m (225), 10 atoms; ``u`` is free, near 0.12."""
    return crystal_from_sites(FM3M, cubic(a), [('C', (0.25, 0.25, 0.25)), ('C', (u, u, u))], primitive)


def xc10(guest: str, a: float, u: float = 0.12, primitive: bool = True) -> Crystal:
    """Return XC10, Fm-3m (225), 11 atoms: the cages of ``c10``, every one filled."""
    sites: list[Site] = [(guest, (0.5, 0.5, 0.5)), ('C', (0.25, 0.25, 0.25)), ('C', (u, u, u))]
    return crystal_from_sites(FM3M, cubic(a), sites, primitive)
