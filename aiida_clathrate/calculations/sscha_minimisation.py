"""The minimum of the free energy on one population, on a computer."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.ensemble_base import EnsembleCalculation
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.kernels.sscha.settings import Settings


class SschaMinimisationCalculation(EnsembleCalculation):
    """Minimise the free energy over auxiliary matrices and centroids with the forces of one population.

    Parameters are the fields of ``kernels.sscha.settings.Settings``.
    """

    _kernel = 'sscha.minimisation'

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.inputs['metadata']['options']['parser_name'].default = 'clathrate.sscha_minimisation'
        spec.output('matrices', valid_type=DynamicalMatrixData, help='Auxiliary matrices with the centroids.')
        spec.output(
            'trace',
            valid_type=orm.ArrayData,
            help='The course, one row for each step: free_energy and free_energy_error of the primitive cell [eV], '
            'gradient and gradient_error [eV/Å²], force and force_error [eV/Å], kong_liu, frequencies [meV], '
            'evaluations; at its end frequencies_end and frequency_errors (q, 3n) [meV], position_errors (n, 3) [Å], '
            'deviations of Φ by each block of the ensemble (b, q, 3n, 3n) [eV/Å²], and with stresses pressure_tensor '
            'and pressure_error (3, 3) [GPa].',
        )
        spec.exit_code(
            410, 'ERROR_NOT_CONVERGED', message='Not converged in the largest number of steps; the last one is kept.'
        )
        spec.exit_code(
            420,
            'ERROR_IMAGINARY_FREQUENCIES',
            message='No step keeps the auxiliary matrices positive; the last positive ones are kept.',
        )

    @classmethod
    def check_parameters(cls, parameters: dict[str, Any]) -> None:
        """Raise for what the kernel would refuse."""
        Settings.from_scalars(parameters)
