"""Where a new SSCHA goes on when an earlier one has ended, whichever way."""

from __future__ import annotations

from dataclasses import dataclass

from aiida import orm

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.workflows import finished_forces
from aiida_clathrate.workflows.earlier_calls import calls_of, outputs_of, refuse_running
from aiida_clathrate.workflows.sscha_potential_restart import Trained, trained, untrained

PROCESS_TYPE = 'aiida.workflows:clathrate.sscha'


@dataclass(frozen=True)
class Continuation:
    """The first population of the new run.

    :param number: of this population in the earlier run, from 1.
    :param ensemble: the population itself, with or without forces; ``None`` if it is still to be drawn.
    :param matrices: auxiliary matrices to draw it from; ``None`` if there are only those of the very start.
    :param forces: the ``ForcesWorkChain`` whose finished configurations are taken over.
    :param converged: whether only the Hessian is to be done, or a check of the potential.
    :param potential: what is known of the potential; ``None`` if there is to be none.
    """

    number: int
    ensemble: ForceEnsembleData | None = None
    matrices: DynamicalMatrixData | None = None
    forces: orm.WorkChainNode | None = None
    converged: bool = False
    potential: Trained | None = None


def restart_builder(earlier):
    """Return a builder with the inputs of an earlier work chain that goes on from its last population.

    Populations keep their sizes and random numbers: where a run was interrupted, the new one ends as the earlier one
    would have, but for the random numbers of the Hessian after the first population. A potential, and what it was
    trained on, are taken along.

    :param earlier: ``WorkChainNode`` of an ``SschaWorkChain`` that has ended.
    :raises ValueError: if it is another process or still runs.
    """
    found = continuation(earlier)
    builder = earlier.get_builder_restart()
    set_populations(builder, earlier, found)
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


def set_populations(builder, earlier, found):
    """Set how large the populations still to come are, and what the potential is that they have."""
    known, sizes = found.potential, earlier.inputs.populations.get_list()
    if known is not None and known.before is not None:
        sizes = earlier.inputs.potential.populations.get_list()
        builder.potential.populations = orm.List(sizes[found.number - known.before - 1 :] or sizes[-1:])
        ensembles = known.ensembles
    else:
        remaining = sizes[found.number - 1 :] or sizes[-1:]
        builder.populations = orm.List(remaining)
        if known is None:
            return
        ensembles = untrained(earlier, known, found.number - 1, len(remaining))
    if known.start is not None:
        builder.potential.start = known.start
    if ensembles:
        builder.potential.ensembles = ensembles
    if known.baseline is not None:
        builder.potential.baseline = orm.Str(known.baseline)


def continuation(earlier):
    """Return where an earlier work chain came to.

    :raises ValueError: if it is no ``SschaWorkChain``, or something of it still runs.
    """
    if earlier.process_type != PROCESS_TYPE:
        raise ValueError(f'{earlier.process_label} {earlier.pk} is no SschaWorkChain; give one to go on from')
    refuse_running(earlier)
    calls, known = calls_of(earlier), trained(earlier)
    last = 0
    while 'matrices' in outputs_of(calls.get(f'population_{last + 1}_minimisation')):
        last += 1
    minimisation = calls.get(f'population_{last}_minimisation')
    # After a check that failed the potential is trained again, and another population is drawn.
    checked = f'check_{last}_selection' in calls and known.taken < last
    if minimisation is not None and (checked or 'hessian_sampling' in calls or earlier.is_finished_ok):
        forces = calls.get('hessian_forces') if known is None else known.labels
        refuse_running(forces)
        return Continuation(last, minimisation.inputs.ensemble, forces=forces, converged=True, potential=known)
    if is_training_due(earlier, known, last):
        return Continuation(last, minimisation.inputs.ensemble, potential=known)
    number = last + 1
    forces = calls.get(f'population_{number}_forces')
    refuse_running(forces)
    if 'ensemble' in outputs_of(forces):
        return Continuation(number, forces.outputs.ensemble, potential=known)
    population = drawn(earlier, calls, number)
    if population is not None:
        return Continuation(number, population, forces=resumable(forces, known), potential=known)
    matrices = None if minimisation is None else next_matrices(calls, minimisation)
    return Continuation(number, matrices=matrices, potential=known)


def is_training_due(earlier, known, last):
    """Whether a potential was to be trained after the last population from first principles, and was not."""
    if known is None or known.before is not None or not last:
        return False
    return last >= len(earlier.inputs.populations.get_list()) and known.taken < last


def resumable(forces, known):
    """Return the ``ForcesWorkChain`` whose configurations are taken over.

    :param forces: process that computed the population.
    :param known: what is known of the potential, whose labels are worth more than what itself has computed.
    """
    if known is None or (forces is not None and forces.process_type == finished_forces.PROCESS_TYPE):
        return forces
    return known.labels


def drawn(earlier, calls, number):
    """Return a population that was drawn, or given, and not minimised; ``None`` if there is none."""
    forces, sampling = (calls.get(f'population_{number}_{step}') for step in ('forces', 'sampling'))
    if forces is not None:
        return forces.inputs.population
    if 'result' in outputs_of(sampling):
        return sampling.outputs.result
    return earlier.inputs.ensemble if number == 1 and 'ensemble' in earlier.inputs else None


def next_matrices(calls, minimisation):
    """Return the matrices that the next population would have been drawn from: in the next cell, if it was made."""
    cells = [node for label, node in calls.items() if label.startswith('strain_') and node.pk > minimisation.pk]
    made = [node.outputs.result for node in cells if 'result' in node.outputs]
    return made[-1] if made else minimisation.outputs.matrices
