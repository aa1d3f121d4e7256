"""Forces on a population of configurations by a calculator on a computer."""

from __future__ import annotations

from typing import Any

from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.population_base import PopulationCalculation
from aiida_clathrate.kernels.evaluate import Settings


class EvaluateCalculation(PopulationCalculation):
    """Compute energies, forces and stresses of all configurations of a population in one job.

    The calculator is named by the code: its prepend text sets ``CLATHRATE_CALCULATOR=package.module:factory``. Nothing
    that comes with an archive can choose what is imported. Parameters are the fields of ``kernels.evaluate.Settings``.
    """

    _kernel = 'evaluate'

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.inputs['metadata']['options']['parser_name'].default = 'clathrate.evaluate'
        spec.exit_code(220, 'ERROR_CALCULATOR_MISSING', message='No calculator: {message}', invalidates_cache=True)

    @classmethod
    def check_parameters(cls, parameters: dict[str, Any]) -> None:
        """Raise for what the kernel would refuse."""
        Settings.from_scalars(parameters)
