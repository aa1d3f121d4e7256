"""A potential against the labels of some members of a population that it has computed.

The random members are independent draws of the population: their mean difference is what the potential adds to every
average over it, with a standard error, whatever it was trained on. It is a control variate: the average over the whole
population by the potential plus this bias is an unbiased estimate of the average by the labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.ensemble import PAIR_TOLERANCE, ForceEnsemble
from aiida_clathrate.kernels.io import Scalars
from aiida_clathrate.kernels.mlp.selection import Selection
from aiida_clathrate.kernels.mlp.validation import (
    MILLI,
    Numbers,
    deviation_ratio,
    force_errors,
    mean,
    parity,
    rank_correlation,
)


def compare(
    labelled: ForceEnsemble, predicted: ForceEnsemble, selection: Selection, deviations: NDArray[np.float64]
) -> Scalars:
    """Return how a potential agrees with labels.

    :param labelled: the selected configurations with their labels; some may be missing.
    :param predicted: the whole population as the potential has it.
    :param selection: what was selected of the population.
    :param deviations: expected errors of the selected ones, in the order of ``selection.indices`` [eV/Å].
    :returns: ``random``, ``uncertain``: so many were judged; ``missing``: those of the population without a label.
        Of the random ones the fields of ``Parity``, ``energy_mean_error_error`` [meV/atom], ``free_energy_bias`` and
        its error, mean of label minus predicted [eV per primitive cell], ``pressure_bias`` and its error [GPa], and
        ``deviation_ratio`` of true to expected errors. Of the uncertain ones, the fields of ``Parity`` and
        ``uncertain_deviation_ratio`` with this prefix. Of both together ``rank_correlation`` of true and expected
        errors. What cannot be known is ``None``, and left out where there are no such configurations at all.
    :raises ValueError: for configurations that are not those selected.
    """
    members = matched(labelled, predicted, selection.indices)
    expected = deviations[np.searchsorted(selection.indices, members)]
    computed = predicted.subset(members, antithetic=False)
    errors = force_errors(checked_forces(labelled), checked_forces(computed))
    random, uncertain = (np.flatnonzero(np.isin(members, part)) for part in (selection.random, selection.uncertain))
    result: Scalars = {
        'random': len(random),
        'uncertain': len(uncertain),
        'missing': np.setdiff1d(selection.indices, members).tolist(),
        'rank_correlation': rank_correlation(errors, expected),
    }
    for prefix, chosen in (('', random), ('uncertain_', uncertain)):
        if len(chosen):
            parts = labelled.subset(chosen, antithetic=False), computed.subset(chosen, antithetic=False)
            found = errors_of(*parts) | {'deviation_ratio': deviation_ratio(errors[chosen], expected[chosen])}
            result |= {f'{prefix}{name}': value for name, value in found.items()}
            if chosen is random:
                result |= bias_of(*parts)
    return result


def matched(labelled: ForceEnsemble, predicted: ForceEnsemble, candidates: list[int]) -> NDArray[np.int64]:
    """Return which member of the population each labelled configuration is."""
    if labelled.mesh != predicted.mesh or not labelled.crystal.same_lattice(predicted.crystal, PAIR_TOLERANCE):
        raise ValueError('labelled: its supercell is not that of the population')
    members = []
    for number, displacements in enumerate(labelled.displacements):
        shifts = np.abs(predicted.displacements[candidates] - displacements).max(axis=(1, 2))
        if shifts.min() > PAIR_TOLERANCE:
            raise ValueError(f'labelled: configuration {number} is none of those selected')
        members.append(candidates[int(shifts.argmin())])
    if len(set(members)) != len(members):
        raise ValueError('labelled: a configuration is there twice')
    return np.array(members)


def checked_forces(ensemble: ForceEnsemble) -> NDArray[np.float64]:
    """Return the forces of an ensemble that must have them."""
    if ensemble.forces is None:
        raise ValueError('labelled and predicted: both need energies and forces; compute them first')
    return ensemble.forces


def numbers_of(ensemble: ForceEnsemble) -> Numbers:
    """Return energies and forces as the parity has them."""
    forces = checked_forces(ensemble)
    return Numbers(np.asarray(ensemble.energies) / ensemble.atoms, forces.reshape(-1, 3), ensemble.stresses)


def errors_of(labelled: ForceEnsemble, predicted: ForceEnsemble) -> Scalars:
    """Return the fields of ``Parity`` for configurations of one supercell."""
    symbols = labelled.crystal.symbols * (len(labelled) * labelled.atoms // len(labelled.crystal.symbols))
    return parity(numbers_of(labelled), numbers_of(predicted), symbols).scalars()


def bias_of(labelled: ForceEnsemble, predicted: ForceEnsemble) -> Scalars:
    """Return by how much averages of a potential are wrong, for independent draws of the population."""
    difference = np.asarray(labelled.energies) - np.asarray(predicted.energies)
    cells = int(np.prod(labelled.mesh))
    energy = mean(difference / cells)
    per_atom = mean(-MILLI * difference / labelled.atoms)
    result: Scalars = {
        'energy_mean_error_error': per_atom.error,
        'free_energy_bias': energy.value,
        'free_energy_bias_error': energy.error,
        'pressure_bias': None,
        'pressure_bias_error': None,
    }
    if labelled.stresses is not None and predicted.stresses is not None:
        pressure = mean(np.trace(labelled.stresses - predicted.stresses, axis1=1, axis2=2) / 3)
        result |= {'pressure_bias': pressure.value, 'pressure_bias_error': pressure.error}
    return result
