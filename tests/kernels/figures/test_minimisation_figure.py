"""What the figure of an SSCHA draws, from populations made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from aiida_clathrate.kernels.figures.minimisation import draw_minimisation, lowest_frequencies
from aiida_clathrate.kernels.sscha.minimisation import Trace
from aiida_clathrate.kernels.sscha.settings import Settings


def trace(steps, energy):
    """Return a population whose gradient falls tenfold with each step, of a crystal of two atoms on two q."""
    fall = 10.0 ** -np.arange(steps)
    modes = np.array([[0, 0, 0, 31, 30, 32], [22, 21, 20, 40, 41, 42]], dtype=float)
    return Trace(
        free_energy=energy + 0.01 * fall,
        free_energy_error=np.full(steps, 1e-3),
        gradient=2 * fall,
        gradient_error=np.full(steps, 0.5),
        force=0.3 * fall,
        force_error=np.full(steps, 0.1),
        kong_liu=1 - 0.1 * np.arange(steps),
        frequencies=modes + np.arange(steps)[:, None, None],
        evaluations=1 + np.arange(steps),
    )


@pytest.fixture
def traces():
    """Return two populations of three and four steps."""
    return [trace(3, -100.0), trace(4, -100.02)]


def test_course(traces):
    """The steps are counted through; each population keeps its own evaluations; the table has energies as they are."""
    table = draw_minimisation(traces).tables['minimisation']
    assert table['population'].tolist() == [1, 1, 1, 2, 2, 2, 2]
    assert table['step'].tolist() == list(range(7))
    assert table['evaluations'].tolist() == [1, 2, 3, 1, 2, 3, 4]
    assert table['free_energy_eV'][3] == pytest.approx(-100.01)
    np.testing.assert_allclose(table['gradient_over_error'][:3], [4, 0.4, 0.04])
    np.testing.assert_allclose(table['force_over_error'][3:], [3, 0.3, 0.03, 0.003])


def test_lowest_frequencies(traces):
    """Translations are no modes; of all wave vectors the lowest are taken, in order."""
    lowest = lowest_frequencies(traces[0])
    assert lowest[0].tolist() == [20, 21, 22, 30, 31, 32, 40, 41]
    np.testing.assert_array_equal(lowest[2], lowest[0] + 2)


def test_panels(traces):
    """Free energies are drawn in meV from the last one, ratios on a logarithmic axis, a line for each population."""
    plot = draw_minimisation(traces, (100, 200))
    energy, gradient, sample, modes = plot.figure.axes
    first, second = (line.get_ydata() for line in energy.lines)
    np.testing.assert_allclose(second, [9.99, 0.99, 0.09, 0], atol=1e-6)
    assert first[0] == pytest.approx(29.99)
    assert energy.get_ylabel() == r'$F-F_\mathrm{end}$ (meV/cell)'
    assert gradient.get_yscale() == 'log'
    np.testing.assert_array_equal(sample.lines[1].get_ydata(), traces[1].kong_liu)
    assert modes.get_ylim()[0] == 0
    assert [line.get_color() for line in modes.lines].count('black') == 2


def test_limits(traces):
    """The conditions at which a minimisation ends are drawn where they are known, and inside the axes."""

    def dashed(axes):
        return [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == '--']

    settings = Settings(meaningful_factor=1e-4, kong_liu_ratio=0.55)
    _, gradient, sample, _ = draw_minimisation(traces, settings=settings).figure.axes
    assert (dashed(gradient), dashed(sample)) == ([1e-4], [0.55])
    assert gradient.get_ylim()[0] < 1e-4
    assert sample.get_ylim()[0] < 0.55
    assert not any(dashed(axes) for axes in draw_minimisation(traces).figure.axes)


def test_populations(traces):
    """Number and size stand above each population, and every second one has a grey ground in all panels."""
    axes = draw_minimisation(traces, (100, 200)).figure.axes
    assert [text.get_text() for text in axes[0].texts][1:] == ['1\n100', '2\n200']
    assert [text.get_text() for text in draw_minimisation(traces).figure.axes[0].texts][1:] == ['1', '2']
    for part in axes:
        ground = part.patches[-1].get_extents().transformed(part.transData.inverted())
        assert (ground.x0, ground.x1) == pytest.approx((2.5, 6.5))


def test_forces_forbidden_by_symmetry(traces):
    """What rounding leaves of forces that symmetry forbids is not drawn as a gradient."""
    forbidden = [replace(part, force=np.full(len(part.force), 1e-17), force_error=0 * part.force) for part in traces]
    plot = draw_minimisation(forbidden)
    assert np.isnan(plot.tables['minimisation']['force_over_error']).all()
    assert 'in positions' not in [text.get_text() for text in plot.figure.legends[0].get_texts()]


def test_many_populations(traces, tmp_path):
    """Labels for which there is no room are left out."""
    plot = draw_minimisation([replace_steps(trace(3, 0.0)) for _ in range(60)], [40000] * 60)
    assert 5 < len(plot.figure.axes[0].texts) < 40
    assert len(plot.save(tmp_path / 'course.png')) == 3


def replace_steps(part):
    """Return a population of the start alone: its sample was used up at once."""
    return replace(part, **{name: values[:1] for name, values in vars(part).items()})


def test_refused(traces):
    """Nothing to draw, and sizes of other populations."""
    with pytest.raises(ValueError, match='there is no trace'):
        draw_minimisation([])
    with pytest.raises(ValueError, match='1 sizes of 2 populations'):
        draw_minimisation(traces, (100,))
