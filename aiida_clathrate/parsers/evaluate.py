"""Parser of the ``EvaluateCalculation``."""

from __future__ import annotations

from dataclasses import replace

from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels import io
from aiida_clathrate.parsers.base import KernelParser


class EvaluateParser(KernelParser):
    """Make one node of the population and its forces."""

    def parse_arrays(self, scalars: io.Scalars, arrays: io.Arrays) -> None:
        """Attach the ``ensemble``, in the precision of the population."""
        population = self.node.inputs.population
        ensemble = replace(population.to_kernel(), source=scalars['source'], **arrays)
        precision = population.base.attributes.get('precision')
        self.out('ensemble', ForceEnsembleData.from_kernel(ensemble, precision))
