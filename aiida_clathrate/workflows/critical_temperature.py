"""From a crystal to its critical temperature, with harmonic and with quantum anharmonic phonons."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ToContext, WorkChain, if_
from aiida.plugins import CalculationFactory, WorkflowFactory

from aiida_clathrate.calculations.alpha2f import check_settings, spectral_function
from aiida_clathrate.calculations.sscha import mode_deviations
from aiida_clathrate.data.spectral import SpectralFunctionData
from aiida_clathrate.data.superconductivity import SuperconductivityData
from aiida_clathrate.workflows.forces_ports import check_source
from aiida_clathrate.workflows.submit_once import SubmitOnce

EliashbergCalculation = CalculationFactory('clathrate.eliashberg')
RelaxPhononWorkChain = WorkflowFactory('clathrate.relax_phonon')
SschaWorkChain = WorkflowFactory('clathrate.sscha')

#: Which anharmonic modes enter α²F, and where their errors are.
ANHARMONIC_MODES = {'auxiliary': 'trace', 'hessian': 'frequency_errors'}

#: Arguments of the phonons that hold for the forces of the SSCHA too.
SHARED = ('protocol', 'options', 'pseudo_family', 'electronic_type', 'pools')
#: Index of the broadening that is reported unless another is asked for.
USUAL_BROADENING = 3


class CriticalTemperatureWorkChain(SubmitOnce, WorkChain):
    """Phonons and coupling by ``RelaxPhononWorkChain``, α²F, and T_c by ``EliashbergCalculation``.

    With the namespace ``sscha`` the same once more with anharmonic phonons by ``SschaWorkChain``; a crystal that is
    unstable in the harmonic approximation then goes on without harmonic T_c.
    """

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(RelaxPhononWorkChain, namespace='relax_phonon')
        spec.expose_inputs(EliashbergCalculation, namespace='eliashberg', exclude=('spectral_function', 'mode_errors'))
        spec.expose_inputs(
            SschaWorkChain,
            namespace='sscha',
            exclude=('dynamical_matrices', 'auxiliary_matrices', 'ensemble'),
            namespace_options={'required': False, 'populate_defaults': False, 'help': 'Left out: harmonic only.'},
        )
        spec.input(
            'anharmonic_modes',
            valid_type=orm.Str,
            serializer=orm.to_aiida_type,
            default=lambda: orm.Str('auxiliary'),
            validator=check_modes,
            help='Modes of α²F: `auxiliary`, of the matrices that minimise the free energy, as in the work on B–C '
            'clathrates, or `hessian`, of its curvature.',
        )
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
            if_(cls.is_harmonically_stable)(cls.make_spectral_function, cls.run_eliashberg, cls.inspect_eliashberg),
            if_(cls.should_run_sscha)(
                cls.run_sscha,
                cls.inspect_sscha,
                cls.make_anharmonic_spectral_function,
                cls.run_anharmonic_eliashberg,
                cls.inspect_anharmonic_eliashberg,
            ),
        )
        define_outputs(spec)

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
        return check_sscha(inputs) if 'sscha' in inputs else None

    @classmethod
    def get_builder_from_protocol(cls, python_code, *args, eliashberg=None, sscha=None, **kwargs):
        """Return a builder.

        :param python_code: Python with this package, on the computer that shall solve the Eliashberg equations.
        :param eliashberg: parameters of the ``EliashbergCalculation``, instead of its defaults. Without
            ``smearing`` the fourth broadening is reported, 0.02 Ry in the protocols; the narrowest ones need far denser
            meshes.
        :param sscha: keyword arguments of ``SschaWorkChain.get_builder_from_protocol`` for anharmonic phonons, at least
            ``supercell`` and ``temperature``; pw.x, family, pools, options and protocol are those of the phonons unless
            given. ``None``: harmonic only.
        :param args: positional arguments of ``RelaxPhononWorkChain.get_builder_from_protocol``.
        :param kwargs: its keyword arguments.
        """
        builder = cls.get_builder()
        builder.relax_phonon = RelaxPhononWorkChain.get_builder_from_protocol(*args, **kwargs)
        builder.eliashberg.code = orm.load_code(python_code) if isinstance(python_code, str) else python_code
        coupling = builder.relax_phonon.electron_phonon
        count = coupling.get_dict().get('el_ph_nsigma', 1) if coupling else 1
        builder.eliashberg.parameters = orm.Dict({'smearing': min(USUAL_BROADENING, count - 1)} | (eliashberg or {}))
        if sscha is None:
            builder.pop('sscha')  # or the builder asks for the ports that its calculations need
            return builder
        shared = {name: kwargs[name] for name in SHARED if name in kwargs}
        if 'calculator_code' not in sscha:
            shared['pw_code'] = kwargs['pw_code'] if 'pw_code' in kwargs else args[0]
        given = {'structure': builder.relax_phonon.structure, **shared, **sscha}
        anharmonic = SschaWorkChain.get_builder_from_protocol(python_code, dynamical_matrices=None, **given)
        anharmonic.forces.pop('structure', None)
        builder.sscha = anharmonic
        return builder

    def run_relax_phonon(self):
        """Run relaxation, phonons and coupling."""
        inputs = AttributeDict(self.exposed_inputs(RelaxPhononWorkChain, 'relax_phonon'))
        inputs.metadata.call_link_label = 'relax_phonon'
        return ToContext(relax_phonon=self.submit(RelaxPhononWorkChain, **inputs))

    def should_run_sscha(self):
        """Whether anharmonic phonons were asked for."""
        return 'sscha' in self.inputs

    def is_harmonically_stable(self):
        """Whether α²F is defined with harmonic modes."""
        return self.ctx.relax_phonon.outputs.stability['class'] != 'unstable'

    def inspect_relax_phonon(self):
        """Stop at an unstable crystal, unless anharmonicity may stabilise it."""
        node = self.ctx.relax_phonon
        if not node.is_finished_ok:
            self.report(f'RelaxPhononWorkChain {node.pk} failed: {node.exit_message}')
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_RELAX_PHONON
        self.out_many(self.exposed_outputs(node, RelaxPhononWorkChain))
        if not self.is_harmonically_stable():
            if not self.should_run_sscha():
                return self.exit_codes.ERROR_IMAGINARY_FREQUENCIES
            self.report('unstable in the harmonic approximation: no harmonic T_c; the SSCHA starts from |ω|')

    def couple(self, matrices, label):
        """Return α²F of G(q) with the modes of matrices, or an exit code."""
        result, node = spectral_function.run_get_node(
            self.ctx.relax_phonon.outputs.electron_phonon,
            matrices,
            self.inputs.alpha2f,
            metadata={'call_link_label': label},
        )
        if not node.is_finished_ok:
            return None, self.exit_codes.ERROR_SUB_PROCESS_FAILED_SPECTRAL_FUNCTION.format(reason=node.exit_message)
        return result, None

    def eliashberg_inputs(self, function, label):
        """Return the inputs of the Eliashberg equations."""
        inputs = AttributeDict(self.exposed_inputs(EliashbergCalculation, 'eliashberg'))
        inputs.spectral_function = function
        inputs.metadata.call_link_label = label
        return inputs

    def submit_eliashberg(self, inputs, key):
        """Submit the Eliashberg equations; only α²F tells whether a μ* has a counterpart at the cutoff."""
        try:
            self.to_context(**{key: self.submit(EliashbergCalculation, **inputs)})
        except ValueError as error:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_ELIASHBERG.format(reason=error)
        return None

    def ended_badly(self, node):
        """Return the exit code that belongs to the end of the Eliashberg equations."""
        if node.exit_status == EliashbergCalculation.exit_codes.ERROR_NOT_SUPERCONDUCTING.status:
            return self.exit_codes.ERROR_NOT_SUPERCONDUCTING
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_ELIASHBERG.format(reason=node.exit_message)
        return None

    def make_spectral_function(self):
        """Couple G(q) to the harmonic modes."""
        self.ctx.spectral_function, failure = self.couple(
            self.ctx.relax_phonon.outputs.dynamical_matrices, 'spectral_function'
        )
        if failure is None:
            self.out('spectral_function', self.ctx.spectral_function)
        return failure

    def run_eliashberg(self):
        """Solve the Eliashberg equations."""
        return self.submit_eliashberg(self.eliashberg_inputs(self.ctx.spectral_function, 'eliashberg'), 'eliashberg')

    def inspect_eliashberg(self):
        """Return T_c; that there is none is a result too, and ends the run unless the SSCHA is still to come."""
        node = self.ctx.eliashberg
        self.out_many(self.exposed_outputs(node, EliashbergCalculation))
        failure = self.ended_badly(node)
        superconducting = self.exit_codes.ERROR_NOT_SUPERCONDUCTING
        return None if failure == superconducting and self.should_run_sscha() else failure

    def run_sscha(self):
        """Run the anharmonic lattice."""
        inputs = AttributeDict(self.exposed_inputs(SschaWorkChain, 'sscha'))
        outputs = self.ctx.relax_phonon.outputs
        inputs.dynamical_matrices = outputs.dynamical_matrices
        if 'pw' in inputs.forces:
            inputs.forces.structure = outputs.structure
        inputs.metadata.call_link_label = 'sscha'
        return ToContext(sscha=self.submit(SschaWorkChain, **inputs))

    def inspect_sscha(self):
        """Stop where the anharmonic crystal has no modes to couple to."""
        node = self.ctx.sscha
        self.out_many(self.exposed_outputs(node, SschaWorkChain, namespace='sscha'))
        if not node.is_finished_ok:
            self.report(f'SschaWorkChain {node.pk} failed: {node.exit_message}')
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_SSCHA.format(reason=node.exit_message)
        if 'stability' in node.outputs and node.outputs.stability['class'] != 'stable':
            return self.exit_codes.ERROR_ANHARMONIC_INSTABILITY
        return None

    def make_anharmonic_spectral_function(self):
        """Couple G(q) to the anharmonic modes, and find by how much these scatter."""
        level, outputs = self.inputs.anharmonic_modes.value, self.ctx.sscha.outputs
        coarse, interpolated = outputs[f'{level}_matrices'], f'interpolated_{level}'
        # The mesh of the supercell may be that of the phonons.
        fine = outputs[interpolated if interpolated in outputs else f'{level}_matrices']
        result, failure = self.couple(fine, 'anharmonic_spectral_function')
        if failure is not None:
            return failure
        self.ctx.anharmonic_function = result
        self.out('anharmonic.spectral_function', result)
        self.ctx.deviations, node = mode_deviations.run_get_node(
            fine, coarse, outputs[ANHARMONIC_MODES[level]], metadata={'call_link_label': 'mode_deviations'}
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_SPECTRAL_FUNCTION.format(reason=node.exit_message)
        return None

    def run_anharmonic_eliashberg(self):
        """Solve the Eliashberg equations for the anharmonic α²F."""
        inputs = self.eliashberg_inputs(self.ctx.anharmonic_function, 'anharmonic_eliashberg')
        inputs.mode_errors = self.ctx.deviations
        return self.submit_eliashberg(inputs, 'anharmonic_eliashberg')

    def inspect_anharmonic_eliashberg(self):
        """Return the anharmonic T_c."""
        node = self.ctx.anharmonic_eliashberg
        if 'superconductivity' in node.outputs:
            self.out('anharmonic.superconductivity', node.outputs.superconductivity)
        return self.ended_badly(node)


def define_outputs(spec):
    """Define outputs and exit codes."""
    hidden = ('output_parameters', 'remote_folder', 'retrieved')
    spec.expose_outputs(RelaxPhononWorkChain)
    spec.expose_outputs(EliashbergCalculation, exclude=hidden)
    spec.outputs['superconductivity'].required = False
    spec.output('spectral_function', valid_type=SpectralFunctionData, required=False, help='α²F and λ of every mode.')
    spec.expose_outputs(SschaWorkChain, namespace='sscha', namespace_options={'required': False})
    spec.output_namespace('anharmonic', required=False, help='The same with anharmonic modes.')
    spec.output('anharmonic.spectral_function', valid_type=SpectralFunctionData, required=False)
    spec.output(
        'anharmonic.superconductivity', valid_type=SuperconductivityData, required=False,
        help='T_c with the standard deviations that the ensembles of the SSCHA give it.',
    )  # fmt: skip
    for status, label, message in (
        (401, 'ERROR_SUB_PROCESS_FAILED_RELAX_PHONON', 'The RelaxPhononWorkChain failed.'),
        (402, 'ERROR_SUB_PROCESS_FAILED_SPECTRAL_FUNCTION', 'No α²F: {reason}'),
        (403, 'ERROR_SUB_PROCESS_FAILED_ELIASHBERG', 'No T_c: {reason}'),
        (404, 'ERROR_SUB_PROCESS_FAILED_SSCHA', 'No anharmonic modes: {reason}'),
        (420, 'ERROR_IMAGINARY_FREQUENCIES', 'The crystal is unstable in the harmonic approximation.'),
        (421, 'ERROR_ANHARMONIC_INSTABILITY', 'The Hessian of the free energy is not positive: the crystal distorts.'),
        (450, 'ERROR_NOT_SUPERCONDUCTING', 'Not superconducting at any μ* asked for; λ is in the outputs.'),
    ):
        spec.exit_code(status, label, message=message)


def check_sscha(inputs):
    """Refuse what would fail only when the phonons have been paid for."""
    phonons, anharmonic = inputs['relax_phonon'], inputs['sscha']
    if 'supercell' in anharmonic and 'qpoints' in phonons:
        mesh, cells = phonons['qpoints'].get_kpoints_mesh()[0], anharmonic['supercell']
        if any(fine % coarse for fine, coarse in zip(mesh, cells, strict=True)):
            return f'sscha.supercell: {cells.get_list()} does not divide the q mesh {mesh} of the phonons'
    if inputs['anharmonic_modes'].value == 'hessian' and 'hessian' not in anharmonic:
        return 'anharmonic_modes: there are no modes of the Hessian without sscha.hessian; give it, or `auxiliary`'
    if 'structure' in phonons and 'forces' in anharmonic:
        structure = phonons['structure']
        symbols = tuple(structure.get_kind(site.kind_name).symbol for site in structure.sites)
        kinds = {'structure': structure} if 'pw' in anharmonic['forces'] else {}
        problem = check_source({**anharmonic['forces'], **kinds}, symbols)
        return problem and f'sscha.forces.{problem}'
    return None


def check_modes(modes, port):
    """Refuse other modes than those that there are."""
    if modes.value not in ANHARMONIC_MODES:
        return f'{port.name}: {modes.value!r} is none of {", ".join(ANHARMONIC_MODES)}'
    return None
