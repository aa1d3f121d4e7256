"""What a work chain called, and how that ended."""

from __future__ import annotations

from aiida.common.links import LinkType


def calls_of(process):
    """Return the processes that a work chain called, by label; the newest where a step was run twice."""
    links = process.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all()
    return {link.link_label: link.node for link in sorted(links, key=lambda link: link.node.pk)}


def outputs_of(process):
    """Return the labels of the outputs of a process, none of ``None``."""
    return [] if process is None else list(process.outputs)


def refuse_running(process):
    """Refuse a process that may still do something.

    :raises ValueError: if it may.
    """
    if process is not None and not process.is_terminated:
        raise ValueError(f'{process.process_label} {process.pk} is still running; wait for it or kill it')


def ending_of(process):
    """Return how a process that did not succeed has ended, in words."""
    ended = f'{process.process_label} {process.pk} ended as {process.process_state.value}'
    return process.exit_message or process.exception or ended
