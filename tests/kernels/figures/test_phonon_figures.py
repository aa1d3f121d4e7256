"""What the figures of phonons draw, on a crystal whose dispersion is known."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from aiida_clathrate.kernels.alpha2f import ModeCouplings
from aiida_clathrate.kernels.dispersion import Dispersion
from aiida_clathrate.kernels.dynamical_matrix import mesh_points
from aiida_clathrate.kernels.figures.dispersion import MeasuredModes, draw_dispersion, in_two_rows, on_path, symbol
from aiida_clathrate.kernels.figures.overview import draw_overview
from aiida_clathrate.kernels.figures.plot import new_figure
from aiida_clathrate.kernels.figures.spectral import draw_spectral
from aiida_clathrate.kernels.phonon_dos import PhononDos

POINTS = {'GAMMA': (0, 0, 0), 'X': (0, 0.5, 0), 'M': (0.5, 0.5, 0), 'R': (0.5, 0.5, 0.5)}


def frequencies(qpoints):
    """Return one acoustic and two flat branches of a simple cubic crystal, shape (..., 3) [meV]."""
    acoustic = 10 * np.sqrt(np.maximum(0, 3 - np.cos(2 * np.pi * qpoints).sum(axis=-1)))
    return np.stack([acoustic, np.full_like(acoustic, 40), np.full_like(acoustic, 60)], axis=-1)


def path(scale=1.0, shift=0.0, level='sscha'):
    """Return the dispersion along Γ–X–M|Γ–R; ``shift`` is added to the lowest branch [meV]."""
    gamma, x, m, r = (np.array(POINTS[name]) for name in POINTS)
    steps = np.linspace(0, 1, 11)[:, None]
    pieces = [gamma + steps * (x - gamma), (x + steps * (m - x))[1:], gamma + steps * (r - gamma)]
    qpoints = np.concatenate(pieces)
    lengths = scale * np.linalg.norm(np.diff(qpoints, axis=0), axis=1)
    lengths[20] = 0
    labels = ((0, 'GAMMA'), (10, 'X'), (20, 'M'), (21, 'GAMMA'), (31, 'R'))
    values = frequencies(qpoints) + np.array([shift, 0, 0])
    return Dispersion(qpoints, np.append(0, np.cumsum(lengths)), labels, (21,), values, level)


@pytest.fixture
def couplings():
    """Return λ_qν on a mesh of 2×2×2, largest for the acoustic branch."""
    qpoints = mesh_points((2, 2, 2))
    strengths = np.tile([1.3, 0.4, 0.1], (1, 8, 1))
    strengths[0, 0, 0] = 0
    return ModeCouplings(frequencies(qpoints), np.full(8, 1 / 8), strengths, np.array([0.1]), qpoints=qpoints)


@pytest.fixture
def dos():
    """Return a density of states of three atoms of two elements."""
    grid = np.arange(0.5, 70)
    projected = np.array([np.exp(-0.5 * ((grid - centre) / 3) ** 2) for centre in (15, 40, 60)])
    return PhononDos(grid, projected.sum(axis=0), projected, ('Sr', 'C', 'C'))


def test_dispersion_lines():
    """The branches are drawn in two pieces, as the path jumps once, in the units of the axis label."""
    plot = draw_dispersion(path())
    (axes,) = plot.figure.axes
    assert axes.get_ylabel() == r'$\hbar\omega$ (meV)'
    assert [label.get_text() for label in axes.get_xticklabels()] == ['Γ', 'X', 'M|Γ', 'R']
    curves = [line for line in axes.lines if len(line.get_xdata()) > 2]
    assert sorted(len(line.get_xdata()) for line in curves) == [11] * 3 + [21] * 3
    np.testing.assert_allclose(plot.tables['dispersion']['branch1_meV'], path().frequencies[:, 0])
    assert axes.get_ylim()[0] == 0
    assert not plot.figure.legends


def test_imaginary():
    """Whatever is negative is inside the axes."""
    plot = draw_dispersion(path(shift=-0.5))
    assert plot.figure.axes[0].get_ylim()[0] < -0.5


def test_two_dispersions():
    """The reference is grey and dashed, and its points fall on those of a crystal of another size."""
    plot = draw_dispersion(path(), path(scale=0.9, shift=2, level='harmonic'))
    legend = plot.figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ['SSCHA', 'harmonic']
    assert [line.get_linestyle() for line in legend.get_lines()] == ['-', '--']
    tables = plot.tables
    for name in ('q1', 'distance_per_angstrom'):
        np.testing.assert_allclose(tables['dispersion-harmonic'][name], tables['dispersion'][name], atol=1e-12)


def test_different_paths():
    """Two paths through different points are not drawn over each other."""
    other = Dispersion(path().qpoints, path().distances, ((0, 'GAMMA'), (31, 'Z')), (), path().frequencies)
    with pytest.raises(ValueError, match='cannot compare the path GAMMA-Z with GAMMA-X-M-GAMMA-R'):
        draw_dispersion(path(), other)


def test_circles(couplings):
    """Each point of the mesh on the path has a circle on the branch, its area proportional to λ_qν."""
    plot = draw_dispersion(path(), couplings=couplings)
    table = plot.tables['couplings']
    places = [0.0, 0.5, 1.0, 1.0 + np.sqrt(3) / 2]
    np.testing.assert_allclose(np.unique(table['distance_per_angstrom']), places, atol=1e-5)
    # M and the second Γ share a place: both are there.
    assert len(table['lambda']) == 3 * 5
    for place, frequency in zip(table['distance_per_angstrom'], table['frequency_meV'], strict=True):
        near = np.abs(path().distances - place) < 1e-5
        assert np.abs(path().frequencies[near] - frequency).min() < 1e-9
    areas = plot.figure.axes[0].collections[0].get_sizes()
    np.testing.assert_allclose(areas / areas.max(), table['lambda'] / table['lambda'].max())
    assert plot.figure.legends[0].get_texts()[0].get_text().endswith('= 1')


def test_errors():
    """Each mode with an error has a bar where the path passes its wave vector, all of it inside the axes."""
    qpoints = mesh_points((2, 2, 2))
    modes = frequencies(qpoints) - np.array([8.0, 0, 0])
    errors = np.tile([9.0, 1.0, 2.0], (8, 1))
    errors[0, 0] = 0
    plot = draw_dispersion(path(), measured=MeasuredModes(qpoints, modes, errors))
    table = plot.tables['errors']
    assert len(table['error_meV']) == 3 * 5
    (axes,) = plot.figure.axes
    (bars,) = [part for part in axes.collections if hasattr(part, 'get_segments')]
    # Γ is passed twice, and one of its modes has no error.
    assert len(bars.get_segments()) == 3 * 5 - 2
    expected = {(round(f - e, 6), round(f + e, 6)) for f, e in zip(modes.ravel(), errors.ravel(), strict=True) if e}
    drawn = {(round(segment[0, 1], 6), round(segment[1, 1], 6)) for segment in bars.get_segments()}
    assert drawn <= expected
    lowest = min(low for low, _ in drawn)
    assert axes.get_ylim()[0] < lowest < 0
    assert 'standard deviation' in [text.get_text() for text in plot.figure.legends[0].get_texts()]


def test_errors_of_other_modes():
    """Errors of another number of modes are refused."""
    with pytest.raises(ValueError, match=r'\(8, 2\) errors of \(8, 3\) frequencies at 8 wave vectors'):
        MeasuredModes(mesh_points((2, 2, 2)), np.zeros((8, 3)), np.zeros((8, 2)))


def test_on_path_modulo_reciprocal_vectors():
    """A point of the mesh and its images are one."""
    indices, distances = on_path(path(), np.array([[0.0, -0.5, 1.0], [0.25, 0.0, 0.0]]))
    assert indices.tolist() == [0]
    np.testing.assert_allclose(distances, [0.5])


def test_couplings_without_wave_vectors(couplings):
    """An imported α²F cannot be drawn on a dispersion."""
    with pytest.raises(ValueError, match='imported table without wave vectors'):
        draw_dispersion(path(), couplings=ModeCouplings.from_spectral(couplings.spectral()))


def test_crowded_labels():
    """A label that would cover the one before goes to a second row."""
    _, (axes,) = new_figure(3, 2)
    assert in_two_rows(axes, [0, 0.97, 1.0], ['Γ', 'X|U', 'K']) == ['Γ', 'X|U', '\nK']
    assert in_two_rows(axes, [0, 0.5, 1.0], ['Γ', 'X|U', 'K']) == ['Γ', 'X|U', 'K']


@pytest.mark.parametrize(('name', 'printed'), [('GAMMA', 'Γ'), ('G', 'G'), ('SIGMA_0', 'Σ$_{0}$'), ('X', 'X')])
def test_symbol(name, printed):
    """The G of seekpath is a point of its own, not Γ."""
    assert symbol(name) == printed


def test_spectral(couplings, dos):
    """λ(ω) ends at λ; the elements add up to the total; both panels share the frequency axis."""
    spectral = couplings.spectral()
    plot = draw_spectral(spectral, dos, harmonic=spectral)
    table = plot.tables['alpha2f']
    assert table['cumulative_lambda'][-1] == pytest.approx(spectral.coupling)
    integral = 2 * trapezoid(table['alpha2f'][1:] / table['frequency_meV'][1:], table['frequency_meV'][1:])
    assert integral == pytest.approx(spectral.coupling, rel=0.01)
    states = plot.tables['phonon-dos']
    np.testing.assert_allclose(states['Sr_per_meV'] + states['C_per_meV'], states['total_per_meV'])
    left, right, upper = plot.figure.axes
    assert left.get_ylim() == right.get_ylim() == upper.get_ylim()
    assert right.get_xlabel() == r'$\alpha^2F(\omega)$'
    assert [text.get_text() for text in plot.figure.legends[0].get_texts()] == ['total', 'Sr', 'C', 'harmonic']


def test_spectral_alone(couplings):
    """Without a density of states there is one panel."""
    plot = draw_spectral(couplings.spectral(), width=0.5)
    assert list(plot.tables) == ['alpha2f']
    assert len(plot.figure.axes) == 2


def test_overview(couplings, dos, tmp_path):
    """Three panels on one frequency axis; the tables of all of them are saved."""
    plot = draw_overview(path(), dos, couplings, harmonic=path(level='harmonic'))
    assert len({axes.get_ylim() for axes in plot.figure.axes}) == 1
    files = plot.save(tmp_path / 'overview.png')
    assert len(files) == 2 + len(plot.tables) == 7


def test_overview_without_couplings(dos):
    """Phonons alone have two panels."""
    plot = draw_overview(path(), dos)
    assert list(plot.tables) == ['dispersion', 'phonon-dos']
    assert len(plot.figure.axes) == 2
