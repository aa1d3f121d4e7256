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
from aiida_clathrate.workflows.sscha_ports import define_exit_codes, define_inputs, define_outputs

ForcesWorkChain = WorkflowFactory('clathrate.forces')
SschaMinimisationCalculation = CalculationFactory('clathrate.sscha_minimisation')
SschaHessianCalculation = CalculationFactory('clathrate.sscha_hessian')


class SschaWorkChain(ProtocolMixin, WorkChain):
    """Minimise the free energy of a crystal over auxiliary matrices, positions and cell, and find its curvature."""

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
            ),
            cls.finish_populations,
            if_(cls.should_run_hessian)(
                cls.sample_hessian, cls.run_forces, cls.inspect_forces, cls.run_hessian, cls.inspect_hessian
            ),
            cls.judge,
            if_(cls.should_interpolate)(cls.interpolate),
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
        self.ctx.population = self.inputs.get('ensemble')
        if self.ctx.population is not None:
            return None  # it has its own matrices
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
        if changed:
            lowest = min(mode['before'] for mode in changed)
            self.report(f'{len(changed)} harmonic modes are imaginary, down to {lowest:.1f} meV: made positive')
        return None

    def should_run_reference(self):
        """Whether harmonic matrices are wanted from the same forces."""
        return self.inputs.reference.value

    def run_reference(self):
        """Displace single atoms."""
        crystal = self.inputs.dynamical_matrices
        population = steps.displace_atoms(
            crystal, self.inputs.supercell, metadata={'call_link_label': 'reference_displacements'}
        )
        return ToContext(reference=self.submit(ForcesWorkChain, **self.forces_inputs(population, 'reference')))

    def inspect_reference(self):
        """Fit the harmonic matrices."""
        if not self.ctx.reference.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_FORCES.format(step='the reference')
        result, node = steps.fit_reference.run_get_node(
            self.ctx.reference.outputs.ensemble, metadata={'call_link_label': 'reference'}
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_START.format(reason=node.exit_message)
        self.ctx.harmonic = result
        self.out('reference_matrices', result)

    def should_go_on(self):
        """Whether another population is needed and allowed."""
        done = len(self.ctx.results)
        return not (self.ctx.converged or self.ctx.collapsed) and done < self.inputs.max_populations.value

    def number(self):
        """Return the number of the present population, from 1."""
        return len(self.ctx.results) + 1

    def size(self):
        """Return how many configurations the present population has."""
        return schedule.size(self.inputs.populations.get_list(), self.number())

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
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_START.format(reason=node.exit_message)
        self.ctx.population = population

    def should_compute(self):
        """Whether the population has no forces yet."""
        return not self.ctx.population.base.attributes.get('computed')

    def forces_inputs(self, population, label):
        """Return the inputs of the forces on a population."""
        inputs = AttributeDict(self.exposed_inputs(ForcesWorkChain, 'forces'))
        inputs.population = population
        if label != 'population_1':
            inputs.pop('restart_from', None)  # what is to be taken over belongs to the population that was given
        inputs.metadata.call_link_label = f'{label}_forces'
        return inputs

    def run_forces(self):
        """Compute the forces on the population."""
        label = 'hessian' if self.ctx.converged else f'population_{self.number()}'
        population = self.ctx.population
        self.report(f'{label}: forces on {population.base.attributes.get("number")} configurations')
        return ToContext(forces=self.submit(ForcesWorkChain, **self.forces_inputs(population, label)))

    def inspect_forces(self):
        """Take the population with its forces."""
        node = self.ctx.forces
        if not node.is_finished_ok:
            self.report(f'ForcesWorkChain {node.pk} failed: {node.exit_message}')
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_FORCES.format(step=f'population {self.number()}')
        self.ctx.population = node.outputs.ensemble

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
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_MINIMISATION.format(reason=node.exit_message)
        results = node.outputs.output_parameters.get_dict()
        largest = self.ctx.population.base.attributes.get('number') >= self.inputs.populations.get_list()[-1]
        minimal = results['reason'] == 'converged' and largest
        self.ctx.matrices = node.outputs.matrices
        self.ctx.strain = False
        self.report(schedule.describe(self.number(), results))
        if results['reason'] == 'converged' and self.inputs.variable_cell.value:
            self.ctx.cells.append(node)
            measured = steps.measured_cell(node.outputs.matrices, node.outputs.trace)
            at_pressure = reached(measured, self.inputs.pressure.value, self.inputs.pressure_tolerance.value)
            self.ctx.strain = not at_pressure
            minimal = minimal and at_pressure
        self.ctx.collapsed = largest and steps.has_collapsed(results)
        self.ctx.converged = minimal and not self.ctx.collapsed
        self.ctx.results.append(node)
        if not self.ctx.converged:
            self.ctx.population = None

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
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_START.format(reason=node.exit_message)
        self.ctx.matrices = result

    def finish_populations(self):
        """Return what the populations gave; stop here if they did not converge."""
        last = self.ctx.results[-1]
        self.out('ensemble', last.inputs.ensemble)
        self.out('auxiliary_matrices', last.outputs.matrices)
        self.out('trace', last.outputs.trace)
        results, _ = steps.summarise_populations.run_get_node(
            metadata={'call_link_label': 'summary'},
            **{f'population_{number}': node.outputs.output_parameters
               for number, node in enumerate(self.ctx.results, start=1)},
        )  # fmt: skip
        self.out('output_parameters', results)
        self.out('structure', steps.structure_of(last.outputs.matrices, metadata={'call_link_label': 'structure'}))
        if not (self.ctx.converged or self.ctx.collapsed):
            return self.exit_codes.ERROR_NOT_CONVERGED.format(number=len(self.ctx.results))

    def should_run_hessian(self):
        """Whether the auxiliary matrices have a Hessian, and it was asked for."""
        return self.ctx.converged and 'hessian' in self.inputs

    def sample_hessian(self):
        """Draw a fresh and larger population of the final matrices."""
        size = self.inputs.hessian_configurations.value
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
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_HESSIAN.format(reason=node.exit_message)
        self.out('hessian_matrices', node.outputs.hessian)
        for name in ('third_order_hessian', 'frequency_errors'):
            if name in node.outputs:
                self.out(name, node.outputs[name])

    def judge(self):
        """Give the verdict."""
        nodes = {f'population_{n}': node.outputs.output_parameters for n, node in enumerate(self.ctx.results, start=1)}
        if 'hessian' in self.ctx:
            outputs = self.ctx.hessian.outputs
            nodes |= {'hessian': outputs.hessian, 'errors': outputs.frequency_errors}
        elif self.ctx.converged:
            return None  # no Hessian was asked for, and nothing else decides
        verdict, node = steps.judge.run_get_node(metadata={'call_link_label': 'verdict'}, **nodes)
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_HESSIAN.format(reason=node.exit_message)
        self.out('stability', verdict)
        self.report(schedule.describe_verdict(verdict.get_dict()))
        return self.exit_codes.ERROR_COLLAPSED if self.ctx.collapsed else None

    def should_interpolate(self):
        """Whether the harmonic matrices are on a finer mesh than the supercell, or a reference is to be taken off."""
        return self.inputs.dynamical_matrices.base.attributes.get('mesh') != self.inputs.supercell.get_list()

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
                return self.exit_codes.ERROR_SUB_PROCESS_FAILED_INTERPOLATION.format(reason=node.exit_message)
            self.out(f'interpolated_{name}', result)

    def results(self):
        """Say that it is done."""
        self.report(f'done after {len(self.ctx.results)} populations')
