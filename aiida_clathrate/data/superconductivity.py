"""Node for what the Eliashberg equations say about one α²F."""

from __future__ import annotations

from typing import Any

from aiida_clathrate.data.kernel_arrays import KernelArrayData
from aiida_clathrate.kernels.superconductivity import COLUMNS, METHODS, NUMBERS, Superconductivity, fields_of

ARRAYS = ('sensitivity', 'sensitivity_frequencies')
GAP_ARRAYS = ('gap_numbers', 'gap_temperatures', 'gaps', 'renormalisation')
#: Follow from the others; attributes of their own, to query by.
DERIVED = ('critical_temperature', 'error', 'gap_edge', 'gap_ratio', 'smearing_spread', 'superconducts')


class SuperconductivityData(KernelArrayData):
    """T_c, gap, isotope coefficients and errors of one crystal: a node that answers a query by itself.

    Attributes have the names of the fields of ``kernels.superconductivity.Superconductivity``: ``mu_star`` and, in the
    same order, ``rescaled``, ``raw``, ``allen_dynes``, ``mcmillan`` [K] (``None``: not superconducting), ``coupling``,
    ``omega_log``, ``omega_2``, ``omega_max``, ``omega_ref``, ``cutoff`` [meV] and so on. At ``stated_mu_star``:
    ``critical_temperature``, ``error``, ``smearing_spread`` [K], ``gap_edge`` [meV], ``gap_ratio``. Labels given to
    ``from_kernel``: ``formula``, ``level``, ``pressure`` [GPa], ``temperature`` [K].
    Arrays: ``sensitivity`` [K/meV] at ``sensitivity_frequencies`` [meV]; where there is a gap, those of
    ``Superconductivity.to_arrays``.
    """

    _arrays = ARRAYS
    _optional_arrays = GAP_ARRAYS

    @classmethod
    def from_kernel(cls, result: Superconductivity, **labels: Any) -> SuperconductivityData:
        """Return an unstored node.

        :param labels: attributes to query by, such as ``formula``, ``level``, ``pressure`` [GPa], ``temperature`` [K].
        :raises ValueError: if a label has the name of another attribute.
        """
        node = cls()
        attributes = node._attributes_of(result)
        if clash := sorted(set(labels) & set(attributes)):
            raise ValueError(f'labels {clash} are names of other attributes of the node')
        node._fill(result.to_arrays(), attributes | labels)
        return node

    def to_kernel(self) -> Superconductivity:
        """Return the checked result.

        :raises ValueError: if the node holds what no result can be.
        """
        attributes = self.base.attributes.all
        values = {name: attributes[name] for name in (*NUMBERS, 'isotope_by_species')}
        values |= {name: tuple(attributes[name]) for name in (*COLUMNS, *METHODS)}
        errors = attributes['errors']
        arrays = self._read(ARRAYS + GAP_ARRAYS)
        return Superconductivity(**values, errors=None if errors is None else tuple(errors), **fields_of(arrays))

    def _attributes_of(self, kernel: Superconductivity) -> dict[str, Any]:
        attributes = {name: getattr(kernel, name) for name in (*NUMBERS, *DERIVED)}
        attributes |= {name: list(getattr(kernel, name)) for name in (*COLUMNS, *METHODS)}
        attributes['errors'] = None if kernel.errors is None else list(kernel.errors)
        attributes['isotope_by_species'] = dict(kernel.isotope_by_species)
        return attributes
