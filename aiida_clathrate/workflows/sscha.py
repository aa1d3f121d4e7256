"""Quantum anharmonic lattice: populations, auxiliary matrices, Hessian of the free energy, verdict."""

from __future__ import annotations

from pathlib import Path

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ToContext, WorkChain, if_, while_
from aiida.plugins import CalculationFactory, WorkflowFactory
from aiida_quantumespresso.workflows.protocols.utils import ProtocolMixin

from aiida_clathrate.calculations import sscha as steps
from aiida_clathrate.kernels.sscha.cell import reached
from aiida_clathrate.workflows import sscha_schedule as schedule
from aiida_clathrate.workflows.finished_forces import taken_over
from aiida_clathrate.workflows.sscha_ports import define_exit_codes, define_inputs, define_outputs
from aiida_clathrate.workflows.sscha_potential import PotentialStage
from aiida_clathrate.workflows.submit_once import SubmitOnce

ForcesWorkChain = WorkflowFactory('clathrate.forces')
SschaMinimisationCalculation = CalculationFactory('clathrate.sscha_minimisation')
SschaHessianCalculation = CalculationFactory('clathrate.sscha_hessian')


class SschaWorkChain(PotentialStage, SubmitOnce, ProtocolMixin, WorkChain):
    """Minimise the free energy of a crystal over auxiliary matrices, positions and cell, and find its curvature.

    With the namespace ``potential`` the first populations train a potential, which gives the forces on larger ones.
    """

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        define_inputs(spec)
        spec.outline(
            cls.setup,
            if_(cls.should_run_reference)(cls.run_reference, cls.inspect_reference),
            while_(cls.should_go_on)(
                if_(cls.should_sample)(cls.sample),
                if_(cls.should_compute)(cls.run_forces, cls.inspect_forces),
                cls.run_minimisation,
                cls.inspect_minimisation,
                if_(cls.should_strain)(cls.strain),
                if_(cls.should_check)(cls.select_check, cls.run_check, cls.inspect_check),
                if_(cls.should_train)(cls.run_training, cls.inspect_training),
            ),
            cls.finish_populations,
            if_(cls.should_run_hessian)(
                cls.sample_hessian, cls.run_forces, cls.inspect_forces, cls.run_hessian, cls.inspect_hessian
            ),
            if_(cls.should_interpolate)(cls.interpolate),
            cls.judge,
            cls.results,
        )
        define_outputs(spec)
        define_exit_codes(spec)

    @classmethod
    def get_protocol_filepath(cls):
        """Return the path of the YAML file that defines the protocols."""
        return Path(__file__).parent / 'protocols' / 'sscha.yaml'

    @classmethod
    def get_builder_from_protocol(cls, *args, **kwargs):
        """Return a builder: see :func:`aiida_clathrate.workflows.sscha_builder.get_builder`."""
        from aiida_clathrate.workflows.sscha_builder import get_builder

        return get_builder(cls, *args, **kwargs)

    def setup(self):
        """Start from the harmonic matrices made positive, or from where an earlier run ended."""
        self.ctx.results, self.ctx.cells, self.ctx.converged, self.ctx.collapsed = [], [], False, False
        self.setup_potential()
        self.ctx.population = self.inputs.get('ensemble')
        if self.ctx.population is not None:
            self.ctx.drawn = self.ctx.population.base.attributes.get('number')
        results, node = steps.start_sscha.run_get_node(
            self.inputs.get('auxiliary_matrices', self.inputs.dynamical_matrices),
            self.inputs.supercell,
            self.inputs.temperature,
            self.inputs.settings,
            metadata={'call_link_label': 'start'},
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_START.format(reason=node.exit_message)
        self.ctx.matrices = results['matrices']
        changed = results['changes']['modes']
        if changed and self.ctx.population is None:  # a population has its own matrices
            lowest = min(mode['before'] for mode in changed)
            self.report(f'{len(changed)} modes to start from are imaginary, down to {lowest:.1f} meV: made positive')
        return None

    def should_run_reference(self):
        """Whether harmonic matrices are wanted from the same forces."""
        return self.inputs.reference.value

    def run_reference(self):
        """Displace single atoms."""
        population, node = steps.displace_atoms.run_get_node(
            self.inputs.dynamical_matrices,
            self.inputs.supercell,
            metadata={'call_link_label': 'reference_displacements'},
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_START.format(reason=node.exit_message)
        return ToContext(reference=self.submit(ForcesWorkChain, **self.forces_inputs(population, 'reference')))

    def inspect_reference(self):
        """Fit the harmonic matrices."""
        if not self.ctx.reference.is_finished_ok:
            return self.forces_failed(self.ctx.reference, 'the reference')
        result, node = steps.fit_reference.run_get_node(
            self.ctx.reference.outputs.ensemble, metadata={'call_link_label': 'reference'}
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_INTERPOLATION.format(reason=node.exit_message)
        self.ctx.harmonic = result
        self.out('reference_matrices', result)

    def should_go_on(self):
        """Whether another population is needed and allowed."""
        done = len(self.ctx.results)
        return not (self.ctx.converged or self.ctx.collapsed) and done < self.inputs.max_populations.value

    def number(self):
        """Return the number of the present population, from 1."""
        return len(self.ctx.results) + 1

    def sizes(self):
        """Return how many configurations the populations of this stage have."""
        return (self.inputs.potential if self.has_cheap_forces() else self.inputs).populations.get_list()

    def size(self):
        """Return how many configurations the present population has."""
        return schedule.size(self.sizes(), self.number() - (self.ctx.before or 0))

    def should_sample(self):
        """Whether there is no population to begin with."""
        return self.ctx.population is None

    def sample(self):
        """Draw the next population."""
        return self.draw(self.size(), self.inputs.seed.value + self.number(), f'population_{self.number()}_sampling')

    def draw(self, size, seed, label):
        """Draw configurations from the present matrices."""
        single = size > self.inputs.single_precision_above.value
        population, node = steps.sample_population.run_get_node(
            self.ctx.matrices,
            self.inputs.temperature,
            orm.Int(size),
            orm.Int(seed),
            orm.Str('single' if single else 'double'),
            metadata={'call_link_label': label},
        )
        if not node.is_finished_ok:
            return self.stop(self.exit_codes.ERROR_SUB_PROCESS_FAILED_START.format(reason=node.exit_message))
        self.ctx.population, self.ctx.drawn = population, size

    def should_compute(self):
        """Whether the population has no forces yet."""
        return not self.ctx.population.base.attributes.get('computed')

    def forces_inputs(self, population, label):
        """Return the inputs of the forces on a population."""
        inputs = AttributeDict(self.exposed_inputs(ForcesWorkChain, 'forces'))
        inputs.population = population
        if other := taken_over(inputs):
            self.report(f'{label}: nothing is taken over, for {other}')
        inputs.metadata.call_link_label = f'{label}_forces'
        return inputs

    def purpose(self):
        """Return what the present population is for."""
        return 'hessian' if self.ctx.converged else f'population_{self.number()}'

    def run_forces(self):
        """Compute the forces on the population."""
        label, population = self.purpose(), self.ctx.population
        self.report(f'{label}: forces on {population.base.attributes.get("number")} configurations')
        if self.has_cheap_forces():
            return ToContext(forces=self.submit_cheap_forces(population, label))
        return ToContext(forces=self.submit(ForcesWorkChain, **self.forces_inputs(population, label)))

    def inspect_forces(self):
        """Take the population with its forces."""
        node = self.ctx.forces
        if self.has_cheap_forces():
            self.take_potential(node, self.purpose())
        if node.is_finished_ok:
            self.ctx.population = node.outputs.ensemble
            return None
        self.out('hessian_ensemble' if self.ctx.converged else 'ensemble', self.ctx.population)
        if self.ctx.results and not self.ctx.converged:
            self.out_populations()
        failed = self.cheap_forces_failed if self.has_cheap_forces() else self.forces_failed
        return self.stop(failed(node, self.purpose()))

    def forces_failed(self, node, step):
        """Return the exit code where there are no forces."""
        self.report(f'{step}: ForcesWorkChain {node.pk} failed: {node.exit_message}')
        return self.exit_codes.ERROR_SUB_PROCESS_FAILED_FORCES.format(step=step.replace('_', ' '), uuid=node.uuid)

    def run_minimisation(self):
        """Minimise the free energy with the forces of the population."""
        inputs = AttributeDict(self.exposed_inputs(SschaMinimisationCalculation, 'minimisation'))
        inputs.ensemble = self.ctx.population
        inputs.metadata.call_link_label = f'population_{self.number()}_minimisation'
        return ToContext(minimisation=self.submit(SschaMinimisationCalculation, **inputs))

    def inspect_minimisation(self):
        """Take the matrices; decide whether they are the last ones."""
        node = self.ctx.minimisation
        if 'matrices' not in node.outputs:
            self.report(f'minimisation {node.pk} failed: {node.exit_message}')
            self.out('ensemble', self.ctx.population)
            if self.ctx.results:
                self.out_populations()
            return self.stop(self.exit_codes.ERROR_SUB_PROCESS_FAILED_MINIMISATION.format(reason=node.exit_message))
        results = node.outputs.output_parameters.get_dict()
        self.report(schedule.describe(self.number(), results))
        self.ctx.results.append(node)
        vanished = steps.has_vanished(results)
        minimal = results['reason'] == 'converged' and not vanished
        self.ctx.strain = minimal and self.inputs.variable_cell.value and self.is_off_pressure(node)
        # Configurations that failed do not make a population smaller than it was meant to be.
        largest = self.ctx.drawn >= self.sizes()[-1]
        evidence = [each.outputs.output_parameters.get_dict() for each in self.ctx.results]
        self.ctx.collapsed = largest and self.is_last_stage() and steps.have_collapsed(evidence)
        if not vanished:  # or the next population is drawn from where this one was: atoms would fly apart
            self.ctx.matrices = node.outputs.matrices
        ended = minimal and largest and not self.ctx.strain
        self.ctx.converged = ended and self.is_last_stage()
        self.ctx.is_first_stage_done = ended or len(self.ctx.results) >= len(self.sizes())
        if not self.ctx.converged:
            self.ctx.population = None

    def is_off_pressure(self, minimisation):
        """Whether the pressure of a minimum is not the target; the cell is kept for the next step."""
        self.ctx.cells.append(minimisation)
        measured = steps.measured_cell(minimisation.outputs.matrices, minimisation.outputs.trace)
        return not reached(measured, self.inputs.pressure.value, self.inputs.pressure_tolerance.value)

    def should_strain(self):
        """Whether the next population is drawn in another cell."""
        return self.ctx.strain and self.should_go_on()

    def strain(self):
        """Go to the next cell on the way to the pressure."""
        measured = {}
        for number, node in enumerate(self.ctx.cells, start=1):
            measured |= {f'matrices_{number}': node.outputs.matrices, f'trace_{number}': node.outputs.trace}
        result, node = steps.strain_cell.run_get_node(
            self.inputs.pressure,
            self.inputs.bulk_modulus,
            metadata={'call_link_label': f'strain_{len(self.ctx.cells)}'},
            **measured,
        )
        if not node.is_finished_ok:
            return self.stop(self.exit_codes.ERROR_SUB_PROCESS_FAILED_START.format(reason=node.exit_message))
        self.ctx.matrices = result

    def finish_populations(self):
        """Return the last population and what all gave; stop here if they did not converge."""
        if not self.is_last_stage():
            reason = self.ctx.training.exit_message
            return self.stop_here(self.exit_codes.ERROR_POTENTIAL_INACCURATE.format(reason=reason))
        if not (self.ctx.converged or self.ctx.collapsed):
            number = len(self.ctx.results)
            return self.stop_here(self.exit_codes.ERROR_NOT_CONVERGED.format(number=number))
        self.out('ensemble', self.ctx.results[-1].inputs.ensemble)
        self.out_populations()

    def out_populations(self):
        """Return what the populations gave so far."""
        last = self.ctx.results[-1]
        self.out('auxiliary_matrices', last.outputs.matrices)
        self.out('trace', last.outputs.trace)
        results, _ = steps.summarise_populations.run_get_node(
            metadata={'call_link_label': 'summary'},
            **{f'population_{number}': node.outputs.output_parameters
               for number, node in enumerate(self.ctx.results, start=1)},
        )  # fmt: skip
        self.out('output_parameters', self.with_bias(results))
        kinds = {'kinds': self.inputs.forces.structure} if 'structure' in self.inputs.forces else {}
        self.out(
            'structure', steps.structure_of(last.outputs.matrices, **kinds, metadata={'call_link_label': 'structure'})
        )

    def should_run_hessian(self):
        """Whether the auxiliary matrices have a Hessian, and it was asked for."""
        return self.ctx.converged and 'hessian' in self.inputs

    def sample_hessian(self):
        """Draw a fresh and larger population of the final matrices."""
        size = (self.inputs.potential if self.has_cheap_forces() else self.inputs).hessian_configurations.value
        return self.draw(size, self.inputs.seed.value, 'hessian_sampling')

    def run_hessian(self):
        """Calculate the curvature of the free energy."""
        inputs = AttributeDict(self.exposed_inputs(SschaHessianCalculation, 'hessian'))
        inputs.ensemble = self.ctx.population
        inputs.metadata.call_link_label = 'hessian'
        return ToContext(hessian=self.submit(SschaHessianCalculation, **inputs))

    def inspect_hessian(self):
        """Take the Hessian."""
        node = self.ctx.hessian
        self.out('hessian_ensemble', self.ctx.population)
        if not node.is_finished_ok:
            self.report(f'Hessian {node.pk} failed: {node.exit_message}')
            return self.stop(self.exit_codes.ERROR_SUB_PROCESS_FAILED_HESSIAN.format(reason=node.exit_message))
        self.out('hessian_matrices', node.outputs.hessian)
        for name in ('third_order_hessian', 'frequency_errors'):
            if name in node.outputs:
                self.out(name, node.outputs[name])

    def should_interpolate(self):
        """Whether the harmonic matrices are on a finer mesh than the supercell, or a reference is to be taken off."""
        finer = self.inputs.dynamical_matrices.base.attributes.get('mesh') != self.inputs.supercell.get_list()
        return self.ctx.converged and (finer or 'harmonic' in self.ctx)

    def interpolate(self):
        """Add the change by anharmonicity to the harmonic matrices."""
        reference = {'harmonic': self.ctx.harmonic} if 'harmonic' in self.ctx else {}
        for name, matrices in (('auxiliary', self.ctx.matrices), ('hessian', self.outputs.get('hessian_matrices'))):
            if matrices is None:
                continue
            result, node = steps.interpolate_difference.run_get_node(
                self.inputs.dynamical_matrices,
                matrices,
                metadata={'call_link_label': f'interpolation_{name}'},
                **reference,
            )
            if not node.is_finished_ok:
                code = self.exit_codes.ERROR_SUB_PROCESS_FAILED_INTERPOLATION
                return self.stop(code.format(reason=node.exit_message))
            self.out(f'interpolated_{name}', result)

    def judge(self):
        """Give the verdict."""
        self.stop()
        nodes = {f'population_{n}': node.outputs.output_parameters for n, node in enumerate(self.ctx.results, start=1)}
        if 'hessian' in self.ctx:
            outputs = self.ctx.hessian.outputs
            judged = self.outputs.get('interpolated_hessian', outputs.hessian)
            nodes |= {'hessian': judged, 'measured': outputs.hessian, 'errors': outputs.frequency_errors}
        elif self.ctx.converged:
            return None  # no Hessian was asked for, and nothing else decides
        verdict, node = steps.judge.run_get_node(metadata={'call_link_label': 'verdict'}, **nodes)
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_HESSIAN.format(reason=node.exit_message)
        self.out('stability', verdict)
        self.report(schedule.describe_verdict(verdict.get_dict()))
        return self.exit_codes.ERROR_COLLAPSED if self.ctx.collapsed else None

    def results(self):
        """Say that it is done."""
        self.report(f'done after {len(self.ctx.results)} populations')
