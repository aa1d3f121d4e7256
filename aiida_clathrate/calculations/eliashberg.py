"""T_c from α²F on a computer."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.base import KernelCalculation
from aiida_clathrate.data.spectral import SpectralFunctionData
from aiida_clathrate.data.superconductivity import SuperconductivityData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.eliashberg import checked_truncation, mode_errors
from aiida_clathrate.kernels.matsubara.settings import Settings

ERROR_ARRAYS = ('frequency_errors', 'coupling_errors', 'error_groups', 'frequency_deviations')


class EliashbergCalculation(KernelCalculation):
    """Solve the isotropic Migdal–Eliashberg equations for one α²F.

    Parameters are the fields of ``kernels.matsubara.settings.Settings``.
    """

    _kernel = 'eliashberg'

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input('spectral_function', valid_type=SpectralFunctionData, help='α²F and λ of every mode.')
        spec.input(
            'mode_errors',
            valid_type=orm.ArrayData,
            required=False,
            help='Standard deviations of the modes, for the error bar of T_c: `frequency_errors` (q, m) [meV], '
            '`coupling_errors` (q, m) at the smearing used, `error_groups` (q, m): equal labels move together. Or '
            '`frequency_deviations` (b, q, m) [meV] by each of b independent causes, with their covariance.',
        )
        spec.inputs.validator = cls.validate_inputs
        options = spec.inputs['metadata']['options']
        options['parser_name'].default = 'clathrate.eliashberg'
        # The matrices are small: threads would only wait for one another.
        options['environment_variables'].default = lambda: {'OMP_NUM_THREADS': '1'}
        spec.output(
            'superconductivity',
            valid_type=SuperconductivityData,
            help='T_c for each μ*, gap, isotope coefficients, errors; also if there is no superconductivity.',
        )
        spec.default_output_node = 'output_parameters'
        spec.exit_code(220, 'ERROR_COULOMB_POLE', message='The rescaled μ* has a pole: {message}')
        spec.exit_code(410, 'ERROR_NOT_CONVERGED', message='The equations did not converge: {message}')
        spec.exit_code(
            450, 'ERROR_NOT_SUPERCONDUCTING', message='Not superconducting at any μ*, down to the lowest temperature.'
        )

    @classmethod
    def check_parameters(cls, parameters: dict[str, Any]) -> None:
        """Raise for what the kernel would refuse."""
        Settings.from_scalars(parameters)

    @classmethod
    def validate_inputs(cls, inputs: dict[str, Any], _: Any) -> str | None:
        """Return what is wrong with the inputs together."""
        # A work chain may expose only a part of the ports.
        if not {'spectral_function', 'parameters'} <= set(inputs):
            return None
        node, settings = inputs['spectral_function'], Settings.from_scalars(inputs['parameters'].get_dict())
        try:
            checked_truncation(node.to_kernel(settings.smearing), settings)
        except (ValueError, io.KernelError) as error:
            return f'spectral_function and parameters: {error}'
        if 'mode_errors' in inputs:
            arrays = error_arrays(inputs['mode_errors'])
            if not arrays:
                return f'mode_errors: has none of the arrays {", ".join(ERROR_ARRAYS)}'
            try:
                mode_errors(node.to_modes(), arrays, settings.smearing)
            except ValueError as error:
                return f'mode_errors: {error}'
        return None

    def get_scalars(self) -> io.Scalars:
        """Return the parameters and, for the isotope coefficients of species, the symbols of the atoms."""
        return super().get_scalars() | {'symbols': list(self.inputs.spectral_function.to_modes().symbols)}

    def get_arrays(self) -> io.Arrays:
        """Return the modes and their errors."""
        modes = self.inputs.spectral_function.to_modes()
        names = ['frequencies', 'weights', 'couplings', 'smearings']
        if modes.atom_weights is not None:
            names.append('atom_weights')
        errors = error_arrays(self.inputs.mode_errors) if 'mode_errors' in self.inputs else {}
        return {name: getattr(modes, name) for name in names} | errors


def error_arrays(node: orm.ArrayData) -> io.Arrays:
    """Return those arrays of a node that are errors of modes."""
    return {name: node.get_array(name) for name in ERROR_ARRAYS if name in node.get_arraynames()}
