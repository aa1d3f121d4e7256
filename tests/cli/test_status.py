"""The tree of a process, on processes that the engine has run."""

import io

import pytest
from aiida import engine, orm
from click.testing import CliRunner
from rich.console import Console

from aiida_clathrate.cli import status
from aiida_clathrate.cli.process_tree import last_report, phonon_progress, read_processes


@engine.calcfunction
def halve(number):
    """Return half of an even number, or an exit code."""
    if number.value % 2:
        return engine.ExitCode(410, 'the number is odd')
    return orm.Int(number.value // 2)


class HalveWorkChain(engine.WorkChain):
    """Halve a number twice, one step inside another work chain."""

    @classmethod
    def define(cls, spec):
        """Define the outline."""
        super().define(spec)
        spec.input('number', valid_type=orm.Int)
        spec.input('depth', valid_type=orm.Int)
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_HALVE', message='halving failed')
        spec.outline(cls.run_halves)

    def run_halves(self):
        """Halve here and, once, one level down."""
        self.report(f'halving {self.inputs.number.value}\nsecond line')
        _, node = halve.run_get_node(self.inputs.number)
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_HALVE
        if self.inputs.depth.value:
            return engine.ToContext(
                inner=engine.run_get_node(HalveWorkChain, number=node.outputs.result, depth=orm.Int(0)).node
            )


@pytest.fixture
def finished(aiida_profile_clean):
    """Return a work chain that has run to its end."""
    return engine.run_get_node(HalveWorkChain, number=orm.Int(8), depth=orm.Int(1)).node


@pytest.fixture
def failed(aiida_profile_clean):
    """Return a work chain whose calculation function failed."""
    return engine.run_get_node(HalveWorkChain, number=orm.Int(3), depth=orm.Int(0)).node


def test_tree(finished):
    """Every called process is there, below its caller."""
    processes = read_processes(finished.pk)
    assert [process.label for process in processes] == ['HalveWorkChain', 'halve', 'HalveWorkChain', 'halve']
    root, first, inner, second = processes
    assert (root.caller, first.caller, inner.caller, second.caller) == (None, root.pk, root.pk, inner.pk)
    assert all(process.succeeded and process.elapsed.total_seconds() >= 0 for process in processes)


def test_no_open_transaction(finished):
    """Reading leaves no transaction open, which would keep others from writing."""
    from aiida.manage import get_manager

    session = get_manager().get_profile_storage().get_session()
    session.rollback()
    read_processes(finished.pk)
    assert not session.in_transaction()
    last_report([finished.pk])
    assert not session.in_transaction()


def test_last_report(finished):
    """The newest message, one line of it."""
    pks = [process.pk for process in read_processes(finished.pk)]
    assert last_report(pks).endswith('halving 4')


def test_status(finished):
    """The command prints one line for each process and the last report."""
    result = CliRunner().invoke(status.cmd_status, [str(finished.pk)], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.count('✓') == 4
    assert 'steps ended 2/2' in result.output
    assert 'halving 4' in result.output


def test_watch_ends(finished):
    """Watching a process that has ended prints it once and returns."""
    result = CliRunner().invoke(status.cmd_status, [str(finished.pk), '--watch'], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.count(f'HalveWorkChain ({finished.pk})') == 1


def test_watch_failed(failed):
    """A failed process shows the exit codes and fails the command, so that scripts can stop."""
    result = CliRunner().invoke(status.cmd_status, [str(failed.pk), '--watch'])
    assert result.exit_code == 1
    assert '[401] halving failed' in result.output
    assert '[410] the number is odd' in result.output


def test_interrupt(aiida_profile_clean, monkeypatch):
    """Ctrl-C ends the watching only, and says so."""
    node = orm.WorkflowNode()
    node.set_process_state('waiting')
    node.store()

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(status.time, 'sleep', interrupt)
    result = CliRunner().invoke(status.cmd_status, [str(node.pk), '--watch'])
    assert result.exit_code == 0
    assert f'process {node.pk} goes on' in result.output
    assert orm.load_node(node.pk).process_state.value == 'waiting'


def test_watch_follows(aiida_profile_clean, monkeypatch):
    """Watching goes on until the process ends, and sees what happens meanwhile."""
    node = orm.WorkflowNode()
    node.set_process_state('running')
    node.store()

    def finish(seconds):
        node.set_exit_status(0)
        node.set_process_state('finished')

    monkeypatch.setattr(status.time, 'sleep', finish)
    assert status.watch(node.pk, Console(file=io.StringIO())).succeeded


def test_running_job(aiida_profile_clean, aiida_localhost, tmp_path):
    """A job that runs on this machine shows its state at the scheduler and the wave vectors that are done."""
    (tmp_path / 'DYN_MAT').mkdir()
    (tmp_path / 'DYN_MAT' / 'dynamical-matrix-0').write_text('   4   4   4\n   8\n')
    (tmp_path / 'DYN_MAT' / 'dynamical-matrix-1').touch()
    node = orm.CalcJobNode(computer=aiida_localhost)
    node.set_process_state('waiting')
    node.base.attributes.set_many({'scheduler_state': 'running', 'remote_workdir': str(tmp_path)})
    node.store()
    output = CliRunner().invoke(status.cmd_status, [str(node.pk)]).output
    assert 'q-points 1/8' in output
    assert 'job running' in output


def test_phonon_progress(tmp_path):
    """Files of ph.x tell how far it is."""
    assert phonon_progress(tmp_path) is None
    folder = tmp_path / 'DYN_MAT'
    folder.mkdir()
    (folder / 'dynamical-matrix-0').write_text('   4   4   4\n')
    assert phonon_progress(tmp_path) is None
    (folder / 'dynamical-matrix-0').write_text('   4   4   4\n   8\n   0.0 0.0 0.0\n')
    for number in (1, 2, 3):
        (folder / f'dynamical-matrix-{number}').touch()
    assert phonon_progress(tmp_path) == (3, 8)


def test_unknown_process(aiida_profile_clean):
    """A wrong identifier is refused in one sentence."""
    result = CliRunner().invoke(status.cmd_status, ['999999'])
    assert result.exit_code == 2
    assert 'Traceback' not in result.output
