"""Which configurations train a potential, which judge it, and which are to be labelled next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Of the configurations that were labelled because the potential was uncertain, so many judge it.
SHARE_OF_LABELS = 0.1
PARTS = ('training', 'validation')

Split = dict[str, dict[str, list[int]]]


@dataclass(frozen=True)
class Labelled:
    """Configurations that a potential can be trained on.

    :param number: of them.
    :param antithetic: whether 2i and 2i+1 are a pair ±u: both know the same, so that one of them cannot judge what was
        learnt from the other.
    :param sought: whether they were labelled for the training, and are no fair sample of their population.
    """

    number: int
    antithetic: bool
    sought: bool = False

    def units(self) -> list[list[int]]:
        """Return what must stay together."""
        size = 2 if self.antithetic else 1
        return np.arange(self.number).reshape(-1, size).tolist()


def split(
    sources: Mapping[str, Labelled], number: int, seed: int, validation_fraction: float, minimum_validation: int
) -> Split:
    """Divide configurations at random among training and validation.

    :param sources: by label.
    :param number: of configurations to train on, at most; 0 for all but those of the validation.
    :param seed: of NumPy's PCG64 generator.
    :param validation_fraction: share that is left to the validation at least.
    :param minimum_validation: so many are left to the validation at least. Those that were sought come on top of all
        these numbers: a tenth of each of their sources is for validation, the rest for training.
    :returns: sorted indices of ``training`` and ``validation`` by label.
    :raises ValueError: for numbers that mean nothing, or that leave nothing to one side.
    """
    if number < 0 or minimum_validation < 1 or not 0 <= validation_fraction < 1:
        raise ValueError(
            f'need a number from 0, not {number}, a minimum_validation from 1, not {minimum_validation}, and a '
            f'validation_fraction from 0 to below 1, not {validation_fraction}'
        )
    generator = np.random.default_rng(seed)
    result: Split = {label: {part: [] for part in PARTS} for label in sorted(sources)}
    units = [(label, unit) for label in result if not sources[label].sought for unit in sources[label].units()]
    total = sum(len(unit) for _, unit in units)
    wanted = total - max(minimum_validation, math.ceil(validation_fraction * total))
    room = min(number, wanted) if number else wanted
    for index in generator.permutation(len(units)):
        label, unit = units[index]
        part = 'training' if len(unit) <= room else 'validation'
        room -= len(unit) if part == 'training' else 0
        result[label][part] += unit
    for label in result:
        if sources[label].sought:
            result[label] = _split_sought(sources[label], generator)
    for part in PARTS:
        if not any(parts[part] for parts in result.values()):
            raise ValueError(
                f'nothing is left for {part} of {total} configurations, {minimum_validation} of them or more for '
                'validation; compute more, or lower minimum_validation'
            )
    return {label: {part: sorted(indices) for part, indices in parts.items()} for label, parts in result.items()}


def _split_sought(source: Labelled, generator: np.random.Generator) -> dict[str, list[int]]:
    units = source.units()
    count = math.ceil(SHARE_OF_LABELS * len(units)) if len(units) > 1 else 0
    order = generator.permutation(len(units))
    members = {'training': order[count:], 'validation': order[:count]}
    return {part: [member for index in indices for member in units[index]] for part, indices in members.items()}


def check_split(split: Mapping[str, Mapping[str, list[int]]], numbers: Mapping[str, int]) -> None:
    """Refuse a split that is none of these configurations.

    :param split: as of the function ``split``, from a stranger.
    :param numbers: of configurations, by label.
    :raises ValueError: naming the label and what is wrong.
    """
    if wrong := sorted(set(split) ^ set(numbers)):
        raise ValueError(f'{wrong[0]} is not both an ensemble and in the split; give the indices of each ensemble')
    for label, parts in split.items():
        if not isinstance(parts, dict) or set(parts) != set(PARTS) or {type(part) for part in parts.values()} != {list}:
            raise ValueError(f'{label}: needs lists of indices for {" and ".join(PARTS)}')
        indices = [index for part in PARTS for index in parts[part]]
        if wrong_indices := [i for i in indices if type(i) is not int or not 0 <= i < numbers[label]]:
            raise ValueError(
                f'{label}: {wrong_indices[0]!r} is no configuration of the ensemble, they are 0 to {numbers[label] - 1}'
            )
        if len(set(indices)) != len(indices):
            raise ValueError(f'{label}: a configuration is there twice; leave it to training or to validation')
    for part in PARTS:
        if not any(parts[part] for parts in split.values()):
            raise ValueError(f'no configuration is for {part}; give at least one')


@dataclass(frozen=True)
class Selection:
    """Configurations of a population that are to be labelled.

    :param random: independent draws of the population, sorted.
    :param uncertain: others, the most uncertain ones beyond the limit, sorted.
    :param beyond: how many of the population are beyond the limit.
    """

    random: list[int]
    uncertain: list[int]
    beyond: int

    @property
    def indices(self) -> list[int]:
        """Return all of them, sorted."""
        return sorted(self.random + self.uncertain)


def select(
    deviations: NDArray[np.float64], antithetic: bool, limit: float, max_labels: int, random: int, seed: int
) -> Selection:
    """Choose what to label.

    The random ones are an unbiased sample of the population whatever the deviations are worth. Of a pair ±u at most
    one is drawn: its halves are not independent.

    :param deviations: expected errors of all configurations, shape (c,) [eV/Å].
    :param antithetic: whether 2i and 2i+1 are a pair ±u.
    :param limit: expected errors above it are too large [eV/Å].
    :param max_labels: of uncertain configurations, at most.
    :param random: number of random ones.
    :param seed: of NumPy's PCG64 generator.
    :raises ValueError: for numbers that mean nothing, or more random ones than there are independent configurations.
    """
    if not np.isfinite(deviations).all() or deviations.ndim != 1:
        raise ValueError('deviations: need a finite number for each configuration')
    if not limit > 0 or max_labels < 0 or random < 0:
        raise ValueError(
            f'need a limit above 0, not {limit} eV/Å, max_labels and random from 0, not {max_labels} and {random}'
        )
    size = 2 if antithetic else 1
    independent = len(deviations) // size
    if random > independent:
        raise ValueError(f'random: {random} is more than the {independent} independent configurations; give less')
    generator = np.random.default_rng(seed)
    drawn = size * generator.choice(independent, random, replace=False) + generator.integers(size, size=random)
    beyond = np.flatnonzero(deviations > limit)
    others = np.setdiff1d(beyond, drawn)
    worst = others[np.argsort(-deviations[others], kind='stable')][:max_labels]
    return Selection(sorted(drawn.tolist()), sorted(worst.tolist()), len(beyond))
