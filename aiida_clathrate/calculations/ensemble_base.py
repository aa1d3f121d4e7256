"""Base of the calculations that average over one ensemble."""

from __future__ import annotations

from typing import Any

from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.base import PASSIVE_THREADS, KernelCalculation
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.ensemble_arrays import ensemble_to_arrays


class EnsembleCalculation(KernelCalculation):
    """Run a kernel on an ensemble with forces; its scalars are those of the ensemble, and ``settings``."""

    _large_arrays = True

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input(
            'ensemble',
            valid_type=ForceEnsembleData,
            validator=cls.validate_ensemble,
            help='Configurations with forces, and the auxiliary matrices that they were drawn from.',
        )
        spec.inputs['metadata']['options']['environment_variables'].default = lambda: dict(PASSIVE_THREADS)
        spec.default_output_node = 'output_parameters'

    @classmethod
    def validate_ensemble(cls, ensemble: ForceEnsembleData | None, _: Any) -> str | None:
        """Refuse an ensemble without forces."""
        if ensemble is not None and not ensemble.base.attributes.get('computed'):
            return 'ensemble: its configurations have no forces; compute them first, with `ForcesWorkChain`'
        return None

    def get_scalars(self) -> io.Scalars:
        """Return settings and labels of the ensemble."""
        return ensemble_to_arrays(self.inputs.ensemble.to_kernel())[0] | {'settings': super().get_scalars()}

    def get_arrays(self) -> io.Arrays:
        """Return the ensemble."""
        return ensemble_to_arrays(self.inputs.ensemble.to_kernel())[1]
