"""What is labelled next, how ensembles are called, and what is said about a potential."""

import pytest

from aiida_clathrate.kernels.mlp.limits import Limits
from aiida_clathrate.workflows import potential_schedule as schedule


@pytest.mark.parametrize(
    ('beyond', 'labelled', 'action'),
    [
        (0, 0, 'accept'),
        (1, 0, 'label'),
        (900, 2, 'label'),
        (1, 3, 'accept'),  # a thousandth: the tail of a Gaussian
        (2, 3, 'refuse'),
        (0, 3, 'accept'),
    ],
)
def test_next_action(beyond, labelled, action):
    """Rounds are used before a tail is put up with, and more than a tail never is."""
    assert schedule.next_action(beyond, 1000, labelled, 3, 0.001) == action


def test_next_action_without_labels():
    """Where nothing may be labelled a population is accepted or refused at once."""
    assert schedule.next_action(1000, 1000, 0, 0, 1.0) == 'accept'
    assert schedule.next_action(1, 1000, 0, 0, 0.0) == 'refuse'


@pytest.mark.parametrize(
    ('kind', 'labels', 'number', 'expected'),
    [
        ('labels', [], 1, 'labels_1'),
        ('labels', ['labels_1', 'labels_10', 'population_20'], 1, 'labels_11'),
        ('population', ['labels_3'], 4, 'population_4'),
        ('population', ['population_7'], 1, 'population_8'),  # of an earlier run
        ('population', ['population_x', 'my_population_9'], 1, 'population_1'),
    ],
)
def test_next_label(kind, labels, number, expected):
    """A label is never given twice."""
    found = schedule.next_label(kind, labels, number)
    assert found == expected
    assert found not in labels


@pytest.mark.parametrize(
    ('labels', 'expected'),
    [
        (['population_2', 'population_10', 'labels_11'], 'population_10'),
        (['mine', 'labels_1'], 'mine'),
        (['labels_1'], None),
        ([], None),
    ],
)
def test_baseline(labels, expected):
    """The baseline is that of the last whole population; what was labelled in part is none."""
    assert schedule.baseline_of(labels) == expected


def test_lines():
    """A line names numbers, units and limits."""
    report = {
        'model': 'both', 'training_configurations': 90, 'validation_configurations': 10, 'energy_rmse': 0.123,
        'force_rmse': 61.2, 'accurate': False, 'limits': {'energy': 0.5, 'force': 50.0},
    }  # fmt: skip
    assert schedule.describe_training(report) == (
        'potential (both) of 90 configurations: errors of the 10 others 0.12 meV/atom and 61 meV/Å, not accurate '
        '(limits 0.5 and 50)'
    )
    selection = {'beyond': 3, 'number': 1000, 'limit': 0.1, 'largest_deviation': 0.1234}
    assert schedule.describe_selection(selection, 'label') == (
        '3 of 1000 configurations with an expected error of the forces beyond 100 meV/Å, the most uncertain are '
        'labelled; the largest 123 meV/Å'
    )
    comparison = {
        'configurations': 20, 'energy_rmse': 0.2, 'force_rmse': 30.0, 'free_energy_bias': 0.00123,
        'free_energy_bias_error': 0.00045,
    }  # fmt: skip
    assert schedule.describe_check(comparison, Limits(0.5, 50.0), True) == (
        'check: errors of 20 random configurations 0.20 meV/atom and 30 meV/Å, compatible with the limits 0.5 and 50; '
        'bias of the free energy 0.00123 ± 0.00045 eV per primitive cell'
    )
