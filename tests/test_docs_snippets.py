"""Every file that the documentation shows runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

SNIPPETS = Path(__file__).parent.parent / 'docs' / 'snippets'


@pytest.mark.parametrize('path', sorted(SNIPPETS.glob('*.py')), ids=lambda path: path.name)
def test_script(path, tmp_path):
    """A script runs in an empty folder and says something."""
    result = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_command():
    """The command on an α²F table prints the promised JSON."""
    environment = os.environ | {'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'}
    result = subprocess.run(
        ['bash', 'tc.sh'], cwd=SNIPPETS, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert {'lambda', 'omega_log_meV', 'omega_2_meV', 'mu_star', 'critical_temperature'} <= set(answer)
    for name in ('rescaled', 'raw', 'allen_dynes', 'mcmillan'):
        assert len(answer['critical_temperature'][name]) == 2


def test_every_snippet_is_shown():
    """No file is left that no page includes."""
    pages = ''.join(path.read_text() for path in SNIPPETS.parent.rglob('*.md'))
    assert {path.name for path in SNIPPETS.iterdir() if path.is_file()} == {
        path.name for path in SNIPPETS.iterdir() if f'snippets/{path.name}' in pages
    }


@pytest.mark.usefixtures('aiida_profile_clean')
def test_cluster():
    """The configuration files of the cluster's how-to make a computer and a code."""
    from aiida import orm
    from aiida.cmdline.commands.cmd_verdi import verdi

    computer, code = SNIPPETS / 'cluster.yaml', SNIPPETS / 'code_pw.yaml'
    for command in (
        ['computer', 'setup', '--config', computer],
        ['code', 'create', 'core.code.installed', '--config', code],
    ):
        result = CliRunner().invoke(verdi, [*map(str, command), '--non-interactive'])
        assert result.exit_code == 0, result.output
    expected = yaml.safe_load(code.read_text())
    stored = orm.load_code('pw@cluster')
    assert str(stored.filepath_executable) == expected['filepath_executable']
    assert stored.default_calc_job_plugin == expected['default_calc_job_plugin']
    assert orm.load_computer('cluster').scheduler_type == 'core.slurm'
