"""Relaxation at a pressure, N(E_F), and phonons with their coupling to the electrons, by Quantum ESPRESSO."""

from __future__ import annotations

from pathlib import Path

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ToContext, WorkChain, if_, while_
from aiida.plugins import WorkflowFactory
from aiida_quantumespresso.workflows.protocols.utils import ProtocolMixin

from aiida_clathrate.calculations import electrons, phonon_files, phonons
from aiida_clathrate.calculations.ph import COUPLING_FOLDER, PhononCalculation
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.fft_grid import compatible_fft_grid
from aiida_clathrate.workflows import recovery
from aiida_clathrate.workflows.relax_phonon_ports import (
    COUPLING_METHODS,
    define_exit_codes,
    define_inputs,
    define_outputs,
)

PwBaseWorkChain = WorkflowFactory('quantumespresso.pw.base')
PwRelaxWorkChain = WorkflowFactory('quantumespresso.pw.relax')
PhononBaseWorkChain = WorkflowFactory('clathrate.ph_base')

KBAR_PER_GPA = 10.0
INTERPOLATED, TETRAHEDRA = COUPLING_METHODS
STICKS = 'inconsistent number of sticks'


class RelaxPhononWorkChain(ProtocolMixin, WorkChain):
    """Relax a crystal at a pressure and calculate its phonons and their coupling to the electrons."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        define_inputs(spec)
        spec.outline(
            cls.setup,
            if_(cls.should_relax)(cls.run_relax, cls.inspect_relax),
            if_(cls.should_interpolate)(cls.run_scf_dense, cls.inspect_scf_dense),
            cls.run_scf,
            cls.inspect_scf,
            if_(cls.should_count_states)(cls.run_nscf, cls.inspect_nscf),
            while_(cls.should_run_phonons)(cls.run_phonons, cls.inspect_phonons),
            if_(cls.should_sum_tetrahedra)(cls.run_coupling, cls.inspect_coupling),
            cls.collect,
            cls.analyse,
        )
        define_outputs(spec)
        define_exit_codes(spec)

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
        self.ctx.finished, self.ctx.attempts, self.ctx.retrieved, self.ctx.folders = [], {}, {}, []

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

    def coupling_method(self):
        """Return how the double delta is summed, ``None`` without coupling."""
        return self.inputs.electron_phonon.get_dict().get('method', INTERPOLATED) if self.should_couple() else None

    def should_interpolate(self):
        """Whether the matrix elements are interpolated to the dense mesh in the phonon calculation itself."""
        return self.coupling_method() == INTERPOLATED

    def should_sum_tetrahedra(self):
        """Whether the matrix elements are calculated on the dense mesh, after the phonons."""
        return self.coupling_method() == TETRAHEDRA

    def run_scf_dense(self):
        """Store the states at the Fermi surface on the dense mesh, for ph.x to interpolate to."""
        inputs = self.pw_inputs('scf_dense', self.inputs.kpoints_dense, {'SYSTEM': {'la2f': True}})
        return ToContext(scf_dense=self.submit(PwBaseWorkChain, **inputs))

    def inspect_scf_dense(self):
        """Stop if the dense SCF failed."""
        return self.stop_if_failed('scf_dense')

    def run_scf(self):
        """Converge the charge density on the k mesh of the phonons, in the folder of the dense SCF if there is one."""
        parent, changes = None, {}
        if self.should_interpolate():
            parent, changes = self.ctx.scf_dense.outputs.remote_folder, {'ELECTRONS': {'startingpot': 'file'}}
        elif self.should_sum_tetrahedra():
            changes = {'SYSTEM': {'occupations': 'tetrahedra_opt'}}
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
        if changes.get('SYSTEM', {}).get('occupations', '').startswith('tetrahedra'):
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
            node = self.submit(PhononBaseWorkChain, **self.phonon_inputs(first, last))
            self.to_context(**{f'phonon_{first}': node})

    def phonon_inputs(self, first, last):
        """Return the inputs of ph.x for the q points from ``first`` to ``last``."""
        attempt = self.ctx.attempts.get(first, 0)
        inputs = AttributeDict(self.exposed_inputs(PhononBaseWorkChain, 'phonon'))
        inputs.qpoints = self.inputs.qpoints
        inputs.ph.parent_folder = self.ctx.scf.outputs.remote_folder
        parameters = inputs.ph.parameters.get_dict()
        namelist = recovery.gentler(parameters['INPUTPH'], attempt) | {'start_q': first}
        if last is not None:
            namelist['last_q'] = last
        if self.should_couple():
            namelist['fildvscf'] = 'dvscf'
        if self.should_interpolate():
            namelist |= {'electron_phonon': 'interpolated', **self.broadenings()}
            inputs.ph.metadata.options.additional_retrieve_list = [COUPLING_FOLDER]
        version = self.ctx.scf.outputs.output_parameters['creator_version']
        parameters['INPUTPH'] = recovery.supported_mixing(namelist, version)
        inputs.ph.parameters = orm.Dict(parameters)
        suffix = f'q{first}' if last == first else 'qpoints'
        inputs.metadata.call_link_label = f'phonon_{suffix}_attempt{attempt + 1}'
        return inputs

    def inspect_phonons(self):
        """Note which q points are finished; give up when one has failed too often."""
        for first, last in self.ctx.chunks:
            node = self.ctx[f'phonon_{first}']
            folders = phonon_files.retrieved_folders(node)
            for retrieved in folders:
                self.note_finished(retrieved)
            if not node.is_finished_ok:
                self.report(f'phonons {node.pk} of q points {first} to {last or "the last"}: {node.exit_message}')
                if any(phonon_files.stopped_by(retrieved, STICKS) for retrieved in folders):
                    return self.exit_codes.ERROR_BASIS_TOO_SMALL
                if first == last and phonon_files.out_of_walltime(node):
                    return self.exit_codes.ERROR_OUT_OF_WALLTIME.format(qpoint=first)
            if first not in self.ctx.finished:
                self.ctx.attempts[first] = self.ctx.attempts.get(first, 0) + 1
        self.report(f'{len(self.ctx.finished)} of {self.ctx.total_qpoints or "?"} q points are finished')
        limit = self.inputs.max_attempts.value
        hopeless = [q for q, count in self.ctx.attempts.items() if count >= limit and q not in self.ctx.finished]
        if hopeless:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_PHONON.format(qpoints=hopeless)

    def note_finished(self, retrieved):
        """Remember a folder with files of ph.x for the q points that it is the first to finish."""
        self.ctx.total_qpoints = self.ctx.total_qpoints or phonon_files.number_of_qpoints(retrieved)
        broadenings = self.broadenings()['el_ph_nsigma'] if self.should_interpolate() else 0
        names = phonon_files.complete_files(retrieved, len(self.ctx.structure.sites))
        done = recovery.finished_qpoints(names, broadenings) - set(self.ctx.finished)
        if done:
            self.ctx.retrieved[f'qpoints_{min(done)}'] = retrieved
            self.ctx.folders.append((retrieved.creator.outputs.remote_folder, min(done), max(done)))
            self.ctx.finished = sorted({*self.ctx.finished, *done})

    def broadenings(self):
        """Return the parameters of the Gaussian double delta."""
        return {name: value for name, value in self.inputs.electron_phonon.get_dict().items() if name != 'method'}

    def run_coupling(self):
        """Sum the double delta by optimised tetrahedra, in a copy of each folder with potentials of phonons."""
        dense = self.inputs.kpoints_dense.get_kpoints_mesh()[0]
        for folder, first, last in self.ctx.folders:
            inputs = AttributeDict(self.exposed_inputs(PhononBaseWorkChain, 'phonon')).ph
            namelist = {'electron_phonon': 'lambda_tetra', 'fildvscf': 'dvscf', 'start_q': first, 'last_q': last}
            namelist |= {f'nk{axis}': division for axis, division in enumerate(dense, start=1)}
            inputs.parameters = orm.Dict({'INPUTPH': namelist})
            inputs.parent_folder, inputs.qpoints = folder, self.inputs.qpoints
            inputs.metadata.options.additional_retrieve_list = [COUPLING_FOLDER]
            inputs.metadata.call_link_label = f'coupling_q{first}'
            self.to_context(**{f'coupling_{first}': self.submit(PhononCalculation, **inputs)})

    def inspect_coupling(self):
        """Take the files of G(q)."""
        for _, first, last in self.ctx.folders:
            node = self.ctx[f'coupling_{first}']
            files = set()
            if 'retrieved' in node.outputs:
                files = phonon_files.complete_files(node.outputs.retrieved, len(self.ctx.structure.sites))
            if not set(range(first, last + 1)) <= recovery.finished_qpoints(files, 1):
                self.report(f'coupling {node.pk} of q points {first} to {last} failed: {node.exit_message}')
                return self.exit_codes.ERROR_SUB_PROCESS_FAILED_COUPLING
            self.ctx.retrieved[f'coupling_{first}'] = node.outputs.retrieved

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
            states, node = electrons.count_states.run_get_node(
                self.ctx.structure,
                self.inputs.kpoints_dense,
                self.ctx.nscf.outputs.output_band,
                self.ctx.nscf.outputs.output_parameters,
                metadata={'call_link_label': 'count_states'},
            )
            if not node.is_finished_ok:
                return self.exit_codes.ERROR_ELECTRON_ANALYSIS.format(reason=node.exit_message)
            self.out('electron_dos', states)
            parts['electron_dos'] = states
        self.out('output_parameters', electrons.summarise(self.ctx.structure, self.inputs.pressure, **parts))
        verdict = results['stability']
        self.report(f'{verdict["class"]}: smallest frequency {verdict["smallest_frequency"]:.2f} meV')

    def on_terminated(self):
        """Delete the remote folders if that was asked for."""
        super().on_terminated()
        if not self.inputs.clean_workdir.value:
            return
        for node in self.node.called_descendants:
            if not isinstance(node, orm.CalcJobNode) or 'remote_folder' not in node.outputs:
                continue
            if node.base.caching.is_created_from_cache:
                continue  # its folder belongs to the run that made it
            # A later run would take the step from the cache, and find its folder empty.
            node.base.caching.is_valid_cache = False
            try:
                node.outputs.remote_folder._clean()
            except OSError as error:
                self.report(f'the folder of {node.pk} could not be deleted: {error}')
