"""Forces on a population by a calculator: jobs that stop or break are continued, and nothing is computed twice."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from ase.build import bulk

from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')
CALCULATORS = Path(__file__).parent.parent / 'kernels'


@pytest.fixture
def population():
    """Return three pairs ±u of a supercell of copper."""
    crystal = Crystal.from_ase(bulk('Cu', 'fcc', a=3.6))
    constants = np.tile(5.0 * np.eye(3, dtype=complex), (2, 1, 1))
    half = np.random.default_rng(1).normal(scale=0.05, size=(3, 1, 2, 3))
    displacements = np.concatenate([half, -half], axis=1).reshape(6, 2, 3)
    return ForceEnsemble(DynamicalMatrices(crystal, (2, 1, 1), constants, 'sscha', 0.0, 300.0), 300.0, displacements)


@pytest.fixture
def builder(aiida_localhost, population):
    """Return a function that makes the inputs of a work chain with springs as calculator."""
    aiida_localhost.set_minimum_job_poll_interval(0.1)

    def make(options, seconds=None, **inputs):
        lines = [f'export PYTHONPATH={CALCULATORS} OMP_NUM_THREADS=1 CLATHRATE_CALCULATOR=evaluators:Springs']
        lines.append(f'export CLATHRATE_CALCULATOR_OPTIONS={shlex.quote(json.dumps(options))}')
        builder = WorkflowFactory('clathrate.forces').get_builder()
        builder.population = ForceEnsembleData.from_kernel(population)
        builder.calculator.code = orm.InstalledCode(
            label='springs',
            computer=aiida_localhost,
            filepath_executable=sys.executable,
            prepend_text='\n'.join(lines),
        )
        builder.calculator.parameters = {'batch_size': 2}
        if seconds:
            builder.calculator.metadata.options.max_wallclock_seconds = seconds
        for name, value in inputs.items():
            builder[name] = value
        return builder

    return make


def jobs(node):
    """Return the exit status of each job of a work chain."""
    links = node.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all()
    return {link.link_label: link.node.exit_status for link in sorted(links, key=lambda link: link.node.pk)}


def assert_once(log):
    """Assert that each of the six configurations was computed exactly once."""
    lines = log.read_text().splitlines()
    assert (len(lines), len(set(lines))) == (6, 6)


def test_walltime(builder, population, tmp_path):
    """A job that is stopped by its wall time is continued, with the stresses that were asked for."""
    log = tmp_path / 'log'
    outputs, node = run_get_node(builder({'log': str(log), 'seconds': 0.3}, seconds=2, stress=True))
    assert node.is_finished_ok, node.exit_message
    statuses = jobs(node)
    assert statuses.pop(f'evaluation_{len(statuses)}') == 0
    assert set(statuses.values()) == {400}
    assert_once(log)
    ensemble = outputs['ensemble'].to_kernel()
    np.testing.assert_allclose(ensemble.forces, -2.0 * population.positions, atol=1e-12)
    assert ensemble.stresses.shape == (6, 3, 3)
    assert ensemble.source == 'ase:evaluators:Springs'


def test_broken(builder, tmp_path):
    """A job that breaks is tried again from its folder, here by a work chain that goes on from the failed one."""
    log = tmp_path / 'log'
    options = {'log': str(log), 'breaks': str(tmp_path / 'broken')}
    _, failed = run_get_node(builder(options, max_attempts=1))
    assert failed.exit_status == 402
    assert 'broken once' in failed.exit_message
    (tmp_path / 'broken').unlink()
    _, node = run_get_node(builder(options, restart_from=failed))
    assert node.is_finished_ok, node.exit_message
    assert jobs(node) == {'evaluation_1': 311, 'evaluation_2': 0}
    assert_once(log)


def test_hopeless(builder):
    """What would fail again is not tried again."""
    _, node = run_get_node(builder({'defect': 'nan'}, max_attempts=5))
    assert node.exit_status == 402
    assert jobs(node) == {'evaluation_1': 312}


def test_refused(builder):
    """The stress has one place to ask for it, and forces one source."""
    inputs = builder({})
    inputs.calculator.parameters = {'stress': True}
    with pytest.raises(ValueError, match=r'calculator\.parameters: stress is an input of the work chain'):
        run_get_node(inputs)
    with pytest.raises(ValueError, match='there is no node'):
        run_get_node(builder({}, restart_from='b64c1d5c-0000-0000-0000-000000000000'))
