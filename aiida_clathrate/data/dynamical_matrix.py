"""Node for dynamical matrices of any level."""

from __future__ import annotations

from typing import Any

from aiida_clathrate.data.kernel_arrays import MeshArrayData
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices


class DynamicalMatrixData(MeshArrayData):
    """Force constants Φ(q) of a crystal on the whole of a q mesh, with the crystal.

    Arrays: ``force_constants`` (q, 3n, 3n) [eV/Å²], ``stars`` (q,) the number of the star of each wave vector, ``cell``
    [Å], ``positions`` [fractional], ``masses`` [amu].
    Attributes: ``formula``, ``symbols``, ``volume`` [Å³], ``mesh``, ``number_of_stars``, ``level`` (harmonic | sscha |
    hessian), ``pressure`` [GPa] and ``temperature`` [K] or ``None``, ``smallest_frequency`` [meV], negative where
    imaginary, without the acoustic modes of Γ, and ``smallest_frequency_qpoint`` [fractional].
    """

    _arrays = (*MeshArrayData._crystal_arrays, 'force_constants')

    @classmethod
    def from_kernel(cls, matrices: DynamicalMatrices) -> DynamicalMatrixData:
        """Return an unstored node."""
        node = cls()
        node._fill_with_crystal(matrices, {'force_constants': matrices.force_constants})
        return node

    def to_kernel(self) -> DynamicalMatrices:
        """Return the checked kernel object.

        :raises ValueError: if the node holds what no dynamical matrices can be.
        """
        arrays, attributes = self._read(self._arrays), self.base.attributes
        return DynamicalMatrices(
            self._stored_crystal(arrays),
            tuple(attributes.get('mesh')),
            arrays['force_constants'],
            attributes.get('level'),
            attributes.get('pressure'),
            attributes.get('temperature'),
        )

    def _attributes_of(self, kernel: DynamicalMatrices) -> dict[str, Any]:
        frequency, qpoint = kernel.smallest_frequency() or (None, None)
        return self._crystal_attributes(kernel) | {
            'level': kernel.level,
            'pressure': None if kernel.pressure is None else float(kernel.pressure),
            'temperature': None if kernel.temperature is None else float(kernel.temperature),
            'smallest_frequency': frequency,
            'smallest_frequency_qpoint': None if qpoint is None else qpoint.tolist(),
        }
