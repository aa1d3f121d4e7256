"""Training and labelling through the engine: what goes on, and what ends with which exit code."""

from dataclasses import replace

import numpy as np
import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from coupled_pairs import CoupledPairs
from small_potential import ARCHITECTURE, small_potential

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.workflows.sscha_restart import restart_builder

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')
MESH, TEMPERATURE = (2, 1, 1), 300.0
PAIRS = CoupledPairs(quartic=1.0)
#: Any potential is good enough.
LENIENT = {'largest_energy_error': 1e6, 'largest_force_error': 1e6}


@pytest.fixture
def code(code):
    """Return a function that makes a code, with the pairs as calculator if there are options for them."""

    def make(**options):
        return code('coupled_pairs:CoupledPairs', **{'quartic': 1.0} | options) if options else code()

    return make


def population(number=20, seed=1, computed=False):
    """Return a population of the pairs."""
    drawn = sample(PAIRS.matrices(MESH), TEMPERATURE, number, seed)
    if computed:
        cell = drawn.crystal.cell * np.array(MESH)[:, None]
        energies, forces, _ = PAIRS.evaluate(drawn.positions, cell)
        drawn = replace(drawn, energies=energies, forces=forces, source='pairs')
    return ForceEnsembleData.from_kernel(drawn)


def trained():
    """Return a potential with random weights: it knows nothing."""
    return PotentialData.from_kernel(replace(small_potential(baseline=False), species=('H', 'Li')))


def calls(node):
    """Return the processes that a work chain called, by their labels."""
    links = node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all()
    return {link.link_label: link.node for link in links}


@pytest.fixture
def labelling(code):
    """Return the inputs of forces that may not be labelled."""
    builder = WorkflowFactory('clathrate.labelled_forces').get_builder()
    builder.population, builder.potential = population(), trained()
    builder.evaluate.code = builder.train.code = python = code()
    builder.forces.pop('pw')
    builder.forces.calculator.code = python
    builder.max_rounds, builder.largest_deviation = 0, 1e-3
    return builder


def test_outside_range(labelling):
    """Too many uncertain configurations end with their number and with the potential that is uncertain."""
    outputs, node = run_get_node(labelling)
    assert node.exit_status == 441, node.exit_message
    assert '20 of 20 configurations are beyond `largest_deviation` after 0 rounds' in node.exit_message
    assert outputs['potential'].uuid == labelling.potential.uuid
    selection = outputs['report']['selection_1']
    assert (selection['beyond'], len(selection['uncertain'])) == (20, 20)
    assert min(selection['deviations']) > selection['limit'] == pytest.approx(1e-6)
    assert 'ensemble' not in outputs


def test_refused(labelling, assert_refused):
    """What would have to be trained again needs what it was trained on."""

    def rounds(builder):
        builder.max_rounds = 1

    def baseline(builder):
        builder.max_rounds, builder.baseline = 0, 'mine'

    assert_refused(labelling, rounds, 'ensembles: give what the potential was trained on, to train it again')
    assert_refused(labelling, baseline, "baseline: 'mine' is no label of the ensembles")


@pytest.fixture
def training(code):
    """Return the inputs of a short training."""
    builder = WorkflowFactory('clathrate.potential').get_builder()
    builder.ensembles = {'population_1': population(computed=True)}
    builder.train.code = code()
    builder.train.parameters = {'architecture': ARCHITECTURE.scalars(), 'training': {'epochs': 2}}
    for name, value in LENIENT.items():
        builder[name] = value
    return builder


def test_training_set(training, assert_refused):
    """A training set that gives nothing to judge by, or that has wrong labels, ends with the reason."""
    training.min_validation = 20
    _, node = run_get_node(training)
    assert node.exit_status == 401
    assert 'nothing is left for training of 20 configurations' in node.exit_message
    wrong = population(computed=True).to_kernel()
    energies = wrong.energies.copy()
    energies[3] += 50
    training.min_validation = 4
    training.ensembles = {'population_1': ForceEnsembleData.from_kernel(replace(wrong, energies=energies))}
    _, node = run_get_node(training)
    assert node.exit_status == 402
    assert 'population_1, configuration 3' in node.exit_message
    assert set(calls(node)) == {'split', 'training_1'}  # another attempt would end in the same way

    def nothing(builder):
        builder.ensembles = {}

    assert_refused(training, nothing, 'ensembles: give at least one ensemble with forces')


def test_inaccurate(training):
    """A potential that misses a limit is returned all the same, with where it is worst."""
    training.largest_force_error = 1e-6
    outputs, node = run_get_node(training)
    assert node.exit_status == 440
    assert 'not accurate (limits 1e+06 and 1e-06)' in node.exit_message
    report, held = outputs['report'].get_dict(), outputs['potential'].base.attributes
    assert not report['accurate']
    assert report['force_rmse'] == pytest.approx(held.get('force_rmse'))
    assert report['energy_rmse'] == pytest.approx(held.get('energy_rmse'))
    assert len(report['worst_configurations']) == report['validation_configurations'] == 10
    assert outputs['validation'].get_array('force_errors').shape == (10,)


@pytest.mark.slow
def test_walltime(training):
    """A training that is stopped by its wall time goes on from its folder until it is done."""
    training.train.parameters['training'] = {'epochs': 500, 'patience': 500, 'evaluate_every': 50, 'batch_size': 2}
    training.train.metadata.options.max_wallclock_seconds = 6
    outputs, node = run_get_node(training)
    assert node.is_finished_ok, node.exit_message
    jobs = {label: child for label, child in calls(node).items() if label.startswith('training_')}
    assert [jobs[label].exit_status for label in sorted(jobs, key=lambda name: int(name[9:]))] == (
        [400] * (len(jobs) - 1) + [0]
    )
    assert len(jobs) > 1
    assert jobs['training_2'].inputs.parent_folder.uuid == jobs['training_1'].outputs.remote_folder.uuid
    assert outputs['report']['accurate']


@pytest.mark.slow
def test_restart(code, tmp_path):
    """Labels that fail end the SSCHA; the next one takes the potential and its training set, and goes on."""
    broken, log = tmp_path / 'broken', tmp_path / 'log'
    broken.touch()
    given = population(computed=True)
    builder = WorkflowFactory('clathrate.sscha').get_builder_from_protocol(
        code(),
        DynamicalMatrixData.from_kernel(PAIRS.matrices(MESH)),
        MESH,
        TEMPERATURE,
        calculator_code=code(broken=str(broken), log=str(log)),
        overrides={'max_attempts': 1, 'hessian': {'blocks': 20}},
        potential={
            **LENIENT, 'start': trained(), 'ensembles': {'mine': given}, 'populations': [40], 'max_labels': 4,
            'max_rounds': 1, 'largest_deviation': 1e-3, 'largest_fraction_beyond': 1.0, 'check_configurations': 0,
            'hessian_configurations': 40,
            'train': {'architecture': ARCHITECTURE.scalars(), 'training': {'epochs': 20}},
        },
    )  # fmt: skip
    builder.pop('hessian')
    outputs, failed = run_get_node(builder)
    assert failed.exit_status == 406, failed.exit_message
    assert 'No labels: The evaluation failed' in failed.exit_message
    assert outputs['potential'].uuid == builder.potential.start.uuid
    broken.unlink()
    log.unlink()
    again = restart_builder(failed)
    again.max_populations = 1
    assert again.ensemble.uuid == calls(failed)['population_1_forces'].inputs.population.uuid
    outputs, node = run_get_node(again)
    assert node.exit_status in (0, 410), node.exit_message  # a potential that knows little may not converge
    forces = calls(node)['population_1_forces']
    assert len(log.read_text().splitlines()) == 4
    assert set(calls(forces)['training_1'].inputs.ensembles) == {'mine', 'labels_1'}
    assert outputs['potential'].uuid == calls(forces)['training_1'].outputs.potential.uuid
    assert outputs['output_parameters']['populations'][0]['configurations'] == 40
