"""A figure and its numbers travel together."""

import csv
import json

import matplotlib
import numpy as np
import pytest
from matplotlib import rc_context

from aiida_clathrate.kernels.figures.plot import STYLE, Plot, fitting_columns, legend_above, new_figure


def example(values):
    """Return a figure with one curve and its table."""
    figure, (axes,) = new_figure(2, 2)
    axes.plot(values, label='curve')
    legend_above(figure, axes)
    return Plot(figure, {'curve': {'index': np.arange(len(values)), 'value_meV': np.array(values)}})


@pytest.mark.parametrize('suffix', ['pdf', 'png', 'svg'])
def test_save(tmp_path, suffix):
    """The figure, one JSON with all tables and a CSV of each; a missing number is null and an empty field."""
    files = example([1.5, np.nan, 2.5]).save(tmp_path / f'a.{suffix}')
    assert [path.name for path in files] == [f'a.{suffix}', 'a.json', 'a-curve.csv']
    assert all(path.stat().st_size for path in files)
    assert json.loads(files[1].read_text()) == {'curve': {'index': [0, 1, 2], 'value_meV': [1.5, None, 2.5]}}
    assert list(csv.reader(files[2].open())) == [['index', 'value_meV'], ['0', '1.5'], ['1', ''], ['2', '2.5']]


def test_unknown_format(tmp_path):
    """A suffix that cannot be written is refused before any file is made."""
    with pytest.raises(ValueError, match=r'cannot write a\.xyz: end the name'):
        example([1.0]).save(tmp_path / 'a.xyz')
    assert not list(tmp_path.iterdir())


def test_columns_of_different_length():
    """A table whose columns do not belong together is refused."""
    figure, _ = new_figure(2, 2)
    with pytest.raises(ValueError, match='table t: the columns must have one length'):
        Plot(figure, {'t': {'a': np.arange(2), 'b': np.arange(3)}})


@rc_context(STYLE)
def test_legend_fits():
    """A legend of long and of many labels has as many rows as it needs to stay inside the figure."""
    names = ['free-energy Hessian', 'harmonic', 'standard deviation', 'total', 'K', 'Rb', 'B', r'$\lambda_{q\nu}$ = 2']
    figure, (axes,) = new_figure(5, 3)
    for name in names:
        axes.plot([0, 1], label=name)
    legend_above(figure, axes)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent().transformed(figure.transFigure.inverted())
    assert 0 <= box.x0 < 0.25
    assert 0.75 < box.x1 <= 1
    # What has room in one row stays there.
    assert fitting_columns(['a', 'b', 'c'], 3, 3) == 3
    assert fitting_columns(['a' * 99], 3, 1) == 1


def test_no_global_state(tmp_path):
    """Drawing and saving leave matplotlib as it was, and need no window system."""
    before = dict(matplotlib.rcParams)
    example([1.0, 2.0]).save(tmp_path / 'a.png')
    assert dict(matplotlib.rcParams) == before
