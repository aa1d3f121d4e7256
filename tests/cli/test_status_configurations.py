"""A population in the tree of a work chain is a number, whatever its size; what runs or failed has a few lines."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from ase.build import bulk
from click.testing import CliRunner

from aiida_clathrate.cli.configurations import LINES, fold
from aiida_clathrate.cli.process_tree import FORCES, Process, read_processes
from aiida_clathrate.cli.status import cmd_status
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble


def process(pk, caller, state, step, status=0, **more):
    """Return a process."""
    status = status if state == 'finished' else None
    return Process(pk, caller, 'WorkChain', state, status, None, None, timedelta(0), step=step, **more)


def tree(*attempts, wanted=100, step='population_2_forces'):
    """Return the forces on a population with attempts (configuration, attempt, state, exit status), each with a job."""
    rows = [process(1, None, 'waiting', step, configurations=wanted), process(2, 1, 'finished', 'displaced_structures')]
    for pk, (number, attempt, state, status) in enumerate(attempts, start=10):
        rows.append(process(pk, 1, state, f'configuration_{number:05d}_attempt{attempt}', status))
        rows.append(process(1000 + pk, pk, state, 'iteration_01', status))
    return rows


def test_finished_have_no_line():
    """Finished configurations are counted, with the jobs in them."""
    visible, notes = fold(tree(*((number, 1, 'finished', 0) for number in range(57))))
    assert [row.pk for row in visible] == [1, 2]
    assert notes == {1: 'forces of population 2: 57 of 100 configurations'}


def test_running():
    """Of many that run the first few have lines, with their jobs; the others are said to be there."""
    visible, notes = fold(tree((0, 1, 'finished', 0), *((number, 1, 'waiting', None) for number in range(1, 31))))
    assert len(visible) == 2 + 2 * LINES
    assert notes[1] == f'forces of population 2: 1 of 100 configurations, {30 - LINES} more run'


def test_failed():
    """A configuration that failed has a line until another attempt has succeeded."""
    visible, notes = fold(tree((0, 1, 'finished', 401), (1, 1, 'finished', 401), (1, 2, 'finished', 0)))
    assert [row.pk for row in visible if row.caller == 1] == [2, 10]
    assert notes[1].endswith('1 of 100 configurations')


def test_many_failed():
    """Those that failed are counted apart."""
    attempts = [(number, 1, 'finished', 401) for number in range(9)] + [
        (number, 1, 'waiting', None) for number in (9, 10)
    ]
    visible, notes = fold(tree(*attempts))
    assert len(visible) == 2 + 2 * (LINES + 2)
    assert notes[1] == f'forces of population 2: 0 of 100 configurations, {9 - LINES} more failed'


@pytest.mark.parametrize(
    ('step', 'words'),
    [
        ('hessian_forces', 'forces of the Hessian: '),
        ('reference_forces', 'forces of the reference: '),
        ('check_7_forces', 'forces of check 7: '),
        ('labels_2', 'labels of round 2: '),
        ('evaluation_1', 'forces by the potential, evaluation 1: '),
        (None, 'forces: '),
    ],
)
def test_names(step, words):
    """The label of the call tells what the forces are for."""
    assert fold(tree((0, 1, 'finished', 0), step=step))[1][1].startswith(words)


def test_calculator():
    """A calculator has one job for all configurations, which keeps its line."""
    rows = [*tree(wanted=40000), process(3, 1, 'waiting', 'evaluation_1')]
    visible, notes = fold(rows)
    assert visible == rows
    assert notes[1] == 'forces of population 2: 40000 configurations'


def test_labelled():
    """The forces on a population by a potential are told apart."""
    rows = [replace(process(1, None, 'waiting', 'population_4_forces'), label='LabelledForcesWorkChain')]
    assert fold(rows) == (rows, {1: 'forces of population 4'})


def test_other_work_chains():
    """Nothing else is folded."""
    rows = [process(1, None, 'waiting', None), *(process(pk, 1, 'finished', f'q_{pk}') for pk in range(2, 40))]
    assert fold(rows) == (rows, {})


def test_stored(aiida_profile_clean):
    """A population of 120 configurations, of which 110 are finished, takes few lines of the terminal."""
    crystal = Crystal.from_ase(bulk('Cu', 'fcc', a=3.6))
    matrices = DynamicalMatrices(crystal, (2, 1, 1), np.array([np.zeros((3, 3)), 5 * np.eye(3)], dtype=complex))
    population = ForceEnsembleData.from_kernel(ForceEnsemble(matrices, 300.0, np.zeros((120, 2, 3)))).store()
    root, forces = orm.WorkChainNode(), orm.WorkChainNode()
    root.set_process_label('SschaWorkChain')
    root.set_process_state('waiting')
    root.store()
    forces.set_process_type(FORCES)
    forces.set_process_label('ForcesWorkChain')
    forces.set_process_state('waiting')
    forces.base.links.add_incoming(population, LinkType.INPUT_WORK, 'population')
    forces.base.links.add_incoming(root, LinkType.CALL_WORK, 'population_1_forces')
    forces.store()
    for number in range(120):
        node = orm.WorkChainNode()
        node.set_process_label('ConfigurationWorkChain')
        node.set_process_state('finished' if number < 110 else 'waiting')
        if number < 110:
            node.set_exit_status(0)
        node.base.links.add_incoming(forces, LinkType.CALL_WORK, f'configuration_{number:05d}_attempt1')
        node.store()
    assert [row.configurations for row in read_processes(root.pk)[:2]] == [None, 120]
    output = CliRunner().invoke(cmd_status, [str(root.pk)], env={'COLUMNS': '200'}).output
    assert 'forces of population 1: 110 of 120 configurations, 6 more run' in output
    assert output.count('ConfigurationWorkChain') == LINES
    assert len(output.splitlines()) < 10
