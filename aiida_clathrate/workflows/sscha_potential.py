"""The steps of the ``SschaWorkChain`` that train a potential, draw on it and check it."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ToContext
from aiida.plugins import WorkflowFactory

from aiida_clathrate.calculations.potential_report import add_bias, join_reports
from aiida_clathrate.calculations.potentials import compare_with_labels, select_configurations
from aiida_clathrate.kernels.mlp.limits import Limits, without_offset
from aiida_clathrate.workflows import potential_schedule as schedule
from aiida_clathrate.workflows.earlier_calls import ending_of
from aiida_clathrate.workflows.finished_forces import taken_over
from aiida_clathrate.workflows.forces_ports import EvaluateCalculation

ForcesWorkChain = WorkflowFactory('clathrate.forces')
LabelledForcesWorkChain = WorkflowFactory('clathrate.labelled_forces')
PotentialWorkChain = WorkflowFactory('clathrate.potential')

#: What the report of the forces on a population may end with, by the label of its exit code.
VERDICTS = ('ERROR_POTENTIAL_INACCURATE', 'ERROR_POTENTIAL_OUTSIDE_RANGE')


class PotentialStage:
    """Steps after the populations from first principles.

    ``ctx.before`` is the number of those populations once forces come from the potential, ``None`` until then.
    """

    def setup_potential(self):
        """Start from first principles, unless there is something to draw on already."""
        given = self.inputs.get('potential', {})
        self.ctx.potential, self.ctx.ensembles = given.get('start'), dict(given.get('ensembles', {}))
        self.ctx.before = 0 if {'start', 'calculator'} & set(given) else None
        self.ctx.baseline = given['baseline'].value if 'baseline' in given else schedule.baseline_of(self.ctx.ensembles)
        self.ctx.taken, self.ctx.checks, self.ctx.retrain = 0, 0, False
        self.ctx.excess, self.ctx.reports = None, {}

    def has_cheap_forces(self):
        """Whether forces come from a potential, or what takes its place."""
        return self.ctx.before is not None

    def is_last_stage(self):
        """Whether the populations of this stage decide."""
        return self.has_cheap_forces() or 'potential' not in self.inputs

    def limits(self):
        """Return how accurate a potential must be."""
        given = self.inputs.potential
        return Limits(given.largest_energy_error.value, given.largest_force_error.value)

    def should_train(self):
        """Whether there are labels that a potential is to be trained with."""
        if self.has_cheap_forces():
            return self.ctx.retrain
        return not self.is_last_stage() and self.ctx.is_first_stage_done

    def run_training(self):
        """Train a potential on the last two populations from first principles and on what was labelled since."""
        if not self.has_cheap_forces():
            self.add_populations()
        self.ctx.taken = len(self.ctx.results)
        ports = set(PotentialWorkChain.spec().inputs)
        inputs = AttributeDict({name: port for name, port in self.potential_inputs().items() if name in ports})
        inputs.metadata = {'call_link_label': f'training_{self.ctx.taken}'}
        return ToContext(training=self.submit(PotentialWorkChain, **inputs))

    def add_populations(self):
        """Add the populations since the last training to the training set; at first, the last two."""
        for number in range(max(self.ctx.taken, len(self.ctx.results) - 2), len(self.ctx.results)):
            label = schedule.next_label('population', self.ctx.ensembles, number + 1)
            self.ctx.ensembles[label], self.ctx.baseline = self.ctx.results[number].inputs.ensemble, label

    def potential_inputs(self):
        """Return what every process that may train gets."""
        inputs = AttributeDict(self.exposed_inputs(LabelledForcesWorkChain, 'potential'))
        inputs.pop('baseline', None)
        inputs.ensembles = dict(self.ctx.ensembles)
        if self.ctx.baseline is not None and self.inputs.potential.harmonic_baseline.value:
            inputs.baseline = orm.Str(self.ctx.baseline)
        return inputs

    def inspect_training(self):
        """Take the potential where it is accurate; else another population from first principles is to come."""
        node = self.ctx.training
        if 'potential' not in node.outputs:
            code = self.exit_codes.ERROR_SUB_PROCESS_FAILED_TRAINING
            return self.stop_here(code.format(reason=ending_of(node)))
        self.ctx.reports[f'training_{self.ctx.taken}'] = node.outputs.report
        excess = self.limits().excess(node.outputs.report.get_dict())
        if node.is_finished_ok or self.ctx.excess is None or excess < self.ctx.excess:
            self.ctx.potential, self.ctx.validation, self.ctx.excess = (
                node.outputs.potential, node.outputs.validation, excess,
            )  # fmt: skip
        if node.is_finished_ok:
            self.ctx.before = self.ctx.taken if self.ctx.before is None else self.ctx.before
            self.ctx.retrain = False
        elif self.has_cheap_forces():
            return self.stop_here(self.exit_codes.ERROR_POTENTIAL_INACCURATE.format(reason=node.exit_message))
        return None

    def submit_cheap_forces(self, population, label):
        """Submit the forces on a population by the potential, or by what takes its place."""
        given, forces = self.inputs.potential, self.inputs.forces
        if 'calculator' in given:
            inputs = AttributeDict({'population': population, 'stress': forces.stress})
            inputs.max_attempts = forces.max_attempts
            inputs.calculator = AttributeDict(self.exposed_inputs(EvaluateCalculation, 'potential.calculator'))
            if 'restart_from' in forces:
                inputs.restart_from = forces.restart_from
                taken_over(inputs)
            inputs.metadata = {'call_link_label': f'{label}_forces'}
            return self.submit(ForcesWorkChain, **inputs)
        inputs = self.potential_inputs()
        inputs.population, inputs.potential = population, self.ctx.potential
        inputs.forces = AttributeDict(self.exposed_inputs(ForcesWorkChain, 'forces'))
        if label == 'hessian':  # the matrices are final, and so is the potential: what it does not know is reported
            inputs.max_rounds, inputs.largest_fraction_beyond = orm.Int(0), orm.Float(1.0)
        inputs.metadata = {'call_link_label': f'{label}_forces'}
        return self.submit(LabelledForcesWorkChain, **inputs)

    def take_potential(self, node, label):
        """Take what the forces on a population say about the potential, and what was labelled for it."""
        if 'potential' in node.outputs:
            self.ctx.potential = node.outputs.potential
        if 'validation' in node.outputs:
            self.ctx.validation = node.outputs.validation
        if 'report' in node.outputs:
            self.ctx.reports[label] = node.outputs.report
        self.ctx.ensembles.update(node.outputs.labels if 'labels' in node.outputs else {})

    def cheap_forces_failed(self, node, label):
        """Return the exit code where the potential gives no forces."""
        reason = ending_of(node)
        self.report(f'{label}: {node.process_label} {node.pk} failed: {reason}')
        for verdict in VERDICTS:
            if node.exit_status == self.exit_codes[verdict].status:
                return self.stop(self.exit_codes[verdict].format(reason=reason))
        code = self.exit_codes.ERROR_SUB_PROCESS_FAILED_POTENTIAL
        return self.stop(code.format(step=label.replace('_', ' '), reason=reason))

    def should_check(self):
        """Whether the last population is to be compared with labels."""
        wanted = self.has_cheap_forces() and self.inputs.potential.check_configurations.value
        return bool(wanted and self.ctx.converged)

    def select_check(self):
        """Draw configurations of the last population."""
        population = self.ctx.population
        results, node = select_configurations.run_get_node(
            population,
            orm.Float(self.inputs.potential.largest_deviation.value / schedule.MILLI),
            orm.Int(0),
            self.inputs.potential.check_configurations,
            orm.Int(population.base.attributes.get('seed') or 0),
            metadata={'call_link_label': f'check_{len(self.ctx.results)}_selection'},
        )
        if not node.is_finished_ok:
            return self.stop_here(self.exit_codes.ERROR_CHECK.format(reason=node.exit_message))
        self.ctx.check, self.ctx.selection = results['population'], results['selection']

    def run_check(self):
        """Compute them from first principles."""
        inputs = self.forces_inputs(self.ctx.check, f'check_{len(self.ctx.results)}')
        return ToContext(labels=self.submit(ForcesWorkChain, **inputs))

    def inspect_check(self):
        """Find what the potential's errors do to the free energy; train it again if they are too large."""
        number = len(self.ctx.results)
        if not self.ctx.labels.is_finished_ok:
            return self.stop_here(self.forces_failed(self.ctx.labels, f'check_{number}'))
        labelled = self.ctx.labels.outputs.ensemble
        result, node = compare_with_labels.run_get_node(
            labelled, self.ctx.population, self.ctx.selection, metadata={'call_link_label': f'check_{number}'}
        )
        if not node.is_finished_ok:
            return self.stop_here(self.exit_codes.ERROR_CHECK.format(reason=node.exit_message))
        self.ctx.bias = self.ctx.reports[f'check_{number}'] = result
        comparison, limits = result.get_dict(), self.limits()
        if 'calculator' in self.inputs.potential:
            comparison = without_offset(comparison)
        accurate = limits.met_by_sample(comparison, comparison['configurations'])
        line = schedule.describe_check(comparison, limits, accurate)
        self.report(line)
        if accurate:
            return None
        self.ctx.checks += 1
        if 'train' not in self.inputs.potential or self.ctx.checks > self.inputs.potential.max_rounds.value:
            return self.stop_here(self.exit_codes.ERROR_POTENTIAL_INACCURATE.format(reason=line))
        self.ctx.ensembles[schedule.next_label('labels', self.ctx.ensembles)] = labelled
        self.ctx.retrain, self.ctx.converged, self.ctx.population = True, False, None
        return None

    def with_bias(self, parameters):
        """Return the results with the bias of the free energy, where it is known."""
        if 'bias' not in self.ctx:
            return parameters
        return add_bias(parameters, self.ctx.bias, metadata={'call_link_label': 'bias'})

    def stop_here(self, exit_code):
        """Return what the populations gave so far, what there is of the potential, and the exit code."""
        self.out('ensemble', self.ctx.results[-1].inputs.ensemble)
        self.out_populations()
        return self.stop(exit_code)

    def stop(self, exit_code=None):
        """Return what there is of the potential, and the exit code."""
        for name, node in (
            ('potential', self.ctx.potential),
            ('potential_validation', self.ctx.get('validation')),
            ('potential_bias', self.ctx.get('bias')),
        ):
            if node is not None:
                self.out(name, node)
        if self.ctx.reports:
            report = join_reports(**self.ctx.reports, metadata={'call_link_label': 'potential_report'})
            self.out('potential_report', report)
        return exit_code
