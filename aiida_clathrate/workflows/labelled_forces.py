"""Forces by a potential that is trained again where it does not know enough."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ToContext, WorkChain, if_, while_
from aiida.plugins import WorkflowFactory

from aiida_clathrate.calculations.potential_report import join_reports
from aiida_clathrate.calculations.potentials import select_configurations
from aiida_clathrate.workflows import potential_schedule as schedule
from aiida_clathrate.workflows.earlier_calls import ending_of
from aiida_clathrate.workflows.finished_forces import taken_over
from aiida_clathrate.workflows.potential_ports import (
    EvaluatePotentialCalculation,
    ForcesWorkChain,
    define_labelling_inputs,
    define_labelling_outputs,
)
from aiida_clathrate.workflows.submit_once import SubmitOnce

PotentialWorkChain = WorkflowFactory('clathrate.potential')


class LabelledForcesWorkChain(SubmitOnce, WorkChain):
    """Evaluate a population by a potential, label what that is uncertain of, train it again and evaluate once more.

    A potential is always trained from the beginning on all labels: it then depends on what it was trained with alone,
    not on the way there, and no earlier minimum holds it back.
    """

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        define_labelling_inputs(spec, PotentialWorkChain)
        spec.outline(
            cls.setup,
            while_(cls.should_evaluate)(
                cls.run_evaluation,
                cls.inspect_evaluation,
                cls.select,
                if_(cls.should_label)(cls.run_labels, cls.inspect_labels, cls.run_training, cls.inspect_training),
            ),
            cls.results,
        )
        define_labelling_outputs(spec)

    def setup(self):
        """Start with the potential that was given."""
        self.ctx.potential, self.ctx.ensembles = self.inputs.potential, dict(self.inputs.get('ensembles', {}))
        self.ctx.rounds, self.ctx.action, self.ctx.reports, self.ctx.inaccurate = 0, 'label', {}, None

    def should_evaluate(self):
        """Whether there is a potential that the population was not evaluated with."""
        return self.ctx.action == 'label'

    def run_evaluation(self):
        """Compute the whole population with the potential."""
        inputs = AttributeDict({'population': self.inputs.population})
        inputs.potential = AttributeDict(self.exposed_inputs(EvaluatePotentialCalculation, 'evaluate'))
        inputs.potential.potential = self.ctx.potential
        inputs.stress, inputs.max_attempts = self.inputs.forces.stress, self.inputs.forces.max_attempts
        inputs.metadata = {'call_link_label': f'evaluation_{self.ctx.rounds + 1}'}
        return ToContext(evaluation=self.submit(ForcesWorkChain, **inputs))

    def inspect_evaluation(self):
        """Take the forces."""
        node = self.ctx.evaluation
        if not node.is_finished_ok:
            code = self.exit_codes.ERROR_SUB_PROCESS_FAILED_EVALUATION
            return self.stop(code.format(reason=ending_of(node)))

    def select(self):
        """Find the configurations that the potential is uncertain of."""
        outputs, name = self.ctx.evaluation.outputs, f'selection_{self.ctx.rounds + 1}'
        results, node = select_configurations.run_get_node(
            outputs.ensemble,
            orm.Float(self.inputs.largest_deviation.value / schedule.MILLI),
            self.inputs.max_labels,
            orm.Int(0),
            orm.Int(0),
            outputs.deviations,
            metadata={'call_link_label': name},
        )
        if not node.is_finished_ok:
            return self.stop(self.exit_codes.ERROR_SELECTION.format(reason=node.exit_message))
        self.ctx.reports[name] = results['selection']
        self.ctx.selected, found = results.get('population'), results['selection'].get_dict()
        beyond, number = found['beyond'], found['number']
        largest = self.inputs.max_rounds.value, self.inputs.largest_fraction_beyond.value
        self.ctx.action = schedule.next_action(beyond, number, self.ctx.rounds, *largest)
        self.report(schedule.describe_selection(found, self.ctx.action))
        if self.ctx.action == 'refuse':
            code = self.exit_codes.ERROR_POTENTIAL_OUTSIDE_RANGE
            return self.stop(code.format(beyond=beyond, number=number, rounds=self.ctx.rounds))

    def should_label(self):
        """Whether the potential is to be trained again."""
        return self.ctx.action == 'label'

    def run_labels(self):
        """Compute the configurations that were selected from first principles."""
        self.ctx.rounds += 1
        inputs = AttributeDict(self.exposed_inputs(ForcesWorkChain, 'forces'))
        inputs.population = self.ctx.selected
        taken_over(inputs)
        inputs.metadata.call_link_label = f'labels_{self.ctx.rounds}'
        return ToContext(labels=self.submit(ForcesWorkChain, **inputs))

    def inspect_labels(self):
        """Add what was labelled to the training set."""
        node = self.ctx.labels
        if not node.is_finished_ok:
            code = self.exit_codes.ERROR_SUB_PROCESS_FAILED_LABELS
            return self.stop(code.format(reason=ending_of(node), uuid=node.uuid))
        label = schedule.next_label('labels', self.ctx.ensembles)
        self.ctx.ensembles[label] = node.outputs.ensemble
        self.out(f'labels.{label}', node.outputs.ensemble)

    def run_training(self):
        """Train the potential on everything that is labelled."""
        inputs = AttributeDict(self.exposed_inputs(PotentialWorkChain))
        inputs.ensembles = self.ctx.ensembles
        inputs.metadata = {'call_link_label': f'training_{self.ctx.rounds}'}
        return ToContext(training=self.submit(PotentialWorkChain, **inputs))

    def inspect_training(self):
        """Take the potential; one that is not accurate may become so with the next labels."""
        node = self.ctx.training
        if 'potential' not in node.outputs:
            code = self.exit_codes.ERROR_SUB_PROCESS_FAILED_TRAINING
            return self.stop(code.format(reason=ending_of(node)))
        self.ctx.potential = node.outputs.potential
        self.ctx.validation = node.outputs.validation
        self.ctx.reports[f'training_{self.ctx.rounds}'] = node.outputs.report
        self.ctx.inaccurate = node.exit_message

    def results(self):
        """Return the forces."""
        self.out('ensemble', self.ctx.evaluation.outputs.ensemble)
        if self.ctx.inaccurate:
            return self.stop(self.exit_codes.ERROR_POTENTIAL_INACCURATE.format(reason=self.ctx.inaccurate))
        return self.stop()

    def stop(self, exit_code=None):
        """Return what there is of the potential, and the exit code."""
        self.out('potential', self.ctx.potential)
        if 'validation' in self.ctx:
            self.out('validation', self.ctx.validation)
        if self.ctx.reports:
            self.out('report', join_reports(**self.ctx.reports, metadata={'call_link_label': 'report'}))
        return exit_code
