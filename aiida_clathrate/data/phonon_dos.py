"""Phonon densities of states as AiiDA's own arrays."""

from __future__ import annotations

from aiida import orm

from aiida_clathrate.kernels.phonon_dos import PhononDos

ARRAYS = ('frequencies', 'total', 'projected')


def dos_to_array(dos: PhononDos) -> orm.ArrayData:
    """Return an unstored node with the arrays of ``dos`` and the symbols of its atoms."""
    node = orm.ArrayData({name: getattr(dos, name) for name in ARRAYS})
    node.base.attributes.set('symbols', list(dos.symbols))
    return node


def is_dos(node: orm.ArrayData) -> bool:
    """Whether a node is one of ``dos_to_array``."""
    return set(ARRAYS) == set(node.get_arraynames()) and 'symbols' in node.base.attributes


def dos_from_array(node: orm.ArrayData) -> PhononDos:
    """Return the density of states of a node of ``dos_to_array``."""
    if not is_dos(node):
        raise ValueError(f'node {node.pk}: not a phonon density of states; its arrays are {node.get_arraynames()}')
    return PhononDos(*(node.get_array(name) for name in ARRAYS), symbols=tuple(node.base.attributes.get('symbols')))
