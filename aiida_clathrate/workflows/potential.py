"""A potential from labelled ensembles, and whether it is accurate."""

from __future__ import annotations

from aiida.common import AttributeDict
from aiida.engine import WorkChain, while_

from aiida_clathrate.calculations.potential_report import judge_training
from aiida_clathrate.calculations.potentials import split_ensembles
from aiida_clathrate.workflows.earlier_calls import ending_of
from aiida_clathrate.workflows.potential_ports import (
    TrainPotentialCalculation,
    define_training_inputs,
    define_training_outputs,
)
from aiida_clathrate.workflows.potential_schedule import describe_training
from aiida_clathrate.workflows.submit_once import SubmitOnce

#: Another attempt at these would end in the same way.
HOPELESS = {
    'ERROR_INPUT_INVALID',
    'ERROR_LABELS_INVALID',
    'ERROR_TOO_FEW_CONFIGURATIONS',
    'ERROR_CHECKPOINT_REFUSED',
    'ERROR_NOT_FINITE',
    'ERROR_WALLTIME_TOO_SHORT',
}


class PotentialWorkChain(SubmitOnce, WorkChain):
    """Train a potential on a part of labelled configurations and judge it by the others."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        define_training_inputs(spec)
        spec.outline(cls.split, while_(cls.should_train)(cls.run_training, cls.inspect_training), cls.judge)
        define_training_outputs(spec)

    def split(self):
        """Draw the configurations to train with."""
        self.ctx.jobs, self.ctx.failed_jobs, self.ctx.folder, self.ctx.trained = 0, 0, None, False
        result, node = split_ensembles.run_get_node(
            self.inputs.training_configurations,
            self.inputs.split_seed,
            self.inputs.validation_fraction,
            self.inputs.min_validation,
            metadata={'call_link_label': 'split'},
            **self.inputs.ensembles,
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SPLIT.format(reason=node.exit_message)
        self.ctx.split = result

    def should_train(self):
        """Whether there is no potential yet."""
        return not self.ctx.trained

    def run_training(self):
        """Submit the training, in a copy of the folder of the last one."""
        inputs = AttributeDict(self.exposed_inputs(TrainPotentialCalculation, 'train'))
        inputs.ensembles, inputs.split = dict(self.inputs.ensembles), self.ctx.split
        if 'baseline' in self.inputs:
            inputs.baseline = self.inputs.baseline
        if self.ctx.folder is not None:
            inputs.parent_folder = self.ctx.folder
        inputs.metadata.call_link_label = f'training_{self.ctx.jobs + 1}'
        self.to_context(training=self.submit(TrainPotentialCalculation, **inputs))

    def inspect_training(self):
        """Take the potential, or go on where the training has stopped."""
        node = self.ctx.training
        self.ctx.jobs += 1
        if node.is_finished_ok:
            self.ctx.trained = True
            return None
        self.report(f'training {node.pk} ended: {node.exit_message}')
        codes = TrainPotentialCalculation.exit_codes
        if node.exit_status == codes.ERROR_OUT_OF_WALLTIME.status:
            self.ctx.folder, self.ctx.failed_jobs = node.outputs.remote_folder, 0
            return None
        self.ctx.failed_jobs += 1
        hopeless = {codes[label].status for label in HOPELESS}
        if node.exit_status in hopeless or self.ctx.failed_jobs >= self.inputs.max_attempts.value:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_TRAINING.format(reason=ending_of(node))

    def judge(self):
        """Return the potential, and whether it meets the limits."""
        outputs = self.ctx.training.outputs
        report = judge_training(
            outputs.output_parameters,
            outputs.validation,
            self.ctx.split,
            self.inputs.largest_energy_error,
            self.inputs.largest_force_error,
            metadata={'call_link_label': 'report'},
        )
        for name in ('potential', 'validation', 'history'):
            self.out(name, outputs[name])
        self.out('report', report)
        line = describe_training(report.get_dict())
        self.report(line)
        return None if report['accurate'] else self.exit_codes.ERROR_POTENTIAL_INACCURATE.format(errors=line)
