"""A potential on a population: its own numbers, with our signs, and never mixed with those of another potential."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_potential import small_potential

from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.evaluation_parts import FOLDER
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.mlp import evaluate_potential, potential_files
from aiida_clathrate.kernels.mlp.evaluation_settings import EvaluationSettings
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

POTENTIAL = small_potential()
POPULATION = sample(POTENTIAL.baseline, 300.0, 6, 1)
SUPERCELL = supercell_crystal(POPULATION.crystal, POPULATION.mesh)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the kernel in a folder with a potential."""
    monkeypatch.chdir(tmp_path)

    def run(potential=POTENTIAL, positions=POPULATION.positions, max_seconds=None, **settings):
        potential_files.save(potential, Path())
        scalars = {'settings': settings, 'symbols': list(SUPERCELL.symbols), 'max_seconds': max_seconds}
        return evaluate_potential.run(scalars, {'positions': positions, 'cell': SUPERCELL.cell})

    return run


@pytest.mark.parametrize('settings', [{}, {'batch_size': 4, 'stress': True, 'precision': 'double', 'threads': 2}])
def test_numbers(run, settings):
    """The numbers are those of the evaluator, the stress with our sign; the source names the potential."""
    scalars, found = run(**settings)
    evaluator = PotentialEvaluator(POTENTIAL, SUPERCELL.symbols, precision=settings.get('precision', 'single'))
    energies, forces, stresses, deviations = evaluator.evaluate_scored(POPULATION.positions, SUPERCELL.cell)
    tolerance = {'rtol': 1e-5, 'atol': 1e-5}
    np.testing.assert_allclose(found['energies'], energies, **tolerance)
    np.testing.assert_allclose(found['forces'], forces, **tolerance)
    np.testing.assert_allclose(found['deviations'], deviations, **tolerance)
    assert ('stresses' in found) == settings.get('stress', False)
    if 'stresses' in found:
        np.testing.assert_allclose(found['stresses'], -GPA_PER_EV_ANGSTROM3 * stresses, **tolerance)
    assert scalars['source'].startswith('potential:')
    assert len(scalars['source']) == len('potential:') + 12
    assert scalars['largest_deviation'] == pytest.approx(deviations.max(), rel=1e-5)
    assert scalars['mean_deviation'] == pytest.approx(deviations.mean(), rel=1e-5)


def test_parts(run):
    """What an earlier run has done is not done again, its expected errors are kept."""
    first, found = run(batch_size=2)
    assert len(list(Path(FOLDER).glob('*.json'))) == 1  # a part for each batch would be thousands
    again, same = run(threads=2)
    assert (first['reused'], again['reused']) == (0, 6)
    for name, array in found.items():
        np.testing.assert_array_equal(same[name], array)


@pytest.mark.parametrize(
    'change',
    [
        {'potential': small_potential(seed=2)},
        {'potential': replace(POTENTIAL, record={})},
        {'precision': 'double'},
        {'stress': True},
    ],
    ids=['weights', 'record', 'precision', 'stress'],
)
def test_foreign_parts(run, change):
    """Parts by another potential, or computed in another way, are refused."""
    run()
    with pytest.raises(KernelError, match='another calculator') as error:
        run(**change)
    assert error.value.label == 'ERROR_PARTS_REFUSED'


def test_outside_range(run):
    """Atoms that lie on each other end with a label, and with the batch that they are in."""
    positions = POPULATION.positions.copy()
    positions[4, 1] = positions[4, 0]
    with pytest.raises(KernelError, match='configurations 4 to 5: two atoms') as error:
        run(positions=positions, batch_size=2)
    assert error.value.label == 'ERROR_OUTSIDE_RANGE'
    assert run(batch_size=2)[0]['reused'] == 4


def test_no_potential(run):
    """A folder without a potential, or with half of one, gives nothing."""
    run()
    (Path() / potential_files.NUMBERS).write_bytes(b'')
    scalars = {'settings': {}, 'symbols': list(SUPERCELL.symbols), 'max_seconds': None}
    with pytest.raises(ValueError, match=r'potential\.safetensors'):
        evaluate_potential.run(scalars, {'positions': POPULATION.positions, 'cell': SUPERCELL.cell})


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'precision': 'half'}, "precision: 'half' is none of single, double"),
        ({'device': 'tpu'}, "device: 'tpu' is none of cpu, cuda"),
        ({'threads': 0}, 'threads: 0 is not'),
        ({'threads': True}, 'threads: True is not'),
        ({'batch_size': 0}, 'batch_size: 0 is not'),
        ({'stress': 1}, 'stress: 1 is neither'),
        ({'committee': 4}, 'committee: no such parameter'),
    ],
)
def test_settings(settings, message):
    """Settings that mean nothing are refused."""
    with pytest.raises(ValueError, match=message):
        EvaluationSettings.from_scalars(settings)
