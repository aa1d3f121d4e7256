"""The calculation through the engine: real runs, bad input before submission, every exit code."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from aiida.common import LinkType
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory, ParserFactory
from ase.build import bulk

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.sscha.hessian import hessian
from aiida_clathrate.kernels.sscha.hessian_settings import HessianSettings
from aiida_clathrate.kernels.sscha.sampling import sample

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')
LINK = np.kron([[1, -1], [-1, 1]], np.eye(3)).astype(complex)


@pytest.fixture
def python(aiida_localhost):
    """Return the interpreter of the tests as a code."""
    aiida_localhost.set_minimum_job_poll_interval(0.1)
    return orm.InstalledCode(label='python', computer=aiida_localhost, filepath_executable=sys.executable).store()


def matrices(stiffness=5.0):
    """Return two atoms on springs."""
    crystal = Crystal.from_ase(bulk('BN', 'zincblende', a=3.6))
    return DynamicalMatrices(crystal, (1, 1, 1), stiffness * LINK[None], 'sscha', 10.0, 300.0)


def ensemble(number=200):
    """Return configurations with anharmonic forces between the two atoms."""
    drawn = sample(matrices(), 300.0, number, seed=1)
    distance = drawn.displacements[:, 0] - drawn.displacements[:, 1]
    pull = -5 * distance - 6 * np.roll(distance, 1, axis=1) * np.roll(distance, 2, axis=1) - 9 * distance**3
    return replace(drawn, forces=np.stack([pull, -pull], axis=1), energies=np.zeros(number), source='test')


def builder(python, node=None, **parameters):
    """Return the inputs of a calculation."""
    result = CalculationFactory('clathrate.sscha_hessian').get_builder()
    result.code = python
    result.ensemble = node or ForceEnsembleData.from_kernel(ensemble())
    result.parameters = parameters
    return result


@pytest.mark.parametrize('cores', [None, 2])
def test_result(python, cores):
    """The nodes have the numbers of the kernel, nothing large is kept beside them, and torch has its threads."""
    inputs = builder(python, blocks=20)
    if cores:
        inputs.metadata.options.resources = {
            'num_machines': 1,
            'num_mpiprocs_per_machine': 1,
            'num_cores_per_mpiproc': 2,
        }
    outputs, calculation = run_get_node(inputs)
    assert calculation.is_finished_ok, calculation.exit_message
    direct = hessian(ensemble(), settings=HessianSettings(blocks=20))
    found = outputs['hessian'].to_kernel()
    np.testing.assert_allclose(found.force_constants, direct.matrices.force_constants, atol=1e-9)
    assert (found.level, found.temperature, found.pressure) == ('hessian', 300.0, 10.0)
    third = outputs['third_order_hessian'].to_kernel().force_constants
    np.testing.assert_allclose(third, direct.third_order.force_constants, atol=1e-9)
    assert np.abs(third - found.force_constants).max() > 1e-4
    errors = outputs['frequency_errors']
    assert sorted(errors.get_arraynames()) == ['auxiliary_errors', 'deviations', 'frequencies', 'frequency_errors']
    np.testing.assert_allclose(errors.get_array('frequencies'), direct.frequencies, atol=1e-6)
    np.testing.assert_allclose(errors.get_array('frequency_errors'), direct.frequency_errors, atol=1e-6)
    scalars = outputs['output_parameters'].get_dict()
    assert scalars['configurations'] == 200
    assert scalars['iterations'] == direct.iterations > 0
    assert scalars['warnings'] == []
    assert 'results.npz' not in calculation.outputs.retrieved.base.repository.list_object_names()
    settings = json.loads(calculation.base.repository.get_object_content('inputs.json'))['settings']
    assert settings == {'blocks': 20, 'threads': cores or 1}


def test_other_matrices(python):
    """An ensemble can be re-weighted; where little of it is left that is an exit code."""
    inputs = builder(python, blocks=20)
    inputs.matrices = DynamicalMatrixData.from_kernel(matrices(5.2))
    outputs, calculation = run_get_node(inputs)
    assert calculation.is_finished_ok, calculation.exit_message
    direct = hessian(ensemble(), matrices(5.2), HessianSettings(blocks=20))
    np.testing.assert_allclose(
        outputs['hessian'].to_kernel().force_constants, direct.matrices.force_constants, atol=1e-9
    )
    assert outputs['output_parameters']['kong_liu'] == pytest.approx(direct.kong_liu)
    inputs.matrices = DynamicalMatrixData.from_kernel(matrices(50.0))
    _, calculation = run_get_node(inputs)
    assert calculation.exit_status == 430
    assert 'draw a new ensemble' in calculation.exit_message


def test_too_few_blocks(python):
    """What only the kernel can know is refused by it."""
    _, calculation = run_get_node(builder(python, ForceEnsembleData.from_kernel(ensemble(40))))
    assert calculation.exit_status == 210
    assert 'fewer than the 50 blocks' in calculation.exit_message


def test_bad_inputs(python):
    """What is wrong is said before submission."""
    with pytest.raises(ValueError, match='ensemble: its configurations have no forces'):
        run_get_node(builder(python, ForceEnsembleData.from_kernel(sample(matrices(), 300.0, 10, 0))))
    with pytest.raises(ValueError, match='parameters: block: no such parameter'):
        run_get_node(builder(python, block=20))
    inputs = builder(python)
    finer = DynamicalMatrices(
        matrices().crystal, (2, 1, 1), np.stack([5 * LINK[:6], 5 * LINK[:6] + np.eye(6)]), 'sscha'
    )
    inputs.matrices = DynamicalMatrixData.from_kernel(finer)
    with pytest.raises(ValueError, match=r'matrices: their mesh \[2, 1, 1\] is not that of the ensemble, \[1, 1, 1\]'):
        run_get_node(inputs)
    assert orm.QueryBuilder().append(orm.CalcJobNode).count() == 0


@pytest.mark.parametrize(
    ('files', 'status'),
    [
        ({}, 302),
        ({'results.json': b'{"lambda": 1'}, 310),
        ({'results.json': b'{"error": "ERROR_NOT_CONVERGED", "message": "no"}'}, 410),
        ({'results.json': b'{"error": "ERROR_EFFECTIVE_SAMPLE_TOO_SMALL", "message": "no"}'}, 430),
        ({'results.json': b'{"kong_liu": 1.0}'}, 310),
    ],
)
def test_exit_codes(python, tmp_path, files, status):
    """Missing, damaged and failed results have their exit codes."""
    node = orm.CalcJobNode(computer=python.computer, process_type='aiida.calculations:clathrate.sscha_hessian')
    node.set_option('resources', {'num_machines': 1})
    node.store()
    retrieved = orm.FolderData()
    for name, content in files.items():
        retrieved.base.repository.put_object_from_bytes(content, name)
    retrieved.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label='retrieved')
    retrieved.store()
    np.savez(tmp_path / 'results.npz')
    parser = ParserFactory('clathrate.sscha_hessian')
    outputs, parsed = parser.parse_from_node(node, store_provenance=False, retrieved_temporary_folder=str(tmp_path))
    assert parsed.exit_status == status
    assert not outputs
