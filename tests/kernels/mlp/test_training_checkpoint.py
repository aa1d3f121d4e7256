"""A training that is interrupted goes on as if it never had been; a checkpoint that does not fit is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from mixed_cells import ARCHITECTURE
from teachers import NETWORK_TEACHER, SEED, labelled

from aiida_clathrate.kernels.clock import Clock
from aiida_clathrate.kernels.files.tensor_files import tensors_from_bytes
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.mlp import network_training
from aiida_clathrate.kernels.mlp.checkpoint import STATE
from aiida_clathrate.kernels.mlp.potential_files import to_bytes
from aiida_clathrate.kernels.mlp.training import train
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings

SETS = ([labelled(NETWORK_TEACHER, 5, 0)], [labelled(NETWORK_TEACHER, 2, 1)])
SETTINGS = TrainingSettings(epochs=6, evaluate_every=2, batch_size=2, seed=SEED)


class Laps(Clock):
    """A time that is measured in laps: up after so many."""

    def __init__(self, laps):
        super().__init__(None)
        self.laps = laps

    def lap(self):
        """Count."""
        super().lap()
        self.laps -= 1

    def is_up(self):
        """Whether they are all gone."""
        return self.laps <= 0


def run(folder, laps=100, sets=SETS, settings=SETTINGS, architecture=ARCHITECTURE):
    """Return the bytes of the potential of a training that may take so many epochs."""
    return to_bytes(train(*sets, architecture, settings, checkpoint=folder, clock=Laps(laps)).potential)


def interrupt(folder, laps, label='ERROR_OUT_OF_WALLTIME', settings=SETTINGS):
    """Begin or go on for some epochs."""
    with pytest.raises(KernelError, match=r'of 6 epochs after') as error:
        run(folder, laps, settings=settings)
    assert error.value.label == label


def files(folder):
    """Return the names of the numbers in a folder."""
    return sorted(path.name for path in folder.iterdir() if path.name != STATE)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """Return the bytes of a potential that was trained in one go."""
    return run(tmp_path_factory.mktemp('training') / 'checkpoint')


@pytest.fixture
def folder(tmp_path):
    """Return a checkpoint after three of six epochs, one after the last look."""
    interrupt(tmp_path / 'checkpoint', 3)
    return tmp_path / 'checkpoint'


@pytest.mark.parametrize('precision', ['single', 'double'])
def test_goes_on(tmp_path, uninterrupted, precision):
    """Interrupted twice, before and after the first look, it ends with the same bytes."""
    settings = replace(SETTINGS, precision=precision)
    interrupt(tmp_path / 'checkpoint', 1, settings=settings)
    interrupt(tmp_path / 'checkpoint', 4, settings=settings)
    found = run(tmp_path / 'checkpoint', settings=settings)
    assert found == (uninterrupted if precision == 'single' else run(None, settings=settings))


def test_too_short(folder):
    """A run without a single epoch is told from one that got somewhere, and costs nothing."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    interrupt(folder, 0, 'ERROR_WALLTIME_TOO_SHORT')
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_written_meanwhile(tmp_path, monkeypatch, uninterrupted):
    """A checkpoint is written from time to time, so that a machine that dies takes little with it."""
    monkeypatch.setattr(network_training, 'CHECKPOINT_SECONDS', 0.0)
    assert run(tmp_path / 'checkpoint') == uninterrupted
    assert json.loads((tmp_path / 'checkpoint' / STATE).read_text())['epoch'] == 6
    assert len(files(tmp_path / 'checkpoint')) == 1
    assert run(tmp_path / 'checkpoint', laps=0) == uninterrupted, 'nothing is left to do'


def test_died_between_files(folder, tmp_path, uninterrupted):
    """New numbers without the state that goes with them are of no account; the old ones are still there."""
    older = tmp_path / 'older'
    shutil.copytree(folder, older)
    interrupt(folder, 1)
    assert files(folder) != files(older)
    for name in files(folder):
        shutil.copy(folder / name, older)
    (older / f'{STATE}.part').write_text('{')
    assert run(older) == uninterrupted


@pytest.mark.parametrize(
    'changes',
    [
        {'sets': ([replace(SETS[0][0], energies=SETS[0][0].energies + 1e-9)], SETS[1])},
        {'sets': (SETS[0], [labelled(NETWORK_TEACHER, 2, 2)])},
        {'settings': replace(SETTINGS, learning_rate=1e-3)},
        {'settings': replace(SETTINGS, seed=4)},
        {'architecture': replace(ARCHITECTURE, channels=2)},
    ],
    ids=['energy', 'validation', 'settings', 'seed', 'architecture'],
)
def test_other_training(folder, changes):
    """The state of a training with other input is refused, and named as such."""
    with pytest.raises(KernelError, match='is of a training with other data, architecture or settings') as error:
        run(folder, **changes)
    assert error.value.label == 'ERROR_CHECKPOINT_REFUSED'


def test_other_cores(folder):
    """A run that goes on may have another number of threads."""
    interrupt(folder, 0, 'ERROR_WALLTIME_TOO_SHORT', settings=replace(SETTINGS, threads=2))


def number_file(folder):
    """Return the file of numbers."""
    return folder / files(folder)[0]


def flipped(folder):
    """Change a byte of the numbers."""
    data = bytearray(number_file(folder).read_bytes())
    data[-5] ^= 1
    number_file(folder).write_bytes(data)


def without(folder, key):
    """Take an entry from the state."""
    state = json.loads((folder / STATE).read_text())
    del state[key]
    (folder / STATE).write_text(json.dumps(state))


@pytest.mark.parametrize(
    'damage',
    [
        flipped,
        lambda folder: number_file(folder).write_bytes(number_file(folder).read_bytes()[:-8]),
        lambda folder: number_file(folder).unlink(),
        lambda folder: (folder / STATE).write_text((folder / STATE).read_text()[:-9]),
        lambda folder: (folder / STATE).write_bytes(b'\x80\x04'),
        lambda folder: (folder / STATE).write_text('[1]'),
        lambda folder: without(folder, 'numbers'),
        lambda folder: without(folder, 'best_loss'),
    ],
    ids=['byte', 'end', 'numbers', 'state', 'pickle', 'list', 'digest', 'key'],
)
def test_damaged(folder, damage):
    """What is damaged is refused, and not taken for the beginning of a training."""
    damage(folder)
    with pytest.raises(KernelError, match=r'cannot be used: .*; start without the parent folder') as error:
        run(folder)
    assert error.value.label == 'ERROR_CHECKPOINT_REFUSED'


def test_patience_is_kept(folder):
    """How often a training has looked without getting better counts on."""
    state = json.loads((folder / STATE).read_text())
    (folder / STATE).write_text(json.dumps(state | {'looks_without_better': SETTINGS.patience}))
    found = train(*SETS, ARCHITECTURE, SETTINGS, checkpoint=folder, clock=Laps(0)).potential
    assert (found.record['epochs'], found.record['stopped']) == (3, 'patience')


def test_content(folder):
    """Weights, averages, the best and what the optimiser keeps are all there; nothing can run."""
    arrays = tensors_from_bytes(number_file(folder).read_bytes(), 'numbers')
    groups = {name.split('.')[0] for name in arrays}
    assert groups == {'weight', 'mean', 'best', 'optimiser'}
    assert arrays['optimiser.readout.step'] == 3 * 3
    assert all(np.isfinite(array).all() for array in arrays.values())
