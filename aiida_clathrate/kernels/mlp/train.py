"""Training of a potential on ensembles, as a run on a computer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.clock import Clock
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.ensemble_arrays import ensemble_from_arrays
from aiida_clathrate.kernels.io import Arrays, KernelError, Scalars
from aiida_clathrate.kernels.mlp import potential_files
from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.checkpoint import FOLDER
from aiida_clathrate.kernels.mlp.frames import Frames, LabelError, from_ensemble
from aiida_clathrate.kernels.mlp.network_training import HISTORY
from aiida_clathrate.kernels.mlp.outcome import Trained
from aiida_clathrate.kernels.mlp.training import train
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings

#: Between the label of an ensemble and the name of one of its arrays.
SEPARATOR = '__'


def run(scalars: Scalars, arrays: Arrays) -> tuple[Scalars, Arrays]:
    """Train a potential, and write it to the folder.

    :param scalars: ``ensembles`` {label: scalars of an ensemble}, ``split`` {label: {training, validation}} indices of
        configurations, ``architecture``, ``settings``, ``baseline`` label of the ensemble whose matrices are taken off
        or ``None``, ``previous`` whether a potential to start from lies in the folder, ``max_seconds`` or ``None``.
    :param arrays: of the ensembles, ``LABEL__NAME``.
    :returns: errors on the validation set, and the same with ``training_`` on the training set; ``history``, and labels
        and predictions of the validation set.
    :raises KernelError: for labels that cannot be right, too few of them, a loss that is not finite, a checkpoint of
        something else, and when time is up.
    """
    clock = Clock(scalars['max_seconds'])
    ensembles = {
        label: ensemble_of(label, scalars['ensembles'][label], arrays) for label in sorted(scalars['ensembles'])
    }
    split = scalars['split']
    try:
        training = frames_of(ensembles, split, 'training')
        validation = frames_of(ensembles, split, 'validation')
    except LabelError as error:
        raise KernelError('ERROR_LABELS_INVALID', str(error)) from error
    for name, sets in (('training', training), ('validation', validation)):
        if not sets:
            raise KernelError('ERROR_TOO_FEW_CONFIGURATIONS', f'there are no configurations for the {name}')
    found = train(
        training,
        validation,
        Architecture.from_scalars(scalars['architecture']),
        TrainingSettings.from_scalars(scalars['settings']),
        baseline=None if scalars['baseline'] is None else ensembles[scalars['baseline']].matrices,
        previous=potential_files.load(Path()) if scalars['previous'] else None,
        checkpoint=Path(FOLDER),
        clock=clock,
    )
    potential_files.save(found.potential, Path())
    return results(found, indices_of(list(ensembles), split, 'validation'))


def ensemble_of(label: str, scalars: Mapping[str, Any], arrays: Arrays) -> ForceEnsemble:
    """Return an ensemble of the run folder.

    :raises KernelError: ERROR_LABELS_INVALID if it holds numbers that cannot be.
    """
    start = label + SEPARATOR
    own = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
    try:
        return ensemble_from_arrays(scalars, own)
    except ValueError as error:
        raise KernelError('ERROR_LABELS_INVALID', f'{label}: {error}') from error


def frames_of(ensembles: Mapping[str, ForceEnsemble], split: Mapping[str, Any], part: str) -> list[Frames]:
    """Return one part of the configurations of all ensembles."""
    return [
        from_ensemble(ensemble, np.array(split[label][part], dtype=np.int64), label)
        for label, ensemble in ensembles.items()
        if label in split and split[label][part]
    ]


def indices_of(labels: list[str], split: Mapping[str, Any], part: str) -> NDArray[np.int64]:
    """Return the number of the ensemble and of the configuration of all configurations of a part, shape (c, 2)."""
    rows = [(number, index) for number, label in enumerate(labels) for index in split.get(label, {part: []})[part]]
    return np.array(rows, dtype=np.int64)


def results(found: Trained, validation_index: NDArray[np.int64]) -> tuple[Scalars, Arrays]:
    """Return scalars and arrays of the run."""
    potential, judged = found.potential, found.validation
    training = {f'training_{name}': value for name, value in found.training.parity.scalars().items()}
    scalars = dict(potential.record) | training | {
        'species': list(potential.species),
        'architecture': potential.architecture.scalars(),
        'seconds': round(found.seconds, 1),
        'history_columns': list(HISTORY),
        'calibration': potential.weights['calibration'].tolist(),
    }  # fmt: skip
    arrays = {
        'history': found.history, 'validation_index': validation_index, 'energies': judged.energies,
        'predicted_energies': judged.predicted_energies, 'forces': judged.forces,
        'predicted_forces': judged.predicted_forces, 'force_errors': judged.force_errors,
        'deviations': judged.deviations,
    }  # fmt: skip
    return scalars, arrays
