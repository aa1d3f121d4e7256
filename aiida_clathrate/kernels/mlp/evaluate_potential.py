"""Energies, forces, stresses and expected errors of a population of configurations by a trained potential."""

from __future__ import annotations

import hashlib
from pathlib import Path

from aiida_clathrate.kernels.evaluate import Evaluation, evaluate_population
from aiida_clathrate.kernels.io import Arrays, Scalars
from aiida_clathrate.kernels.mlp import potential_files
from aiida_clathrate.kernels.mlp.evaluation_settings import EvaluationSettings
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator

#: So many configurations are written at a time, at most: a batch takes less than a second.
LARGEST_PART = 1024
#: Of the digest of a potential in the source of an ensemble.
DIGITS = 12


def run(scalars: Scalars, arrays: Arrays) -> tuple[Scalars, Arrays]:
    """Evaluate all configurations with the potential in the folder.

    :param scalars: as in ``kernels.evaluate.evaluate_population``, ``settings`` as the fields of
        ``EvaluationSettings``.
    :param arrays: as in ``kernels.evaluate.evaluate_population``.
    :returns: as ``kernels.evaluate.evaluate_population``, with the ``deviations``; ``source``, ``largest_deviation``
        and ``mean_deviation`` [eV/Å].
    :raises KernelError: as ``kernels.evaluate.evaluate_population``, and for configurations that the potential cannot
        compute.
    :raises ValueError: for a potential that is none, or is of another crystal.
    """
    settings = EvaluationSettings.from_scalars(scalars['settings'])
    potential = potential_files.load(Path())
    description, numbers = (hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in potential_files.FILES)

    def prepare() -> Evaluation:
        evaluator = PotentialEvaluator(
            potential,
            scalars['symbols'],
            precision=settings.precision,
            device=settings.device,
            threads=settings.threads,
        )
        return Evaluation(evaluator.evaluate_scored, arrays['cell'], settings.stress, settings.batch_size, LARGEST_PART)

    method = [description, numbers, settings.precision, settings.stress]
    summary, results = evaluate_population(scalars, arrays, method, prepare)
    deviations = results['deviations']
    summary |= {
        'source': f'potential:{numbers[:DIGITS]}',
        'largest_deviation': float(deviations.max()),
        'mean_deviation': float(deviations.mean()),
    }
    return summary, results
