"""Real runs of ph.x that are stopped or killed end with the numbers of a run that nobody disturbed."""

import re
import shutil

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching

from aiida_clathrate.calculations.phonon_files import phonon_runs

pytestmark = pytest.mark.qe

#: ph.x that is disturbed once, when all files of the first q point are there.
WRAPPER = """#!/bin/bash
if [ -e {marker} ]; then exec {program} "$@"; fi
touch {marker}
{program} "$@" &
until [ -e DYN_MAT/dynamical-matrix-1 ] && [ -e elph_dir/a2Fq2r.60.1 ]; do sleep 0.01; done
{disturb}
"""
SECONDS = 6
KILL = 'kill -9 $!; wait; exit 1'
DELAY = f'kill -STOP $!; sleep {SECONDS}; kill -CONT $!; wait $!'


@pytest.fixture
def disturbed(aiida_code_installed, tmp_path):
    """Return a function that makes a code of ph.x that is disturbed once."""

    def code(disturb):
        wrapper = tmp_path / 'ph.sh'
        program = shutil.which('ph.x')
        wrapper.write_text(WRAPPER.format(marker=tmp_path / 'disturbed', program=program, disturb=disturb))
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


def test_walltime(build, undisturbed, disturbed):
    """A run that stops before its wall time ends keeps what is finished; the other q points run anew, each alone."""
    _, node = run_get_node(with_limit(build(relax=False, ph_code=disturbed(DELAY)), SECONDS))
    assert phonon_runs(node)[0].exit_status == 400
    assert_recovered(node, undisturbed)


def test_never_enough_time(build):
    """A q point that does not fit into the wall time is not tried again, and named."""
    builder = with_limit(build(relax=False, electron_phonon=None), 0.1)  # ph.x takes no less
    builder.count_states = False
    _, node = run_get_node(builder)
    assert node.exit_status == 400
    found = re.match(r'q point (\d) alone takes longer than the wall time', node.exit_message)
    alone = {run.inputs.parameters['INPUTPH']['last_q']: run.exit_status for run in phonon_runs(node)[1:]}
    assert alone[int(found[1])] == 400
    assert len(alone) == len(phonon_runs(node)) - 1  # none is tried twice


def test_killed(build, undisturbed, disturbed):
    """The same after a run that died."""
    _, node = run_get_node(build(relax=False, ph_code=disturbed(KILL)))
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
