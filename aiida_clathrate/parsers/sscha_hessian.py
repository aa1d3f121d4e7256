"""Parser of the ``SschaHessianCalculation``."""

from __future__ import annotations

from aiida import orm

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.ensemble_arrays import matrices_from_arrays
from aiida_clathrate.parsers.base import KernelParser

ERRORS = ('frequencies', 'frequency_errors', 'auxiliary_errors', 'deviations')


class SschaHessianParser(KernelParser):
    """Make nodes of the Hessian with and without fourth order, and of the errors."""

    def parse_arrays(self, scalars: io.Scalars, arrays: io.Arrays) -> None:
        """Attach ``hessian``, ``third_order_hessian`` and ``frequency_errors``."""
        third = arrays | {'force_constants': arrays['third_order_force_constants']}
        errors = orm.ArrayData({name: arrays[name] for name in ERRORS})
        self.out('hessian', DynamicalMatrixData.from_kernel(matrices_from_arrays(scalars, arrays)))
        self.out('third_order_hessian', DynamicalMatrixData.from_kernel(matrices_from_arrays(scalars, third)))
        self.out('frequency_errors', errors)
