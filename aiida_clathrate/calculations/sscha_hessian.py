"""The Hessian of the free energy from one ensemble, on a computer."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.base import KernelCalculation
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.ensemble_arrays import ensemble_to_arrays, matrices_to_arrays
from aiida_clathrate.kernels.sscha.hessian_settings import PREFIX, HessianSettings


class SschaHessianCalculation(KernelCalculation):
    """Compute the free-energy Hessian with third- and fourth-order vertices averaged over an ensemble.

    Parameters are the fields of ``kernels.sscha.hessian_settings.HessianSettings``; ``threads``, unless given, is the
    resource ``num_cores_per_mpiproc``.
    """

    _kernel = 'sscha.hessian'
    _large_arrays = True

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input(
            'ensemble',
            valid_type=ForceEnsembleData,
            validator=cls.validate_ensemble,
            help='Configurations with forces: a fresh and large ensemble of converged auxiliary matrices.',
        )
        spec.input(
            'matrices',
            valid_type=DynamicalMatrixData,
            required=False,
            help='Auxiliary matrices to which the ensemble is re-weighted; those that it was drawn from by default.',
        )
        spec.inputs.validator = cls.validate_inputs
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'clathrate.sscha_hessian'
        # The threads are those of torch; where cores are shared, threads that spin while they wait block one another.
        options['environment_variables'].default = lambda: {'OMP_NUM_THREADS': '1', 'OMP_WAIT_POLICY': 'PASSIVE'}
        spec.output('hessian', valid_type=DynamicalMatrixData, help='Hessian of the free energy.')
        spec.output('third_order_hessian', valid_type=DynamicalMatrixData, help='The same without the fourth order.')
        spec.output(
            'frequency_errors',
            valid_type=orm.ArrayData,
            help='`frequencies` of the Hessian and their standard deviations `frequency_errors`; `auxiliary_errors` of '
            'the auxiliary frequencies as this ensemble alone would give them; all (q, 3n) [meV]. `deviations` of the '
            'Hessian by each block of the ensemble (b, q, 3n, 3n) [eV/Å²].',
        )
        spec.default_output_node = 'output_parameters'
        spec.exit_code(410, 'ERROR_NOT_CONVERGED', message='The sum of the bubbles did not converge: {message}')
        spec.exit_code(430, 'ERROR_EFFECTIVE_SAMPLE_TOO_SMALL', message='Too few effective configurations: {message}')

    @classmethod
    def check_parameters(cls, parameters: dict[str, Any]) -> None:
        """Raise for what the kernel would refuse."""
        HessianSettings.from_scalars(parameters)

    @classmethod
    def validate_ensemble(cls, ensemble: ForceEnsembleData | None, _: Any) -> str | None:
        """Refuse an ensemble without forces."""
        if ensemble is not None and not ensemble.base.attributes.get('computed'):
            return 'ensemble: its configurations have no forces; compute them first, with `ForcesWorkChain`'
        return None

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
        scalars = ensemble_to_arrays(self.inputs.ensemble.to_kernel())[0]
        cores = self.options.resources.get('num_cores_per_mpiproc') or 1
        scalars['settings'] = {'threads': cores} | super().get_scalars()
        if 'matrices' in self.inputs:
            scalars['matrices'] = matrices_to_arrays(self.inputs.matrices.to_kernel())[0]
        return scalars

    def get_arrays(self) -> io.Arrays:
        """Return the ensemble and the matrices."""
        arrays = ensemble_to_arrays(self.inputs.ensemble.to_kernel())[1]
        if 'matrices' in self.inputs:
            held = matrices_to_arrays(self.inputs.matrices.to_kernel())[1]
            arrays |= {f'{PREFIX}{name}': array for name, array in held.items()}
        return arrays
