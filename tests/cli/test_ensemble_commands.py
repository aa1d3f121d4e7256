"""Ensembles through ``import``, ``show`` and ``export``."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from click.testing import CliRunner

from aiida_clathrate.cli.import_export import cmd_export, cmd_import
from aiida_clathrate.cli.inspect import cmd_show
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.ensemble import ForceEnsemble

FIXTURE = Path(__file__).parents[1] / 'fixtures' / 'sscha' / 'saved.zip'

pytestmark = pytest.mark.usefixtures('aiida_profile')


def invoke(command, *arguments):
    """Run a command in a wide terminal and return its result."""
    arguments = [str(argument) for argument in arguments]
    return CliRunner(env={'COLUMNS': '200'}).invoke(command, arguments)


def stored(*arguments):
    """Import and return the node."""
    result = invoke(cmd_import, *arguments)
    assert result.exit_code == 0, result.output
    return orm.load_node(re.search(r'[0-9a-f]{8}-[0-9a-f-]{27}', result.output)[0])


@pytest.fixture
def run(tmp_path):
    """Return the folder that python-sscha wrote, population 3."""
    with zipfile.ZipFile(FIXTURE) as archive:
        archive.extractall(tmp_path / 'run')
    return tmp_path / 'run'


@pytest.fixture
def matrices(run):
    """Return the node of the matrices that the configurations were drawn from."""
    return stored('dynamical-matrix', run / 'bin' / 'dyn_gen_pop3_', '--level', 'sscha', '--temperature', 0)


@pytest.fixture
def node(run):
    """Return the node of the ensemble."""
    return stored('ensemble', run / 'bin', '--population', 3, '--temperature', 0, '--pressure', 15)


def test_import(run, node, matrices):
    """Both formats of python-sscha and extended XYZ give the same numbers."""
    ensemble = node.to_kernel()
    assert (len(ensemble), ensemble.mesh, ensemble.matrices.pressure) == (6, (2, 1, 3), 15.0)
    assert (ensemble.source, node.base.attributes.get('precision')) == ('python-sscha', 'double')
    text = stored('ensemble', run / 'text', '--population', 3, '--temperature', 0, '--source', 'model')
    xyz = stored('ensemble', run / 'extxyz.xyz', '--matrices', matrices.pk, '--temperature', 0, '--precision', 'single')
    for other, tolerance in ((text, 1e-6), (xyz, 1e-5)):
        for name in ('displacements', 'energies', 'forces', 'stresses'):
            difference = getattr(other.to_kernel(), name) - getattr(ensemble, name)
            assert np.abs(difference).max() < tolerance, name
    assert text.base.attributes.get('source') == 'model'
    assert xyz.base.attributes.get('precision') == 'single'


def test_said(run):
    """What was stored is said."""
    output = invoke(cmd_import, 'ensemble', run / 'bin', '--population', 3, '--temperature', 0).output
    assert 'ForceEnsembleData' in output
    assert 'CBLi, sscha, q mesh 2×1×3, 6 configurations' in output


@pytest.mark.parametrize(('kind', 'target'), [('sscha', 'out'), ('sscha-text', 'out'), ('extxyz', 'out/all.xyz')])
def test_export(node, matrices, tmp_path, kind, target):
    """Out and in again through each format."""
    result = invoke(cmd_export, node.pk, tmp_path / target, '--format', kind, '--population', 7)
    assert result.exit_code == 0, result.output
    options = ('--matrices', matrices.pk) if kind == 'extxyz' else ('--population', 7)
    again = stored('ensemble', tmp_path / target, '--temperature', 0, *options)
    before, after = node.to_kernel(), again.to_kernel()
    assert np.abs(after.displacements - before.displacements).max() < 1e-7
    assert np.abs(after.stresses - before.stresses).max() < 1e-6
    again = invoke(cmd_export, node.pk, tmp_path / target, '--format', kind, '--population', 7)
    assert 'exists: give another path' in again.output


@pytest.mark.parametrize(
    ('arguments', 'status', 'message'),
    [
        (['bin', '--temperature', '0'], 1, 'holds no population 1'),
        (['bin', '--population', '3'], 2, 'Missing option'),
        (['bin', '--population', '3', '--temperature', '-1'], 2, 'not in the range'),
        (['bin', '--population', '3', '--temperature', '9000'], 1, 'of the Gaussian of the matrices at 9000 K'),
        (['extxyz.xyz', '--temperature', '0'], 2, 'needs --matrices'),
        (['missing', '--temperature', '0'], 2, 'does not exist'),
    ],
)
def test_refusals(run, monkeypatch, arguments, status, message):
    """One sentence, and a status that scripts see."""
    monkeypatch.chdir(run)
    result = invoke(cmd_import, 'ensemble', *arguments)
    assert result.exit_code == status
    assert message in result.output
    assert 'Traceback' not in result.output


def test_options_that_clash(run, matrices):
    """A pressure given twice is refused; so are matrices of other wave vectors."""
    arguments = ('ensemble', run / 'bin', '--population', 3, '--temperature', 0, '--matrices', matrices.pk)
    assert 'does not go with --matrices' in invoke(cmd_import, *arguments, '--pressure', 3).output
    assert invoke(cmd_import, *arguments).exit_code == 0


def test_show(node):
    """Numbers with their units, by element."""
    output = invoke(cmd_show, node.pk).output
    ensemble = node.to_kernel()
    words = ('CBLi', '2 × 1 × 3', '6, in pairs ±u, double precision', '15 GPa', 'python-sscha', 'eV/atom', 'GPa on')
    for word in words:
        assert word in output
    names = np.array(ensemble.crystal.symbols * 6)
    for name in ('Li', 'B', 'C'):
        lengths = np.linalg.norm(ensemble.displacements[:, names == name], axis=-1)
        assert f'{np.sqrt((lengths**2).mean()):.4g}' in output
        assert f'{lengths.max():.4g}' in output
    assert f'{np.linalg.norm(ensemble.forces, axis=-1).max():.4g}' in output


def test_not_computed(node, tmp_path):
    """Configurations without forces are shown as such, and not written for python-sscha."""
    full = node.to_kernel()
    drawn = ForceEnsemble(full.matrices, full.temperature, full.displacements, seed=5)
    drawn = ForceEnsembleData.from_kernel(drawn).store()
    output = invoke(cmd_show, drawn.pk).output
    assert 'not computed' in output
    assert 'eV/Å' not in output
    result = invoke(cmd_export, drawn.pk, tmp_path / 'out', '--format', 'sscha')
    assert result.exit_code == 1
    assert 'has no forces' in result.output
