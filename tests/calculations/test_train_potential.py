"""Training through the engine: its nodes, a stop by the wall time, what is refused before submission."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory
from coupled_pairs import CoupledPairs
from small_potential import ARCHITECTURE, small_potential

from aiida_clathrate.calculations.train_potential import SEPARATOR, TrainPotentialCalculation
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels import mlp
from aiida_clathrate.kernels.sscha.sampling import sample

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')
MODEL = {'quartic': 1.0}
SPLIT = {
    'population_1': {'training': list(range(12)), 'validation': list(range(12, 16))},
    'population_2': {'training': list(range(8, 12)), 'validation': list(range(8))},
}
SHORT = {'epochs': 4, 'evaluate_every': 1, 'batch_size': 4}


def ensemble(number, seed=1, mesh=(2, 1, 1), computed=True):
    """Return a population with the forces of the model."""
    drawn = sample(CoupledPairs(**MODEL).matrices(mesh), 300.0, number, seed)
    if not computed:
        return drawn
    model = CoupledPairs(mesh=mesh, **MODEL)
    cell = drawn.crystal.cell * np.array(mesh)[:, None]
    energies, forces, _ = model.evaluate(drawn.positions, cell)
    return replace(drawn, energies=energies, forces=forces, source='model')


@pytest.fixture
def code(aiida_localhost):
    """Return the code of the kernels."""
    aiida_localhost.set_minimum_job_poll_interval(0.1)
    return orm.InstalledCode(label='kernels', computer=aiida_localhost, filepath_executable=sys.executable).store()


def builder(code, split=None, ensembles=None, **training):
    """Return the inputs of a short training."""
    ensembles = ensembles or {'population_1': ensemble(16), 'population_2': ensemble(12, 2)}
    result = CalculationFactory('clathrate.train').get_builder()
    result.code = code
    result.ensembles = {label: ForceEnsembleData.from_kernel(each, 'single') for label, each in ensembles.items()}
    result.split = split or SPLIT
    result.parameters = {'architecture': ARCHITECTURE.scalars(), 'training': SHORT | training}
    return result


def test_train(code):
    """The potential, its validation and its history are nodes; it starts from an earlier one; nothing is kept twice."""
    inputs = builder(code, model='both', epochs=1, learning_rate=1e-9, weight_decay=0)
    inputs.baseline = 'population_1'
    previous = replace(small_potential(baseline=False), species=('H', 'Li'), baseline=ensemble(16).matrices)
    inputs.previous = PotentialData.from_kernel(previous)
    outputs, calculation = run_get_node(inputs)
    assert calculation.is_finished_ok, calculation.exit_message
    results = outputs['output_parameters'].get_dict()
    weights = outputs['potential'].to_kernel().weights
    np.testing.assert_allclose(weights['network.readout'], previous.weights['network.readout'], atol=1e-6)
    attributes = outputs['potential'].base.attributes
    assert attributes.get('species') == results['species']
    assert attributes.get('mesh') == [2, 1, 1]
    for name in ('model', 'energy_rmse', 'force_rmse', 'training_configurations', 'validation_configurations'):
        assert attributes.get(name) == pytest.approx(results[name])
    assert (results['training_configurations'], results['validation_configurations']) == (16, 12)
    validation = outputs['validation']
    assert validation.get_array('validation_index').tolist() == [
        *([0, index] for index in range(12, 16)), *([1, index] for index in range(8))
    ]  # fmt: skip
    true = np.concatenate([ensemble(16).energies[12:], ensemble(12, 2).energies[:8]]) / 4
    np.testing.assert_allclose(validation.get_array('energies'), true, atol=1e-6)
    errors = 1e3 * (validation.get_array('predicted_energies') - validation.get_array('energies'))
    assert results['energy_rmse'] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-4)
    assert validation.get_array('forces').shape == validation.get_array('predicted_forces').shape == (48, 3)
    assert validation.get_array('deviations').shape == validation.get_array('force_errors').shape == (12,)
    history = outputs['history']
    assert sorted(history.get_arraynames()) == sorted(results['history_columns'])
    for repository in (calculation.base.repository, outputs['retrieved'].base.repository):
        names = repository.list_object_names()
        assert not [name for name in names if name.endswith(('.npz', '.safetensors')) or name == 'potential.json']


def test_walltime(code):
    """A job that is short of time ends with 400; one from its folder goes on where it has stopped."""
    inputs = builder(code, epochs=100000, patience=100000)
    inputs.metadata.options.max_wallclock_seconds = 4
    epochs = []
    for _ in range(2):
        _, stopped = run_get_node(inputs)
        assert stopped.exit_status == 400, stopped.exit_message
        assert not stopped.base.caching.is_valid_cache
        epochs.append(int(re.search(r'(\d+) of 100000 epochs', stopped.exit_message)[1]))
        inputs.parent_folder = stopped.outputs.remote_folder
    assert 0 < epochs[0] < epochs[1]


def test_wrong_labels(code):
    """Labels that contradict the forces end with 212, and with ensemble and configuration."""
    wrong = ensemble(16)
    energies = wrong.energies.copy()
    energies[3] += 50.0
    ensembles = {'population_1': replace(wrong, energies=energies), 'population_2': ensemble(12, 2)}
    _, calculation = run_get_node(builder(code, ensembles=ensembles))
    assert calculation.exit_status == 212
    assert 'population_1, configuration 3' in calculation.exit_message


def changed(**parts):
    """Return the split with other indices of the first ensemble."""
    return {**SPLIT, 'population_1': {**SPLIT['population_1'], **parts}}


@pytest.mark.parametrize(
    ('split', 'message'),
    [
        ({'population_1': SPLIT['population_1']}, 'split: population_2 is not both'),
        ({**SPLIT, 'population_3': SPLIT['population_1']}, 'split: population_3 is not both'),
        (changed(training=[0, 16]), 'split: population_1: 16 is no configuration'),
        (changed(training=[12]), 'split: population_1: a configuration is there twice'),
        ({label: {'training': [0], 'validation': []} for label in SPLIT}, 'split: no configuration is for validation'),
    ],
)
def test_split(code, split, message):
    """A split that is not one of these ensembles is refused before submission."""
    with pytest.raises(ValueError, match=message):
        run_get_node(builder(code, split))
    assert orm.QueryBuilder().append(orm.CalcJobNode).count() == 0


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'network': {}}, 'network: no such parameter; there are architecture, training'),
        ({'architecture': {'preset': 'slow'}}, "preset: 'slow' is none of"),
        ({'training': {'epochs': 0}}, 'epochs: 0 is not'),
        ({'training': {'colour': 1}}, 'colour: no such parameter'),
    ],
)
def test_parameters(parameters, message):
    """Parameters that mean nothing are refused."""
    with pytest.raises(ValueError, match=message):
        TrainPotentialCalculation.check_parameters(parameters)


def test_ensembles(code):
    """Ensembles without forces, no ensembles, and those that a baseline cannot be of, are refused."""
    inputs = builder(code, ensembles={'population_1': ensemble(16), 'population_2': ensemble(12, computed=False)})
    with pytest.raises(ValueError, match='population_2 have no forces'):
        run_get_node(inputs)
    inputs = builder(code)
    inputs.baseline = 'population_3'
    with pytest.raises(ValueError, match='baseline: population_3 is none of the ensembles population_1, population_2'):
        run_get_node(inputs)
    inputs = builder(code, ensembles={'population_1': ensemble(16), 'population_2': ensemble(12, mesh=(4, 1, 1))})
    inputs.baseline = 'population_1'
    with pytest.raises(ValueError, match=r'baseline: mesh \[2, 1, 1\] of population_1 are not those of population_2'):
        run_get_node(inputs)
    inputs = builder(code)
    inputs.ensembles = {}
    inputs.split = {}
    with pytest.raises(ValueError, match='need at least one'):
        run_get_node(inputs)


def test_labels():
    """Each label that the kernels of the training may give is that of an exit code."""
    modules = [path for path in Path(mlp.__file__).parent.glob('*.py') if 'evaluat' not in path.name]
    labels = {label for path in modules for label in re.findall(r"'(ERROR_\w+)'", path.read_text())}
    assert labels
    assert labels <= set(TrainPotentialCalculation.exit_codes)


def test_names():
    """Folder and names of arrays are those of the kernel, which is not imported here for torch is slow to load."""
    from aiida_clathrate.kernels.mlp import checkpoint, train

    assert TrainPotentialCalculation._kept_folder == checkpoint.FOLDER
    assert train.SEPARATOR == SEPARATOR
