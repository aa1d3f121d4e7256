"""What ``show`` and ``plot`` make of our nodes."""

import numpy as np
import pytest
from aiida import engine, orm
from click.testing import CliRunner

from aiida_clathrate.cli.inspect import cmd_plot, cmd_show
from aiida_clathrate.data.dispersion import dispersion_from_bands, dispersion_to_bands
from aiida_clathrate.data.phonon_dos import dos_from_array, dos_to_array
from aiida_clathrate.kernels.dispersion import Dispersion
from aiida_clathrate.kernels.phonon_dos import PhononDos


def invoke(command, *arguments):
    """Run a command in a wide terminal and return its result."""
    arguments = [str(argument) for argument in arguments]
    return CliRunner(env={'COLUMNS': '200'}).invoke(command, arguments, catch_exceptions=False)


def example_dispersion():
    """Return the dispersion of a simple cubic crystal of one atom along Γ–X|Γ–R."""
    steps = np.linspace(0, 1, 5)[:, None]
    qpoints = np.concatenate([steps * [0.5, 0, 0], steps * [0.5, 0.5, 0.5]])
    values = 20 * np.abs(np.sin(np.pi * np.linalg.norm(qpoints, axis=1)))[:, None] * [0.7, 0.7, 1]
    lengths = 2 * np.pi / 4 * np.linalg.norm(np.diff(qpoints, axis=0), axis=1)
    lengths[4] = 0
    labels = ((0, 'GAMMA'), (4, 'X'), (5, 'GAMMA'), (9, 'R'))
    return Dispersion(qpoints, np.append(0, np.cumsum(lengths)), labels, (5,), values, 'sscha')


@pytest.fixture
def bands(aiida_profile_clean):
    """Return a stored dispersion."""
    return dispersion_to_bands(example_dispersion(), 4 * np.eye(3)).store()


@pytest.fixture
def density(aiida_profile_clean):
    """Return a stored density of states."""
    grid = np.arange(0.5, 25)
    projected = np.ones((1, len(grid)))
    return dos_to_array(PhononDos(grid, projected[0], projected, ('Al',))).store()


def test_bands_round_trip(bands):
    """A dispersion comes back from AiiDA's bands with its jumps and distances."""
    found, expected = dispersion_from_bands(bands), example_dispersion()
    for name in ('qpoints', 'distances', 'frequencies'):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-12)
    assert (found.labels, found.breaks, found.level) == (expected.labels, expected.breaks, 'sscha')


def test_bands_of_others(aiida_profile_clean):
    """Without a record of the jumps, neighbouring labels are one; bands of electrons are refused."""
    node = orm.BandsData()
    node.set_cell((4 * np.eye(3)).tolist())
    node.set_kpoints(example_dispersion().qpoints, labels=list(example_dispersion().labels))
    node.set_bands(example_dispersion().frequencies, units='meV')
    assert dispersion_from_bands(node).breaks == (5,)
    node.set_bands(example_dispersion().frequencies, units='eV')
    with pytest.raises(ValueError, match="expected phonon energies in meV, not 'eV'"):
        dispersion_from_bands(node)


def test_dos_round_trip(density):
    """A density of states comes back; another array is refused."""
    assert dos_from_array(density).symbols == ('Al',)
    other = orm.ArrayData({'energies': np.zeros(3)}).store()
    with pytest.raises(ValueError, match=f'node {other.pk}: not a phonon density of states'):
        dos_from_array(other)


def test_show_stability(aiida_profile_clean):
    """The verdict, its numbers with units, and the imaginary modes as a table."""
    modes = [{'frequency': -3.2, 'qpoint': [0.5, 0.5, 0.0], 'irrep': 'B2u (mmm)'}]
    content = {'verdict': 'unstable', 'smallest_frequency': -3.2, 'imaginary_modes': modes}
    result = invoke(cmd_show, orm.Dict(content).store().pk)
    assert result.exit_code == 0
    for words in ('stability', 'unstable', '-3.2 meV', 'frequency (meV)', '(0.5, 0.5, 0)', 'B2u (mmm)'):
        assert words in result.output


def test_show_parameters(aiida_profile_clean):
    """Units come from the dictionary itself; what is nested is printed flat."""
    content = {'enthalpy': -12.5, 'violations': {'sum_rule': {'largest': 1e-3}}, 'units': {'enthalpy': 'eV'}}
    output = invoke(cmd_show, orm.Dict(content).store().pk).output
    assert '-12.5 eV' in output
    assert 'violations: sum rule: largest' in output


def test_show_crystal(aiida_profile_clean):
    """Formula and space group of a structure."""
    from ase.build import bulk

    output = invoke(cmd_show, orm.StructureData(ase=bulk('Al')).store().pk).output
    assert 'Fm-3m (225)' in output


@engine.calcfunction
def analyse(number):
    """Stand for an analysis with a verdict and a number that is not ours."""
    return {'stability': orm.Dict({'verdict': 'stable', 'smallest_frequency': 4.5}), 'other': orm.Int(number.value)}


def test_show_process(aiida_profile_clean):
    """A process shows its state and those outputs that are ours."""
    _, node = analyse.run_get_node(orm.Int(1))
    output = invoke(cmd_show, node.pk).output
    for words in (f'analyse {node.pk}', 'finished', '╭─ stability', '4.5 meV'):
        assert words in output


def test_show_unknown(aiida_profile_clean):
    """A node that is none of ours gets one sentence that helps."""
    node = orm.Int(3).store()
    result = invoke(cmd_show, node.pk)
    assert result.exit_code != 0
    assert f'{node.pk} is a Int, of which `verdi node show {node.pk}` tells more' in result.output


def test_plot(bands, tmp_path):
    """The figure and its numbers are written, and their names printed."""
    result = invoke(cmd_plot, bands.pk, '--output', tmp_path / 'al.png')
    assert result.exit_code == 0
    names = ['al.png', 'al.json', 'al-dispersion.csv']
    assert [line.rsplit('/')[-1] for line in result.output.split()] == names
    assert all((tmp_path / name).exists() for name in names)


def test_plot_with_reference_dispersion(bands, tmp_path):
    """A second dispersion is drawn with the first."""
    result = invoke(cmd_plot, bands.pk, '--harmonic', bands.pk, '--output', tmp_path / 'al.pdf')
    assert (tmp_path / 'al-dispersion-harmonic.csv').exists(), result.output


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--kind', 'gap'), 'gap: the node has no superconductivity'),
        (('--output', 'a.xyz'), 'cannot write a.xyz'),
        (('--reference', 'Experiment'), "reference: 'Experiment' is not LABEL=TC"),
        (('--output', '/nowhere/a.pdf'), 'No such file'),
        (('--harmonic', '999999'), "'--harmonic'"),
    ],
)
def test_plot_refused(bands, arguments, message):
    """What cannot be drawn is refused in one sentence."""
    result = invoke(cmd_plot, bands.pk, *arguments)
    assert result.exit_code != 0
    assert message in result.output


def test_plot_nothing(density):
    """A node without a figure of its own says so."""
    assert 'has nothing to draw' in invoke(cmd_plot, density.pk).output
