"""Parser of the ``SschaMinimisationCalculation``."""

from __future__ import annotations

from aiida import orm

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.ensemble_arrays import matrices_from_arrays
from aiida_clathrate.parsers.base import KernelParser

MATRICES = ('cell', 'positions', 'masses', 'force_constants')
PREFIX = 'trace_'


class SschaMinimisationParser(KernelParser):
    """Make nodes of the matrices and of the trace."""

    def parse_arrays(self, scalars: io.Scalars, arrays: io.Arrays) -> None:
        """Attach ``matrices`` and ``trace``."""
        self.out('matrices', DynamicalMatrixData.from_kernel(matrices_from_arrays(scalars, arrays)))
        trace = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name not in MATRICES}
        trace['frequencies_end'] = arrays['frequencies']
        trace['frequencies'] = arrays[f'{PREFIX}frequencies']
        self.out('trace', orm.ArrayData({name: trace[name] for name in sorted(trace)}))
