"""``show`` and ``plot`` on the results of a real calculation: hydrogen, near 500 GPa."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiida import engine, orm
from aiida.common.links import LinkType
from ase.build import bulk
from click.testing import CliRunner

from aiida_clathrate.cli.inspect import cmd_plot, cmd_show
from aiida_clathrate.cli.sscha import WORKCHAIN
from aiida_clathrate.data.dispersion import dispersion_to_bands
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.electron_phonon import ElectronPhononData
from aiida_clathrate.data.phonon_dos import dos_to_array
from aiida_clathrate.data.spectral import SpectralFunctionData
from aiida_clathrate.data.superconductivity import SuperconductivityData
from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.dispersion import dispersion
from aiida_clathrate.kernels.eliashberg import solve
from aiida_clathrate.kernels.files.qe_dyn import parse_dyn_files
from aiida_clathrate.kernels.files.qe_elph import read_elph_files
from aiida_clathrate.kernels.matsubara.settings import Settings
from aiida_clathrate.kernels.phonon_dos import phonon_dos

ARCHIVE = Path(__file__).parents[1] / 'fixtures' / 'hydrogen.zip'
#: Index of the broadening from which T_c is calculated.
SMEARING = 4


@pytest.fixture(scope='module')
def kernels():
    """Return all that is calculated from the files of hydrogen."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    files = parse_dyn_files(texts)
    coupling = read_elph_files(texts, files)
    matrices = impose_constraints(files.matrices(pressure=500.0)).matrices
    modes = mode_couplings(replace(coupling, crystal=matrices.crystal), matrices)
    result = solve(modes.spectral(SMEARING), settings=Settings(mu_stars=(0.1, 0.13)))
    return {
        'dynamical_matrices': matrices,
        'electron_phonon': coupling,
        'dispersion': dispersion(matrices, spacing=0.2),
        'phonon_dos': phonon_dos(matrices, mesh=(6, 6, 6), step=5.0),
        'spectral_function': modes,
        'superconductivity': replace(result, smearing=float(modes.smearings[SMEARING])),
    }


@pytest.fixture
def nodes(aiida_profile_clean, kernels):
    """Return unstored nodes by the labels of the outputs of the work chains."""
    labels = {'formula': 'H2', 'level': 'harmonic', 'pressure': 500.0}
    cell = kernels['dynamical_matrices'].crystal.cell
    return {
        'dynamical_matrices': DynamicalMatrixData.from_kernel(kernels['dynamical_matrices']),
        'electron_phonon': ElectronPhononData.from_kernel(kernels['electron_phonon']),
        'dispersion': dispersion_to_bands(kernels['dispersion'], cell),
        'phonon_dos': dos_to_array(kernels['phonon_dos']),
        'spectral_function': SpectralFunctionData.from_kernel(kernels['spectral_function'], **labels),
        'superconductivity': SuperconductivityData.from_kernel(kernels['superconductivity'], **labels),
        'stability': orm.Dict({'class': 'stable', 'smallest_frequency': 84.0}),
    }


@pytest.fixture
def process(nodes):
    """Return a finished process with these outputs."""

    @engine.calcfunction
    def calculate(structure):
        return nodes

    return calculate.run_get_node(orm.StructureData(ase=bulk('Al')))[1]


def invoke(command, *arguments):
    """Run a command in a wide terminal and return its result."""
    arguments = [str(argument) for argument in arguments]
    return CliRunner(env={'COLUMNS': '200'}).invoke(command, arguments, catch_exceptions=False)


@pytest.mark.parametrize(
    ('label', 'words'),
    [
        ('dynamical_matrices', ('H2', '500 GPa', '3 × 3 × 3', 'smallest frequency')),
        ('electron_phonon', ('3 × 3 × 3', 'N(E_F)', '0.6803')),
        ('spectral_function', ('ω_log', '0.6803', 'H2')),
        ('superconductivity', ('T_c', 'Allen–Dynes', 'μ* = 0.1', 'meV, cutoff', '2Δ₀/k_BT_c')),
    ],
)
def test_show_node(nodes, label, words):
    """Each node shows its numbers with their units."""
    output = invoke(cmd_show, nodes[label].store().pk).output
    for word in words:
        assert word in output


def test_show_numbers(nodes, kernels):
    """The T_c that is printed is that of the result."""
    result = kernels['superconductivity']
    output = invoke(cmd_show, nodes['superconductivity'].store().pk).output
    for value in (result.rescaled[1], result.raw[0], result.allen_dynes[1]):
        assert f'{value:.4g}' in output


def test_show_process(process):
    """A process shows all of them, T_c last."""
    output = invoke(cmd_show, process.pk).output
    labels = ('stability', 'dynamical_matrices', 'electron_phonon', 'spectral_function', 'superconductivity')
    titles = [f'{label.replace("_", " ")} {process.outputs[label].pk}' for label in labels]
    places = [output.replace('electron-phonon', 'electron phonon').index(f'╭─ {title}') for title in titles]
    assert places == sorted(places)


def test_plot_all(process, tmp_path, kernels):
    """All figures of a work chain, from one command; α²F is of the broadening of T_c."""
    result = invoke(cmd_plot, process.pk, '--kind', 'all', '--output', tmp_path / 'h.png')
    assert result.exit_code == 0, result.output
    kinds = ('overview', 'dispersion', 'critical-temperature', 'gap', 'sensitivity', 'spectral')
    assert {path.name for path in tmp_path.glob('*.png')} == {f'h-{kind}.png' for kind in kinds}
    table = json.loads((tmp_path / 'h-overview.json').read_text())['alpha2f']
    expected = kernels['spectral_function'].spectral(SMEARING).coupling
    assert table['cumulative_lambda'][-1] == pytest.approx(expected)


@pytest.fixture
def both(nodes, kernels):
    """Return a work chain with harmonic T_c, and T_c of modes that an SSCHA found to be a tenth harder."""
    matrices = kernels['dynamical_matrices']
    harder = replace(matrices, force_constants=1.21 * matrices.force_constants, level='sscha', temperature=0.0)
    modes = mode_couplings(replace(kernels['electron_phonon'], crystal=harder.crystal), harder)
    result = replace(solve(modes.spectral(SMEARING), settings=Settings(mu_stars=(0.1, 0.13))), errors=(5.0, 4.0))
    functions = {
        'spectral_function': SpectralFunctionData.from_kernel(modes, formula='H2', level='sscha'),
        'superconductivity': SuperconductivityData.from_kernel(
            replace(result, smearing=float(modes.smearings[SMEARING])), formula='H2', level='sscha'
        ),
    }
    node, chain = orm.WorkChainNode(), orm.WorkChainNode()
    node.base.links.add_incoming(orm.Str('auxiliary').store(), LinkType.INPUT_WORK, 'anharmonic_modes')
    chain.set_process_type(WORKCHAIN)
    chain.base.links.add_incoming(node.store(), LinkType.CALL_WORK, 'sscha')
    harmonic = nodes['dynamical_matrices'].store()
    chain.base.links.add_incoming(harmonic, LinkType.INPUT_WORK, 'dynamical_matrices')
    chain.store()
    errors = orm.ArrayData({'frequency_errors': np.full(harder.modes[0].shape, 3.0)})
    found = {'auxiliary_matrices': DynamicalMatrixData.from_kernel(harder), 'trace': errors}
    found |= {'hessian_matrices': nodes['dynamical_matrices'], 'stability': orm.Dict(nodes['stability'].get_dict())}
    outputs = {label: value for label, value in nodes.items() if label != 'dynamical_matrices'}
    outputs |= {f'anharmonic__{label}': value for label, value in functions.items()}
    outputs |= {f'sscha__{label}': value for label, value in found.items()}
    for source, links in ((chain, found), (node, outputs)):
        for label, value in links.items():
            (value if value.is_stored else value.store()).base.links.add_incoming(source, LinkType.RETURN, label)
    return node


def test_anharmonic(both, kernels, tmp_path):
    """Harmonic and anharmonic T_c stand side by side: in words, and in the figures, which have the modes of α²F."""
    output = invoke(cmd_show, both.pk).output
    for words in ('superconductivity', 'anharmonic superconductivity', 'sscha stability', '± 5 K'):
        assert words in output
    assert 'sscha auxiliary matrices' not in output
    result = invoke(cmd_plot, both.pk, '--kind', 'all', '--output', tmp_path / 'h.png')
    assert result.exit_code == 0, result.output
    tables = {kind: json.loads((tmp_path / f'h-{kind}.json').read_text()) for kind in ('overview', 'spectral')}
    highest = max(kernels['dispersion'].frequencies[:, -1])
    assert max(tables['overview']['dispersion']['branch6_meV']) == pytest.approx(1.1 * highest, rel=1e-3)
    assert max(tables['overview']['dispersion-harmonic']['branch6_meV']) == pytest.approx(highest, rel=1e-3)
    assert max(tables['overview']['errors']['error_meV']) == pytest.approx(3.0)
    # λ goes as ω⁻².
    ratio = tables['spectral']['alpha2f']['cumulative_lambda'][-1]
    ratio /= tables['spectral']['alpha2f-harmonic']['cumulative_lambda'][-1]
    assert ratio == pytest.approx(1.21**-1, rel=1e-6)
    curves = json.loads((tmp_path / 'h-critical-temperature.json').read_text())
    expected = kernels['superconductivity'].rescaled
    np.testing.assert_allclose(curves['critical-temperature-harmonic']['rescaled_K'], expected)
    assert curves['critical-temperature']['rescaled_error_K'] == [5.0, 4.0]


def test_plot_options(process, tmp_path):
    """Another broadening, another width, and T_c of others."""
    out = tmp_path / 'a.pdf'
    invoke(cmd_plot, process.pk, '--kind', 'spectral', '--smearing', 0, '--width', 20, '--output', out)
    wide = json.loads((tmp_path / 'a.json').read_text())['alpha2f']
    assert wide['cumulative_lambda'][-1] > 3
    invoke(cmd_plot, process.pk, '--kind', 'critical-temperature', '--reference', 'Theory=318@0.1', '--output', out)
    references = json.loads((tmp_path / 'a.json').read_text())['references']
    assert references == {'source': ['Theory'], 'mu_star': [0.1], 'critical_temperature_K': [318.0]}
    refused = invoke(cmd_plot, process.pk, '--smearing', 99)
    assert 'smearing: there is no number 99; give 0 to 9' in refused.output


def test_plot_imported(aiida_profile_clean, tmp_path):
    """α²F without wave vectors, as from a file, has a figure too."""
    from aiida_clathrate.kernels.spectral import SpectralFunction

    node = SpectralFunctionData.from_kernel(SpectralFunction(np.array([20.0]), np.array([1.0]))).store()
    result = invoke(cmd_plot, node.pk, '--output', tmp_path / 'a.pdf')
    assert result.exit_code == 0
    assert (tmp_path / 'a-alpha2f.csv').exists()


def test_plot_not_superconducting(nodes, kernels, tmp_path):
    """A result without a gap is drawn as far as it goes."""
    normal = replace(
        kernels['superconductivity'],
        solutions=(),
        gap_edges=(),
        sensitivity=np.zeros(0),
        sensitivity_frequencies=np.zeros(0),
    )
    node = SuperconductivityData.from_kernel(normal).store()
    result = invoke(cmd_plot, node.pk, '--kind', 'all', '--output', tmp_path / 'n.pdf')
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.glob('*.pdf')] == ['n-critical-temperature.pdf']
