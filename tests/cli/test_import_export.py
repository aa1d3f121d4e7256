"""Files in, node, files out: the same; and what the commands refuse."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from click.testing import CliRunner

from aiida_clathrate.cli.import_export import cmd_export, cmd_import

FIXTURES = Path(__file__).parents[1] / 'fixtures'

pytestmark = pytest.mark.usefixtures('aiida_profile')


def invoke(command, *arguments):
    """Run a command and return its result."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def stored(*arguments):
    """Import and return the node."""
    result = invoke(cmd_import, *arguments)
    assert result.exit_code == 0, result.output
    return orm.load_node(re.search(r'[0-9a-f]{8}-[0-9a-f-]{27}', result.output)[0])


@pytest.fixture
def run(tmp_path):
    """Return a folder with the files of hydrogen."""
    with zipfile.ZipFile(FIXTURES / 'hydrogen.zip') as archive:
        archive.extractall(tmp_path / 'run')
    return tmp_path / 'run'


@pytest.mark.parametrize(('kind', 'target'), [('qe', 'out/dyn'), ('sscha', 'out/dyn'), ('phonopy', 'out')])
def test_dynamical_matrix(run, tmp_path, kind, target):
    """Dynamical matrices of ph.x through each format."""
    node = stored('dynamical-matrix', run / 'dyn', '--pressure', 500, '--level', 'sscha', '--temperature', 0)
    assert node.base.attributes.get('formula') == 'H2'
    result = invoke(cmd_export, node.pk, tmp_path / target, '--format', kind)
    assert result.exit_code == 0, result.output
    assert (tmp_path / 'out' / 'dyn0').exists() == (kind == 'qe')
    again = stored('dynamical-matrix', tmp_path / target, '--pressure', 500, '--level', 'sscha', '--temperature', 0)
    before, after = node.to_kernel(), again.to_kernel()
    assert np.abs(after.force_constants - before.force_constants).max() < 1e-10
    assert (after.level, after.pressure, after.temperature) == ('sscha', 500.0, 0.0)


def test_electron_phonon(run, tmp_path):
    """Electron-phonon matrices, with the dynamical matrices written beside them."""
    matrices = stored('dynamical-matrix', run / 'dyn')
    node = stored('electron-phonon', run / 'dyn', run / 'elph_dir')
    assert node.base.attributes.get('number_of_stars') == 6
    assert invoke(cmd_export, matrices.pk, tmp_path / 'dyn', '--format', 'qe').exit_code == 0
    assert invoke(cmd_export, node.pk, tmp_path / 'elph_dir', '--format', 'qe').exit_code == 0
    again = stored('electron-phonon', tmp_path / 'dyn', tmp_path / 'elph_dir')
    assert np.abs(again.to_kernel().matrices - node.to_kernel().matrices).max() < 1e-12


@pytest.mark.parametrize(('kind', 'options'), [('columns', ['--units', 'THz']), ('epw', [])])
def test_spectral(run, tmp_path, kind, options):
    """A table of matdyn.x; what is written keeps λ to the broadening of the lines."""
    node = stored('spectral', run / 'a2F.dos5', '--formula', 'H2', '--pressure', 500)
    assert node.base.attributes.get('source_format') == 'qe-matdyn'
    target = tmp_path / 'table.dat'
    assert invoke(cmd_export, node.pk, target, '--format', kind, *options).exit_code == 0
    again = stored('spectral', target, *options)
    assert again.base.attributes.get('coupling') == pytest.approx(node.base.attributes.get('coupling'), rel=0.01)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['dynamical-matrix', 'nothing'], r'no files nothing1'),
        (['dynamical-matrix', '.'], 'for the crystal'),
        (['electron-phonon', 'dyn', '.'], 'no files a2Fq2r'),
        (['electron-phonon', '.', 'elph_dir'], 'is a folder: give what precedes'),
        (['spectral', 'nan/alpha2F.dat'], "'NaN' is not a number"),
        (['spectral', 'dyn1'], 'does not tell the unit'),
        (['spectral', 'a2F.dos5', '--units', 'meV'], 'units must not be meV'),
        (['spectral', 'a2F.dos5', '--column', '3'], 'column must be 0 to 0'),
    ],
)
def test_import_refusals(run, monkeypatch, arguments, message):
    """One sentence, and a status that scripts see."""
    monkeypatch.chdir(run)
    result = invoke(cmd_import, *arguments)
    assert result.exit_code == 1
    assert re.search(message, result.output)
    assert 'Traceback' not in result.output


def test_overwriting(run, tmp_path):
    """Files that exist stay unless told otherwise, and none is written beside them."""
    node = stored('dynamical-matrix', run / 'dyn')
    (tmp_path / 'new3').write_text('mine')
    result = invoke(cmd_export, node.pk, tmp_path / 'new', '--format', 'qe')
    assert result.exit_code == 1
    assert 'new3 exists' in result.output
    assert not (tmp_path / 'new1').exists()
    assert invoke(cmd_export, node.pk, tmp_path / 'new', '--format', 'qe', '--force').exit_code == 0
    assert (tmp_path / 'new3').read_text() != 'mine'


def test_other_nodes(run, tmp_path):
    """What cannot be exported is said before anything is written."""
    node = stored('dynamical-matrix', run / 'dyn')
    result = invoke(cmd_export, node.pk, tmp_path / 'x', '--format', 'epw')
    assert result.exit_code == 2
    assert 'can be exported as qe, sscha, phonopy, not as epw' in result.output
    other = orm.Int(1).store()
    result = invoke(cmd_export, other.pk, tmp_path / 'x', '--format', 'qe')
    assert result.exit_code == 2
    assert 'has no export' in result.output
