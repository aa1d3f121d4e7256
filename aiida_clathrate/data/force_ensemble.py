"""Node for a population of displaced configurations with their forces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from aiida_clathrate.data.kernel_arrays import MeshArrayData
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.ensemble_arrays import RESULTS, ensemble_from_arrays, ensemble_to_arrays

Precision = Literal['double', 'single']
FLOATS = {'double': np.dtype('<f8'), 'single': np.dtype('<f4')}

#: What grows with the number of configurations. Energies stay double: their differences matter, not they themselves.
LARGE = ('displacements', 'forces', 'stresses')
#: Attributes that only the node tells, with the types that they may have.
STATED = {'antithetic': (bool,), 'seed': (int, type(None)), 'source': (str,), 'temperature': (float, int)}


class ForceEnsembleData(MeshArrayData):
    """Configurations drawn from auxiliary matrices, and their energies, forces and stresses where computed.

    Order of the atoms of the supercell, signs and units are those of ``kernels.ensemble.ForceEnsemble``.

    Arrays: ``displacements`` (c, s, 3) [Å], the auxiliary ``force_constants`` (q, 3n, 3n) [eV/Å²], ``stars`` (q,) the
    number of the star of each wave vector, ``cell`` [Å], ``positions`` of the centroids [fractional], ``masses`` [amu];
    once computed ``energies`` (c,) of the supercell [eV] and ``forces`` (c, s, 3) [eV/Å], with or without ``stresses``
    (c, 3, 3) [GPa].
    Attributes: ``number`` of configurations, ``temperature`` of the Gaussian [K], ``mesh``, ``formula``, ``symbols``,
    ``volume`` [Å³], ``number_of_stars``, of the auxiliary matrices ``level``, ``pressure`` [GPa] and
    ``matrices_temperature`` [K], ``antithetic``, ``seed``, ``source``, ``precision`` (double | single), ``computed``,
    ``has_stresses``, ``root_mean_square_displacement`` [Å], and once computed ``mean_energy`` [eV/atom] and
    ``largest_force`` [eV/Å], both plain, not weighted.
    """

    _arrays = (*MeshArrayData._crystal_arrays, 'displacements', 'force_constants')
    _optional_arrays = RESULTS
    _single_arrays = LARGE

    @classmethod
    def from_kernel(cls, ensemble: ForceEnsemble, precision: Precision = 'double') -> ForceEnsembleData:
        """Return an unstored node.

        :param precision: ``single`` rounds displacements, forces and stresses to seven digits and halves the node;
            energies and matrices are always double.
        :raises ValueError: for another precision, or numbers too large for it.
        """
        if precision not in FLOATS:
            raise ValueError(f'precision must be one of {tuple(FLOATS)}, not {precision!r}')
        arrays = ensemble_to_arrays(ensemble)[1]
        if precision == 'single':
            rounded = {name: arrays[name].astype(FLOATS['single']) for name in LARGE if name in arrays}
            # Attributes must follow from what is stored.
            ensemble = replace(ensemble, **{name: array.astype(np.float64) for name, array in rounded.items()})
            arrays |= rounded
        node = cls()
        node._fill_with_crystal(ensemble, arrays)
        node.base.attributes.set('precision', precision)
        return node

    def to_kernel(self) -> ForceEnsemble:
        """Return the checked kernel object, in double precision whatever that of the node.

        :raises ValueError: if the node holds what no ensemble can be.
        """
        arrays, attributes = self._read(self._arrays + RESULTS), self.base.attributes.all
        for name, types in STATED.items():
            if type(attributes.get(name)) not in types:
                raise ValueError(f'{name} cannot be {attributes.get(name)!r}')
        precision = attributes.get('precision')
        for name in LARGE:
            if name in arrays and (precision not in FLOATS or arrays[name].dtype != FLOATS[precision]):
                raise ValueError(f'{name} of the type {arrays[name].dtype} in a node whose precision is {precision!r}')
        return ensemble_from_arrays(attributes, arrays)

    def _attributes_of(self, kernel: ForceEnsemble) -> dict[str, Any]:
        matrices = kernel.matrices
        pressure, temperature = matrices.pressure, matrices.temperature
        attributes = self._crystal_attributes(kernel) | {
            'number': len(kernel),
            'temperature': float(kernel.temperature),
            'level': matrices.level,
            'pressure': None if pressure is None else float(pressure),
            'matrices_temperature': None if temperature is None else float(temperature),
            'antithetic': bool(kernel.antithetic),
            'seed': None if kernel.seed is None else int(kernel.seed),
            'source': kernel.source,
            'computed': kernel.computed,
            'has_stresses': kernel.stresses is not None,
            'root_mean_square_displacement': root_mean_square(kernel.displacements),
        }
        if kernel.energies is not None and kernel.forces is not None:
            attributes['mean_energy'] = float(kernel.energies.mean()) / kernel.atoms
            attributes['largest_force'] = float(np.sqrt(np.einsum('csx,csx->cs', kernel.forces, kernel.forces).max()))
        return attributes


def root_mean_square(vectors: np.ndarray) -> float:
    """Return the root of the mean square length of vectors, shape (..., 3)."""
    flat = vectors.reshape(-1)
    return float(np.sqrt(3 * (flat @ flat) / flat.size))
