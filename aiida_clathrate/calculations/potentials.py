"""The short steps between training a potential and using it, with provenance."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.mlp.comparison import compare
from aiida_clathrate.kernels.mlp.selection import Labelled, Selection, select, split

UNUSABLE = 210
#: Label of ensembles of configurations that were sought for the training, with a number.
SOUGHT = 'labels_'


@calcfunction
def split_ensembles(number, seed, validation_fraction, minimum_validation, **ensembles):
    """Divide the configurations of ensembles among training and validation of a potential.

    :param number: of configurations to train on, at most, drawn at random from all; 0 for all but the share of the
        validation.
    :param seed: of the random numbers.
    :param validation_fraction: share of the validation, at least.
    :param minimum_validation: number of configurations of the validation, at least.
    :param ensembles: with forces, by label. Those of ``labels_N`` were chosen because a potential was uncertain: they
        come on top, nine tenths of them for training.
    :return: ``training`` and ``validation`` indices by label; pairs ±u stay together.

    Exit codes: 210 for ensembles without forces, or too few configurations.
    """
    sources = {}
    for label, ensemble in ensembles.items():
        attributes = ensemble.base.attributes
        if not attributes.get('computed'):
            return ExitCode(UNUSABLE, f'{label}: its configurations have no forces; compute them first')
        sources[label] = Labelled(attributes.get('number'), attributes.get('antithetic'), label.startswith(SOUGHT))
    numbers = (node.value for node in (number, seed, validation_fraction, minimum_validation))
    try:
        return orm.Dict(split(sources, *numbers))
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))


@calcfunction
def select_configurations(ensemble, limit, max_labels, random, seed, deviations=None):
    """Choose configurations of a population that are to be labelled.

    :param ensemble: the population, with or without forces.
    :param limit: expected errors above it are too large [eV/Å].
    :param max_labels: so many of the most uncertain ones beyond the limit, at most.
    :param random: so many are drawn at random, for an unbiased check.
    :param seed: of the random numbers.
    :param deviations: ``ArrayData`` with the ``deviations`` (c,) [eV/Å]; left out, no errors are expected.
    :return: ``population``, those configurations without forces, in the order of ``indices``, absent if nothing is
        chosen; ``selection`` with the ``indices`` of the ``random`` and of the ``uncertain`` ones and of both in the
        population, their ``deviations``, the ``number`` of configurations of the population, its
        ``largest_deviation``, how many of them are ``beyond`` the ``limit``.

    Exit codes: 210 if the deviations are not those of the population, or for numbers that mean nothing.
    """
    try:
        population = ensemble.to_kernel()
        expected = np.zeros(len(population)) if deviations is None else deviations.get_array('deviations')
        if len(expected) != len(population):
            raise ValueError(f'deviations: there are {len(expected)} for {len(population)} configurations')
        numbers = (node.value for node in (limit, max_labels, random, seed))
        found = select(expected, population.antithetic, *numbers)
    except (KeyError, ValueError) as error:
        return ExitCode(UNUSABLE, str(error))
    indices = np.array(found.indices, dtype=np.int64)
    facts = {
        'indices': found.indices,
        'limit': limit.value,
        'number': len(population),
        'deviations': expected[indices].tolist(),
        'largest_deviation': float(expected.max()),
    }
    result = {'selection': orm.Dict(asdict(found) | facts)}
    if len(indices):
        bare = replace(population, energies=None, forces=None, stresses=None, source='')
        chosen = bare.subset(indices, antithetic=False)
        result['population'] = ForceEnsembleData.from_kernel(chosen, ensemble.base.attributes.get('precision'))
    return result


@calcfunction
def compare_with_labels(labelled, predicted, selection):
    """Return how a potential agrees with the labels of selected configurations, and its bias in averages.

    :param labelled: the selected configurations with forces; those that failed may be missing.
    :param predicted: the population that they were selected from, whole, with the forces of the potential.
    :param selection: of ``select_configurations``.
    :return: see ``kernels.mlp.comparison.compare``.

    Exit codes: 210 for configurations that are not those selected.
    """
    try:
        population, given = predicted.to_kernel(), selection.get_dict()
        if len(population) != given['number']:
            raise ValueError(f'predicted: need all {given["number"]} configurations, not {len(population)}')
        chosen = Selection(given['random'], given['uncertain'], given['beyond'])
        return orm.Dict(compare(labelled.to_kernel(), population, chosen, np.array(given['deviations'])))
    except (KeyError, ValueError) as error:
        return ExitCode(UNUSABLE, str(error))
