"""``launch``: what reaches the work chains, and what is refused before anything is submitted."""

import numpy as np
import pytest
from aiida import orm
from ase.build import bulk
from click.testing import CliRunner

from aiida_clathrate.cli.launch import builder_arguments
from aiida_clathrate.cli.main import cmd_root
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.electron_phonon import ElectronPhononData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.electron_phonon import ElectronPhonon


@pytest.fixture
def codes(aiida_profile_clean, aiida_localhost):
    """Make the three codes, which nothing runs here."""
    plugins = {'pw': 'quantumespresso.pw', 'ph': 'quantumespresso.ph', 'clathrate': 'clathrate.eliashberg'}
    for label, plugin in plugins.items():
        orm.InstalledCode(aiida_localhost, '/bin/true', label=label, default_calc_job_plugin=plugin).store()


def invoke(*arguments):
    """Run the command."""
    return CliRunner().invoke(cmd_root, ['launch', *map(str, arguments)])


def arguments(**changes):
    """Return the arguments of the command line with their defaults."""
    defaults = {
        'structure': 'NaC6', 'pressure': 0.0, 'overrides': None, 'processes': 1, 'walltime': 3600,
        'parallelize_qpoints': False, 'max_concurrent': None, 'no_relax': False, 'electron_phonon': 'interpolated',
        'pw': 'pw@localhost', 'ph': 'ph@localhost',
    }  # fmt: skip
    return defaults | changes


def test_pressure_chooses_the_lattice_constant(codes, capsys):
    """A crystal by name starts from the lattice constant of the pressure, which is said."""
    volumes = [builder_arguments(**arguments(pressure=value))['structure'].get_cell_volume() for value in (30.0, 300.0)]
    assert volumes == pytest.approx([4.43**3 / 2, 3.92**3 / 2])
    assert 'a = 3.9200 Å' in capsys.readouterr().out


def test_estimate(codes, capsys):
    """That a lattice constant is an estimate is not kept from the user, nor from the database."""
    structure = builder_arguments(**arguments(structure='BaB3C3'))['structure']
    assert 'BaB3C3: a = ' in (text := ''.join(capsys.readouterr()))
    assert 'is an estimate' in text
    assert structure.label == 'BaB3C3'


def test_overrides(codes, tmp_path):
    """What the file says holds unless an option says otherwise."""
    file = tmp_path / 'overrides.yaml'
    file.write_text('parallelize_qpoints: true\nmax_concurrent: 7\n')
    with file.open() as stream:
        given = builder_arguments(**arguments(overrides=stream))['overrides']
    assert given == {'parallelize_qpoints': True, 'max_concurrent': 7}
    with file.open() as stream:
        given = builder_arguments(**arguments(overrides=stream, max_concurrent=2))['overrides']
    assert given['max_concurrent'] == 2


def test_stored_structure(codes):
    """A stored structure is taken as it is, by pk or uuid."""
    node = orm.StructureData(ase=bulk('Al')).store()
    for identifier in (str(node.pk), node.uuid):
        assert builder_arguments(**arguments(structure=identifier))['structure'].uuid == node.uuid


@pytest.mark.parametrize(
    ('command', 'message'),
    [
        (('relax-phonon', 'XyzB'), "'XyzB' is no stored structure, and no prototype"),
        (('relax-phonon', 'NaC6', '--pw', 'pw@nowhere'), "code: 'pw@nowhere' does not exist; `aiida-clathrate setup`"),
        (('critical-temperature', 'NaC6', '--python', 'none'), "code: 'none' does not exist"),
        (('relax-phonon', 'NaC6', '--qpoints', 2, 2, 0), '0 is not in the range'),
        (('relax-phonon', 'NaC6', '--qpoints', 2, 2), "'--qpoints'"),
        (('relax-phonon', 'NaC6', '--pseudo-family', 'mine'), 'mine'),
        (('relax-phonon', 'NaC6', '--qpoints', 3, 3, 3, '--kpoints', 4, 4, 4), 'multiple of the qpoints mesh'),
        (('critical-temperature', 'NaC6', '--mu-star', '0.1:0.2'), "'0.1:0.2' is no range of μ*"),
        (('critical-temperature', 'NaC6', '--mu-star', '0.7'), 'μ* must be in [0, 0.5)'),
        (('eliashberg', 999999), '999999'),
    ],
)
def test_refused(codes, command, message):
    """One sentence, a status that scripts see, and nothing in the database."""
    result = invoke(*command)
    assert result.exit_code != 0
    assert message in result.output
    assert 'Traceback' not in result.output
    assert isinstance(result.exception, SystemExit)
    assert orm.QueryBuilder().append(orm.ProcessNode).count() == 0


@pytest.mark.parametrize(('content', 'message'), [('- 1\n', 'must hold names'), ('a: [', 'is no YAML')])
def test_bad_overrides(codes, tmp_path, content, message):
    """A file that is none is refused with its name."""
    file = tmp_path / 'overrides.yaml'
    file.write_text(content)
    result = invoke('relax-phonon', 'NaC6', '--overrides', file)
    assert result.exit_code == 1
    assert message in result.output
    assert 'overrides.yaml' in result.output


def test_yaml_runs_nothing(codes, tmp_path):
    """A file that asks for code to be run is refused."""
    file = tmp_path / 'overrides.yaml'
    file.write_text(f'a: !!python/object/apply:pathlib.Path.touch ["{tmp_path}/ran"]\n')
    assert invoke('relax-phonon', 'NaC6', '--overrides', file).exit_code == 1
    assert not (tmp_path / 'ran').exists()


def test_without_broker(codes):
    """A profile that cannot submit says so."""
    from aiida_clathrate.data.spectral import SpectralFunctionData
    from aiida_clathrate.kernels.spectral import SpectralFunction

    node = SpectralFunctionData.from_kernel(SpectralFunction(np.array([20.0]), np.array([1.0]))).store()
    result = invoke('eliashberg', node.pk)
    assert result.exit_code == 1
    assert 'Cannot submit' in result.output


@pytest.mark.parametrize(
    ('stiffness', 'options', 'code', 'words'),
    [
        (2.0, (), 0, 'λ for each broadening: 0.900'),
        (2.0, ('--gamma', 'drop'), 0, 'λ for each broadening: 1.800'),
        (-2.0, (), 1, 'are not positive'),
    ],
    ids=['Γ keeps its weight', 'Γ loses it', 'unstable'],
)
def test_alpha2f(aiida_profile_clean, stiffness, options, code, words):
    """Stored G = 0.6 and Φ = k of one atom on two q points: λ = 3 · 0.6/(2 N k) with N = 1/4, and nothing at Γ."""
    crystal, mesh = Crystal.from_ase(bulk('Al', 'fcc', a=4.0)), (2, 1, 1)
    constants = np.array([np.zeros((3, 3)), stiffness * np.eye(3)], dtype=complex)
    strengths = np.full((1, 2, 1, 1), 0.6) * np.eye(3, dtype=complex)
    coupling = ElectronPhonon(crystal, mesh, np.array([0.1]), strengths, np.array([0.25]), np.array([8.0]))
    nodes = [
        ElectronPhononData.from_kernel(coupling).store(),
        DynamicalMatrixData.from_kernel(DynamicalMatrices(crystal, mesh, constants)).store(),
    ]
    result = invoke('alpha2f', *(node.pk for node in nodes), *options)
    assert result.exit_code == code, result.output
    assert words in result.output
