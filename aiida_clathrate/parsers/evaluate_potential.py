"""Parser of the ``EvaluatePotentialCalculation``."""

from __future__ import annotations

from aiida import orm

from aiida_clathrate.kernels import io
from aiida_clathrate.parsers.evaluate import EvaluateParser


class EvaluatePotentialParser(EvaluateParser):
    """Make nodes of the population with its forces, and of their expected errors."""

    def parse_arrays(self, scalars: io.Scalars, arrays: io.Arrays) -> None:
        """Attach the ``ensemble`` and the ``deviations``."""
        numbers = {name: array for name, array in arrays.items() if name != 'deviations'}
        super().parse_arrays(scalars, numbers)
        self.out('deviations', orm.ArrayData({'deviations': arrays['deviations']}))
