"""Where a new SSCHA goes on when an earlier one has ended, whichever way."""

from __future__ import annotations

from dataclasses import dataclass

from aiida import orm
from aiida.common.links import LinkType

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData

PROCESS_TYPE = 'aiida.workflows:clathrate.sscha'


@dataclass(frozen=True)
class Continuation:
    """The first population of the new run.

    :param number: of this population in the earlier run, from 1.
    :param ensemble: the population itself, with or without forces; ``None`` if it is still to be drawn.
    :param matrices: auxiliary matrices to draw it from; ``None`` if there are only those of the very start.
    :param forces: the ``ForcesWorkChain`` whose finished configurations are taken over.
    :param converged: whether only the Hessian is to be done.
    """

    number: int
    ensemble: ForceEnsembleData | None = None
    matrices: DynamicalMatrixData | None = None
    forces: orm.WorkChainNode | None = None
    converged: bool = False


def restart_builder(earlier):
    """Return a builder with the inputs of an earlier work chain that goes on from its last population.

    Populations keep their sizes and random numbers: where a run was interrupted, the new one ends as the earlier one
    would have, but for the random numbers of the Hessian after the first population.

    :param earlier: ``WorkChainNode`` of an ``SschaWorkChain`` that has ended.
    :raises ValueError: if it is another process or still runs.
    """
    found = continuation(earlier)
    builder = earlier.get_builder_restart()
    sizes = earlier.inputs.populations.get_list()
    builder.populations = orm.List(sizes[found.number - 1 :] or sizes[-1:])
    if not found.converged:
        # Population N is drawn with seed + N, and a seed twice would be the same noise twice.
        builder.seed = orm.Int(earlier.inputs.seed.value + found.number - 1)
    for name, node in (('ensemble', found.ensemble), ('auxiliary_matrices', found.matrices)):
        if node is not None:
            builder.pop('ensemble', None)
            builder[name] = node
    if found.forces is not None:
        builder.forces.restart_from = orm.Str(found.forces.uuid)
    elif found.number > 1:
        builder.forces.pop('restart_from', None)
    return builder


def continuation(earlier):
    """Return where an earlier work chain came to.

    :raises ValueError: if it is no ``SschaWorkChain``, or something of it still runs.
    """
    if earlier.process_type != PROCESS_TYPE:
        raise ValueError(f'{earlier.process_label} {earlier.pk} is no SschaWorkChain; give one to go on from')
    refuse_running(earlier)
    calls = calls_of(earlier)
    last = 0
    while 'matrices' in outputs(calls.get(f'population_{last + 1}_minimisation')):
        last += 1
    minimisation = calls.get(f'population_{last}_minimisation')
    if minimisation is not None and ('hessian_sampling' in calls or earlier.is_finished_ok):
        forces = calls.get('hessian_forces')
        refuse_running(forces)
        return Continuation(last, minimisation.inputs.ensemble, forces=forces, converged=True)
    number = last + 1
    forces = calls.get(f'population_{number}_forces')
    refuse_running(forces)
    if 'ensemble' in outputs(forces):
        return Continuation(number, forces.outputs.ensemble)
    population = drawn(earlier, calls, number)
    if population is not None:
        return Continuation(number, population, forces=forces)
    return Continuation(number, matrices=None if minimisation is None else next_matrices(calls, minimisation))


def refuse_running(process):
    """Refuse a process that may still do something.

    :raises ValueError: if it may.
    """
    if process is not None and not process.is_terminated:
        raise ValueError(f'{process.process_label} {process.pk} is still running; wait for it or kill it')


def calls_of(process):
    """Return the processes that a work chain called, by label; the newest where a step was run twice."""
    links = process.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all()
    return {link.link_label: link.node for link in sorted(links, key=lambda link: link.node.pk)}


def outputs(process):
    """Return the labels of the outputs of a process, none of ``None``."""
    return [] if process is None else list(process.outputs)


def drawn(earlier, calls, number):
    """Return a population that was drawn, or given, and not minimised; ``None`` if there is none."""
    forces, sampling = (calls.get(f'population_{number}_{step}') for step in ('forces', 'sampling'))
    if forces is not None:
        return forces.inputs.population
    if 'result' in outputs(sampling):
        return sampling.outputs.result
    return earlier.inputs.ensemble if number == 1 and 'ensemble' in earlier.inputs else None


def next_matrices(calls, minimisation):
    """Return the matrices that the next population would have been drawn from: in the next cell, if it was made."""
    cells = [node for label, node in calls.items() if label.startswith('strain_') and node.pk > minimisation.pk]
    made = [node.outputs.result for node in cells if 'result' in node.outputs]
    return made[-1] if made else minimisation.outputs.matrices
