"""A daemon killed in the middle of a population: the result is that of an undisturbed run, and nothing runs twice."""

import contextlib
import shutil
import subprocess
import time

import numpy as np
import psutil
import pytest
from aiida import orm
from aiida.engine import run_get_node, submit
from aiida.engine.daemon.client import get_daemon_client
from aiida.plugins import CalculationFactory, WorkflowFactory

from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble

pytestmark = pytest.mark.qe
#: pw.x that notes its start, and takes long enough to be disturbed.
WRAPPER = """#!/bin/bash
echo start >> {log}
sleep 4
exec {program} "$@"
"""
CONFIGURATIONS, CONCURRENT = 6, 3


@pytest.fixture
def profile(aiida_config_factory, aiida_profile_factory, tmp_path_factory):
    """Load a profile that a daemon can serve."""
    with (
        aiida_config_factory(tmp_path_factory.mktemp('aiida')) as config,
        aiida_profile_factory(config, broker_backend='core.zeromq') as profile,
    ):
        yield profile


@pytest.fixture
def builder(profile, aiida_code_installed, qe_codes, aluminium, aluminium_family, tmp_path):
    """Return the inputs of a work chain on three pairs of aluminium, and the log of the starts of pw.x."""
    wrapper, log = tmp_path / 'pw.sh', tmp_path / 'log'
    wrapper.write_text(WRAPPER.format(log=log, program=shutil.which('pw.x')))
    wrapper.chmod(0o755)
    log.touch()
    crystal = Crystal.from_ase(aluminium.get_ase())
    half = np.random.default_rng(1).normal(scale=0.05, size=(CONFIGURATIONS // 2, 1, 1, 3))
    matrices = DynamicalMatrices(crystal, (1, 1, 1), 5.0 * np.eye(3, dtype=complex)[None], 'sscha', 0.0, 300.0)
    displacements = np.concatenate([half, -half], axis=1).reshape(CONFIGURATIONS, 1, 3)
    builder = WorkflowFactory('clathrate.forces').get_builder()
    builder.population = ForceEnsembleData.from_kernel(ForceEnsemble(matrices, 300.0, displacements))
    builder.pw.pw.code = aiida_code_installed(
        label='slow-pw', filepath_executable=str(wrapper), default_calc_job_plugin='quantumespresso.pw'
    )
    builder.pw.pw.pseudos = {'Al': orm.load_group(aluminium_family).get_pseudo('Al')}
    system = {'ecutwfc': 8.0, 'occupations': 'smearing', 'smearing': 'mp', 'degauss': 0.05}
    builder.pw.pw.parameters = {'SYSTEM': system, 'ELECTRONS': {'conv_thr': 1e-10}}
    builder.pw.pw.metadata.options.resources = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
    builder.pw.kpoints = orm.KpointsData()
    builder.pw.kpoints.set_kpoints_mesh([2, 2, 2])
    builder.max_concurrent = CONCURRENT
    return builder, log


def kill_daemon(client):
    """Kill the daemon, its workers and the broker as the end of the machine would."""
    with contextlib.suppress(psutil.NoSuchProcess):
        _kill(psutil.Process(client.get_daemon_pid()))


def _kill(daemon):
    victims = [daemon, *daemon.children(recursive=True)]
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):  # some live for moments only
            process.kill()
    psutil.wait_procs(victims, timeout=10)


def wait_until(condition, seconds=300):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, 'it took too long'
        time.sleep(0.05)


def known_jobs():
    """Return how many runs of pw.x AiiDA knows by their number at the scheduler.

    A run that was handed over and not noted yet is handed over again: between the two AiiDA must not die.
    """
    filters = {'attributes': {'has_key': 'job_id'}}
    return orm.QueryBuilder().append(CalculationFactory('quantumespresso.pw'), filters=filters).count()


def bring_back(client, node, attempts=4, seconds=60):
    """Start the daemon until it goes on: the broker does not always hand over at once what a killed worker held."""
    for _ in range(attempts):
        client.start_daemon()
        with contextlib.suppress(AssertionError):
            return wait_until(lambda: node.is_terminated, seconds)
        client.stop_daemon(wait=True)
    raise AssertionError('the daemon does not go on')


def test_killed(builder, profile):
    """The daemon is killed when three configurations are finished and three run, and started again."""
    inputs, log = builder
    client = get_daemon_client(profile.name)
    client.start_daemon()
    try:
        node = submit(inputs)
        wait_until(lambda: known_jobs() == len(log.read_text().splitlines()) == CONFIGURATIONS)
        kill_daemon(client)
        assert not node.is_terminated
        # The broker may have died before it wrote down what it was told: the list of work is in the database too.
        for command in (['daemon', 'stop'], ['process', 'repair', '--force']):
            subprocess.run([shutil.which('verdi'), '-p', profile.name, *command], check=True)
        bring_back(client, node)
    finally:
        kill_daemon(client)
    assert node.is_finished_ok, node.exit_message
    starts = len(log.read_text().splitlines())
    calculations = orm.QueryBuilder().append(CalculationFactory('quantumespresso.pw')).count()
    assert (starts, calculations) == (CONFIGURATIONS, CONFIGURATIONS)
    undisturbed, _ = run_get_node(inputs)
    found, expected = (outputs['ensemble'].to_kernel() for outputs in (node.outputs, undisturbed))
    for name in ('displacements', 'energies', 'forces'):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-8)
