"""Crystals by name: ``KRbB6C6``, ``NaC6``, ``BC31``, ``Na-hP4``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.prototypes import clathrates, elements
from aiida_clathrate.kernels.prototypes.diamond import SUPERCELLS, diamond, doped_diamond
from aiida_clathrate.kernels.prototypes.lattice_constants import AXIS_RATIOS, LatticeConstant, starting_constant

PATTERNS = """\
  XB3C3, XYB6C6                        SrB3C3, KRbB6C6     clathrates of boron and carbon
  XC6, XC10, XC12                      NaC6, FC10, NaC12   filled carbon cages
  C6, C10                                                  empty carbon cages
  XC7, XC15, XC31, XC53, XC63          BC31                diamond with one atom of a supercell replaced
  X-bcc, X-fcc, X-hcp, X-cI16, X-hP4   Na-hP4, Al-fcc      phases of metals
  diamond, graphite, B12, F2, H-I41amd                     other references"""


@dataclass(frozen=True)
class Prototype:
    """How to make a crystal.

    :param label: name of the prototype; ``X`` and ``Y`` stand for elements.
    :param make: function of the elements, ``a`` and, with two lattice constants, ``c`` [Å].
    :param options: names of the further arguments that it takes.
    """

    label: str
    make: Callable[..., Crystal]
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedCrystal:
    """A crystal made from a name.

    :param name: the name.
    :param prototype: label of its prototype, such as ``XYB6C6``.
    :param crystal: the crystal.
    :param lattice_constant: that of the conventional cell, and where it comes from.
    """

    name: str
    prototype: str
    crystal: Crystal
    lattice_constant: LatticeConstant


#: By the number of elements that the name leaves open, and the rest of the formula.
COMPOUNDS = {
    (1, 'B3C3'): Prototype('XB3C3', clathrates.xb3c3),
    (2, 'B6C6'): Prototype('XYB6C6', clathrates.xyb6c6, ('x_boron', 'x_carbon', 'occupation')),
    (0, 'C6'): Prototype('C6', clathrates.c6, ('primitive',)),
    (0, 'C10'): Prototype('C10', clathrates.c10, ('u', 'primitive')),
    (1, 'C6'): Prototype('XC6', clathrates.xc6, ('primitive',)),
    (1, 'C10'): Prototype('XC10', clathrates.xc10, ('u', 'primitive')),
    (1, 'C12'): Prototype('XC12', clathrates.xc12, ('x',)),
} | {
    (1, f'C{atoms - 1}'): Prototype('doped diamond', partial(doped_diamond, atoms=atoms), ('site',))
    for atoms in SUPERCELLS
}
PHASES = {
    'bcc': Prototype('bcc', elements.bcc, ('primitive',)),
    'fcc': Prototype('fcc', elements.fcc, ('primitive',)),
    'hcp': Prototype('hcp', elements.hcp),
    'cI16': Prototype('cI16', elements.ci16, ('x', 'primitive')),
    'hP4': Prototype('hP4', elements.hp4),
}
REFERENCES = {
    'diamond': Prototype('diamond', diamond, ('primitive',)),
    'graphite': Prototype('graphite', elements.graphite),
    'B12': Prototype('B12', elements.alpha_boron, ('primitive',)),
    'F2': Prototype('F2', elements.fluorine, ('bond', 'primitive')),
    'H-I41amd': Prototype('H-I41amd', elements.atomic_hydrogen, ('primitive',)),
}
#: Other names.
ALIASES = {'H': 'H-I41amd', 'alpha-B12': 'B12'}


def structure_from_name(name: str, **options: Any) -> Crystal:
    """Return the crystal of a name; see ``named_crystal`` for the options."""
    return named_crystal(name, **options).crystal


def named_crystal(
    name: str, lattice_constant: float | None = None, pressure: float | None = None, **options: Any
) -> NamedCrystal:
    """Return the crystal of a name, with where its lattice constant comes from.

    :param name: one of ``PATTERNS``, with elements for X and Y.
    :param lattice_constant: a of the conventional cell [Å]; c, where there is one, keeps the tabulated c/a. If left
        out, the tabulated one, or the estimate that the result describes.
    :param pressure: pressure for which to look up the lattice constant [GPa].
    :param options: ``primitive`` (default true) and, depending on the prototype, ``occupation`` (``C-6f``, ``B-6f``),
        ``x_boron``, ``x_carbon``, ``x``, ``u``, ``bond`` [Å], ``site``.
    :raises ValueError: for a name that fits no pattern, an option that the prototype does not have, or values that
        change the symmetry.
    """
    prototype, guests = parse(name := ALIASES.get(name, name))
    # Where the conventional cell is primitive already, either choice of `primitive` is right.
    wrong = sorted(set(options) - {*prototype.options, 'primitive'})
    if wrong:
        free = ', '.join(prototype.options) or 'none'
        raise ValueError(f'structure: {prototype.label} has no option {wrong[0]!r}; it has: {free}')
    if lattice_constant is None:
        constant = starting_constant(name, prototype.label, guests, pressure)
    elif 0.5 < lattice_constant < 50:
        constant = LatticeConstant(lattice_constant, 'given', estimated=False)
    else:
        raise ValueError(f'lattice constant: {lattice_constant} is no length of a cell in Å; it must be 0.5 to 50')
    lengths = {'a': constant.value}
    if prototype.label in AXIS_RATIOS:
        lengths['c'] = constant.value * AXIS_RATIOS[prototype.label]
    taken = {key: value for key, value in options.items() if key in prototype.options}
    return NamedCrystal(name, prototype.label, prototype.make(*guests, **lengths, **taken), constant)


def parse(name: str) -> tuple[Prototype, tuple[str, ...]]:
    """Return the prototype of a name and the elements that stand for X and Y."""
    if name in REFERENCES:
        return REFERENCES[name], ()
    symbol, _, phase = name.partition('-')
    if phase in PHASES:
        return PHASES[phase], (symbol,)
    parts = re.findall(r'([A-Z][a-z]?)(\d*)', name)
    guests = tuple(element for element, _ in takewhile(lambda part: not part[1], parts))
    rest = name.removeprefix(''.join(guests))
    if (len(guests), rest) not in COMPOUNDS:
        raise ValueError(f'structure: {name!r} fits none of these patterns (X and Y are elements):\n{PATTERNS}')
    return COMPOUNDS[len(guests), rest], guests
