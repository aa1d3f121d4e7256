"""Where an SSCHA goes on: at the last thing that is worth keeping of an earlier one, wherever that one stopped."""

import pytest
from stored_run import SEED, Run, matrices, population

from aiida_clathrate.workflows.sscha_restart import continuation, restart_builder


@pytest.fixture
def run(aiida_profile, aiida_localhost):
    """Return an earlier run without any steps."""
    return Run(aiida_localhost)


def refused(builder):
    """Return why the ports refuse a builder, ``None`` if they do not."""
    ports = builder.process_class.spec().inputs
    return ports.validate(ports.pre_process(builder._inputs(prune=True)))


def test_nothing_done(run):
    """A run that stopped before its first population begins again."""
    builder = restart_builder(run.stop())
    assert 'ensemble' not in builder._inputs(prune=True)
    assert 'auxiliary_matrices' not in builder._inputs(prune=True)
    assert (builder.populations.get_list(), builder.seed.value) == ([4, 6, 8], SEED)
    assert refused(builder) is None


def test_forces_interrupted(run):
    """A population without all forces is computed on; what is finished is taken over."""
    run.minimise(1)
    drawn = run.draw(2)
    forces = run.call('population_2_forces', {'population': drawn}, 'killed', None)
    builder = restart_builder(run.stop())
    assert builder.ensemble.uuid == drawn.uuid
    assert builder.forces.restart_from.value == forces.uuid
    # Population 2 is the first one now, and the next one is to have the size and the noise of population 3.
    assert builder.populations.get_list() == [6, 8]
    assert builder.seed.value + 2 == SEED + 3


def test_population_not_begun(run):
    """A population that was drawn only is the first one; nothing is there to be taken over."""
    drawn = run.draw(1)
    builder = restart_builder(run.stop())
    assert builder.ensemble.uuid == drawn.uuid
    assert 'restart_from' not in builder.forces._inputs(prune=True)
    assert refused(builder) is None


def test_not_minimised(run):
    """A population with forces is not computed again where its minimisation is missing or failed."""
    ensemble = run.compute(1, run.draw(1))
    run.call('population_1_minimisation', {'ensemble': ensemble}, status=310)
    builder = restart_builder(run.stop())
    assert builder.ensemble.uuid == ensemble.uuid
    assert refused(builder) is None


def test_not_converged(run):
    """After the last minimisation the next population is drawn from its matrices, with other noise."""
    for number in (1, 2, 3):
        last = run.minimise(number)
    run.end(run.node, 'finished', 410)
    builder = restart_builder(run.node)
    assert builder.auxiliary_matrices.uuid == last.uuid
    assert 'ensemble' not in builder._inputs(prune=True)
    assert (builder.populations.get_list(), builder.seed.value) == ([8], SEED + 3)
    assert refused(builder) is None


def test_given_ensemble_is_left_behind(aiida_profile, aiida_localhost):
    """The population that an earlier run began with is not minimised again once it has been."""
    run = Run(aiida_localhost, ensemble=population(1, computed=True).store())
    last = run.call('population_1_minimisation', {}, matrices=matrices(6.0)).outputs.matrices
    builder = restart_builder(run.stop())
    assert builder.auxiliary_matrices.uuid == last.uuid
    assert 'ensemble' not in builder._inputs(prune=True)


def test_given_ensemble_is_kept(aiida_profile, aiida_localhost):
    """Before its forces are there it is the population to go on with."""
    given = population(1).store()
    run = Run(aiida_localhost, ensemble=given)
    assert continuation(run.stop()).ensemble.uuid == given.uuid


def test_next_cell(run):
    """In a variable cell the next population belongs to the cell that was made for it."""
    run.minimise(1)
    strained = run.call('strain_1', result=matrices(4.0)).outputs.result
    assert continuation(run.stop()).matrices.uuid == strained.uuid


def test_earlier_cell(run):
    """A cell that was left again is not gone back to."""
    run.minimise(1)
    run.call('strain_1', result=matrices(4.0))
    last = run.minimise(2)
    assert continuation(run.stop()).matrices.uuid == last.uuid


@pytest.mark.parametrize('case', ['interrupted', 'finished', 'no Hessian wanted'])
def test_hessian(run, case):
    """Where only the Hessian is missing, or another is wanted, the last population is minimised once more."""
    run.minimise(1)
    run.minimise(2)
    ensemble = ensemble_of(run, 2)
    taken_over = None
    if case != 'no Hessian wanted':
        drawn = run.call('hessian_sampling', result=population(SEED)).outputs.result
    if case == 'interrupted':
        taken_over = run.call('hessian_forces', {'population': drawn}, 'killed', None).uuid
        run.stop()
    else:
        run.end(run.node, 'finished', 0)
    builder = restart_builder(run.node)
    assert builder.ensemble.uuid == ensemble.uuid
    # The same noise as before: the population of the Hessian is the same one, and its finished part is taken over.
    assert builder.seed.value == SEED
    assert builder.forces._inputs(prune=True).get('restart_from') == taken_over
    assert refused(builder) is None


def ensemble_of(run, number):
    """Return the ensemble that a population was minimised with."""
    links = run.node.base.links.get_outgoing(link_label_filter=f'population_{number}_minimisation').all()
    return links[0].node.inputs.ensemble


def test_step_twice(run):
    """Of a step that was run again after the death of the daemon the later one counts."""
    run.draw(1)
    again = run.draw(1)
    assert continuation(run.stop()).ensemble.uuid == again.uuid


def test_refused(run):
    """Nothing goes on with a process that still runs, or with another kind of process."""
    with pytest.raises(ValueError, match=f'SschaWorkChain {run.node.pk} is still running; wait for it or kill it'):
        continuation(run.node)
    run.end(run.node, 'excepted')
    running = run.call('population_1_forces', {'population': population(1).store()}, 'waiting', None)
    with pytest.raises(ValueError, match=f'ForcesWorkChain {running.pk} is still running'):
        continuation(run.node)
    with pytest.raises(ValueError, match='is no SschaWorkChain'):
        continuation(running)
