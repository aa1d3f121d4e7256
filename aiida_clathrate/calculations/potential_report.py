"""What is said about a potential in the outputs of a work chain, with provenance."""

from __future__ import annotations

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from aiida_clathrate.calculations.potentials import SOUGHT
from aiida_clathrate.kernels.mlp.limits import Limits
from aiida_clathrate.kernels.mlp.validation import MILLI, root_mean_square

#: Results of a training that the report repeats.
TRAINING = (
    'model', 'training_configurations', 'energy_max', 'energy_mean_error', 'force_max', 'force_rmse_by_species',
    'stress_rmse',
)  # fmt: skip
UNITS = {'energy': 'meV/atom', 'force': 'meV/Å', 'stress': 'GPa'}
#: What errors of a potential do to averages.
BIASED = ('free_energy_bias', 'free_energy_bias_error', 'pressure_bias', 'pressure_bias_error')
#: So many configurations with the largest errors are named.
WORST = 10


@calcfunction
def judge_training(results, validation, split, energy_limit, force_limit):
    """Return whether a potential is accurate, and on which configurations it is worst.

    The limits are for a fair sample: configurations that were sought because a potential was uncertain of them are told
    beside it, unless there are no others.

    :param results: of the training.
    :param validation: its ``ArrayData`` of the configurations that were held out.
    :param split: which configurations of which ensembles these are.
    :param energy_limit: of the root mean square error [meV/atom].
    :param force_limit: of the root mean square error of a component [meV/Å].
    """
    held, labels = results.get_dict(), sorted(split.get_dict())
    limits = Limits(energy_limit.value, force_limit.value)
    sought = np.array([labels[index].startswith(SOUGHT) for index, _ in validation.get_array('validation_index')])
    fair = errors_of(validation, np.ones_like(sought) if sought.all() else ~sought)
    return orm.Dict(
        {name: held[name] for name in TRAINING}
        | fair
        | {f'sought_{name}': value for name, value in errors_of(validation, sought).items()}
        | {'accurate': limits.met(fair), 'limits': vars(limits), 'units': UNITS}
        | {'worst_configurations': worst(validation, labels)}
    )


def errors_of(validation, chosen):
    """Return the errors of some of the configurations that were held out, ``None`` of none."""
    energies = validation.get_array('predicted_energies') - validation.get_array('energies')
    errors = {'energy_rmse': energies[chosen], 'force_rmse': validation.get_array('force_errors')[chosen]}
    found = {name: MILLI * root_mean_square(values) if len(values) else None for name, values in errors.items()}
    return found | {'validation_configurations': int(chosen.sum())}


def worst(validation, labels):
    """Return the configurations with the largest errors of the forces.

    :param labels: of the ensembles, sorted.
    """
    errors, deviations = (validation.get_array(name) for name in ('force_errors', 'deviations'))
    energies = validation.get_array('predicted_energies') - validation.get_array('energies')
    index = validation.get_array('validation_index')
    return [
        {
            'ensemble': labels[index[row, 0]],
            'configuration': int(index[row, 1]),
            'force_error': MILLI * float(errors[row]),
            'expected_force_error': MILLI * float(deviations[row]),
            'energy_error': MILLI * float(energies[row]),
        }
        for row in np.argsort(-errors, kind='stable')[:WORST]
    ]


@calcfunction
def join_reports(**parts):
    """Return several reports as one, by their labels."""
    return orm.Dict({label: part.get_dict() for label, part in parts.items()})


@calcfunction
def add_bias(parameters, bias):
    """Return the results of an SSCHA with what the errors of its potential do to them beside them.

    ``free_energy`` stays what the potential gave. ``potential_free_energy_bias`` is the mean of label minus potential
    over random configurations; ``corrected_free_energy`` is their sum, its error the root of the sum of both squares.

    :param parameters: results of the populations.
    :param bias: comparison of random configurations with their labels.
    """
    held, found = parameters.get_dict(), bias.get_dict()
    for name in BIASED:
        held[f'potential_{name}'] = found[name]
    errors = held['free_energy_error'], found['free_energy_bias_error']
    held['corrected_free_energy'] = held['free_energy'] + found['free_energy_bias']
    held['corrected_free_energy_error'] = None if None in errors else float(np.hypot(*errors))
    return orm.Dict(held)
