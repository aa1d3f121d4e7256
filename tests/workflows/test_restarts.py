"""Real runs of ph.x that are stopped or killed end with the numbers of a run that nobody disturbed."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching

from aiida_clathrate.calculations.phonon_files import phonon_runs

pytestmark = pytest.mark.qe

#: ph.x that is held at a q point, and killed after 0 seconds; see the script.
HELD = """#!/bin/bash
if [ -e {marker} ]; then exec {program} "$@"; fi
{mark}
exec {python} {script} {qpoint} {seconds} {program} "$@"
"""
SCRIPT = Path(__file__).parent / 'held_ph.py'


@pytest.fixture
def held(aiida_code_installed, tmp_path):
    """Return a function that makes a code of ph.x that is held at a q point: in its first run, or in each."""

    def code(qpoint, seconds, once=True):
        wrapper, marker = tmp_path / 'ph.sh', tmp_path / 'marker'
        places = {'marker': marker, 'program': shutil.which('ph.x'), 'python': sys.executable, 'script': SCRIPT}
        mark = f'touch {marker}' if once else ''
        wrapper.write_text(HELD.format(mark=mark, qpoint=qpoint, seconds=seconds, **places))
        wrapper.chmod(0o755)
        return aiida_code_installed(filepath_executable=str(wrapper), default_calc_job_plugin='quantumespresso.ph')

    return code


@pytest.fixture
def undisturbed(build):
    """Return the work chain of a run without trouble; one run serves all tests."""
    with enable_caching():
        _, node = run_get_node(build(relax=False))
    assert node.is_finished_ok, node.exit_message
    return node


def with_limit(builder, seconds):
    """Let ph.x stop by itself after some time."""
    parameters = builder.phonon.ph.parameters.get_dict()
    parameters['INPUTPH']['max_seconds'] = seconds
    builder.phonon.ph.parameters = parameters
    return builder


def test_walltime(build, undisturbed, held):
    """A run that stops before its wall time ends keeps what is finished; the other q points run anew, each alone."""
    (run,) = phonon_runs(undisturbed)
    seconds = 5 + 10 * run.outputs.output_parameters['wall_time_seconds']  # no q point takes that long by itself
    _, node = run_get_node(with_limit(build(relax=False, ph_code=held(qpoint=2, seconds=seconds)), seconds))
    assert phonon_runs(node)[0].exit_status == 400
    assert_recovered(node, undisturbed)


def test_never_enough_time(build, held):
    """A q point that does not fit into the wall time is not tried again, and named."""
    code = held(qpoint=1, seconds=1, once=False)
    builder = with_limit(build(relax=False, electron_phonon=None, ph_code=code), 0.1)  # ph.x takes no less
    builder.count_states = False
    _, node = run_get_node(builder)
    assert node.exit_status == 400
    assert node.exit_message.startswith('q point 1 alone takes longer than the wall time')
    alone = [(run.inputs.parameters['INPUTPH']['last_q'], run.exit_status) for run in phonon_runs(node)[1:]]
    assert sorted(alone) == [(1, 400), (2, 400), (3, 400)]  # none is tried twice


def test_killed(build, undisturbed, held):
    """The same after a run that died."""
    _, node = run_get_node(build(relax=False, ph_code=held(qpoint=2, seconds=0)))
    assert not phonon_runs(node)[0].is_finished_ok
    assert_recovered(node, undisturbed)


def assert_recovered(node, undisturbed):
    """Assert that only the missing q points ran again, and gave what they had to."""
    assert node.is_finished_ok, node.exit_message
    labels = [link.link_label for link in node.base.links.get_outgoing(link_label_filter='phonon_q%').all()]
    assert labels == ['phonon_qpoints_attempt1', 'phonon_q2_attempt1', 'phonon_q3_attempt1']
    assert_equal(node, undisturbed)


def assert_equal(node, expected):
    """Compare Φ to the thresholds of ph.x; G to what its interpolation leaves open.

    ph.x interpolates |g|² band by band from the coarse k mesh. Where bands are degenerate there, as at many k for the X
    point, the single |g|² depend on the arbitrary basis of the degenerate states, which another run chooses otherwise.
    """
    for name, field, tolerance in (
        ('dynamical_matrices', 'force_constants', 2e-4),
        ('electron_phonon', 'matrices', 0.04),
    ):
        found, wanted = (getattr(each.outputs[name].to_kernel(), field) for each in (node, expected))
        np.testing.assert_allclose(found, wanted, atol=tolerance * np.abs(wanted).max())
