"""What comes out of a training: the potential, its errors, and the errors that it expects of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.mlp.baseline import Baseline
from aiida_clathrate.kernels.mlp.deviations import calibrate, configuration_scores, expected_errors, spread_factor
from aiida_clathrate.kernels.mlp.examples import Example
from aiida_clathrate.kernels.mlp.fitting import Errors
from aiida_clathrate.kernels.mlp.frames import Frames
from aiida_clathrate.kernels.mlp.model import Model
from aiida_clathrate.kernels.mlp.potential import Potential
from aiida_clathrate.kernels.mlp.validation import Numbers, Parity, parity, rank_correlation
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

Floats = NDArray[np.float64]
#: Least root mean square error that a logarithm is taken of [eV/Å].
SMALLEST_ERROR = 1e-9


@dataclass(frozen=True)
class Judged:
    """A potential on the configurations of a set.

    :param energies, predicted_energies: shape (c,) [eV/atom].
    :param forces, predicted_forces: on all atoms, one configuration after the other, shape (n, 3) [eV/Å].
    :param force_errors: root mean square errors of the components in each configuration, shape (c,) [eV/Å].
    :param deviations: the same as expected from the features alone, shape (c,) [eV/Å].
    :param parity: errors of the whole set.
    """

    energies: Floats
    predicted_energies: Floats
    forces: Floats
    predicted_forces: Floats
    force_errors: Floats
    deviations: Floats
    parity: Parity


@dataclass(frozen=True)
class Trained:
    """Outcome of a training.

    :param potential: best of all looks, with its record.
    :param validation: the potential on the configurations held out.
    :param training: and on those that it was trained on.
    :param history: a row for each look at the validation set.
    :param seconds: that the training took.
    """

    potential: Potential
    validation: Judged
    training: Judged
    history: Floats
    seconds: float


def make_potential(
    model: Model,
    species: tuple[str, ...],
    references: Floats,
    baseline: Baseline | None,
    frames: tuple[Sequence[Frames], Sequence[Frames]],
    examples: tuple[Sequence[Example], Sequence[Example]],
    errors: tuple[Errors, Errors],
    record: dict[str, Any],
    history: Floats,
    seconds: float,
) -> Trained:
    """Return a trained model as a potential, judged on the training and the validation set.

    :param model: trained.
    :param species: in the order of its weights.
    :param references: energies of the elements [eV].
    :param baseline: that was taken off.
    :param frames: training and validation sets.
    :param examples: the same, ready for training.
    :param errors: of the network on both.
    :param record: how it was trained.
    :param history: rows of the looks.
    :param seconds: that it took.
    """
    factors = spread_factors(model, errors[0], examples[0])
    scores = [scores_of(each, part, factors) for each, part in zip(errors, examples, strict=True)]
    true = [np.array([np.sqrt(np.mean(part**2)) for part in each.forces]) for each in errors]
    calibration = calibrate(np.maximum(scores[1], SMALLEST_ERROR), np.maximum(true[1], SMALLEST_ERROR))
    judged = [
        judge(each, sets, true_errors, expected_errors(found, calibration))
        for each, sets, true_errors, found in zip(errors, frames, true, scores, strict=True)
    ]
    found = judged[1].parity.scalars()
    record = record | {
        **found,
        'training_configurations': len(examples[0]),
        'validation_configurations': len(examples[1]),
        'rank_correlation': rank_correlation(judged[1].force_errors, judged[1].deviations),
    }
    record.pop('configurations', None)
    weights = model.arrays() | {
        'reference': references.astype(np.float64), 'energy_scale': np.array(model.energy_scale),
        'spread_factor': factors.astype(np.float32),
        'calibration': calibration,
    }  # fmt: skip
    matrices = None if baseline is None else baseline.matrices
    potential = Potential(model.architecture, species, weights, matrices, record)
    return Trained(potential, judged[1], judged[0], history, seconds)


def spread_factors(model: Model, errors: Errors, examples: Sequence[Example]) -> Floats:
    """Return the factors of the scores of all elements, shape (species, f, f + 1)."""
    features = np.concatenate(errors.features)
    numbers = torch.cat([each.batch.species for each in examples]).cpu().numpy()
    size = features.shape[1]
    return np.array(
        [
            spread_factor(features[numbers == element]) if (numbers == element).any() else np.zeros((size, size + 1))
            for element in range(model.count)
        ]
    )


def scores_of(errors: Errors, examples: Sequence[Example], factors: Floats) -> Floats:
    """Return the scores of configurations, shape (c,)."""
    double = torch.from_numpy(factors)
    return np.array(
        [
            float(configuration_scores(torch.from_numpy(features), each.batch.species.cpu(), double))
            for features, each in zip(errors.features, examples, strict=True)
        ]
    )


def judge(errors: Errors, sets: Sequence[Frames], true: Floats, expected: Floats) -> Judged:
    """Return labels and predictions side by side."""
    energies = np.concatenate([each.energies / len(each.symbols) for each in sets])
    forces = np.concatenate([each.forces.reshape(-1, 3) for each in sets])
    symbols = [symbol for each in sets for symbol in each.symbols * len(each)]
    labels, wrong = stresses_of(errors, sets)
    predicted = energies + errors.energies, forces + np.concatenate(errors.forces)
    found = parity(
        Numbers(energies, forces, labels),
        Numbers(*predicted, None if labels is None or wrong is None else labels + wrong),
        symbols,
    )
    return Judged(energies, predicted[0], forces, predicted[1], true, expected, found)


def stresses_of(errors: Errors, sets: Sequence[Frames]) -> tuple[Floats | None, Floats | None]:
    """Return stresses and their errors [GPa]; ``None`` unless all configurations have them."""
    volumes = [each.volume for each in sets for _ in range(len(each))]
    found = [each.stresses for each in sets if each.stresses is not None]
    wrong = [virial for virial in errors.virials if virial is not None]
    if len(found) < len(sets) or len(wrong) < len(volumes):
        return None, None
    return np.concatenate(found), np.array(wrong) / np.array(volumes)[:, None, None] * GPA_PER_EV_ANGSTROM3
