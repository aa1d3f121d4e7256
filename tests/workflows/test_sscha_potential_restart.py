"""Where an SSCHA with a potential goes on: with the last potential, and with every label that was paid for."""

from dataclasses import replace

import pytest
from aiida import orm
from small_potential import small_potential
from stored_run import SEED, Run, matrices, population

from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.workflows.sscha_potential_restart import LABELLED_FORCES, POTENTIAL
from aiida_clathrate.workflows.sscha_restart import continuation, restart_builder

#: First populations are of 4, 6 and 8 configurations.
VALUES = {'populations': [10, 12], 'check_configurations': 2, 'min_validation': 2}


def trained(seed):
    """Return a potential with random weights that knows copper."""
    return PotentialData.from_kernel(replace(small_potential(baseline=False, seed=seed), species=('Cu', 'H')))


class PotentialRun(Run):
    """An ``SschaWorkChain`` with a potential, whose steps are stored one after the other."""

    def train(self, number, ensembles, label=None, status=0, caller=None, **changes):
        """Train a potential after a population."""
        inputs = {f'ensembles__{name}': ensemble for name, ensemble in ensembles.items()}
        baseline = max(name for name in ensembles if name.startswith('population'))
        outputs = {} if changes else {'potential': trained(number)}
        return self.call(
            label or f'training_{number}', inputs | {'baseline': orm.Str(baseline)}, status=status,
            process_type=POTENTIAL, caller=caller, **changes, **outputs,
        )  # fmt: skip

    def first_stage(self, status=0):
        """Run the three populations from first principles, and the training."""
        for number in (1, 2, 3):
            self.minimise(number)
        self.labelled = {f'population_{number}': self.ensemble(number) for number in (2, 3)}
        return self.train(3, self.labelled, status=status)

    def ensemble(self, number):
        """Return the ensemble that a population was minimised with."""
        links = self.node.base.links.get_outgoing(link_label_filter=f'population_{number}_minimisation').all()
        return links[0].node.inputs.ensemble

    def label(self, number, drawn, state='finished', **outputs):
        """Compute a population by the potential."""
        inputs, label = {'population': drawn}, f'population_{number}_forces'
        return self.call(label, inputs, state, 0 if outputs else None, LABELLED_FORCES, **outputs)

    def potential_stage(self, number):
        """Draw, compute and minimise a population with the potential."""
        ensemble = population(SEED + number, computed=True)
        self.label(number, self.draw(number), ensemble=ensemble)
        step = self.call(
            f'population_{number}_minimisation', {'ensemble': ensemble}, matrices=matrices(5.0 + number)
        )  # fmt: skip
        return step.outputs.matrices


@pytest.fixture
def run(aiida_profile, aiida_localhost):
    """Return an earlier run without any steps."""
    return PotentialRun(aiida_localhost, VALUES)


def inputs_of(builder):
    """Return the inputs below ``potential``, after a look whether the ports accept them all."""
    ports = builder.process_class.spec().inputs
    given = builder._inputs(prune=True)
    assert ports.validate(ports.pre_process(given)) is None
    return given['potential']


def uuids(ensembles):
    """Return the UUIDs of ensembles by label."""
    return {label: ensemble.uuid for label, ensemble in ensembles.items()}


def test_first_stage(run):
    """Of the populations that a potential is trained on together, those that are finished are taken along."""
    run.minimise(1)
    builder = restart_builder(run.stop())
    assert builder.populations.get_list() == [6, 8]
    assert not {'start', 'ensembles'} & set(inputs_of(builder))  # two more are to come


def test_last_of_the_first_stage(run):
    """The last population is computed on, and the one before is there for the training."""
    run.minimise(1)
    run.minimise(2)
    drawn = run.draw(3)
    builder = restart_builder(run.stop())
    assert (builder.populations.get_list(), builder.ensemble.uuid) == ([8], drawn.uuid)
    given = inputs_of(builder)
    assert uuids(given['ensembles']) == {'population_2': run.ensemble(2).uuid}
    assert given['populations'].get_list() == [10, 12]


@pytest.mark.parametrize('begun', [True, False])
def test_not_trained(run, begun):
    """A training that was missed costs no other population: the last one is minimised once more."""
    for number in (1, 2, 3):
        run.minimise(number)
    if begun:
        run.train(3, {'population_3': run.ensemble(3)}, state='killed', status=None)
    builder = restart_builder(run.stop())
    assert builder.ensemble.uuid == run.ensemble(3).uuid
    assert builder.populations.get_list() == [8]
    assert uuids(inputs_of(builder)['ensembles']) == {'population_2': run.ensemble(2).uuid}


def test_inaccurate(run):
    """After a potential that was not accurate another population is computed, and all labels are kept."""
    run.first_stage(status=440)
    builder = restart_builder(run.stop())
    assert builder.auxiliary_matrices.base.attributes.get('level') == 'sscha'
    assert 'ensemble' not in builder._inputs(prune=True)
    assert (builder.populations.get_list(), builder.seed.value) == ([8], SEED + 3)
    given = inputs_of(builder)
    assert uuids(given['ensembles']) == uuids(run.labelled)
    assert 'start' not in given
    run.minimise(4)  # and was not trained on
    again = inputs_of(restart_builder(run.node))
    # It is drawn again by its ensemble: minimising costs next to nothing.
    assert uuids(again['ensembles']) == uuids(run.labelled)


def test_labelling_interrupted(run):
    """The last potential computes the population that was drawn, with what was labelled for it."""
    run.first_stage()
    drawn = run.draw(4)
    step = run.label(4, drawn, 'killed')
    labels = run.call('labels_1', {'population': drawn}, process_type='aiida.workflows:clathrate.forces', caller=step,
                      ensemble=population(1, computed=True))  # fmt: skip
    more = {**run.labelled, 'labels_1': labels.outputs.ensemble}
    better = run.train(1, more, caller=step)
    stopped = run.call('labels_2', {'population': drawn}, 'killed', None, caller=step,
                       process_type='aiida.workflows:clathrate.forces')  # fmt: skip
    builder = restart_builder(run.stop())
    given = inputs_of(builder)
    assert given['start'].uuid == better.outputs.potential.uuid
    assert uuids(given['ensembles']) == uuids(more)
    assert given['baseline'].value == 'population_3'
    assert builder.ensemble.uuid == drawn.uuid
    assert builder.forces.restart_from.value == stopped.uuid
    assert given['populations'].get_list() == [10, 12]
    assert builder.seed.value + 2 == SEED + 5  # population 4 is the first one now


def test_labels_not_trained_on(run):
    """Labels that no potential was trained on are taken along."""
    run.first_stage()
    step = run.label(4, run.draw(4), 'killed')
    labels = run.call('labels_1', {}, process_type='aiida.workflows:clathrate.forces', caller=step,
                      ensemble=population(1, computed=True))  # fmt: skip
    given = inputs_of(restart_builder(run.stop()))
    assert uuids(given['ensembles']) == uuids({**run.labelled, 'labels_1': labels.outputs.ensemble})


def test_next_population(run):
    """The sizes of the populations with the potential go on where they stopped."""
    potential = run.first_stage().outputs.potential
    last = run.potential_stage(4)
    builder = restart_builder(run.stop())
    assert builder.auxiliary_matrices.uuid == last.uuid
    given = inputs_of(builder)
    assert given['start'].uuid == potential.uuid
    assert given['populations'].get_list() == [12]
    assert builder.seed.value == SEED + 4


@pytest.mark.parametrize('case', ['check', 'hessian', 'finished'])
def test_converged(run, case):
    """The last population is minimised and checked once more; labels of the check are taken over."""
    run.first_stage()
    run.potential_stage(4)
    run.potential_stage(5)
    run.call('check_5_selection', population=population(3))
    state, status = ('killed', None) if case == 'check' else ('finished', 0)
    labels = run.call('check_5_forces', {}, state, status)
    if case == 'hessian':
        run.call('hessian_sampling', result=population(SEED))
    if case == 'finished':
        run.end(run.node, 'finished', 0)
    else:
        run.stop()
    builder = restart_builder(run.node)
    assert builder.ensemble.uuid == run.ensemble(5).uuid
    assert builder.forces.restart_from.value == labels.uuid
    assert builder.seed.value == SEED
    assert inputs_of(builder)['populations'].get_list() == [12]


def test_trained_after_a_check(run):
    """A check that failed and trained the potential again is no end: the next population is drawn."""
    run.first_stage()
    run.potential_stage(4)
    run.potential_stage(5)
    run.call('check_5_selection', population=population(3))
    more = {**run.labelled, 'labels_1': population(3, computed=True)}
    better = run.train(5, more)
    builder = restart_builder(run.stop())
    assert 'ensemble' not in builder._inputs(prune=True)
    given = inputs_of(builder)
    assert given['start'].uuid == better.outputs.potential.uuid
    assert uuids(given['ensembles']) == uuids(more)
    assert given['populations'].get_list() == [12]


def test_start_given(aiida_profile, aiida_localhost):
    """A run that began with a potential goes on with it and with what it was trained on."""
    start, ensemble = trained(1).store(), population(9, computed=True).store()
    run = PotentialRun(aiida_localhost, {**VALUES, 'start': start, 'ensembles': {'mine': ensemble}})
    run.potential_stage(1)
    given = inputs_of(restart_builder(run.stop()))
    assert given['start'].uuid == start.uuid
    assert uuids(given['ensembles']) == {'mine': ensemble.uuid}
    assert given['populations'].get_list() == [12]


def test_running(run):
    """Labels that are still computed are waited for."""
    run.first_stage()
    step = run.label(4, run.draw(4), 'killed')
    run.call('labels_1', {}, 'waiting', None, 'aiida.workflows:clathrate.forces', caller=step)
    with pytest.raises(ValueError, match='is still running; wait for it or kill it'):
        continuation(run.stop())
