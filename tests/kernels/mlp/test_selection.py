"""Division and choice of configurations: pairs together, nothing twice, no bias, the seed decides."""

import numpy as np
import pytest

from aiida_clathrate.kernels.mlp.selection import Labelled, check_split, select, split

SOURCES = {
    'population_1': Labelled(40, True),
    'population_2': Labelled(21, False),
    'labels_1': Labelled(25, False, True),
}


def counts(found, part):
    """Return how many configurations of each label a part has."""
    return {label: len(parts[part]) for label, parts in found.items()}


@pytest.mark.parametrize('number', [0, 7, 30, 1000])
def test_split(number):
    """Every configuration is there once, pairs are together, the numbers are those asked for."""
    found = split(SOURCES, number, 3, 0.1, 8)
    for label, source in SOURCES.items():
        training, validation = found[label]['training'], found[label]['validation']
        assert sorted(training + validation) == list(range(source.number))
        assert training == sorted(training)
    pairs = np.array(found['population_1']['training']).reshape(-1, 2)
    assert (pairs[:, 0] % 2 == 0).all()
    assert (pairs[:, 1] == pairs[:, 0] + 1).all()
    populations = counts(found, 'training')['population_1'] + counts(found, 'training')['population_2']
    assert populations == (min(number, 53) if number else 53)  # 61 configurations, 8 for validation at least
    assert counts(found, 'validation')['labels_1'] == 3  # a tenth, rounded up


def test_seed():
    """The same seed gives the same split, whatever the order of the ensembles; another seed another."""
    reverse = dict(reversed(SOURCES.items()))
    assert split(SOURCES, 20, 3, 0.1, 8) == split(reverse, 20, 3, 0.1, 8)
    assert split(SOURCES, 20, 3, 0.1, 8) != split(SOURCES, 20, 4, 0.1, 8)


def test_all_may_train():
    """Over many seeds each configuration trains equally often."""
    sources = {'population_1': Labelled(10, True), 'population_2': Labelled(10, True)}
    times = np.zeros((2, 10))
    for seed in range(400):
        for row, parts in zip(times, split(sources, 8, seed, 0.1, 2).values(), strict=True):
            row[parts['training']] += 1
    # 8 of 20: 160 times, with the standard deviation of a binomial distribution.
    assert np.abs(times - 160).max() < 4 * np.sqrt(400 * 0.4 * 0.6)


def test_sought_alone():
    """One configuration that was sought trains; a validation without any is refused."""
    sources = {'labels_1': Labelled(1, False, True), 'population_1': Labelled(8, True)}
    assert split(sources, 0, 1, 0.0, 2)['labels_1'] == {'training': [0], 'validation': []}
    sought = Labelled(6, True, True)
    assert counts(split({'labels_1': sought}, 0, 1, 0.0, 2), 'validation') == {'labels_1': 2}  # one pair


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((-1, 1, 0.1, 2), 'a number from 0, not -1'),
        ((0, 1, 1.0, 2), 'below 1, not 1.0'),
        ((0, 1, 0.1, 0), 'from 1, not 0'),
        ((0, 1, 0.1, 4), 'nothing is left for training of 4 configurations'),
        ((1, 1, 0.1, 1), 'nothing is left for training'),  # no room for a pair
    ],
)
def test_split_refused(arguments, message):
    """Numbers that mean nothing, or leave nothing to one side."""
    with pytest.raises(ValueError, match=message):
        split({'population_1': Labelled(4, True)}, *arguments)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({}, 'a is not both an ensemble and in the split'),
        ({'a': {'training': [0], 'validation': [1]}, 'b': {}}, 'b is not both'),
        ({'a': {'training': [0]}}, 'a: needs lists of indices for training and validation'),
        ({'a': {'training': [0], 'validation': None}}, 'a: needs lists'),
        ({'a': [[0], [1]]}, 'a: needs lists'),
        ({'a': {'training': [0], 'validation': [4]}}, 'a: 4 is no configuration of the ensemble, they are 0 to 3'),
        ({'a': {'training': [-1], 'validation': [1]}}, 'a: -1 is no configuration'),
        ({'a': {'training': [True], 'validation': [0]}}, 'a: True is no configuration'),
        ({'a': {'training': [0, 1], 'validation': [1]}}, 'a: a configuration is there twice'),
        ({'a': {'training': [0, 0], 'validation': [1]}}, 'a: a configuration is there twice'),
        ({'a': {'training': [0], 'validation': []}}, 'no configuration is for validation'),
        ({'a': {'training': [], 'validation': [0]}}, 'no configuration is for training'),
    ],
)
def test_check_split(given, message):
    """A split from a stranger is checked before anything is trained."""
    with pytest.raises(ValueError, match=message):
        check_split(given, {'a': 4})
    check_split({'a': {'training': [2, 0], 'validation': [1]}}, {'a': 4})


def test_select():
    """The most uncertain ones beyond the limit that the random ones do not hold; nothing twice."""
    deviations = np.random.default_rng(1).permutation(np.linspace(0.001, 0.1, 100))
    for seed in range(20):
        found = select(deviations, True, 0.08, 10, 15, seed)
        assert found.beyond == 20
        assert (len(found.random), len(found.uncertain)) == (15, 10)
        assert len(set(found.indices)) == 25
        assert len({index // 2 for index in found.random}) == 15  # of a pair one at most
        left = sorted(set(range(100)) - set(found.random), key=lambda index: -deviations[index])
        assert found.uncertain == sorted(left[:10])
    assert select(deviations, True, 0.08, 10, 15, 1) == select(deviations, True, 0.08, 10, 15, 1)
    assert select(deviations, True, 0.08, 10, 15, 1) != select(deviations, True, 0.08, 10, 15, 2)


def test_limits():
    """Beyond the limit only, and nothing at all if nothing is asked for."""
    deviations = np.array([0.1, 0.2, 0.3, 0.4])
    assert select(deviations, False, 0.25, 10, 0, 1).uncertain == [2, 3]
    assert select(deviations, False, 0.25, 1, 0, 1).uncertain == [3]
    assert select(deviations, False, 0.4, 10, 0, 1).indices == []
    assert sorted(select(deviations, False, 0.25, 10, 4, 1).random) == [0, 1, 2, 3]


@pytest.mark.parametrize('antithetic', [True, False])
def test_random_members_are_unbiased(antithetic):
    """The mean of the random members over many seeds is that of the population, whatever the deviations."""
    generator = np.random.default_rng(7)
    values = generator.exponential(size=60)
    values[::2] *= 0.5  # of a pair, not always the same one must be drawn
    deviations = values + 0.1  # the larger the value the more uncertain: a choice by it would be far off
    seeds, count = 2000, 10
    means = [values[select(deviations, antithetic, 0.5, 20, count, seed).random].mean() for seed in range(seeds)]
    sigma = np.std(means, ddof=1) / np.sqrt(seeds)
    assert sigma < 0.01
    assert abs(np.mean(means) - values.mean()) < 3 * sigma


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((True, 0.1, 1, 3, 1), 'random: 3 is more than the 2 independent configurations'),
        ((False, 0.1, 1, 5, 1), 'random: 5 is more than the 4'),
        ((True, 0.0, 1, 1, 1), 'a limit above 0, not 0.0'),
        ((True, float('nan'), 1, 1, 1), 'a limit above 0, not nan'),
        ((True, 0.1, -1, 1, 1), 'not -1 and 1'),
        ((True, 0.1, 1, -1, 1), 'not 1 and -1'),
    ],
)
def test_select_refused(arguments, message):
    """Numbers that mean nothing."""
    with pytest.raises(ValueError, match=message):
        select(np.array([0.1, 0.2, 0.3, 0.4]), *arguments)
    with pytest.raises(ValueError, match='a finite number for each'):
        select(np.array([0.1, np.nan]), False, 0.1, 1, 1, 1)
