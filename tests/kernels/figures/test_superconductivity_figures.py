"""What the figures of T_c and of the gap draw, from solved Eliashberg equations of two modes."""

from dataclasses import replace

import numpy as np
import pytest

from aiida_clathrate.kernels.eliashberg import Extras, ModeErrors, solve
from aiida_clathrate.kernels.figures.critical_temperature import Reference, draw_critical_temperature
from aiida_clathrate.kernels.figures.gap import draw_gap
from aiida_clathrate.kernels.figures.sensitivity import draw_sensitivity
from aiida_clathrate.kernels.spectral import SpectralFunction

SPECTRAL = SpectralFunction(np.array([15.0, 40.0]), np.array([0.5, 0.7]))
MU_STARS = (0.10, 0.13)


@pytest.fixture(scope='module')
def result():
    """Return T_c with error bars."""
    errors = ModeErrors(frequencies=np.array([0.5, 0.5]))
    return solve(SPECTRAL, MU_STARS, extras=Extras(errors=errors))


def test_critical_temperature(result):
    """One curve for each method, a gap where there is no T_c, and a band of the standard error."""
    plot = draw_critical_temperature(replace(result, mcmillan=(result.mcmillan[0], None)))
    (axes,) = plot.figure.axes
    table = plot.tables['critical-temperature']
    labels = [line.get_label() for line in axes.lines]
    assert len(labels) == 4
    assert 'Allen–Dynes' in labels
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), table['rescaled_K'])
    np.testing.assert_array_equal(np.isnan(table['mcmillan_K']), [False, True])
    np.testing.assert_array_equal(table['raw_K'], result.raw)
    band = axes.collections[0].get_datalim(axes.transData)
    assert band.ymax == pytest.approx(result.rescaled[0] + result.errors[0])
    assert axes.get_ylabel() == r'$T_\mathrm{c}$ (K)'


def test_without_errors(result):
    """Errors that nobody gave are not drawn as zero."""
    plot = draw_critical_temperature(replace(result, errors=None))
    assert not plot.figure.axes[0].collections
    assert 'rescaled_error_K' not in plot.tables['critical-temperature']


def test_references(result, tmp_path):
    """A calculation is a point at its μ*, an experiment a line; both are in the tables."""
    references = [Reference('Experiment', 12.0), Reference('Theory', 14.0, 0.1)]
    plot = draw_critical_temperature(result, references)
    experiment, theory = plot.figure.axes[0].lines[-2:]
    assert list(experiment.get_ydata()) == [12.0, 12.0]
    assert (theory.get_xdata()[0], theory.get_ydata()[0]) == (0.1, 14.0)
    files = plot.save(tmp_path / 'tc.pdf')
    assert 'Experiment,,12.0' in next(path for path in files if 'references' in path.name).read_text()


def test_gap(result):
    """Every temperature is in the left panel and in the tables; a few have curves on the right."""
    plot = draw_gap(result)
    left, right = plot.figure.axes
    assert len(plot.tables) == 1 + len(result.solutions)
    np.testing.assert_array_equal(left.lines[1].get_ydata(), [gaps[0] for gaps in result.gaps])
    assert left.lines[2].get_xdata()[0] == result.critical_temperature
    drawn = [line for line in right.lines if not line.get_label().startswith('_')]
    assert drawn[0].get_label() == f'{result.temperatures[0]:.3g} K'
    assert drawn[-1].get_label() == f'{result.temperatures[-1]:.3g} K'
    assert (left.get_xlabel(), right.get_xlabel()) == ('$T$ (K)', r'$\omega_n$ (meV)')


def test_sensitivity(result):
    """The derivative lies in front of α²F, which keeps its own axis."""
    plot = draw_sensitivity(result, SPECTRAL)
    front, behind = plot.figure.axes
    assert front.get_zorder() > behind.get_zorder()
    np.testing.assert_array_equal(front.lines[0].get_ydata(), result.sensitivity)
    assert set(plot.tables['sensitivity']) == {'frequency_meV', 'sensitivity_K_per_meV', 'alpha2f'}


def test_not_superconducting(result):
    """Where nothing superconducts there is no gap and no sensitivity to draw, and the message says so."""
    normal = replace(result, solutions=(), gap_edges=(), sensitivity=np.zeros(0), sensitivity_frequencies=np.zeros(0))
    with pytest.raises(ValueError, match='nothing superconducts'):
        draw_gap(normal)
    with pytest.raises(ValueError, match='nothing superconducts'):
        draw_sensitivity(normal, SPECTRAL)
