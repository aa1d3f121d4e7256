"""What an SSCHA that has ended knows about its potential, for the one that goes on."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiida import orm

from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.workflows.earlier_calls import calls_of, outputs_of, refuse_running
from aiida_clathrate.workflows.finished_forces import input_nodes
from aiida_clathrate.workflows.potential_schedule import next_label, number_of

LABELLED_FORCES = 'aiida.workflows:clathrate.labelled_forces'
#: So many populations from first principles train the first potential.
TOGETHER = 2
POTENTIAL = 'aiida.workflows:clathrate.potential'


@dataclass(frozen=True)
class Trained:
    """A potential and all that was labelled for it.

    :param before: populations from first principles before the potential took over; ``None`` if it has not.
    :param start: the last potential that was accurate.
    :param ensembles: the training set, by label.
    :param baseline: label of the ensemble whose matrices are the baseline.
    :param taken: number of the population after which a potential was trained last, 0 if there was none.
    :param labels: the last ``ForcesWorkChain`` of labels, whose configurations are taken over.
    """

    before: int | None = None
    start: PotentialData | None = None
    ensembles: dict[str, ForceEnsembleData] = field(default_factory=dict)
    baseline: str | None = None
    taken: int = 0
    labels: orm.WorkChainNode | None = None


def trained(earlier):
    """Return what an earlier ``SschaWorkChain`` knows about its potential, ``None`` if it was to have none.

    :raises ValueError: if something of it still runs.
    """
    if 'potential' not in earlier.inputs:
        return None
    given, calls = below(input_nodes(earlier), 'potential'), calls_of(earlier)
    inner = [calls_of(node) for node in calls.values() if node.process_type == LABELLED_FORCES]
    labels = last_labels(calls, inner)
    refuse_running(labels)
    trainings = sorted(
        (node for each in (calls, *inner) for node in each.values() if is_potential(node)), key=lambda node: node.pk
    )
    accurate = [node for node in trainings if node.is_finished_ok]
    numbers = {number_of(label, 'training'): node for label, node in calls.items() if node in trainings}
    first = min((number for number, node in numbers.items() if node in accurate), default=None)
    source = input_nodes(trainings[-1]) if trainings else given
    return Trained(
        before=0 if {'start', 'calculator__code'} & set(given) else first,
        start=accurate[-1].outputs.potential if accurate else given.get('start'),
        ensembles=with_labels(below(source, 'ensembles'), inner),
        baseline=source['baseline'].value if 'baseline' in source else None,
        taken=max(numbers, default=0),
        labels=labels,
    )


def below(nodes, namespace):
    """Return the inputs of a namespace by their labels in it.

    :param nodes: by label, with ``__`` between namespaces.
    """
    start = f'{namespace}__'
    return {label.removeprefix(start): node for label, node in nodes.items() if label.startswith(start)}


def is_potential(process):
    """Whether a process has trained a potential, accurate or not."""
    return process.process_type == POTENTIAL and 'potential' in process.outputs


def with_labels(ensembles, inner):
    """Return a training set with what was labelled since.

    :param inner: calls of the work chains that label.
    """
    held = {ensemble.uuid for ensemble in ensembles.values()}
    labelled = [node for calls in inner for label, node in calls.items() if number_of(label, 'labels')]
    for node in sorted(labelled, key=lambda node: node.pk):
        if 'ensemble' in outputs_of(node) and node.outputs.ensemble.uuid not in held:
            ensembles[next_label('labels', ensembles)] = node.outputs.ensemble
    return ensembles


def last_labels(calls, inner):
    """Return the last run of first principles for labels, of a check or of what a potential was uncertain of."""
    checks = [node for label, node in calls.items() if label.startswith('check_') and label.endswith('_forces')]
    labels = [node for each in inner for label, node in each.items() if number_of(label, 'labels')]
    return max(checks + labels, key=lambda node: node.pk, default=None)


def untrained(earlier, known, last, remaining):
    """Return the training set with the populations from first principles that no potential was trained on.

    :param known: what is known of the potential.
    :param last: number of the last population that the new run will not have itself.
    :param remaining: how many it will have before it trains.
    """
    ensembles, calls = dict(known.ensembles), calls_of(earlier)
    first = known.taken + 1 if known.taken else last + 1 - max(0, TOGETHER - remaining)
    for number in range(max(1, first), last + 1):
        minimisation = calls.get(f'population_{number}_minimisation')
        if minimisation is not None:
            ensembles[next_label('population', ensembles, number)] = minimisation.inputs.ensemble
    return ensembles
