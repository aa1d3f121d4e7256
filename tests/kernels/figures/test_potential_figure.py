"""What the figure of a potential draws, from errors made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aiida_clathrate.kernels.figures.potential import Agreement, draw_potential

ENERGIES = np.array([-5.010, -5.000, -4.990])


@pytest.fixture
def agreement():
    """Return three configurations of a boron and a carbon atom; carbon is wrong by 20 meV/Å, boron by nothing."""
    forces = np.arange(18, dtype=float).reshape(6, 3) - 8.5
    wrong = np.zeros((6, 3))
    wrong[1::2] = 0.02
    return Agreement(
        energies=ENERGIES,
        predicted_energies=ENERGIES + np.array([0.001, -0.001, 0.003]),
        forces=forces,
        predicted_forces=forces + wrong,
        force_errors=np.array([0.01, 0.02, 0.04]),
        deviations=np.array([0.02, 0.03, 0.05]),
        symbols=('B', 'C') * 3,
    )


@pytest.fixture
def history():
    """Return the course of a training."""
    return {'epoch': np.array([5.0, 10, 15]), 'energy_rmse': np.array([4e-3, 2e-3, 1e-3]), 'force_rmse': np.ones(3)}


def points(axes):
    """Return ordinates of all points that are drawn."""
    return np.concatenate([line.get_ydata() for line in axes.lines if line.get_marker() not in ('None', '')])


def texts(axes):
    """Return what is written into a panel."""
    return ' '.join(text.get_text() for text in axes.texts)


def test_energies(agreement):
    """Energies are in meV/atom from the mean of the labels, what is left is predicted minus label."""
    panels = draw_potential(agreement).figure.axes
    np.testing.assert_allclose(points(panels[0]), [-9, -1, 13], atol=1e-9)
    np.testing.assert_allclose(points(panels[3]), [1, -1, 3], atol=1e-9)
    assert 'RMSE 1.91 meV/atom' in texts(panels[0])
    assert 'mean error +1' in texts(panels[0])


def test_forces(agreement):
    """Each element has its colour and its error; without elements all atoms have one."""
    figure = draw_potential(agreement).figure
    assert {text.get_text() for text in figure.legends[0].texts} == {'B: RMSE 0 meV/Å', 'C: RMSE 20 meV/Å'}
    np.testing.assert_allclose(points(figure.axes[4]), [0] * 9 + [20] * 9, atol=1e-9)
    assert 'RMSE 14.1 meV/Å' in texts(figure.axes[1])
    bare = draw_potential(replace(agreement, symbols=()))
    assert [text.get_text() for text in bare.figure.legends[0].texts] == ['all: RMSE 14.1 meV/Å']
    np.testing.assert_array_equal(bare.tables['forces']['element'], ['all'] * 6)


def test_calibration(agreement):
    """Expected errors are on the abscissa, true ones on the ordinate, both axes alike."""
    axes = draw_potential(agreement).figure.axes[2]
    line = next(line for line in axes.lines if line.get_marker() == 'o')
    np.testing.assert_allclose(line.get_xdata(), [20, 30, 50])
    np.testing.assert_allclose(line.get_ydata(), [10, 20, 40])
    assert axes.get_xlim() == axes.get_ylim()
    assert 'rank correlation 1.00' in texts(axes)


def test_history(agreement, history):
    """The course of the training is drawn from its first look on, with the lowest errors in words."""
    plot = draw_potential(replace(agreement, history=history))
    axes = plot.figure.axes[5]
    np.testing.assert_allclose([line.get_ydata() for line in axes.lines], [[1, 1, 1], [1, 0.5, 0.25]])
    assert 'forces: lowest 1000 meV/Å energies: lowest 1 meV/atom' in texts(axes)
    np.testing.assert_allclose(plot.tables['history']['energy_rmse_meV_per_atom'], [4, 2, 1])


def test_closed_form(agreement, history):
    """Where nothing was looked at twice, the distribution of the errors takes the place of the course."""
    short = {name: values[:1] for name, values in history.items()}
    for given in (None, short):
        plot = draw_potential(replace(agreement, history=given))
        assert 'history' not in plot.tables
        carbon = plot.figure.axes[5].lines[1]
        np.testing.assert_allclose(carbon.get_xdata(), 20)
        np.testing.assert_allclose(carbon.get_ydata(), 1 - np.arange(9) / 9)


def test_exact(agreement, tmp_path):
    """A potential without any error can be drawn."""
    exact = replace(
        agreement,
        predicted_energies=agreement.energies,
        predicted_forces=agreement.forces,
        force_errors=np.zeros(3),
        deviations=np.zeros(3),
    )
    draw_potential(exact).save(tmp_path / 'exact.png')


def test_numbers(agreement, tmp_path):
    """The numbers of the figure are written beside it."""
    draw_potential(agreement).save(tmp_path / 'a.pdf')
    document = json.loads((tmp_path / 'a.json').read_text())
    assert document['errors'] == {
        'expected_meV_per_angstrom': pytest.approx([20, 30, 50]),
        'true_meV_per_angstrom': pytest.approx([10, 20, 40]),
    }
    assert document['forces']['element'] == ['B', 'C'] * 3
    assert (tmp_path / 'a-forces.csv').exists()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'symbols': ('B',)}, 'symbols: need one for each of the 6 forces, not 1'),
        ({'deviations': np.ones(2)}, 'deviations: need one for each of the 3 configurations'),
        ({'predicted_forces': np.ones((6, 2))}, 'forces and predicted_forces: need three components'),
        ({'energies': np.ones(0)}, 'there are no configurations that were held out'),
    ],
)
def test_refused(agreement, changes, message):
    """Numbers that are not of the same configurations are refused."""
    with pytest.raises(ValueError, match=message):
        replace(agreement, **changes)
