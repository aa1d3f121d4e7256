"""Relaxation at a pressure, N(E_F), and phonons with their coupling to the electrons, by Quantum ESPRESSO."""

from __future__ import annotations

import warnings
from pathlib import Path

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ToContext, WorkChain, if_, while_
from aiida.plugins import WorkflowFactory
from aiida_quantumespresso.workflows.protocols.utils import ProtocolMixin

from aiida_clathrate.calculations import phonons
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.fft_grid import compatible_fft_grid
from aiida_clathrate.kernels.meshes import Meshes
from aiida_clathrate.workflows import recovery

PwBaseWorkChain = WorkflowFactory('quantumespresso.pw.base')
PwRelaxWorkChain = WorkflowFactory('quantumespresso.pw.relax')
PhBaseWorkChain = WorkflowFactory('quantumespresso.ph.base')

KBAR_PER_GPA = 10.0
HIGHEST_PRESSURE = 1000.0  # GPa; above, a pressure in kbar is more likely than a planet's core


def validate_inputs(inputs, _):
    """Refuse inputs that cannot work together, before anything is submitted."""
    if 'structure' not in inputs or 'pressure' not in inputs:
        return None  # the ports themselves complain
    pressure = inputs['pressure'].value
    if not pressure >= 0:
        return f'pressure: {pressure} GPa is negative; give the target pressure in GPa, 0 or more'
    if pressure > HIGHEST_PRESSURE:
        warnings.warn(f'pressure: {pressure} GPa is very high; is it in kbar (1 GPa = 10 kbar)?', stacklevel=2)
    try:
        Crystal.from_ase(inputs['structure'].get_ase())
        Meshes(*(get_mesh(inputs[name]) for name in ('qpoints', 'kpoints', 'kpoints_dense')))
    except (AttributeError, ValueError) as error:
        return str(error)
    kinds, pseudos = set(inputs['structure'].get_kind_names()), set(inputs['scf']['pw'].get('pseudos', {}))
    if kinds != pseudos:
        return (
            f'scf.pw.pseudos: needs one pseudopotential for each of {sorted(kinds)}, not for {sorted(pseudos)}; '
            'give `pseudo_family` a family that has them'
        )
    return None


def get_mesh(kpoints):
    """Return the divisions of a mesh without offset."""
    mesh, offset = kpoints.get_kpoints_mesh()
    if any(offset):
        raise ValueError(f'mesh {mesh} has the offset {offset}; phonons need meshes that contain Γ')
    return tuple(mesh)


class RelaxPhononWorkChain(ProtocolMixin, WorkChain):
    """Relax a crystal at a pressure and calculate its phonons and their coupling to the electrons."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        cls.define_inputs(spec)
        spec.outline(
            cls.setup,
            if_(cls.should_relax)(cls.run_relax, cls.inspect_relax),
            if_(cls.should_couple)(cls.run_scf_dense, cls.inspect_scf_dense),
            cls.run_scf,
            cls.inspect_scf,
            if_(cls.should_count_states)(cls.run_nscf, cls.inspect_nscf),
            while_(cls.should_run_phonons)(cls.run_phonons, cls.inspect_phonons),
            cls.collect,
            cls.analyse,
        )
        cls.define_outputs(spec)
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_RELAX', message='The relaxation failed.')
        spec.exit_code(402, 'ERROR_SUB_PROCESS_FAILED_SCF_DENSE', message='The SCF on the dense k mesh failed.')
        spec.exit_code(403, 'ERROR_SUB_PROCESS_FAILED_SCF', message='The SCF on the k mesh of the phonons failed.')
        spec.exit_code(404, 'ERROR_SUB_PROCESS_FAILED_NSCF', message='The bands for N(E_F) failed.')
        spec.exit_code(405, 'ERROR_SUB_PROCESS_FAILED_PHONON', message='q points {qpoints} failed after all attempts.')
        spec.exit_code(406, 'ERROR_PHONON_FILES', message='The files of ph.x cannot be used: {reason}')
        spec.exit_code(407, 'ERROR_PHONON_ANALYSIS', message='The phonons cannot be analysed: {reason}')

    @classmethod
    def define_inputs(cls, spec):
        """Define the input ports."""
        given = ('clean_workdir', 'pw.structure', 'pw.parent_folder', 'kpoints', 'kpoints_distance')
        spec.input('structure', valid_type=orm.StructureData, help='Crystal, periodic in three dimensions.')
        spec.input(
            'pressure', valid_type=orm.Float, serializer=orm.to_aiida_type, default=lambda: orm.Float(0.0),
            help='Target pressure [GPa].',
        )  # fmt: skip
        spec.input('qpoints', valid_type=orm.KpointsData, help='q mesh of the phonons, with Γ.')
        spec.input('kpoints', valid_type=orm.KpointsData, help='k mesh of the self-consistent cycles, with Γ.')
        spec.input(
            'kpoints_dense', valid_type=orm.KpointsData,
            help='k mesh of N(E_F) and of the double delta; a multiple of the other two meshes.',
        )  # fmt: skip
        spec.expose_inputs(
            PwRelaxWorkChain, namespace='relax', exclude=('clean_workdir', 'structure'),
            namespace_options={'required': False, 'populate_defaults': False, 'help': 'Left out: no relaxation.'},
        )  # fmt: skip
        spec.expose_inputs(PwBaseWorkChain, namespace='scf', exclude=given)
        spec.expose_inputs(
            PhBaseWorkChain, namespace='phonon',
            exclude=('clean_workdir', 'ph.parent_folder', 'qpoints', 'qpoints_distance', 'qpoints_force_parity',
                     'only_initialization'),
        )  # fmt: skip
        spec.input(
            'electron_phonon', valid_type=orm.Dict, required=False, serializer=orm.to_aiida_type,
            help='`el_ph_sigma` [Ry] and `el_ph_nsigma` of ph.x. Left out: no coupling, for insulators and references.',
        )  # fmt: skip
        spec.input(
            'count_states', valid_type=orm.Bool, serializer=orm.to_aiida_type, default=lambda: orm.Bool(True),
            help='Whether to calculate N(E_F) by tetrahedra on the dense mesh.',
        )  # fmt: skip
        spec.input(
            'parallelize_qpoints', valid_type=orm.Bool, serializer=orm.to_aiida_type, default=lambda: orm.Bool(False),
            help='Whether each irreducible q is a calculation of its own.',
        )  # fmt: skip
        spec.input(
            'max_concurrent', valid_type=orm.Int, serializer=orm.to_aiida_type, default=lambda: orm.Int(4),
            help='How many q points run at the same time.',
        )  # fmt: skip
        spec.input(
            'max_attempts', valid_type=orm.Int, serializer=orm.to_aiida_type, default=lambda: orm.Int(3),
            help='How often a q point is tried, each time with slower mixing.',
        )  # fmt: skip
        spec.input(
            'settings', valid_type=orm.Dict, serializer=orm.to_aiida_type, default=lambda: orm.Dict({}),
            help='`soft_acoustic_tolerance` [meV], `dos_distance` [1/Å].',
        )  # fmt: skip
        spec.input(
            'clean_workdir', valid_type=orm.Bool, serializer=orm.to_aiida_type, default=lambda: orm.Bool(False),
            help='Whether to delete the remote folders at the end.',
        )  # fmt: skip
        spec.inputs.validator = validate_inputs

    @classmethod
    def define_outputs(cls, spec):
        """Define the output ports."""
        spec.output('structure', valid_type=orm.StructureData, help='Relaxed crystal.')
        spec.output('dynamical_matrices', valid_type=orm.ArrayData, help='Φ(q), symmetry and sum rule imposed.')
        spec.output('electron_phonon', valid_type=orm.ArrayData, required=False, help='G(q) for each broadening.')
        spec.output('dispersion', valid_type=orm.BandsData, help='ħω along the path of seekpath [meV].')
        spec.output('phonon_dos', valid_type=orm.ArrayData, help='Total and of each atom [states/meV/cell].')
        spec.output('stability', valid_type=orm.Dict, help='Verdict and its evidence.')
        spec.output('electron_dos', valid_type=orm.ArrayData, required=False, help='Around E_F [states/eV/cell].')
        spec.output('output_parameters', valid_type=orm.Dict, help='Enthalpy, N(E_F), pressure, violations.')

    @classmethod
    def get_protocol_filepath(cls):
        """Return the path of the YAML file that defines the protocols."""
        return Path(__file__).parent / 'protocols' / 'relax_phonon.yaml'

    @classmethod
    def get_builder_from_protocol(cls, *args, **kwargs):
        """Return a builder: see :func:`aiida_clathrate.workflows.relax_phonon_builder.get_builder`."""
        from aiida_clathrate.workflows.relax_phonon_builder import get_builder

        return get_builder(cls, *args, **kwargs)

    def setup(self):
        """Start from the input structure with no q point done."""
        self.ctx.structure = self.inputs.structure
        self.ctx.total_qpoints = None
        self.ctx.finished, self.ctx.attempts, self.ctx.retrieved = [], {}, {}

    def should_relax(self):
        """Whether a relaxation was asked for."""
        return 'relax' in self.inputs

    def run_relax(self):
        """Relax cell and atoms at the pressure."""
        inputs = AttributeDict(self.exposed_inputs(PwRelaxWorkChain, 'relax'))
        for name in ('base_relax', 'base_init_relax'):
            # Both stages need the pressure, or the first one relaxes to zero pressure.
            if name in inputs:
                inputs[name].pw.parameters = self.at_pressure(inputs[name].pw.parameters)
        inputs.structure = self.inputs.structure
        inputs.metadata.call_link_label = 'relax'
        self.report(f'relaxing {self.inputs.structure.get_formula()} at {self.inputs.pressure.value} GPa')
        return ToContext(relax=self.submit(PwRelaxWorkChain, **inputs))

    def at_pressure(self, parameters):
        """Return the parameters of pw.x with the target pressure."""
        parameters = parameters.get_dict()
        parameters.setdefault('CELL', {})['press'] = self.inputs.pressure.value * KBAR_PER_GPA
        return orm.Dict(parameters)

    def inspect_relax(self):
        """Take the relaxed structure."""
        if not self.ctx.relax.is_finished_ok:
            self.report(f'relaxation {self.ctx.relax.pk} failed: {self.ctx.relax.exit_message}')
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_RELAX
        self.ctx.structure = self.ctx.relax.outputs.output_structure

    def should_couple(self):
        """Whether electron-phonon coupling was asked for."""
        return 'electron_phonon' in self.inputs

    def run_scf_dense(self):
        """Store the states at the Fermi surface on the dense mesh, for ph.x to interpolate to."""
        inputs = self.pw_inputs('scf_dense', self.inputs.kpoints_dense, {'SYSTEM': {'la2f': True}})
        return ToContext(scf_dense=self.submit(PwBaseWorkChain, **inputs))

    def inspect_scf_dense(self):
        """Stop if the dense SCF failed."""
        return self.stop_if_failed('scf_dense')

    def run_scf(self):
        """Converge the charge density on the k mesh of the phonons, in the folder of the dense SCF if there is one."""
        parent = self.ctx.scf_dense.outputs.remote_folder if self.should_couple() else None
        changes = {'ELECTRONS': {'startingpot': 'file'}} if parent else {}
        inputs = self.pw_inputs('scf', self.inputs.kpoints, changes, parent)
        return ToContext(scf=self.submit(PwBaseWorkChain, **inputs))

    def inspect_scf(self):
        """Stop if the SCF failed."""
        return self.stop_if_failed('scf')

    def should_count_states(self):
        """Whether N(E_F) was asked for."""
        return self.inputs.count_states.value

    def run_nscf(self):
        """Calculate the bands on the dense mesh."""
        changes = {'CONTROL': {'calculation': 'nscf'}, 'SYSTEM': {'occupations': 'tetrahedra'}}
        inputs = self.pw_inputs('nscf', self.inputs.kpoints_dense, changes, self.ctx.scf.outputs.remote_folder)
        return ToContext(nscf=self.submit(PwBaseWorkChain, **inputs))

    def inspect_nscf(self):
        """Stop if the bands failed."""
        return self.stop_if_failed('nscf')

    def stop_if_failed(self, label):
        """Return the exit code of a step if its work chain failed."""
        node = self.ctx[label]
        if not node.is_finished_ok:
            self.report(f'{label} {node.pk} failed: {node.exit_message}')
            return self.exit_codes[f'ERROR_SUB_PROCESS_FAILED_{label.upper()}']
        return None

    def pw_inputs(self, label, kpoints, changes, parent=None):
        """Return the inputs of one pw.x step on the current structure."""
        inputs = AttributeDict(self.exposed_inputs(PwBaseWorkChain, 'scf'))
        inputs.pw.structure, inputs.kpoints = self.ctx.structure, kpoints
        parameters = inputs.pw.parameters.get_dict()
        system = parameters['SYSTEM']
        if changes.get('SYSTEM', {}).get('occupations') == 'tetrahedra':
            for name in ('smearing', 'degauss'):
                system.pop(name, None)
        # ph.x refuses a grid that the symmetry does not map onto itself, and pw.x does not look for one that it does.
        crystal = Crystal.from_ase(self.ctx.structure.get_ase())
        cutoff = system.get('ecutrho', 4 * system['ecutwfc'])
        for suffix, grid_cutoff in (('', cutoff), ('s', 4 * system['ecutwfc'])):
            grid = compatible_fft_grid(crystal, min(grid_cutoff, cutoff))
            system.update({f'nr{axis}{suffix}': size for axis, size in enumerate(grid, start=1)})
        for namelist, values in changes.items():
            parameters.setdefault(namelist, {}).update(values)
        inputs.pw.parameters = orm.Dict(parameters)
        if parent:
            inputs.pw.parent_folder = parent
        inputs.metadata.call_link_label = label
        return inputs

    def should_run_phonons(self):
        """Whether some q point is not finished."""
        return self.ctx.total_qpoints is None or len(self.ctx.finished) < self.ctx.total_qpoints

    def run_phonons(self):
        """Submit the next q points."""
        one_by_one = self.inputs.parallelize_qpoints.value
        chunks = recovery.next_chunks(set(self.ctx.finished), self.ctx.total_qpoints, one_by_one)
        self.ctx.chunks = chunks[: self.inputs.max_concurrent.value]
        for first, last in self.ctx.chunks:
            node = self.submit(PhBaseWorkChain, **self.phonon_inputs(first, last))
            self.to_context(**{f'phonon_{first}': node})

    def phonon_inputs(self, first, last):
        """Return the inputs of ph.x for the q points from ``first`` to ``last``."""
        attempt = self.ctx.attempts.get(first, 0)
        inputs = AttributeDict(self.exposed_inputs(PhBaseWorkChain, 'phonon'))
        inputs.qpoints = self.inputs.qpoints
        inputs.ph.parent_folder = self.ctx.scf.outputs.remote_folder
        parameters = inputs.ph.parameters.get_dict()
        namelist = recovery.gentler(parameters['INPUTPH'], attempt) | {'start_q': first}
        if last is not None:
            namelist['last_q'] = last
        if self.should_couple():
            namelist |= {
                'electron_phonon': 'interpolated',
                'fildvscf': 'dvscf',
            } | self.inputs.electron_phonon.get_dict()
            inputs.ph.metadata.options.additional_retrieve_list = ['elph_dir']
        version = self.ctx.scf.outputs.output_parameters['creator_version']
        parameters['INPUTPH'] = recovery.supported_mixing(namelist, version)
        if recovery.mixing_limit(version):
            # The handler of the plugin raises nmix_ph to 8, which this version refuses.
            inputs.handler_overrides = orm.Dict({'handle_convergence_not_reached': {'enabled': False}})
        inputs.ph.parameters = orm.Dict(parameters)
        suffix = f'q{first}' if last == first else 'qpoints'
        inputs.metadata.call_link_label = f'phonon_{suffix}_attempt{attempt + 1}'
        return inputs

    def inspect_phonons(self):
        """Note which q points are finished; give up when one has failed too often."""
        broadenings = self.inputs.electron_phonon.get_dict()['el_ph_nsigma'] if self.should_couple() else 0
        finished = set(self.ctx.finished)
        for first, last in self.ctx.chunks:
            node = self.ctx[f'phonon_{first}']
            for retrieved in phonons.retrieved_folders(node):
                names = phonons.file_names(retrieved)
                self.ctx.total_qpoints = self.ctx.total_qpoints or phonons.number_of_qpoints(retrieved)
                done = recovery.finished_qpoints(names, broadenings) - finished
                if done:
                    self.ctx.retrieved[f'qpoints_{min(done)}'] = retrieved
                    finished |= done
            if not node.is_finished_ok:
                self.report(f'phonons {node.pk} of q points {first} to {last or "the last"}: {node.exit_message}')
            if first not in finished:
                self.ctx.attempts[first] = self.ctx.attempts.get(first, 0) + 1
        self.ctx.finished = sorted(finished)
        hopeless = [q for q, count in self.ctx.attempts.items() if count >= self.inputs.max_attempts.value]
        self.report(f'{len(finished)} of {self.ctx.total_qpoints or "?"} q points are finished')
        hopeless = [q for q in hopeless if q not in finished]
        if hopeless:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_PHONON.format(qpoints=hopeless)

    def collect(self):
        """Read the files of ph.x into nodes."""
        results, node = phonons.collect_phonons.run_get_node(
            structure=self.ctx.structure,
            pressure=self.inputs.pressure,
            qpoints=self.inputs.qpoints,
            coupled=orm.Bool(self.should_couple()),
            metadata={'call_link_label': 'collect_phonons'},
            **self.ctx.retrieved,
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_PHONON_FILES.format(reason=node.exit_message)
        self.ctx.violations = results['violations']
        self.ctx.matrices = results['dynamical_matrices']
        self.out('structure', self.ctx.structure)
        for name in ('dynamical_matrices', 'electron_phonon'):
            if name in results:
                self.out(name, results[name])

    def analyse(self):
        """Derive dispersion, density of states, verdict and summary."""
        results, node = phonons.analyse_phonons.run_get_node(
            self.ctx.matrices, self.inputs.settings, metadata={'call_link_label': 'analyse_phonons'}
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_PHONON_ANALYSIS.format(reason=node.exit_message)
        self.out_many(results)
        parts = {'scf': self.ctx.scf.outputs.output_parameters, 'violations': self.ctx.violations}
        if self.should_count_states():
            states = phonons.count_states(
                self.ctx.structure,
                self.inputs.kpoints_dense,
                self.ctx.nscf.outputs.output_band,
                self.ctx.nscf.outputs.output_parameters,
                metadata={'call_link_label': 'count_states'},
            )
            self.out('electron_dos', states)
            parts['electron_dos'] = states
        self.out('output_parameters', phonons.summarise(self.ctx.structure, self.inputs.pressure, **parts))
        verdict = results['stability']
        self.report(f'{verdict["class"]}: smallest frequency {verdict["smallest_frequency"]:.2f} meV')

    def on_terminated(self):
        """Delete the remote folders if that was asked for."""
        super().on_terminated()
        if not self.inputs.clean_workdir.value:
            return
        for node in self.node.called_descendants:
            if isinstance(node, orm.CalcJobNode) and 'remote_folder' in node.outputs:
                node.outputs.remote_folder._clean()
