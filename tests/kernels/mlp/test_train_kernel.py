"""The kernel of the training: ensembles in, potential and errors out, and labels that cannot be right named."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from springs import rocksalt, spring_matrices
from teachers import LINEAR_TEACHER

from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.ensemble_arrays import ensemble_to_arrays
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.mlp import potential_files
from aiida_clathrate.kernels.mlp import train as kernel
from aiida_clathrate.kernels.mlp.checkpoint import FOLDER
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

ARCHITECTURE = LINEAR_TEACHER.architecture
TEACHER = replace(LINEAR_TEACHER, species=('Mg', 'O'))
SPLIT = {
    'first': {'training': [0, 1, 2, 3, 6, 7], 'validation': [4, 5]},
    'second': {'training': [0, 1], 'validation': [3]},
}


def labelled(mesh, count, seed):
    """Return a population of rock salt with the labels of the teacher."""
    population = sample(spring_matrices(rocksalt(), mesh), 300.0, count, seed)
    supercell = supercell_crystal(population.crystal, mesh)
    evaluator = PotentialEvaluator(TEACHER, supercell.symbols, precision='double')
    energies, forces, stresses = evaluator.evaluate(population.positions, supercell.cell)
    return replace(population, energies=energies, forces=forces, stresses=-GPA_PER_EV_ANGSTROM3 * stresses)


ENSEMBLES = {'second': labelled((2, 1, 1), 4, 2), 'first': labelled((1, 2, 1), 8, 1)}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the kernel in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(spoil=None, **changes):
        arrays, scalars = {}, {}
        for label, ensemble in ENSEMBLES.items():
            scalars[label], own = ensemble_to_arrays(ensemble)
            arrays |= {f'{label}__{name}': array.copy() for name, array in own.items()}
        if spoil:
            spoil(arrays)
        inputs = {
            'ensembles': scalars, 'split': SPLIT, 'architecture': ARCHITECTURE.scalars(),
            'settings': {'model': 'linear', 'epochs': 2, 'evaluate_every': 1, 'seed': 3}, 'baseline': None,
            'previous': False, 'max_seconds': None,
        }  # fmt: skip
        return kernel.run(inputs | changes, arrays)

    return run


def test_results(run):
    """Scalars are plain JSON, arrays in the order of the labels, and the files are those of the potential."""
    scalars, arrays = run()
    assert json.loads(json.dumps(scalars, allow_nan=False)) == scalars
    assert scalars['species'] == ['Mg', 'O']
    assert scalars['model'] == 'linear'
    assert (scalars['training_configurations'], scalars['validation_configurations']) == (8, 3)
    np.testing.assert_array_equal(arrays['validation_index'], [[0, 4], [0, 5], [1, 3]])
    energies = [ENSEMBLES[label].energies[index] / 4 for label, index in (('first', 4), ('first', 5), ('second', 3))]
    np.testing.assert_allclose(arrays['energies'], energies)
    assert arrays['forces'].shape == arrays['predicted_forces'].shape == (12, 3)
    assert arrays['deviations'].shape == arrays['force_errors'].shape == (3,)
    assert arrays['history'].shape == (0, len(scalars['history_columns']))
    potential = potential_files.load(Path())
    assert potential.record['force_rmse'] == scalars['force_rmse']
    for name in ('energy_rmse', 'energy_max', 'energy_mean_error', 'force_rmse', 'force_max', 'force_rmse_by_species',
                 'force_deviation', 'stress_rmse'):  # fmt: skip
        assert name in scalars
        assert f'training_{name}' in scalars


def test_previous(run):
    """The potential in the folder is what a training goes on from."""
    run()
    before = potential_files.load(Path())
    scalars, arrays = run(settings={'model': 'both', 'epochs': 2, 'evaluate_every': 1}, previous=True)
    assert len(arrays['history']) == 2
    assert scalars['model'] == 'both'
    after = potential_files.load(Path())
    np.testing.assert_array_equal(after.weights['linear.coefficients'], before.weights['linear.coefficients'])


def test_baseline(run):
    """The matrices of the ensemble that is named are the baseline."""
    split = {'second': SPLIT['second']}
    run(baseline='second', split=split)
    found = potential_files.load(Path()).baseline
    np.testing.assert_allclose(found.force_constants, ENSEMBLES['second'].matrices.force_constants)
    with pytest.raises(ValueError, match='the cell differs from that of the harmonic baseline'):
        run(baseline='second')


def test_time(run):
    """Without time the state is left in the folder, and the next run ends."""
    settings = {'model': 'network', 'epochs': 2, 'evaluate_every': 1}
    with pytest.raises(KernelError) as error:
        run(settings=settings, max_seconds=0.0)
    assert error.value.label == 'ERROR_WALLTIME_TOO_SHORT'
    assert Path(FOLDER, 'state.json').exists()
    assert run(settings=settings)[0]['stopped'] == 'epochs'


def spoilt(name, index, value):
    """Return what changes an element of an array."""

    def spoil(arrays):
        arrays[name][index] = value

    return spoil


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (spoilt('first__energies', 6, np.nan), 'first: energies: not finite in configuration 6'),
        (spoilt('second__forces', (1, 2, 0), np.inf), 'second: forces: not finite in configuration 1'),
        (spoilt('first__forces', (3, 0, 0), 50.0), 'first, configuration 3: its forces do not add up to zero'),
        (spoilt('second__energies', 3, 1e3), 'second, configuration 3: its energy is'),
    ],
)
def test_wrong_labels(run, spoil, message):
    """Ensemble and configuration are named."""
    with pytest.raises(KernelError, match=message) as error:
        run(spoil)
    assert error.value.label == 'ERROR_LABELS_INVALID'


@pytest.mark.parametrize('part', ['training', 'validation'])
def test_too_few(run, part):
    """Each part needs a configuration."""
    split = {label: parts | {part: []} for label, parts in SPLIT.items()}
    with pytest.raises(KernelError, match=f'there are no configurations for the {part}') as error:
        run(split=split)
    assert error.value.label == 'ERROR_TOO_FEW_CONFIGURATIONS'
