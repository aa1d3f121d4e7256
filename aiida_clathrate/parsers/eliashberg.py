"""Parser of the ``EliashbergCalculation``."""

from __future__ import annotations

from aiida_clathrate.data.superconductivity import SuperconductivityData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.superconductivity import Superconductivity
from aiida_clathrate.parsers.base import KernelParser

#: What the node of α²F knows about its origin; the result keeps it, to answer queries by itself.
LABELS = ('formula', 'level', 'pressure', 'temperature')


class EliashbergParser(KernelParser):
    """Make one node of the result."""

    def parse_arrays(self, scalars: io.Scalars, arrays: io.Arrays) -> None:
        """Attach the ``superconductivity``."""
        attributes = self.node.inputs.spectral_function.base.attributes
        labels = {name: attributes.get(name, None) for name in LABELS}
        result = Superconductivity.from_results(scalars, arrays)
        self.out('superconductivity', SuperconductivityData.from_kernel(result, **labels))
