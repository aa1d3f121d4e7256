"""``setup``: on programs that print a banner, and on the real ones."""

import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aiida_clathrate.cli.codes import banner_version, numbers
from aiida_clathrate.cli.main import cmd_root
from aiida_clathrate.cli.pseudos import cutoffs_of, read_header
from aiida_clathrate.cli.setup import parse_option

HEADER = '<UPF version="2.0.1">\n<PP_HEADER element="{0}" pseudo_type="{1}" z_valence="1.0" {2}/>\n</UPF>\n'
LABELS = {'pw', 'ph', 'q2r', 'matdyn', 'clathrate'}


def invoke(*arguments):
    """Run the command."""
    return CliRunner().invoke(cmd_root, ['setup', *map(str, arguments)])


@pytest.fixture
def computer(aiida_profile_clean, aiida_computer_local):
    """Return the computer ``localhost`` as ``verdi presto`` leaves it."""
    computer = aiida_computer_local(label='localhost')
    computer.set_mpirun_command(['mpirun', '-np', '{tot_num_mpiprocs}'])
    return computer


@pytest.fixture
def programs(tmp_path):
    """Return a function that makes shell scripts with the banners of a version, and the line that finds them."""

    def make(version='7.2', names=('pw', 'ph', 'q2r', 'matdyn')):
        folder = tmp_path / 'bin'
        folder.mkdir(exist_ok=True)
        for name in names:
            path = folder / f'{name}.x'
            path.write_text(f'#!/bin/sh\necho "     Program {name.upper()} v.{version} starts on 1Jan2026"\nexit 1\n')
            path.chmod(0o755)
        return f'export PATH={folder}:/usr/bin:/bin'

    return make


@pytest.fixture
def pseudos(tmp_path):
    """Return a folder with two pseudopotentials, of which one suggests cutoffs."""
    folder = tmp_path / 'mine'
    folder.mkdir()
    (folder / 'H.upf').write_text(HEADER.format('H', 'NC', ''))
    (folder / 'B.upf').write_text(HEADER.format('B', 'PAW', 'wfc_cutoff="4.0E+001" rho_cutoff="2.5E+002"'))
    return folder


def stored_codes():
    """Return the codes by label."""
    from aiida import orm

    return {code.label: code for code in orm.QueryBuilder().append(orm.InstalledCode).all(flat=True)}


def test_twice(computer, programs, tmp_path):
    """Codes are made once; the second run says that they exist."""
    prepend = programs()
    first = invoke('--prepend', prepend)
    assert first.exit_code == 0, first.output
    codes = stored_codes()
    assert set(codes) == LABELS
    assert str(codes['pw'].filepath_executable) == str(tmp_path / 'bin' / 'pw.x')
    assert 'version 7.2' in first.output
    assert codes['ph'].default_calc_job_plugin == 'quantumespresso.ph'
    assert codes['clathrate'].with_mpi is False
    assert str(codes['clathrate'].filepath_executable) == sys.executable
    assert 'OMP_NUM_THREADS=1' in codes['pw'].prepend_text
    assert prepend in codes['pw'].prepend_text
    second = invoke('--prepend', prepend)
    assert second.exit_code == 0
    assert second.output.count('exists: ') == len(LABELS)
    assert {label: code.uuid for label, code in stored_codes().items()} == {
        label: code.uuid for label, code in codes.items()
    }


def test_root_and_open_mpi(computer, programs):
    """As root, Open MPI is told so; a command that somebody chose stays."""
    root = Path('/proc/self').stat().st_uid == 0
    if not root or shutil.which('mpirun') is None:
        pytest.skip('needs root and mpirun')
    invoke('--prepend', programs(), '--mpi', '4')
    assert '--allow-run-as-root' in computer.get_mpirun_command()
    assert computer.get_default_mpiprocs_per_machine() == 4
    computer.set_mpirun_command(['srun', '-n', '{tot_num_mpiprocs}'])
    invoke('--prepend', programs())
    assert computer.get_mpirun_command() == ['srun', '-n', '{tot_num_mpiprocs}']
    assert computer.get_default_mpiprocs_per_machine() == 4


@pytest.mark.parametrize(
    ('version', 'names', 'message'),
    [
        ('6.5', ('pw', 'ph', 'q2r', 'matdyn'), 'pw.x: version 6.5 is older than 6.7'),
        ('7.2', ('pw', 'ph', 'q2r'), 'matdyn.x: not found'),
    ],
)
def test_refused_programs(computer, programs, tmp_path, version, names, message):
    """Old and missing programs are refused, and no code is stored."""
    path = programs(version, names)
    for tool in ('mktemp', 'rm', 'sh', 'cat', 'id'):
        (tmp_path / 'bin' / tool).symlink_to(shutil.which(tool))
    result = invoke('--prepend', path.removesuffix(':/usr/bin:/bin'))
    assert result.exit_code == 1
    assert message in result.output
    assert stored_codes() == {}


def test_untested_version(computer, programs):
    """A newer major version is a warning, no error."""
    result = invoke('--prepend', programs('8.1'))
    assert result.exit_code == 0
    assert 'has not been tested' in result.output


def test_python_without_package(computer, programs, tmp_path):
    """A Python that lacks the package is refused with the command that installs it."""
    bare = tmp_path / 'python'
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    result = invoke('--prepend', programs(), '--python', bare)
    assert result.exit_code == 1
    assert 'pip install aiida-clathrate' in result.output
    assert stored_codes() == {}


def test_computer_not_there(aiida_profile_clean):
    """A computer that is not there is named, with the remedy."""
    result = invoke('--computer', 'cluster')
    assert result.exit_code == 1
    assert 'verdi computer setup' in result.output


def test_family(computer, programs, pseudos):
    """A family has the cutoffs of the files or those given, and is made once."""
    from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily

    prepend = programs()
    refused = invoke('--prepend', prepend, '--pseudos', pseudos)
    assert refused.exit_code == 1
    assert 'H.upf: the file suggests no cutoff' in refused.output
    assert CutoffsPseudoPotentialFamily.collection.count() == 0
    made = invoke('--prepend', prepend, '--pseudos', pseudos, '--cutoff-wfc', '80')
    assert made.exit_code == 0, made.output
    family = CutoffsPseudoPotentialFamily.collection.get(label='mine')
    assert family.get_cutoffs_unit() == 'Ry'
    assert family.get_recommended_cutoffs(elements='H') == (80, 320)
    assert family.get_recommended_cutoffs(elements='B') == (80, 640)
    assert 'exists: pseudopotential family mine' in invoke('--prepend', prepend, '--pseudos', pseudos).output
    assert 'pseudopotential families: mine' in invoke('--prepend', prepend).output


def test_no_family(computer, programs):
    """Without pseudopotentials the user is told how to get them."""
    assert 'aiida-pseudo install pseudo-dojo' in invoke('--prepend', programs()).output


def test_not_pseudopotentials(computer, programs, pseudos):
    """A folder with something else in it is refused."""
    (pseudos / 'README').write_text('hello')
    result = invoke('--prepend', programs(), '--pseudos', pseudos, '--cutoff-wfc', '80')
    assert result.exit_code == 1
    assert 'leave only UPF files' in result.output


def test_cutoffs(pseudos):
    """Suggestions are read where they mean something, and a density cutoff that is too low is refused."""
    assert cutoffs_of(pseudos / 'B.upf', None, None) == {'cutoff_wfc': 40, 'cutoff_rho': 250}
    assert cutoffs_of(pseudos / 'B.upf', 50, None) == {'cutoff_wfc': 50, 'cutoff_rho': 400}
    assert cutoffs_of(pseudos / 'H.upf', 50, 300) == {'cutoff_wfc': 50, 'cutoff_rho': 300}
    with pytest.raises(ValueError, match='at least 4 times'):
        cutoffs_of(pseudos / 'H.upf', 50, 100)
    radius = pseudos / 'C.upf'
    radius.write_text(HEADER.format('C', 'NC', 'wfc_cutoff="60" rho_cutoff="11.6"'))
    assert cutoffs_of(radius, None, None) == {'cutoff_wfc': 60, 'cutoff_rho': 240}
    assert read_header(radius)['element'] == 'C'


def test_versions():
    """The version is read from the banner, and compared as numbers."""
    assert banner_version('     Program PWSCF v.6.7MaX starts on') == '6.7MaX'
    assert banner_version('     Program PHONON v.7.3.1 starts on') == '7.3.1'
    assert banner_version('Error: no MPI') is None
    assert numbers('6.7MaX') == (6, 7)
    assert numbers('7.10') > numbers('7.5')


def test_calculator(computer):
    """The code of a calculator names it in its lines, and is made once; --option takes JSON and text."""
    arguments = ('calculator', 'emt', 'ase.calculators.emt:EMT', '--option', 'asap_cutoff=true')
    made = invoke(*arguments)
    assert made.exit_code == 0, made.output
    code = stored_codes()['emt']
    assert code.default_calc_job_plugin == 'clathrate.evaluate'
    assert code.with_mpi is False
    assert 'export CLATHRATE_CALCULATOR=ase.calculators.emt:EMT\n' in code.prepend_text
    assert code.prepend_text.endswith("""export CLATHRATE_CALCULATOR_OPTIONS='{"asap_cutoff": true}'""")
    assert 'exists: emt@localhost' in invoke(*arguments).output
    other = invoke('calculator', 'emt', 'ase.calculators.lj:LennardJones')
    assert other.exit_code == 1
    assert 'emt@localhost exists and runs something else' in other.output
    misplaced = invoke('--computer', 'cluster', *arguments)
    assert misplaced.exit_code == 2
    assert 'options of "setup calculator" come after its name' in misplaced.output
    assert parse_option('model=medium') == ('model', 'medium')
    assert parse_option('name="3"') == ('name', '3')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('ase.calculators.emt.EMT',), 'is not of the form package.module:factory'),
        (('no_such_module:f',), 'no_such_module:f cannot be made: ModuleNotFoundError'),
        (('ase.calculators.emt:EMT', '--option', 'cutoff'), "'cutoff' is not of the form key=value"),
        (('ase.calculators.lj:LennardJones', '--computer', 'cluster'), 'cluster: no such computer'),
        (('os:system("id")',), 'is not of the form'),
    ],
)
def test_refused_calculators(computer, arguments, message):
    """A calculator that cannot be made on the computer is refused, and no code is stored."""
    result = invoke('calculator', 'mine', *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert stored_codes() == {}


@pytest.mark.qe
def test_real_programs(computer):
    """The installed Quantum ESPRESSO is found, and its version read."""
    if shutil.which('pw.x') is None:
        pytest.skip('needs pw.x')
    result = invoke()
    assert result.exit_code == 0, result.output
    assert set(stored_codes()) == LABELS
    assert str(stored_codes()['ph'].filepath_executable) == shutil.which('ph.x')
    assert 'version unknown' not in result.output
