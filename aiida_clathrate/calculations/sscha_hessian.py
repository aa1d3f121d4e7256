"""The Hessian of the free energy from one ensemble, on a computer."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.ensemble_base import EnsembleCalculation
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.ensemble_arrays import matrices_to_arrays
from aiida_clathrate.kernels.sscha.hessian_settings import PREFIX, HessianSettings


class SschaHessianCalculation(EnsembleCalculation):
    """Compute the free-energy Hessian with third- and fourth-order vertices averaged over an ensemble.

    Parameters are the fields of ``kernels.sscha.hessian_settings.HessianSettings``; ``threads``, unless given, is the
    resource ``num_cores_per_mpiproc``.
    """

    _kernel = 'sscha.hessian'

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input(
            'matrices',
            valid_type=DynamicalMatrixData,
            required=False,
            help='Auxiliary matrices to which the ensemble is re-weighted; those that it was drawn from by default.',
        )
        spec.inputs.validator = cls.validate_inputs
        spec.inputs['metadata']['options']['parser_name'].default = 'clathrate.sscha_hessian'
        spec.output('hessian', valid_type=DynamicalMatrixData, help='Hessian of the free energy.')
        spec.output('third_order_hessian', valid_type=DynamicalMatrixData, help='The same without the fourth order.')
        spec.output(
            'frequency_errors',
            valid_type=orm.ArrayData,
            help='`frequencies` of the Hessian and their standard deviations `frequency_errors`; `auxiliary_errors` of '
            'the auxiliary frequencies as this ensemble alone would give them; all (q, 3n) [meV]. `deviations` of the '
            'Hessian by each block of the ensemble (b, q, 3n, 3n) [eV/Å²].',
        )
        spec.exit_code(410, 'ERROR_NOT_CONVERGED', message='The sum of the bubbles did not converge: {message}')
        spec.exit_code(430, 'ERROR_EFFECTIVE_SAMPLE_TOO_SMALL', message='Too few effective configurations: {message}')

    @classmethod
    def check_parameters(cls, parameters: dict[str, Any]) -> None:
        """Raise for what the kernel would refuse."""
        HessianSettings.from_scalars(parameters)

    @classmethod
    def validate_inputs(cls, inputs: dict[str, Any], _: Any) -> str | None:
        """Return what is wrong with the inputs together."""
        if not {'ensemble', 'matrices'} <= set(inputs):
            return None
        for name in ('mesh', 'symbols'):
            ours, other = (inputs[port].base.attributes.get(name) for port in ('ensemble', 'matrices'))
            if ours != other:
                return f'matrices: their {name} {other} is not that of the ensemble, {ours}'
        return None

    def get_scalars(self) -> io.Scalars:
        """Return settings and labels of the ensemble and of the matrices."""
        scalars = super().get_scalars()
        scalars['settings'] = {'threads': self.cores} | scalars['settings']
        if 'matrices' in self.inputs:
            scalars['matrices'] = matrices_to_arrays(self.inputs.matrices.to_kernel())[0]
        return scalars

    def get_arrays(self) -> io.Arrays:
        """Return the ensemble and the matrices."""
        arrays = super().get_arrays()
        if 'matrices' in self.inputs:
            held = matrices_to_arrays(self.inputs.matrices.to_kernel())[1]
            arrays |= {f'{PREFIX}{name}': array for name, array in held.items()}
        return arrays
