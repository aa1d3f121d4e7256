"""Training: what can be represented is learnt, the better model is taken, and the errors are those of the potential."""

from dataclasses import replace

import numpy as np
import pytest
from mixed_cells import ARCHITECTURE, CELL, SYMBOLS
from springs import rocksalt, spring_matrices
from teachers import LINEAR_TEACHER, MORSE, NETWORK_TEACHER, SEED, labelled, morse

from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator
from aiida_clathrate.kernels.mlp.frames import Frames
from aiida_clathrate.kernels.mlp.network_training import LAST_RATE, WARM_UP, rate_factor
from aiida_clathrate.kernels.mlp.potential_files import to_bytes
from aiida_clathrate.kernels.mlp.training import train
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

LINEAR = ([labelled(LINEAR_TEACHER, 16, 0)], [labelled(LINEAR_TEACHER, 4, 1)])
NETWORK = ([labelled(NETWORK_TEACHER, 16, 0)], [labelled(NETWORK_TEACHER, 4, 1)])


def trained(sets, architecture=ARCHITECTURE, options=None, **settings):
    """Return the outcome of a short training."""
    settings = {'epochs': 4, 'evaluate_every': 2, 'seed': SEED} | settings
    return train(*sets, architecture, TrainingSettings(**settings), **(options or {}))


@pytest.fixture(scope='module')
def network():
    """Return a network trained for a while."""
    return trained(NETWORK, model='network', epochs=40, batch_size=2, evaluate_every=5)


def test_teacher():
    """A teacher with the same channels is learnt exactly, with the energies of the elements."""
    other = [labelled(LINEAR_TEACHER, count, seed, CELL, SYMBOLS[:4]) for count, seed in ((8, 5), (2, 6))]
    record = trained(([*LINEAR[0], other[0]], [*LINEAR[1], other[1]]), model='linear').potential.record
    assert record['force_rmse'] < 1e-5 * record['force_deviation']
    assert record['energy_rmse'] < 1e-3
    assert record['stress_rmse'] < 1e-4


def test_network_left_out():
    """A network that makes the linear part worse is left out, and leaves no weights."""
    found = trained(NETWORK, epochs=1, learning_rate=1.0, moving_average=0.0).potential
    assert found.record['model'] == 'linear'
    candidates = found.record['candidates']
    assert candidates['both']['force_rmse'] > candidates['linear']['force_rmse']
    assert found.record['force_rmse'] == pytest.approx(candidates['linear']['force_rmse'])
    assert found.weights['energy_scale'] == 0
    assert not any(found.weights[name].any() for name in found.weights if name.startswith('network.channels'))


def test_morse():
    """Forces of Morse bonds are learnt to less than a fiftieth of their spread, from few configurations."""
    found = trained(([morse(24, 0)], [morse(8, 1)]), MORSE, model='linear')
    record = found.potential.record
    assert record['force_rmse'] < 0.02 * record['force_deviation']
    assert record['energy_rmse'] < 1.0
    assert record['stress_rmse'] < 0.3
    # Expected errors are of the size of the true ones.
    ratio = np.sqrt(np.mean(found.validation.deviations**2) / np.mean(found.validation.force_errors**2))
    assert ratio == pytest.approx(1, rel=1e-6)


def test_network(network):
    """A network learns from the forces of another one; errors fall by more than half, on the validation set too."""
    record = network.potential.record
    assert record['model'] == 'network'
    assert record['force_rmse'] < 0.4 * record['force_deviation']
    assert network.training.parity.force_rmse < 0.4 * record['force_deviation']
    assert network.history.shape == (8, 6)
    assert list(network.history[:, 0]) == list(range(5, 41, 5))
    best = np.argmin(network.history[:, 2])
    assert record['best_epoch'] == network.history[best, 0]
    assert 1e3 * network.history[best, 4] == pytest.approx(record['force_rmse'], rel=1e-3)


def test_both():
    """Where the channels of the linear part cannot say all, the network for the rest makes it better."""
    found = trained(NETWORK, epochs=20, evaluate_every=5)
    candidates = found.potential.record['candidates']
    assert found.potential.record['model'] == 'both'
    assert candidates['both']['force_rmse'] < candidates['linear']['force_rmse']
    assert found.potential.record['force_rmse'] == pytest.approx(candidates['both']['force_rmse'])
    assert found.potential.weights['energy_scale'] > 0


@pytest.mark.parametrize('model', ['linear', 'network', 'both'])
def test_record(model):
    """Errors, predictions and expected errors of a training are those of the potential that it returns."""
    strained = np.array([[1.03, 0, 0], [0.02, 1, 0], [0, 0, 0.98]])
    sets = [labelled(NETWORK_TEACHER, 3, 1), labelled(NETWORK_TEACHER, 2, 2, CELL @ strained, SYMBOLS[:4])]
    found = trained((NETWORK[0], sets), model=model)
    judged, record, start, atoms, stresses = found.validation, found.potential.record, 0, 0, []
    for frames in sets:
        evaluator = PotentialEvaluator(found.potential, frames.symbols, precision='double')
        energies, forces, stress, deviations = evaluator.evaluate_scored(frames.positions, frames.cell)
        rows, own = slice(start, start + len(frames)), slice(atoms, atoms + forces[..., 0].size)
        start, atoms = rows.stop, own.stop
        np.testing.assert_allclose(judged.predicted_energies[rows], energies / len(frames.symbols), atol=1e-9)
        np.testing.assert_allclose(judged.predicted_forces[own], forces.reshape(-1, 3), atol=1e-8)
        np.testing.assert_allclose(judged.energies[rows], frames.energies / len(frames.symbols), atol=1e-12)
        np.testing.assert_allclose(judged.forces[own], frames.forces.reshape(-1, 3))
        errors = np.sqrt(np.mean((forces - frames.forces) ** 2, axis=(1, 2)))
        np.testing.assert_allclose(judged.force_errors[rows], errors, rtol=1e-6)
        # The factors are stored in single precision.
        np.testing.assert_allclose(judged.deviations[rows], deviations, rtol=1e-3)
        stresses.append(-GPA_PER_EV_ANGSTROM3 * stress - frames.stresses)
    assert start == len(judged.energies) == 5
    assert record['stress_rmse'] == pytest.approx(np.sqrt(np.mean(np.concatenate(stresses) ** 2)), rel=1e-6)
    wrong = judged.predicted_forces - judged.forces
    assert record['force_rmse'] == pytest.approx(1e3 * np.sqrt(np.mean(wrong**2)))
    assert record['energy_mean_error'] == pytest.approx(1e3 * np.mean(judged.predicted_energies - judged.energies))
    assert set(record['force_rmse_by_species']) == {'C', 'H'}
    assert (record['training_configurations'], record['validation_configurations']) == (16, 5)


def test_without_stresses():
    """Stresses may be known of some sets only; no error of the stress is told then."""
    sets = [labelled(LINEAR_TEACHER, 8, 0, stresses=False), labelled(LINEAR_TEACHER, 8, 2)]
    found = trained((sets, [labelled(LINEAR_TEACHER, 2, 4, stresses=False), labelled(LINEAR_TEACHER, 2, 5)]))
    assert found.potential.record['stress_rmse'] is None
    assert found.potential.record['force_rmse'] < 1e-2


@pytest.mark.parametrize('model', ['linear', 'both'])
def test_same_bytes(model):
    """The same input gives the same file, another seed another one."""
    first, second = (to_bytes(trained(NETWORK, model=model, epochs=2).potential) for _ in range(2))
    assert first == second
    assert to_bytes(trained(NETWORK, model=model, epochs=2, seed=4).potential) != first


def test_threads():
    """Threads change the rounding at most."""
    sets = ([labelled(NETWORK_TEACHER, 3, 0)], [labelled(NETWORK_TEACHER, 1, 1)])
    one, two = (trained(sets, model='both', epochs=1, threads=threads).potential.weights for threads in (1, 2))
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-3, atol=1e-5)


def test_previous(network):
    """A training that goes on from a network is better at its first look, and keeps what the network is measured in."""
    before = network.potential
    found = trained(NETWORK, model='network', epochs=5, evaluate_every=5, options={'previous': before})
    assert found.history[0, 4] < 0.7 * network.history[0, 4]
    for name in ('energy_scale', 'reference', 'network.shift', 'network.scale', 'linear.middle'):
        np.testing.assert_allclose(found.potential.weights[name], before.weights[name], rtol=1e-6)
    assert (found.potential.weights['network.readout'] != before.weights['network.readout']).any()


def test_previous_linear():
    """A network may be trained on top of a linear potential, whose own part stays as it is."""
    before = trained(NETWORK, model='linear').potential
    assert not before.weights['network.channels.angular_mixing'].any()
    found = trained(NETWORK, epochs=20, options={'previous': before}).potential
    assert found.record['model'] == 'both'
    assert found.record['candidates']['linear']['force_rmse'] == pytest.approx(before.record['force_rmse'])
    assert found.record['force_rmse'] < before.record['force_rmse']
    np.testing.assert_array_equal(found.weights['linear.coefficients'], before.weights['linear.coefficients'])


def test_previous_refused(network):
    """A potential that does not fit is no beginning."""
    before = network.potential
    matrices = spring_matrices(rocksalt(), (1, 1, 1))
    others = {
        'previous: a linear part': ({'model': 'linear'}, before, ARCHITECTURE),
        'previous: the potential has another architecture': ({}, before, replace(ARCHITECTURE, hidden=(3,))),
        'previous: knows C, H, not Mg, O': ({}, before, ARCHITECTURE),
        'another harmonic baseline': ({}, replace(before, species=('Mg', 'O'), baseline=matrices), ARCHITECTURE),
    }
    for message, (settings, previous, architecture) in others.items():
        sets = NETWORK
        if 'Mg' in message or 'baseline' in message:
            sets = [[replace(frames, symbols=('Mg', 'O', 'Mg', 'O', 'Mg')) for frames in part] for part in NETWORK]
        with pytest.raises(ValueError, match=message):
            trained(sets, architecture, {'previous': previous}, **settings)


def test_baseline():
    """What the matrices say is taken off: the rest is learnt, and the sum is the potential."""
    matrices = spring_matrices(rocksalt(), (2, 1, 1))
    supercell = supercell_crystal(matrices.crystal, matrices.mesh)
    teacher = replace(LINEAR_TEACHER, species=('Mg', 'O'), baseline=matrices)
    evaluator = PotentialEvaluator(teacher, supercell.symbols, precision='double')
    sets = []
    for seed, count in ((0, 20), (1, 3)):
        moves = np.random.default_rng(seed).normal(0, 0.2, (count, 4, 3))
        positions = supercell.positions @ supercell.cell + moves
        energies, forces, stresses = evaluator.evaluate(positions, supercell.cell)
        labels = -GPA_PER_EV_ANGSTROM3 * stresses
        sets.append([Frames(supercell.symbols, supercell.cell, positions, energies, forces, labels)])
    found = trained(sets, model='linear', options={'baseline': matrices}).potential
    assert found.record['force_rmse'] < 1e-2
    assert found.record['stress_rmse'] < 1e-3
    assert found.baseline is matrices
    with pytest.raises(ValueError, match='has a harmonic baseline for the supercell 2×1×1'):
        trained(LINEAR, model='linear', options={'baseline': matrices})


def test_diverges():
    """A learning rate that is absurd is named, whatever state the weights are in."""
    with pytest.raises(KernelError, match='lower learning_rate') as error:
        trained(NETWORK, model='network', learning_rate=1e30)
    assert error.value.label == 'ERROR_NOT_FINITE'


def test_refused():
    """Empty sets and forces that are all zero are refused."""
    with pytest.raises(ValueError, match='training and validation: need at least one configuration in each'):
        trained((LINEAR[0], []))
    still = [replace(frames, forces=0 * frames.forces, energies=0 * frames.energies) for frames in LINEAR[0]]
    with pytest.raises(ValueError, match='all forces are zero'):
        trained((still, LINEAR[1]))


def test_patience():
    """A training stops when it has looked often enough without getting better."""
    found = trained(NETWORK, model='network', epochs=60, evaluate_every=1, patience=2, learning_rate=0.5)
    assert found.potential.record['stopped'] == 'patience'
    assert found.potential.record['epochs'] == found.potential.record['best_epoch'] + 2 < 60
    best = 1e3 * found.history[found.potential.record['best_epoch'] - 1, 4]
    assert found.potential.record['force_rmse'] == pytest.approx(best, rel=1e-3)
    assert found.potential.record['force_rmse'] < 0.999e3 * found.history[-1, 4]


def test_learning_rate():
    """It rises over the first steps and falls to a hundredth along a cosine."""
    assert rate_factor(0.0, 0) == pytest.approx(1 / WARM_UP)
    assert rate_factor(0.5, 1000) == pytest.approx(LAST_RATE + 0.5 * (1 - LAST_RATE))
    assert rate_factor(1.0, 1000) == pytest.approx(LAST_RATE)
