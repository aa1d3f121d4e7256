"""From a crystal to its critical temperature in the harmonic approximation."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ToContext, WorkChain
from aiida.plugins import CalculationFactory, WorkflowFactory

from aiida_clathrate.calculations.alpha2f import check_settings, spectral_function
from aiida_clathrate.data.spectral import SpectralFunctionData

EliashbergCalculation = CalculationFactory('clathrate.eliashberg')
RelaxPhononWorkChain = WorkflowFactory('clathrate.relax_phonon')

#: Index of the broadening that is reported unless another is asked for.
USUAL_BROADENING = 3


class CriticalTemperatureWorkChain(WorkChain):
    """Phonons and coupling by ``RelaxPhononWorkChain``, α²F, and T_c by ``EliashbergCalculation``."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(RelaxPhononWorkChain, namespace='relax_phonon')
        spec.expose_inputs(EliashbergCalculation, namespace='eliashberg', exclude=('spectral_function',))
        spec.input(
            'alpha2f',
            valid_type=orm.Dict,
            serializer=orm.to_aiida_type,
            default=lambda: orm.Dict({'gamma': 'zero'}),
            validator=check_settings,
            help='`gamma`: whether Γ keeps its weight in the q sum (`zero`, as Quantum ESPRESSO) or loses it (`drop`).',
        )
        spec.inputs.validator = cls.validate_inputs
        spec.outline(
            cls.run_relax_phonon,
            cls.inspect_relax_phonon,
            cls.make_spectral_function,
            cls.run_eliashberg,
            cls.inspect_eliashberg,
        )
        spec.expose_outputs(RelaxPhononWorkChain)
        spec.expose_outputs(EliashbergCalculation, exclude=('output_parameters', 'remote_folder', 'retrieved'))
        spec.output(
            'spectral_function', valid_type=SpectralFunctionData, required=False, help='α²F and λ of every mode.'
        )
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_RELAX_PHONON', message='The RelaxPhononWorkChain failed.')
        spec.exit_code(402, 'ERROR_SUB_PROCESS_FAILED_SPECTRAL_FUNCTION', message='No α²F: {reason}')
        spec.exit_code(403, 'ERROR_SUB_PROCESS_FAILED_ELIASHBERG', message='No T_c: {reason}')
        spec.exit_code(
            420, 'ERROR_IMAGINARY_FREQUENCIES', message='The crystal is unstable in the harmonic approximation.'
        )
        spec.exit_code(
            450, 'ERROR_NOT_SUPERCONDUCTING', message='Not superconducting at any μ* asked for; λ is in the outputs.'
        )

    @staticmethod
    def validate_inputs(inputs, _):
        """Refuse a run without electron-phonon coupling, or a broadening that it will not have."""
        if 'relax_phonon' not in inputs:
            return None  # the ports themselves complain
        coupling = inputs['relax_phonon'].get('electron_phonon')
        if coupling is None:
            return 'relax_phonon.electron_phonon: T_c needs the coupling; give `el_ph_sigma` and `el_ph_nsigma`'
        count = coupling.get_dict().get('el_ph_nsigma', 1)
        parameters = inputs.get('eliashberg', {}).get('parameters')
        smearing = 0 if parameters is None else parameters.get_dict().get('smearing', 0)
        if smearing >= count:
            return f'eliashberg.parameters: smearing {smearing} is no broadening of this run; give 0 to {count - 1}'
        return None

    @classmethod
    def get_builder_from_protocol(cls, python_code, *args, eliashberg=None, **kwargs):
        """Return a builder.

        :param python_code: Python with this package, on the computer that shall solve the Eliashberg equations.
        :param eliashberg: parameters of the ``EliashbergCalculation``, instead of its defaults. Without
            ``smearing`` the fourth broadening is reported, 0.02 Ry in the protocols; the narrowest ones need far denser
            meshes.
        :param args: positional arguments of ``RelaxPhononWorkChain.get_builder_from_protocol``.
        :param kwargs: its keyword arguments.
        """
        builder = cls.get_builder()
        builder.relax_phonon = RelaxPhononWorkChain.get_builder_from_protocol(*args, **kwargs)
        builder.eliashberg.code = orm.load_code(python_code) if isinstance(python_code, str) else python_code
        coupling = builder.relax_phonon.electron_phonon
        count = coupling.get_dict().get('el_ph_nsigma', 1) if coupling else 1
        builder.eliashberg.parameters = orm.Dict({'smearing': min(USUAL_BROADENING, count - 1)} | (eliashberg or {}))
        return builder

    def run_relax_phonon(self):
        """Run relaxation, phonons and coupling."""
        inputs = AttributeDict(self.exposed_inputs(RelaxPhononWorkChain, 'relax_phonon'))
        inputs.metadata.call_link_label = 'relax_phonon'
        return ToContext(relax_phonon=self.submit(RelaxPhononWorkChain, **inputs))

    def inspect_relax_phonon(self):
        """Stop at an unstable crystal: α²F is not defined there."""
        node = self.ctx.relax_phonon
        if not node.is_finished_ok:
            self.report(f'RelaxPhononWorkChain {node.pk} failed: {node.exit_message}')
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_RELAX_PHONON
        self.out_many(self.exposed_outputs(node, RelaxPhononWorkChain))
        if node.outputs.stability['class'] == 'unstable':
            return self.exit_codes.ERROR_IMAGINARY_FREQUENCIES

    def make_spectral_function(self):
        """Couple G(q) to the modes."""
        outputs = self.ctx.relax_phonon.outputs
        result, node = spectral_function.run_get_node(
            outputs.electron_phonon,
            outputs.dynamical_matrices,
            self.inputs.alpha2f,
            metadata={'call_link_label': 'spectral_function'},
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_SPECTRAL_FUNCTION.format(reason=node.exit_message)
        self.ctx.spectral_function = result
        self.out('spectral_function', result)

    def run_eliashberg(self):
        """Solve the Eliashberg equations."""
        inputs = AttributeDict(self.exposed_inputs(EliashbergCalculation, 'eliashberg'))
        inputs.spectral_function = self.ctx.spectral_function
        inputs.metadata.call_link_label = 'eliashberg'
        try:
            return ToContext(eliashberg=self.submit(EliashbergCalculation, **inputs))
        except ValueError as error:  # only α²F tells whether a μ* has a counterpart at the cutoff
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_ELIASHBERG.format(reason=error)

    def inspect_eliashberg(self):
        """Return T_c; that there is none is a result too."""
        node = self.ctx.eliashberg
        self.out_many(self.exposed_outputs(node, EliashbergCalculation))
        if node.exit_status == EliashbergCalculation.exit_codes.ERROR_NOT_SUPERCONDUCTING.status:
            return self.exit_codes.ERROR_NOT_SUPERCONDUCTING
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_ELIASHBERG.format(reason=node.exit_message)
