"""Training of a potential: the linear part in closed form, a network for the rest, the better of both."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.clock import Clock
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.baseline import Baseline
from aiida_clathrate.kernels.mlp.checkpoint import Checkpoint, Progress
from aiida_clathrate.kernels.mlp.examples import Example, examples, reference_energies
from aiida_clathrate.kernels.mlp.fitting import Scales, errors_of, validation_loss
from aiida_clathrate.kernels.mlp.frames import Frames
from aiida_clathrate.kernels.mlp.linear_fit import centre, equations, solve
from aiida_clathrate.kernels.mlp.model import Model
from aiida_clathrate.kernels.mlp.network_training import BATCH, HISTORY, NetworkTraining
from aiida_clathrate.kernels.mlp.outcome import Trained, make_potential
from aiida_clathrate.kernels.mlp.potential import Potential
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings
from aiida_clathrate.kernels.torch_device import chosen_device, limited_threads

Floats = NDArray[np.float64]
#: By how much the network must lower the loss on the validation set to be kept: it costs time in every evaluation.
LEAST_GAIN = 0.05
#: Of a potential without a network.
NO_EPOCHS = {'epochs': 0, 'best_epoch': 0, 'stopped': 'closed form'}
logger = logging.getLogger(__name__)


def train(
    training: Sequence[Frames],
    validation: Sequence[Frames],
    architecture: Architecture,
    settings: TrainingSettings,
    *,
    baseline: DynamicalMatrices | None = None,
    previous: Potential | None = None,
    checkpoint: Path | None = None,
    clock: Clock | None = None,
) -> Trained:
    """Return a potential trained on labelled configurations.

    The same input gives the same weights on the same machine with the same versions and number of threads, however
    often it was interrupted. With another number of threads products of matrices are rounded otherwise.

    :param training: configurations to learn from.
    :param validation: held out: they say when to stop and how large the errors are.
    :param architecture: of the network.
    :param settings: loss, optimiser, end.
    :param baseline: harmonic matrices whose energy is not to be learnt; their supercell must be that of all frames.
    :param previous: a potential to start from, of the same architecture and species.
    :param checkpoint: folder that is written to, and read from if it holds an earlier training with the same input.
    :param clock: the time that the training may take.
    :raises ValueError: for sets that cannot be trained on, or a previous potential that does not fit.
    :raises KernelError: ERROR_NOT_FINITE, ERROR_OUT_OF_WALLTIME, ERROR_CHECKPOINT_REFUSED.
    """
    with deterministic(), limited_threads(settings.threads):
        run = Training(training, validation, architecture, settings, baseline, previous)
        return run.run(checkpoint, clock or Clock(None))


@contextmanager
def deterministic() -> Iterator[None]:
    """Let torch add up in the same order each time."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


class Training:
    """One training: its data, model and optimiser.

    Parameters and errors are those of ``train``.
    """

    def __init__(
        self, training: Sequence[Frames], validation: Sequence[Frames], architecture: Architecture,
        settings: TrainingSettings, baseline: DynamicalMatrices | None, previous: Potential | None,
    ):  # fmt: skip
        self.architecture, self.settings, self.previous = architecture, settings, previous
        self.frames = (tuple(training), tuple(validation))
        if not sum(map(len, training)) or not sum(map(len, validation)):
            raise ValueError('training and validation: need at least one configuration in each')
        self.species = tuple(sorted({symbol for frames in training for symbol in frames.symbols}))
        self.baseline = None if baseline is None else Baseline(baseline)
        if previous is not None:
            self._check_previous(previous)
        for frames in (*training, *validation):
            if self.baseline is not None:
                self.baseline.check(frames.symbols, frames.cell)
        self.device = chosen_device(settings.device)
        if previous is None:
            self.references = reference_energies(training, self.species, self.baseline)
            self.model = Model(architecture, len(self.species))
            self.model.initialise(settings.seed)
        else:
            self.references = np.array(previous.weights['reference'], dtype=np.float64)
            self.model = Model.from_arrays(architecture, len(self.species), previous.weights)
        # The network is left out until it is trained.
        self.goes_on, self.model.has_network = self.model.has_network, False
        if previous is not None and not self.goes_on:
            self.model.network.initialise(torch.Generator().manual_seed(settings.seed + 1))
        self.model.to(self.device)
        self.training, self.validation = (self._examples(sets) for sets in self.frames)
        self.scales = Scales.of(self.training)
        self.candidates: dict[str, dict[str, float]] = {}

    def _check_previous(self, previous: Potential) -> None:
        if self.settings.model == 'linear':
            raise ValueError('previous: a linear part is fitted in closed form and starts from nothing; leave it out')
        if previous.architecture != self.architecture:
            raise ValueError('previous: the potential has another architecture; give that one, or start afresh')
        if not set(self.species) <= set(previous.species):
            raise ValueError(f'previous: knows {", ".join(previous.species)}, not {", ".join(self.species)}')
        before = None if previous.baseline is None else Baseline(previous.baseline).digest()
        if before != (None if self.baseline is None else self.baseline.digest()):
            raise ValueError('previous: the potential has another harmonic baseline; give that one, or start afresh')
        self.species = previous.species

    def _examples(self, sets: Sequence[Frames]) -> list[Example]:
        found = examples(sets, self.species, self.references, self.architecture, self.baseline, torch.float64)
        return [each.to(self.device, torch.float64) for each in found]

    def run(self, checkpoint: Path | None, clock: Clock) -> Trained:
        """Fit the linear part, train the network for the rest, and keep what does best on the validation set."""
        if self.previous is None:
            self._fit_linear()
        if self.model.has_linear:
            self._note('linear')
        progress = None
        if self.settings.model != 'linear':
            network = NetworkTraining(self.model, self.settings, *self._left(), self.goes_on)
            progress = network.to_end(None if checkpoint is None else Checkpoint(checkpoint, self.identity()), clock)
        return self._outcome(progress, clock)

    def _fit_linear(self) -> None:
        """Fit the linear part to energies, forces and virials, unless a network alone is asked for."""
        linear = self.model.linear
        with torch.no_grad():
            centre(linear, self.architecture, [each.batch for each in self.training])
            if self.settings.model == 'network':
                return
            made = [
                equations(linear, self.architecture, chosen, self.scales, self.settings)
                for chosen in (self.training, self.validation)
            ]
            found = solve(made[0], made[1], len(self.species))
            linear.coefficients.copy_(torch.from_numpy(found.coefficients))
            self.model.has_linear = bool(linear.coefficients.any())
        self.references = self.references + found.constants
        self.training, self.validation = (
            [each.less(found.constants) for each in chosen] for chosen in (self.training, self.validation)
        )

    def _note(self, name: str) -> float:
        """Note how a model does on the validation set, and return its loss."""
        errors = errors_of(self.model, self.validation, BATCH)
        loss = validation_loss(errors, self.scales, self.settings)
        self.candidates[name] = {
            'energy_rmse': 1e3 * errors.energy_rmse, 'force_rmse': 1e3 * errors.force_rmse, 'loss': loss,
        }  # fmt: skip
        logger.info(
            '%s: held out %.3f meV/atom and %.1f meV/Å', name, 1e3 * errors.energy_rmse, 1e3 * errors.force_rmse
        )
        return loss

    def _left(self) -> tuple[list[Example], list[Example]]:
        """Return what the linear part leaves to the network, in the precision of the network."""
        dtype = torch.float64 if self.settings.precision == 'double' else torch.float32
        found = []
        for chosen in (self.training, self.validation):
            errors = errors_of(self.model, chosen, BATCH)
            found.append(
                [
                    each.with_targets(
                        -errors.energies[number] * each.atoms,
                        -errors.forces[number],
                        None if virial is None else -virial,
                        dtype,
                    )
                    for number, (each, virial) in enumerate(zip(chosen, errors.virials, strict=True))
                ]
            )
        return found[0], found[1]

    def identity(self) -> dict[str, object]:
        """Return what a training depends on, for its checkpoints."""
        return {
            'architecture': self.architecture.scalars(), 'species': self.species,
            # A run that goes on may have more or fewer cores.
            'settings': {name: value for name, value in self.settings.scalars().items() if name != 'threads'},
            'frames': [[frames.digest() for frames in sets] for sets in self.frames],
            'baseline': None if self.baseline is None else self.baseline.digest(),
            'previous': None if self.previous is None else sorted(
                (name, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest())
                for name, array in self.previous.weights.items()
            ),
        }  # fmt: skip

    def _outcome(self, progress: Progress | None, clock: Clock) -> Trained:
        self.model.to(torch.float64)
        chosen = 'linear'
        if progress is not None:
            chosen = 'both' if self.model.has_linear else 'network'
            loss = self._note(chosen)
            linear = self.candidates.get('linear')
            if self.settings.model == 'auto' and linear is not None and loss > (1 - LEAST_GAIN) * linear['loss']:
                chosen = 'linear'
        if chosen == 'linear':
            self.model.remove_network()
        for found in self.candidates.values():
            found.pop('loss')
        record = {
            'model': chosen, 'candidates': self.candidates, 'seed': self.settings.seed,
            'settings': self.settings.scalars(), **(progress.record(self.settings) if progress else NO_EPOCHS),
        }  # fmt: skip
        errors = [errors_of(self.model, each, BATCH, features=True) for each in (self.training, self.validation)]
        history = np.array(progress.history if progress else [], dtype=np.float64).reshape(-1, len(HISTORY))
        return make_potential(
            self.model, self.species, self.references, self.baseline, self.frames, (self.training, self.validation),
            (errors[0], errors[1]), record, history, clock.elapsed,
        )  # fmt: skip
