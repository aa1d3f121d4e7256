"""Evaluation of populations: the numbers of ASE, nothing computed twice, nothing of somebody else, nothing spoilt."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_clathrate.kernels import evaluate, io
from aiida_clathrate.kernels.calculators import NAME_VARIABLE, OPTIONS_VARIABLE, AseEvaluator
from aiida_clathrate.kernels.evaluation_parts import FOLDER
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

KERNELS = Path(__file__).parent


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the kernel in a folder of its own with the calculator of a code."""
    monkeypatch.chdir(tmp_path)

    def run(arrays, symbols, path='evaluators:Springs', options=None, max_seconds=None, **settings):
        monkeypatch.setenv(NAME_VARIABLE, path)
        monkeypatch.setenv(OPTIONS_VARIABLE, json.dumps(options or {}))
        return evaluate.run({'settings': settings, 'symbols': symbols, 'max_seconds': max_seconds}, arrays)

    return run


@pytest.fixture
def copper():
    """Return twelve configurations of a compressed supercell of copper, and its symbols."""
    atoms = bulk('Cu', 'fcc', a=3.5, cubic=True).repeat((2, 1, 1))
    noise = np.random.default_rng(1).normal(scale=0.05, size=(12, len(atoms), 3))
    return {'positions': atoms.positions + noise, 'cell': atoms.cell.array}, atoms.get_chemical_symbols()


def logged(path):
    """Return how many configurations were computed, and how many different ones."""
    lines = path.read_text().splitlines()
    return len(lines), len(set(lines))


def test_ase(run, copper):
    """Energies, forces and stresses are those of ASE, one configuration at a time, the stress with our sign."""
    arrays, symbols = copper
    scalars, results = run(arrays, symbols, 'ase.calculators.emt:EMT', stress=True)
    for index, positions in enumerate(arrays['positions']):
        atoms = Atoms(symbols, positions, cell=arrays['cell'], pbc=True, calculator=EMT())
        assert results['energies'][index] == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
        np.testing.assert_allclose(results['forces'][index], atoms.get_forces(), atol=1e-12)
        expected = -GPA_PER_EV_ANGSTROM3 * atoms.get_stress(voigt=False)
        np.testing.assert_allclose(results['stresses'][index], expected, atol=1e-9)
    assert np.trace(results['stresses'].mean(axis=0)) > 3  # GPa: the copper is compressed
    assert scalars['source'] == 'ase:ase.calculators.emt:EMT'
    assert (scalars['configurations'], scalars['reused']) == (12, 0)


def test_batches_and_single_configurations():
    """A calculator that takes several configurations gives what it gives to ASE one by one."""
    from morse_clathrate import MorseClathrate, clathrate_atoms

    calculator, atoms = MorseClathrate(), clathrate_atoms()
    positions = atoms.positions + np.random.default_rng(2).normal(scale=0.05, size=(5, len(atoms), 3))
    single = AseEvaluator(calculator, atoms.get_chemical_symbols(), stress=True)
    for one, other in zip(
        single.evaluate(positions, atoms.cell.array), calculator.evaluate(positions, atoms.cell.array), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_batch_size(run, copper, tmp_path):
    """However the population is cut into batches, each configuration is computed once, with the same result."""
    arrays, symbols = copper
    log = tmp_path / 'log'
    results = []
    for size in (1, 5, 100):
        log.write_text('')
        _, found = run(arrays, symbols, options={'log': str(log)}, batch_size=size)
        assert logged(log) == (12, 12)
        assert len(list(Path(FOLDER).glob('*.json'))) == {1: 12, 5: 3, 100: 1}[size]
        assert 'stresses' not in found
        results.append(found['forces'])
        for path in Path(FOLDER).iterdir():
            path.unlink()
    np.testing.assert_array_equal(results[0], -2.0 * arrays['positions'])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_out_of_time(run, copper, tmp_path):
    """A run that is short of time stops by itself; the next ones go on, and nothing is computed twice."""
    arrays, symbols = copper
    log = tmp_path / 'log'
    options = {'log': str(log), 'seconds': 0.05}
    with pytest.raises(io.KernelError, match='of 12 configurations after') as error:
        run(arrays, symbols, options=options, max_seconds=0.25, batch_size=1)
    assert error.value.label == 'ERROR_OUT_OF_WALLTIME'
    before = logged(log)[0]
    assert 0 < before < 5  # the fifth would not have been finished in time
    scalars, results = run(arrays, symbols, options=options, batch_size=4)
    assert logged(log) == (12, 12)
    assert scalars['reused'] == before
    np.testing.assert_array_equal(results['forces'], -2.0 * arrays['positions'])
    again, _ = run(arrays, symbols, options=options)
    assert (again['reused'], logged(log)[0]) == (12, 12)


def test_no_time_at_all(run, copper):
    """Where not one batch fits, the label is another: going on would never end."""
    with pytest.raises(io.KernelError) as error:
        run(*copper, max_seconds=0.0)
    assert error.value.label == 'ERROR_WALLTIME_TOO_SHORT'


def test_failure_keeps_parts(run, copper, tmp_path):
    """What was computed before a failure is not lost."""
    arrays, symbols = copper
    log = tmp_path / 'log'
    spoilt = {**arrays, 'positions': arrays['positions'].copy()}
    spoilt['positions'][7] = np.nan
    with pytest.raises(io.KernelError, match='configuration 7 are not finite') as error:
        run(spoilt, symbols, options={'log': str(log)}, batch_size=3)
    assert error.value.label == 'ERROR_RESULTS_UNUSABLE'
    log.write_text('')
    scalars, _ = run(arrays, symbols, options={'log': str(log)}, batch_size=3)
    assert scalars['reused'] == 6
    assert logged(log) == (6, 6)


@pytest.mark.parametrize('change', ['positions', 'order', 'cell', 'species', 'calculator', 'options', 'stress'])
def test_foreign_parts(run, copper, change):
    """Parts of another population, cell or calculator are refused."""
    arrays, symbols = copper
    run(arrays, symbols, batch_size=4)
    other, arguments = dict(arrays), {}
    if change == 'positions':
        other['positions'] = arrays['positions'] + 1e-9
    elif change == 'order':
        other['positions'] = arrays['positions'][::-1]
    elif change == 'cell':
        other['cell'] = 1.001 * arrays['cell']
    elif change == 'species':
        symbols = ['Ni', *symbols[1:]]
    elif change == 'calculator':
        arguments['path'] = 'ase.calculators.emt:EMT'
    elif change == 'options':
        arguments['options'] = {'seconds': 1e-6}
    else:
        arguments['stress'] = True
    with pytest.raises(io.KernelError, match='of another population or another calculator') as error:
        run(other, symbols, **arguments)
    assert error.value.label == 'ERROR_PARTS_REFUSED'


def test_overlapping_parts(run, copper):
    """Two parts with the same configuration are refused, not averaged or overwritten."""
    arrays, symbols = copper
    run(arrays, symbols, batch_size=4)
    for suffix in ('json', 'npz'):
        part = Path(FOLDER) / f'part_00000000.{suffix}'
        part.with_stem('part_00000001').write_bytes(part.read_bytes())
    with pytest.raises(io.KernelError, match='overlap'):
        run(arrays, symbols)


@pytest.mark.parametrize('damage', ['json', 'npz', 'arrays'])
def test_damaged_part(run, copper, tmp_path, caplog, damage):
    """A part that cannot be read is computed again, and that is said."""
    arrays, symbols = copper
    log = tmp_path / 'log'
    run(arrays, symbols, options={'log': str(log)}, batch_size=4)
    log.write_text('')
    if damage == 'arrays':
        io.write(Path(FOLDER), 'part_00000004', {}, {'something': np.zeros(1)})
    else:
        (Path(FOLDER) / f'part_00000004.{damage}').write_bytes(b'PK half of')
    scalars, _ = run(arrays, symbols, options={'log': str(log)}, batch_size=4)
    assert (scalars['reused'], logged(log)) == (8, (4, 4))
    assert 'part_00000004.json: unreadable' in caplog.text


@pytest.mark.parametrize(
    ('path', 'options', 'settings', 'label', 'message'),
    [
        ('evaluators:Springs', {'defect': 'nan'}, {}, 'ERROR_RESULTS_UNUSABLE', 'configuration 11 are not finite'),
        ('evaluators:Springs', {'defect': 'shape'}, {}, 'ERROR_RESULTS_UNUSABLE', r'shape \(12, 8, 3\), not'),
        ('evaluators:Springs', {'defect': 'no forces'}, {}, 'ERROR_FORCES_MISSING', 'gave no forces'),
        ('evaluators:Springs', {'defect': 'no stresses'}, {'stress': True}, 'ERROR_STRESSES_MISSING', 'fixed cell'),
        ('evaluators:Springs', {'defect': 'raises'}, {}, 'ERROR_CALCULATOR_FAILED', 'the card is full.*batch_size'),
        ('evaluators:EnergyOnly', {}, {}, 'ERROR_FORCES_MISSING', 'EnergyOnly computes no forces'),
        ('evaluators:NoStress', {}, {'stress': True}, 'ERROR_STRESSES_MISSING', 'NoStress computes no stresses'),
        ('evaluators:Absent', {}, {}, 'ERROR_CALCULATOR_MISSING', "AttributeError: module 'evaluators' has no"),
        ('no_such_module:f', {}, {}, 'ERROR_CALCULATOR_MISSING', 'ModuleNotFoundError'),
        ('evaluators:Springs', {'colour': 1}, {}, 'ERROR_CALCULATOR_MISSING', 'unexpected keyword'),
        ('evaluators.Springs', {}, {}, 'ERROR_CALCULATOR_MISSING', 'not of the form package.module:factory'),
        ('os:system("id")', {}, {}, 'ERROR_CALCULATOR_MISSING', 'not of the form package.module:factory'),
        ('evaluators:Springs', [1], {}, 'ERROR_CALCULATOR_MISSING', 'must be a JSON object'),
    ],
)
def test_refused(run, copper, path, options, settings, label, message):
    """What cannot be an answer ends with a label and the reason."""
    with pytest.raises(io.KernelError, match=message) as error:
        run(*copper, path, options, **settings)
    assert error.value.label == label


def test_environment(run, copper, monkeypatch):
    """Without a name in the environment, or with options that are no JSON, nothing is imported."""
    arrays, symbols = copper
    scalars = {'settings': {}, 'symbols': symbols, 'max_seconds': None, 'calculator': 'evaluators:Springs'}
    monkeypatch.delenv(NAME_VARIABLE, raising=False)
    with pytest.raises(io.KernelError, match='setup calculator'):
        evaluate.run(scalars, arrays)
    monkeypatch.setenv(NAME_VARIABLE, 'evaluators:Springs')
    monkeypatch.setenv(OPTIONS_VARIABLE, 'log=here')
    with pytest.raises(io.KernelError, match='is no JSON'):
        evaluate.run(scalars, arrays)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'stress': 1}, 'stress: 1 is neither'),
        ({'batch_size': 0}, 'batch_size: 0'),
        ({'batch_size': True}, 'batch_size: True'),
        ({'calculator': 'evaluators:Springs'}, 'calculator: no such parameter'),
    ],
)
def test_settings(settings, message):
    """Settings that mean nothing are refused; a calculator is none of them."""
    with pytest.raises(ValueError, match=message):
        evaluate.Settings.from_scalars(settings)


def test_progress(copper, tmp_path):
    """On the computer, the run says how far it is."""
    arrays, symbols = copper
    scalars = {'settings': {'batch_size': 5}, 'symbols': symbols, 'max_seconds': None}
    io.write(tmp_path, io.INPUTS, scalars, arrays)
    environment = os.environ | {NAME_VARIABLE: 'evaluators:Springs', 'PYTHONPATH': str(KERNELS)}
    command = [sys.executable, '-m', 'aiida_clathrate.kernels', 'evaluate']
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = [(1, 5), (6, 10), (11, 12)]
    assert run.stdout.splitlines() == [f'configurations {first} to {last} of 12' for first, last in expected]
    scalars, results = io.read(tmp_path, io.RESULTS)
    assert results['energies'].shape == (12,)


def test_order():
    """Results are joined in the order of the configurations."""
    parts = [
        evaluate.Evaluated(np.array([2, 0]), np.array([2.0, 0.0]), np.zeros((2, 1, 3))),
        evaluate.Evaluated(np.array([1]), np.array([1.0]), np.ones((1, 1, 3))),
    ]
    joined = evaluate.join(parts)
    assert joined.energies.tolist() == [0.0, 1.0, 2.0]
    assert joined.forces[:, 0, 0].tolist() == [0.0, 1.0, 0.0]
