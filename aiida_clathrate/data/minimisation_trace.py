"""The course of a minimisation of the free energy as AiiDA's own arrays."""

from __future__ import annotations

from dataclasses import fields

from aiida import orm

from aiida_clathrate.kernels.sscha.minimisation import Trace

ARRAYS = tuple(field.name for field in fields(Trace))


def is_trace(node: orm.ArrayData) -> bool:
    """Whether a node has all columns of a trace; others may be beside them."""
    return set(ARRAYS) <= set(node.get_arraynames())


def trace_from_array(node: orm.ArrayData) -> Trace:
    """Return the trace of an output of ``SschaMinimisationCalculation``."""
    if not is_trace(node):
        raise ValueError(f'node {node.pk}: not the course of a minimisation; its arrays are {node.get_arraynames()}')
    return Trace(**{name: node.get_array(name) for name in ARRAYS})
