"""The calculation through the engine: real runs, a stop by the wall time, every exit code, nothing of a stranger."""

import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.plugins import CalculationFactory
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels import calculators, evaluate, evaluation_parts
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')
CALCULATORS = Path(__file__).parent.parent / 'kernels'
MESH = (2, 1, 1)


def population(count=6, seed=1):
    """Return pairs ±u of a supercell of copper."""
    crystal = Crystal.from_ase(bulk('Cu', 'fcc', a=3.6))
    constants = np.tile(5.0 * np.eye(3, dtype=complex), (2, 1, 1))
    half = np.random.default_rng(seed).normal(scale=0.05, size=(count // 2, 1, 2, 3))
    displacements = np.concatenate([half, -half], axis=1).reshape(count, 2, 3)
    return ForceEnsemble(DynamicalMatrices(crystal, MESH, constants, 'sscha', 0.0, 300.0), 300.0, displacements)


@pytest.fixture
def code(aiida_localhost):
    """Return a function that makes the code of a calculator."""
    aiida_localhost.set_minimum_job_poll_interval(0.1)

    def make(path='evaluators:Springs', **options):
        lines = [f'export PYTHONPATH={CALCULATORS}', 'export OMP_NUM_THREADS=1']
        if path:
            lines.append(f'export CLATHRATE_CALCULATOR={path}')
            lines.append(f'export CLATHRATE_CALCULATOR_OPTIONS={shlex.quote(json.dumps(options))}')
        return orm.InstalledCode(
            label='calculator',
            computer=aiida_localhost,
            filepath_executable=sys.executable,
            default_calc_job_plugin='clathrate.evaluate',
            prepend_text='\n'.join(lines),
        ).store()

    return make


def builder(code, ensemble=None, **parameters):
    """Return the inputs of a calculation."""
    result = CalculationFactory('clathrate.evaluate').get_builder()
    result.code = code
    result.population = ForceEnsembleData.from_kernel(ensemble or population())
    result.parameters = parameters
    return result


def logged(path):
    """Return how many configurations were computed, and how many different ones."""
    lines = path.read_text().splitlines()
    return len(lines), len(set(lines))


def test_ase(code):
    """The ensemble is the population with the numbers of ASE; nothing large is kept beside it."""
    outputs, calculation = run_get_node(builder(code('ase.calculators.emt:EMT'), stress=True))
    assert calculation.is_finished_ok, calculation.exit_message
    node = outputs['ensemble']
    ensemble, drawn = node.to_kernel(), population()
    np.testing.assert_array_equal(ensemble.displacements, drawn.displacements)
    atoms = bulk('Cu', 'fcc', a=3.6).repeat(MESH)
    atoms.calc = EMT()
    for index, positions in enumerate(drawn.positions):
        atoms.positions = positions
        assert ensemble.energies[index] == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
        np.testing.assert_allclose(ensemble.forces[index], atoms.get_forces(), atol=1e-10)
    assert ensemble.stresses.shape == (6, 3, 3)
    assert node.base.attributes.get('source') == 'ase:ase.calculators.emt:EMT'
    assert (ensemble.temperature, ensemble.antithetic) == (300.0, True)
    assert outputs['output_parameters']['configurations'] == 6
    assert outputs['retrieved'].base.repository.list_object_names() == [
        '_scheduler-stderr.txt',
        '_scheduler-stdout.txt',
        'aiida.out',
        'results.json',
    ]
    assert 'inputs.npz' not in calculation.base.repository.list_object_names()


def test_walltime(code, tmp_path):
    """A job that is short of time ends with 400; one from its folder goes on, and nothing is computed twice."""
    log = tmp_path / 'log'
    slow = code(log=str(log), seconds=0.4)
    inputs = builder(slow, batch_size=1)
    inputs.metadata.options.max_wallclock_seconds = 2
    _, stopped = run_get_node(inputs)
    assert stopped.exit_status == 400
    assert 'of 6 configurations' in stopped.exit_message
    before = logged(log)[0]
    assert 0 < before < 6
    inputs = builder(slow)
    inputs.parent_folder = stopped.outputs.remote_folder
    outputs, calculation = run_get_node(inputs)
    assert calculation.is_finished_ok, calculation.exit_message
    assert outputs['output_parameters']['reused'] == before
    assert logged(log) == (6, 6)
    np.testing.assert_allclose(outputs['ensemble'].to_kernel().forces, -2.0 * population().positions, atol=1e-12)


def test_foreign_folder(code):
    """The folder of another population is refused; one without parts changes nothing."""
    own = code()
    _, other = run_get_node(builder(own, population(seed=2)))
    inputs = builder(own)
    inputs.parent_folder = other.outputs.remote_folder
    assert run_get_node(inputs).node.exit_status == 211
    _, failed = run_get_node(builder(code('evaluators:Absent')))
    inputs = builder(own)
    inputs.population = ForceEnsembleData.from_kernel(population(), 'single')
    inputs.parent_folder = failed.outputs.remote_folder
    outputs, calculation = run_get_node(inputs)
    assert calculation.is_finished_ok
    assert outputs['ensemble'].get_array('forces').dtype == np.float32  # as the population


@pytest.mark.parametrize(
    ('path', 'options', 'status', 'message'),
    [
        (None, {}, 220, 'the code sets no CLATHRATE_CALCULATOR'),
        ('evaluators:Springs', {'defect': 'nan'}, 312, 'are not finite'),
        ('evaluators:Springs', {'startup': 1.0}, 401, '0 of 6 configurations'),
    ],
)
def test_exit_codes(code, path, options, status, message):
    """A failure has its exit code with the reason, and no ensemble."""
    # What an ensemble says about its source is text: it does not choose what is imported.
    inputs = builder(code(path, **options), replace(population(), source='ase:evaluators:Springs'))
    inputs.metadata.options.max_wallclock_seconds = 1
    outputs, calculation = run_get_node(inputs)
    assert calculation.exit_status == status, calculation.exit_message
    assert message in calculation.exit_message
    assert 'ensemble' not in outputs
    assert not calculation.base.caching.is_valid_cache


def test_labels():
    """Each label that the kernel may give is that of an exit code."""
    exit_codes = CalculationFactory('clathrate.evaluate').exit_codes
    sources = (Path(module.__file__).read_text() for module in (calculators, evaluate, evaluation_parts))
    labels = {label for source in sources for label in re.findall(r"'(ERROR_\w+)'", source)}
    assert len(labels) == 8
    assert labels <= set(exit_codes)
    assert all(exit_codes[label].invalidates_cache for label in labels)


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'calculator': 'os:system'}, 'calculator: no such parameter'),
        ({'CLATHRATE_CALCULATOR': 'os:system'}, 'CLATHRATE_CALCULATOR: no such parameter'),
        ({'batch_size': -1}, 'batch_size: -1'),
    ],
)
def test_bad_parameters(code, parameters, message):
    """No input names a calculator; what the kernel would refuse is refused before submission."""
    with pytest.raises(ValueError, match=message):
        run_get_node(builder(code(None), **parameters))
    assert orm.QueryBuilder().append(orm.CalcJobNode).count() == 0


def test_computed_population(code):
    """A population that has forces is refused."""
    drawn = population()
    computed = replace(drawn, energies=np.zeros(6), forces=np.zeros_like(drawn.displacements), source='model')
    with pytest.raises(ValueError, match='have forces already'):
        run_get_node(builder(code(), computed))


def test_caching(code, tmp_path):
    """The same calculator is taken from the cache; another one, or other options of it, is not."""
    log = tmp_path / 'log'
    with enable_caching():
        for options, runs in (({}, 6), ({}, 6), ({'seconds': 1e-6}, 12)):
            _, calculation = run_get_node(builder(code(log=str(log), **options)))
            assert calculation.is_finished_ok
            assert logged(log)[0] == runs
