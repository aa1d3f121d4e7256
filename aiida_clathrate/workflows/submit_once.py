"""Work chains that submit each of their steps once, however often the daemon dies."""

from __future__ import annotations

from aiida.common.links import LinkType
from aiida.engine import ProcessState
from aiida.plugins import WorkflowFactory

PwBaseWorkChain = WorkflowFactory('quantumespresso.pw.base')


#: How long a step that was submitted may take to start after the daemon is back [s].
GRACE = 20.0


class SubmitOnce:
    """Give ``submit`` of a work chain a memory.

    A daemon that dies in the middle of a step runs the step again when it comes back. What the step had submitted is
    still there, linked by its label: it is taken instead of a second one. So labels must tell all calls apart. The
    broker may have died before it noted the message that starts a step; then the message is sent again.
    """

    def submit(self, process, inputs=None, **kwargs):
        """Return the process that was submitted under this label before, or submit it."""
        label = (inputs or kwargs)['metadata']['call_link_label']
        return called(self.node, label) or super().submit(process, inputs, **kwargs)

    def load_instance_state(self, saved_state, load_context):
        """Look after the steps that had not started when the daemon went away."""
        super().load_instance_state(saved_state, load_context)
        waiting = [child for child in self.node.called if has_not_started(child)]
        if waiting and self.runner.is_daemon_runner:
            self.runner.loop.call_later(GRACE, self._start_again, waiting)

    def _start_again(self, waiting):
        for child in filter(has_not_started, waiting):
            self.report(f'{child.process_label} {child.pk} had been submitted and lost; it is started now')
            self.runner.controller.continue_process(child.pk, nowait=False, no_reply=True)


def has_not_started(process):
    """Whether a process could run and no worker has begun to."""
    return process.process_state is ProcessState.CREATED and bool(process.checkpoint)


def called(node, label):
    """Return the process that a work chain has called under a label, ``None`` if there is none that can still end."""
    links = node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK), link_label_filter=label)
    found = [link.node for link in links.all() if link.link_label == label]  # the filter has wildcards
    # The daemon may have died after the node was stored and before anything that could run it.
    return next((child for child in found if child.is_terminated or child.checkpoint), None)


class ConfigurationWorkChain(SubmitOnce, PwBaseWorkChain):
    """``quantumespresso.pw.base`` for one configuration of a population, which never starts the same run twice."""
