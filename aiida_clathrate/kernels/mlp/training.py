"""Training of a potential: epochs, the best weights so far, interruption and continuation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.clock import Clock
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.baseline import Baseline
from aiida_clathrate.kernels.mlp.checkpoint import Checkpoint, Progress
from aiida_clathrate.kernels.mlp.examples import Example, examples, reference_energies
from aiida_clathrate.kernels.mlp.fitting import Errors, Scales, errors_of, step
from aiida_clathrate.kernels.mlp.frames import Frames
from aiida_clathrate.kernels.mlp.network import Network
from aiida_clathrate.kernels.mlp.outcome import Trained, make_potential
from aiida_clathrate.kernels.mlp.potential import Potential
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings
from aiida_clathrate.kernels.torch_device import chosen_device, limited_threads

Floats = NDArray[np.float64]
#: Columns of the history of a training: losses in units of the loss, errors in eV/atom and eV/Å.
HISTORY = ('epoch', 'training_loss', 'validation_loss', 'energy_rmse', 'force_rmse', 'seconds')
#: Learning rate at the end over that at its highest; steps over which it rises at the beginning.
LAST_RATE, WARM_UP = 0.01, 50
#: Configurations in a batch where nothing is trained.
BATCH = 8
#: How often a checkpoint is written, at most [s].
CHECKPOINT_SECONDS = 60.0

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

    The same input gives the same weights on the same machine with the same versions, whatever the number of threads
    and interruptions.

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
        return run.to_end(None if checkpoint is None else Checkpoint(checkpoint, run.identity()), clock or Clock(None))


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
    """One training: its data, network and optimiser.

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
        if previous is not None:
            self._check_previous(previous)
        self.baseline = None if baseline is None else Baseline(baseline)
        self.dtype = torch.float64 if settings.precision == 'double' else torch.float32
        self.device = chosen_device(settings.device)
        self.references = reference_energies(training, self.species, self.baseline)
        self.training, self.validation = (self._examples(sets) for sets in self.frames)
        self.scales = Scales.of(self.training)
        self.network = self._first_network()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )

    def _check_previous(self, previous: Potential) -> None:
        if previous.architecture != self.architecture:
            raise ValueError('previous: the potential has another architecture; give that one, or start afresh')
        if not set(self.species) <= set(previous.species):
            raise ValueError(f'previous: knows {", ".join(previous.species)}, not {", ".join(self.species)}')
        self.species = previous.species

    def _examples(self, sets: Sequence[Frames]) -> list[Example]:
        found = examples(sets, self.species, self.references, self.architecture, self.baseline, self.dtype)
        return [each.to(self.device) for each in found]

    def _first_network(self) -> Network:
        """Return the network of the previous potential, or one with random weights, its features scaled."""
        count = len(self.species)
        if self.previous is not None:
            names = Network(self.architecture, count).state_dict()
            # Energies are learnt in units of the forces that are left to explain: as they were.
            self.scale = float(self.previous.weights['energy_scale'])
            arrays = {name: self.previous.weights[name] for name in names}
            return Network.from_arrays(self.architecture, count, arrays).to(self.device, self.dtype)
        self.scale = self.scales.force
        network = Network(self.architecture, count)
        network.initialise(torch.Generator().manual_seed(self.settings.seed))
        network.to(self.device, self.dtype)
        raw = errors_of(network, self.training, self.scale, BATCH, features=True).features
        numbers = torch.cat([each.batch.species for each in self.training]).cpu().numpy()
        network.standardise([np.concatenate(raw)[numbers == element] for element in range(count)])
        return network

    def identity(self) -> dict[str, object]:
        """Return what a training depends on, for its checkpoints."""
        return {
            'architecture': self.architecture.scalars(), 'settings': self.settings.scalars(), 'species': self.species,
            'frames': [[frames.digest() for frames in sets] for sets in self.frames],
            'references': self.references.tolist(), 'scale': self.scale,
            'baseline': None if self.baseline is None else self.baseline.digest(),
        }  # fmt: skip

    def to_end(self, checkpoint: Checkpoint | None, clock: Clock) -> Trained:
        """Train until the errors on the validation set fall no more, or for all epochs."""
        progress = Progress.first(self.network)
        if checkpoint is not None and (found := checkpoint.read(self.network, self.optimiser)) is not None:
            progress = found
            logger.info('goes on after epoch %d of an earlier run', progress.epoch)
        saved = clock.elapsed
        while progress.epoch < self.settings.epochs and progress.looks_without_better < self.settings.patience:
            if clock.is_up():
                raise self._out_of_time(checkpoint, progress, clock)
            loss = self._epoch(progress)
            clock.lap()
            if progress.epoch % self.settings.evaluate_every == 0 or progress.epoch == self.settings.epochs:
                self._look(progress, loss, clock)
            if checkpoint is not None and clock.elapsed - saved > CHECKPOINT_SECONDS:
                checkpoint.write(self.network, self.optimiser, progress)
                saved = clock.elapsed
        progress.take_best(self.network)
        return self._outcome(progress, clock)

    def _out_of_time(self, checkpoint: Checkpoint | None, progress: Progress, clock: Clock) -> KernelError:
        if checkpoint is not None:
            checkpoint.write(self.network, self.optimiser, progress)
        label = 'ERROR_OUT_OF_WALLTIME' if clock.longest > 0 else 'ERROR_WALLTIME_TOO_SHORT'
        return KernelError(label, f'{progress.epoch} of {self.settings.epochs} epochs after {clock.elapsed:.0f} s')

    def _epoch(self, progress: Progress) -> float:
        """Go through the training set once, and return the mean loss."""
        size, count = self.settings.batch_size, len(self.training)
        order = np.random.default_rng([self.settings.seed, progress.epoch]).permutation(count)
        steps = -(-count // size)
        losses = []
        for number, start in enumerate(range(0, count, size)):
            done = progress.epoch * steps + number
            rate = self.settings.learning_rate * rate_factor(done / (steps * self.settings.epochs), done)
            for group in self.optimiser.param_groups:
                group['lr'] = rate
            chosen = [self.training[index] for index in order[start : start + size]]
            losses.append(step(self.network, self.optimiser, chosen, self.scale, self.scales, self.settings))
            progress.average(self.network, min(self.settings.moving_average, (done + 1) / (done + 10)))
        progress.epoch += 1
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            raise KernelError('ERROR_NOT_FINITE', f'the loss is {loss} in epoch {progress.epoch}; lower learning_rate')
        return loss

    def _look(self, progress: Progress, loss: float, clock: Clock) -> None:
        """Judge the average of the weights by the validation set."""
        with progress.averaged(self.network):
            errors = errors_of(self.network, self.validation, self.scale, BATCH)
        judged = self.settings.force_weight * (errors.force_rmse / self.scales.force) ** 2
        judged += self.settings.energy_weight * (errors.energy_rmse / self.scales.energy) ** 2
        progress.judge(judged)
        progress.history.append(
            [progress.epoch, loss, judged, errors.energy_rmse, errors.force_rmse, round(clock.elapsed, 1)]
        )
        logger.info(
            'epoch %d of %d: loss %.2e, held out %.2f meV/atom and %.1f meV/Å', progress.epoch, self.settings.epochs,
            loss, 1e3 * errors.energy_rmse, 1e3 * errors.force_rmse,
        )  # fmt: skip

    def _outcome(self, progress: Progress, clock: Clock) -> Trained:
        evaluate: Callable[[list[Example]], Errors] = lambda chosen: errors_of(  # noqa: E731
            self.network, chosen, self.scale, BATCH, features=True
        )
        reason = 'epochs' if progress.epoch >= self.settings.epochs else 'patience'
        record = {
            'epochs': progress.epoch, 'best_epoch': progress.best_epoch, 'stopped': reason,
            'seed': self.settings.seed, 'settings': self.settings.scalars(),
        }  # fmt: skip
        return make_potential(
            self.network, self.species, self.references, self.scale, self.baseline, self.frames,
            (self.training, self.validation), (evaluate(self.training), evaluate(self.validation)), record,
            np.array(progress.history), clock.elapsed,
        )  # fmt: skip


def rate_factor(done: float, step_number: int) -> float:
    """Return the learning rate over that at its highest: a short rise, then a cosine.

    :param done: share of all steps that is done.
    :param step_number: of the step, from 0.
    """
    fall = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + np.cos(np.pi * done))
    return float(fall * min(1.0, (step_number + 1) / WARM_UP))
