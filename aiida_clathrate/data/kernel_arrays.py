"""Nodes that hold the arrays of one kernel dataclass.

An archive may come from anybody: before a node is stored, and whenever its content is used, it goes through the checks
of the dataclass. Arrays have constant names, types and order, so that equal content has an equal hash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from aiida import orm
from aiida.common.exceptions import ValidationError

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.files.star_groups import star_numbers

TYPES = {'f': '<f8', 'c': '<c16', 'i': '<i8'}
SINGLE = '<f4'


class KernelArrayData(orm.ArrayData):
    """Base: sub classes give ``from_kernel``, ``to_kernel`` and the names of their arrays.

    ``_arrays`` are needed, ``_optional_arrays`` may be absent, ``_single_arrays`` may be in single precision.
    """

    _arrays: tuple[str, ...]
    _optional_arrays: tuple[str, ...] = ()
    _single_arrays: tuple[str, ...] = ()

    def to_kernel(self) -> Any:
        """Return the checked kernel dataclass."""
        raise NotImplementedError

    def _content(self) -> Any:
        """Return all that the node holds; the same as ``to_kernel`` where that gives all of it."""
        return self.to_kernel()

    def _attributes_of(self, kernel: Any) -> dict[str, Any]:
        """Return the attributes that follow from the arrays."""
        raise NotImplementedError

    def _fill(self, arrays: dict[str, Any], attributes: dict[str, Any]) -> None:
        for name in sorted(arrays):
            array = np.asarray(arrays[name])
            single = name in self._single_arrays and array.dtype == np.float32
            self.set_array(name, np.ascontiguousarray(array, dtype=SINGLE if single else TYPES[array.dtype.kind]))
        self.base.attributes.set_many(attributes)

    def _read(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return arrays by name, checked for presence and type; NumPy never unpickles objects here."""
        present = set(self.get_arraynames())
        missing = set(self._arrays) - present
        if missing or present - set(self._arrays) - set(self._optional_arrays):
            raise ValueError(f'{type(self).__name__} needs the arrays {self._arrays}, not {sorted(present)}')
        arrays = {name: self.get_array(name) for name in names if name in present}
        for name, array in arrays.items():
            if array.dtype.str not in (*TYPES.values(), *([SINGLE] if name in self._single_arrays else [])):
                raise ValueError(f'{type(self).__name__}: {name} has the type {array.dtype}')
        return arrays

    def _validate(self):
        super()._validate()
        check_attributes(self, lambda: self._attributes_of(self._content()))


class MeshArrayData(KernelArrayData):
    """Base for matrices of a crystal on a q mesh: the node holds the crystal, and the star of each wave vector."""

    _crystal_arrays = ('cell', 'masses', 'positions', 'stars')

    @property
    def stars(self) -> np.ndarray:
        """Return the number of the star of each wave vector, shape (q,)."""
        return self.get_array('stars')

    def _fill_with_crystal(self, kernel: Any, arrays: dict[str, Any]) -> None:
        crystal, stars = kernel.crystal, star_numbers(kernel.crystal, kernel.mesh)
        held = {'cell': crystal.cell, 'masses': crystal.masses, 'positions': crystal.positions, 'stars': stars}
        self._fill(arrays | held, {'number_of_stars': int(stars.max()) + 1} | self._attributes_of(kernel))

    def _stored_crystal(self, arrays: dict[str, Any]) -> Crystal:
        return Crystal(
            arrays['cell'], tuple(self.base.attributes.get('symbols')), arrays['positions'], arrays['masses']
        )

    @staticmethod
    def _crystal_attributes(kernel: Any) -> dict[str, Any]:
        return {
            'formula': kernel.crystal.formula,
            'symbols': list(kernel.crystal.symbols),
            'volume': kernel.crystal.volume,
            'mesh': [int(division) for division in kernel.mesh],
        }

    def _validate(self):
        super()._validate()
        stars, count = self.stars, self.base.attributes.get('number_of_stars', None)
        size = int(np.prod(self.base.attributes.get('mesh')))
        if stars.shape != (size,) or sorted(set(stars.tolist())) != list(range(count or 0)):
            raise ValidationError(
                f'{type(self).__name__}: need the number of one of {count} stars for each of {size} q'
            )


def check_attributes(node: orm.Data, derive: Callable[[], dict[str, Any]]) -> None:
    """Refuse a node whose attributes are not those that ``derive`` finds in its content."""
    try:
        expected = derive()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValidationError(f'{type(node).__name__}: {error}') from error
    for key, value in expected.items():
        if not agree(node.base.attributes.get(key, None), value):
            raise ValidationError(f'{type(node).__name__}: attribute {key} is not {value}, as the content has it')


def agree(stored: Any, derived: Any) -> bool:
    """Whether two attributes are equal, numbers to rounding."""
    if isinstance(derived, float) and isinstance(stored, (int, float)):
        return bool(np.isclose(stored, derived, rtol=1e-6, atol=1e-6))
    if isinstance(derived, list) and isinstance(stored, list):
        return len(derived) == len(stored) and all(agree(*pair) for pair in zip(stored, derived, strict=True))
    return bool(stored == derived)
