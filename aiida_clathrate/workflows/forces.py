"""Forces on a population of configurations, by pw.x, by a calculator or by a trained potential."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import WorkChain, if_, while_

from aiida_clathrate.calculations.configurations import (
    collect_forces,
    displaced_structures,
    label_of,
    record_failures,
)
from aiida_clathrate.workflows.finished_forces import finished_configurations, last_evaluation_folder, reason_of
from aiida_clathrate.workflows.forces_ports import (
    JOBS,
    PwBaseWorkChain,
    define_exit_codes,
    define_inputs,
    define_outputs,
)
from aiida_clathrate.workflows.submit_once import ConfigurationWorkChain, SubmitOnce

#: How often progress is reported, at most.
REPORTS = 20
#: Another attempt at these would end in the same way.
HOPELESS = {
    'ERROR_INPUT_INVALID',
    'ERROR_PARTS_REFUSED',
    'ERROR_CALCULATOR_MISSING',
    'ERROR_FORCES_MISSING',
    'ERROR_STRESSES_MISSING',
    'ERROR_RESULTS_UNUSABLE',
    'ERROR_WALLTIME_TOO_SHORT',
}


class ForcesWorkChain(SubmitOnce, WorkChain):
    """Compute energies, forces and stresses of the configurations of a population.

    No configuration that is finished is computed again: not after the death of the daemon, nor by a work chain that is
    given this one as ``restart_from``.
    """

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        define_inputs(spec)
        spec.outline(
            cls.setup,
            if_(cls.is_one_job)(
                while_(cls.should_evaluate)(cls.run_evaluation, cls.inspect_evaluation),
            ).else_(
                cls.make_configurations,
                cls.take_over,
                while_(cls.should_run_configurations)(cls.run_configurations, cls.inspect_configurations),
                cls.record_failures,
                cls.collect,
            ),
        )
        define_outputs(spec)
        define_exit_codes(spec)

    def setup(self):
        """Start with nothing computed."""
        self.ctx.number = self.inputs.population.base.attributes.get('number')
        self.ctx.evaluated, self.ctx.jobs, self.ctx.failed_jobs, self.ctx.folder = False, 0, 0, None
        self.ctx.nodes, self.ctx.running, self.ctx.attempts = {}, [], {}
        self.ctx.finished, self.ctx.failures, self.ctx.reported = {}, {}, 0

    def source(self):
        """Return the namespace of the job that computes the whole population, ``None`` for pw.x."""
        return next((name for name in JOBS if name in self.inputs), None)

    def is_one_job(self):
        """Whether one job computes the whole population."""
        return self.source() is not None

    def earlier(self):
        """Return the work chain to restart from, ``None`` without one."""
        return orm.load_node(self.inputs.restart_from.value) if 'restart_from' in self.inputs else None

    def should_evaluate(self):
        """Whether there are no forces yet."""
        return not self.ctx.evaluated

    def run_evaluation(self):
        """Submit the job, in a copy of the folder of the last one."""
        process = JOBS[self.source()]
        inputs = AttributeDict(self.exposed_inputs(process, self.source()))
        inputs.population = self.inputs.population
        inputs.parameters = orm.Dict(inputs.parameters.get_dict() | {'stress': self.inputs.stress.value})
        folder = self.ctx.folder or last_evaluation_folder(self.earlier())
        if folder is not None:
            inputs.parent_folder = folder
        inputs.metadata.call_link_label = f'evaluation_{self.ctx.jobs + 1}'
        self.to_context(evaluation=self.submit(process, **inputs))

    def inspect_evaluation(self):
        """Take the forces, or go on where the job has stopped."""
        node = self.ctx.evaluation
        self.ctx.jobs += 1
        if node.is_finished_ok:
            self.ctx.evaluated = True
            for name in ('ensemble', 'deviations'):
                if name in node.outputs:
                    self.out(name, node.outputs[name])
            self.report(f'{self.ctx.number} configurations computed by {node.outputs.output_parameters["source"]}')
            return None
        self.report(f'evaluation {node.pk} ended: {node.exit_message}')
        if 'remote_folder' in node.outputs:
            self.ctx.folder = node.outputs.remote_folder
        codes = JOBS[self.source()].exit_codes
        if node.exit_status == codes.ERROR_OUT_OF_WALLTIME.status:
            self.ctx.failed_jobs = 0  # it has computed something, or its exit code would be another
            return None
        self.ctx.failed_jobs += 1
        hopeless = {codes[label].status for label in HOPELESS & set(codes)}
        if node.exit_status in hopeless or self.ctx.failed_jobs >= self.inputs.max_attempts.value:
            reason = node.exit_message or f'the job ended as {node.process_state.value}'
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_EVALUATION.format(reason=reason)

    def make_configurations(self):
        """Make the structures, and the parameters that all of them share."""
        given = {'structure': self.inputs.structure} if 'structure' in self.inputs else {}
        _, node = displaced_structures.run_get_node(
            self.inputs.population, **given, metadata={'call_link_label': 'displaced_structures'}
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_CONFIGURATIONS.format(reason=node.exit_message)
        self.ctx.configurations = node
        parameters = self.inputs.pw.pw.parameters.get_dict()
        parameters.setdefault('CONTROL', {})
        parameters['CONTROL'] |= {'calculation': 'scf', 'tprnfor': True, 'tstress': self.inputs.stress.value}
        self.ctx.parameters = orm.Dict(parameters).store()

    def take_over(self):
        """Take what the earlier work chain has finished."""
        found = finished_configurations(self.earlier(), self.inputs.stress.value)
        if found:
            self.ctx.finished = {index: node.pk for index, node in found.items()}
            self.report(f'{len(found)} of {self.ctx.number} configurations taken over')

    def too_many_failed(self):
        """Whether more configurations have failed than may."""
        return len(self.ctx.failures) > self.inputs.largest_failed_fraction.value * self.ctx.number

    def pending(self):
        """Return the configurations that neither run nor have ended."""
        if self.too_many_failed():
            return []
        ended = {*self.ctx.finished, *self.ctx.failures, *self.ctx.running}
        return [index for index in range(self.ctx.number) if index not in ended]

    def should_run_configurations(self):
        """Whether some configuration has not ended."""
        return bool(self.ctx.running or self.pending())

    def run_configurations(self):
        """Fill the places that are free, and wait for the configuration that runs longest."""
        free = self.inputs.max_concurrent.value - len(self.ctx.running)
        started = self.pending()[:free]
        for index in started:
            self.ctx.nodes[index] = self.submit(ConfigurationWorkChain, **self.configuration_inputs(index)).pk
        self.ctx.running += started
        self.to_context(oldest=orm.load_node(self.ctx.nodes[self.ctx.running[0]]))

    def configuration_inputs(self, index):
        """Return the inputs of pw.x for one configuration."""
        attempt = self.ctx.attempts.get(index, 0) + 1
        inputs = AttributeDict(self.exposed_inputs(PwBaseWorkChain, 'pw'))
        inputs.pw.structure = self.ctx.configurations.outputs[label_of(index)]
        inputs.pw.parameters = self.ctx.parameters
        # A failure in the cache is no other attempt.
        inputs.pw.metadata.disable_cache = attempt > 1 or inputs.pw.metadata.get('disable_cache', False)
        inputs.metadata.call_link_label = f'{label_of(index)}_attempt{attempt}'
        return inputs

    def inspect_configurations(self):
        """Note which of the running configurations have ended, and how."""
        for index in list(self.ctx.running):
            node = orm.load_node(self.ctx.nodes[index])
            if not node.is_terminated:
                continue
            self.ctx.running.remove(index)
            reason = reason_of(node, self.inputs.stress.value)
            if reason is None:
                self.ctx.finished[index] = node.pk
                continue
            self.ctx.attempts[index] = self.ctx.attempts.get(index, 0) + 1
            self.report(f'configuration {index}, attempt {self.ctx.attempts[index]}, {node.pk}: {reason}')
            if self.ctx.attempts[index] >= self.inputs.max_attempts.value:
                self.ctx.failures[index] = reason
        self.report_progress()

    def report_progress(self):
        """Say how many configurations are finished, not too often."""
        done, step = len(self.ctx.finished), max(1, self.ctx.number // REPORTS)
        if done // step > self.ctx.reported // step:
            self.ctx.reported = done
            self.report(f'{done} of {self.ctx.number} configurations')

    def record_failures(self):
        """Record the configurations that failed, and stop if they are too many."""
        if not self.ctx.failures:
            return None
        reasons = orm.Dict({str(index): reason for index, reason in self.ctx.failures.items()})
        failures = record_failures(self.inputs.population, reasons, metadata={'call_link_label': 'record_failures'})
        self.out('failures', failures)
        self.report(f'failed: {failures["failed"]}; left out as their partners: {failures["dropped_partners"]}')
        if self.too_many_failed():
            first = min(self.ctx.failures)
            return self.exit_codes.ERROR_TOO_MANY_FAILED.format(
                failed=len(self.ctx.failures),
                number=self.ctx.number,
                allowed=int(self.inputs.largest_failed_fraction.value * self.ctx.number),
                reason=f'configuration {first}: {self.ctx.failures[first]}',
            )

    def collect(self):
        """Join the outputs of all runs of pw.x in one ensemble."""
        outputs = {}
        for index, pk in sorted(self.ctx.finished.items()):
            node = orm.load_node(pk)
            outputs[f'parameters_{index:05d}'] = node.outputs.output_parameters
            outputs[f'trajectory_{index:05d}'] = node.outputs.output_trajectory
        ensemble, node = collect_forces.run_get_node(
            self.inputs.population, self.inputs.stress, **outputs, metadata={'call_link_label': 'collect_forces'}
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_RESULTS.format(reason=node.exit_message)
        self.out('ensemble', ensemble)
