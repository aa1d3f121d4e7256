"""Lattice constants to start a relaxation from: tabulated ones, and rules to estimate the others.

Every number says where it comes from. An estimate is marked as one and carries the rule that gave it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ase.data import atomic_numbers, reference_states


@dataclass(frozen=True)
class LatticeConstant:
    """Lattice constant ``a`` of a conventional cell.

    :param value: a [Å].
    :param source: where it comes from, or the rule by which it was estimated.
    :param estimated: whether it is no tabulated value of this crystal at this pressure.
    """

    value: float
    source: str
    estimated: bool


#: Published or our own results of density-functional theory; good enough to start a relaxation from.
THEORY = 'calculated'
#: Pressure [GPa], a [Å] and source; pressures ascend.
TABLE: dict[str, tuple[tuple[float, float, str], ...]] = {
    'SrB3C3': ((0, 4.87, THEORY),),
    'RbB3C3': ((0, 4.92, THEORY),),
    'KRbB6C6': ((0, 4.88, THEORY),),
    'KPbB6C6': ((0, 4.90, THEORY),),
    'NaC6': ((30, 4.43, THEORY), (300, 3.92, THEORY)),
    'FC6': ((0, 4.40, THEORY),),
    'FC10': ((0, 6.58, THEORY),),
    'C6': ((200, 3.92, 'density of 3.97 g/cm³, ' + THEORY),),
    'C10': ((200, 5.94, THEORY),),
    'diamond': ((0, 3.567, 'measured at 298 K'), (200, 3.25, 'density of 4.64 g/cm³, ' + THEORY)),
    'graphite': ((0, 2.464, 'P. Trucano and R. Chen, Nature 258, 136 (1975)'),),
    'B12': ((0, 4.908, 'B. F. Decker and J. S. Kasper, Acta Cryst. 12, 503 (1959)'),),
    'F2': ((0, 5.50, 'L. Meyer et al., J. Chem. Phys. 49, 1902 (1968), 23 K'),),
    'Na-hP4': ((320, 2.784, 'Y. Ma et al., Nature 458, 182 (2009)'),),
    'H-I41amd': ((500, 1.2059, THEORY),),
}
#: C–C in diamond at 0 GPa [Å], for the estimate of carbon cages of four-fold coordination.
DIAMOND_BOND = 1.545
#: c/a of the phases with two lattice constants, from the sources of the table; hcp: spheres.
AXIS_RATIOS = {
    'hcp': math.sqrt(8 / 3),
    'hP4': 3.873 / 2.784,
    'graphite': 6.711 / 2.464,
    'B12': 12.566 / 4.908,
    'H-I41amd': 3.1352 / 1.2059,
}
#: Atoms in the conventional cell.
ATOMS = {'bcc': 2, 'fcc': 4, 'hcp': 2, 'cI16': 16, 'hP4': 4}


def starting_constant(name: str, prototype: str, guests: tuple[str, ...], pressure: float | None) -> LatticeConstant:
    """Return the tabulated lattice constant of a crystal, or an estimate.

    :param name: name of the crystal, for instance ``NaC6``.
    :param prototype: its prototype, for instance ``XC6``.
    :param guests: the elements that the name leaves open in the prototype.
    :param pressure: [GPa]; ``None`` takes the first tabulated one.
    :raises ValueError: for an element without a cubic or hexagonal phase to take the density from.
    """
    if name in TABLE:
        return tabulated(name, pressure)
    if prototype in ATOMS:
        return from_ambient_density(guests[0], prototype)
    if prototype == 'doped diamond':
        value = tabulated('diamond', pressure)
        return LatticeConstant(value.value, f'that of diamond ({value.source})', estimated=True)
    if prototype in ('XB3C3', 'XYB6C6'):
        parts = [name if (name := f'{guest}B3C3') in TABLE else 'SrB3C3' for guest in guests]
        mean = sum(TABLE[part][0][1] for part in parts) / len(parts)
        return LatticeConstant(mean, f'the framework sets the size: mean of {" and ".join(parts)}, 0 GPa', True)
    if prototype in ('C6', 'XC6', 'XC12'):
        return LatticeConstant(math.sqrt(8) * DIAMOND_BOND, 'C–C bonds as long as in diamond, 0 GPa', True)
    value = tabulated('FC10', None)
    return LatticeConstant(value.value, 'the framework sets the size: that of FC10, 0 GPa', estimated=True)


def tabulated(name: str, pressure: float | None) -> LatticeConstant:
    """Return the constant at ``pressure`` [GPa]: linear between entries, the nearest one outside."""
    rows = TABLE[name]
    wanted = rows[0][0] if pressure is None else pressure
    for at, value, source in rows:
        if at == wanted:
            return LatticeConstant(value, f'{source}, {at:g} GPa', estimated=False)
    for (low, first, _), (high, second, _) in pairwise(rows):
        if low < wanted < high:
            value = first + (second - first) * (wanted - low) / (high - low)
            return LatticeConstant(value, f'linear between {low:g} and {high:g} GPa', estimated=True)
    at, value, _ = min(rows, key=lambda row: abs(row[0] - wanted))
    return LatticeConstant(value, f'that at {at:g} GPa, the nearest tabulated pressure', estimated=True)


def from_ambient_density(symbol: str, phase: str) -> LatticeConstant:
    """Return the constant at which a phase has the volume for each atom of the element's phase at 0 GPa."""
    state: dict[str, Any] = reference_states[atomic_numbers.get(symbol, 0)] or {}
    kind = state.get('symmetry')
    if kind not in ('bcc', 'fcc', 'hcp'):
        raise ValueError(f'lattice constant: none is known for {symbol}-{phase}; give one with lattice_constant')
    source = 'ase.data.reference_states, 0 GPa'
    if kind == phase != 'hcp':
        return LatticeConstant(float(state['a']), source, estimated=False)
    volume = cell_volume(kind, state['a'], state.get('c/a', 1.0)) / ATOMS[kind]
    value = (volume * ATOMS[phase] / cell_volume(phase, 1.0, AXIS_RATIOS.get(phase, 1.0))) ** (1 / 3)
    return LatticeConstant(value, f'volume for each atom of {symbol}-{kind} ({source})', estimated=True)


def cell_volume(phase: str, a: float, ratio: float) -> float:
    """Return the volume of a conventional cell [Å³] from ``a`` [Å] and c/a."""
    return a**3 * ratio * (math.sqrt(3) / 2 if phase in ('hcp', 'hP4') else 1.0)
