"""Training of the network: epochs, the best weights so far, interruption and continuation."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch

from aiida_clathrate.kernels.clock import Clock
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.mlp.checkpoint import Checkpoint, Progress
from aiida_clathrate.kernels.mlp.examples import Example
from aiida_clathrate.kernels.mlp.fitting import Scales, errors_of, step, validation_loss
from aiida_clathrate.kernels.mlp.model import Model
from aiida_clathrate.kernels.mlp.network import described
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings

#: Columns of the history of a training: losses in units of the loss, errors in eV/atom and eV/Å.
HISTORY = ('epoch', 'training_loss', 'validation_loss', 'energy_rmse', 'force_rmse', 'seconds')
#: Learning rate at the end over that at its highest; steps over which it rises at the beginning.
LAST_RATE, WARM_UP = 0.01, 50
#: Configurations in a batch where nothing is trained.
BATCH = 8
#: How often a checkpoint is written, at most [s].
CHECKPOINT_SECONDS = 60.0

logger = logging.getLogger(__name__)


class NetworkTraining:
    """The network of a model, and what the linear part leaves it to learn.

    :param model: whose linear part is not used meanwhile; afterwards it has the best network.
    :param settings: loss, optimiser, end.
    :param training: configurations to learn from.
    :param validation: held out.
    :param goes_on: whether the network has been trained before, on features that were shifted and scaled then.
    """

    def __init__(
        self, model: Model, settings: TrainingSettings, training: Sequence[Example], validation: Sequence[Example],
        goes_on: bool,
    ):  # fmt: skip
        self.model, self.settings, self.training, self.validation = model, settings, training, validation
        self.scales = Scales.of(training)
        self.network = model.network.to(training[0].forces.dtype)
        if not goes_on:
            model.energy_scale = self.scales.force
            self._standardise()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )

    def _standardise(self) -> None:
        """Shift and scale the features of each element over the training set."""
        found = [[np.empty((0, self.network.shift[0].numel()))] for _ in range(self.model.count)]
        batches = (each.batch for each in self.training)
        with torch.no_grad():
            for element, features in described(
                self.network.channels, self.model.architecture, batches, self.model.count
            ):
                found[element].append(features.double().cpu().numpy())
            self.network.standardise([np.concatenate(parts) for parts in found])

    def to_end(self, checkpoint: Checkpoint | None, clock: Clock) -> Progress:
        """Train until the errors on the validation set fall no more, or for all epochs.

        :raises KernelError: ERROR_NOT_FINITE, ERROR_OUT_OF_WALLTIME, ERROR_WALLTIME_TOO_SHORT,
            ERROR_CHECKPOINT_REFUSED.
        """
        linear, self.model.has_linear, self.model.has_network = self.model.has_linear, False, True
        progress = Progress.first(self.network)
        if checkpoint is not None and (found := checkpoint.read(self.network, self.optimiser)) is not None:
            progress = found
            logger.info('goes on after epoch %d of an earlier run', progress.epoch)
        clock.restart_lap()
        saved, first = clock.elapsed, progress.epoch
        while progress.epoch < self.settings.epochs and progress.looks_without_better < self.settings.patience:
            if clock.is_up():
                raise self._out_of_time(checkpoint, progress, first, clock)
            loss = self._epoch(progress)
            clock.lap()
            if progress.epoch % self.settings.evaluate_every == 0 or progress.epoch == self.settings.epochs:
                self._look(progress, loss, clock)
            if checkpoint is not None and clock.elapsed - saved > CHECKPOINT_SECONDS:
                checkpoint.write(self.network, self.optimiser, progress)
                saved = clock.elapsed
        progress.take_best(self.network)
        self.model.has_linear = linear
        return progress

    def _out_of_time(self, checkpoint: Checkpoint | None, progress: Progress, first: int, clock: Clock) -> KernelError:
        if checkpoint is not None:
            checkpoint.write(self.network, self.optimiser, progress)
        label = 'ERROR_OUT_OF_WALLTIME' if progress.epoch > first else 'ERROR_WALLTIME_TOO_SHORT'
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
            losses.append(step(self.model, self.optimiser, chosen, self.scales, self.settings))
            progress.average(self.network, min(self.settings.moving_average, (done + 1) / (done + 10)))
        progress.epoch += 1
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            raise KernelError('ERROR_NOT_FINITE', f'the loss is {loss} in epoch {progress.epoch}; lower learning_rate')
        return loss

    def _look(self, progress: Progress, loss: float, clock: Clock) -> None:
        """Judge the average of the weights by the validation set."""
        with progress.averaged(self.network):
            errors = errors_of(self.model, self.validation, BATCH)
        judged = validation_loss(errors, self.scales, self.settings)
        progress.judge(judged)
        progress.history.append(
            [float(progress.epoch), loss, judged, errors.energy_rmse, errors.force_rmse, round(clock.elapsed, 1)]
        )
        logger.info(
            'epoch %d of %d: loss %.2e, held out %.2f meV/atom and %.1f meV/Å', progress.epoch, self.settings.epochs,
            loss, 1e3 * errors.energy_rmse, 1e3 * errors.force_rmse,
        )  # fmt: skip


def rate_factor(done: float, step_number: int) -> float:
    """Return the learning rate over that at its highest: a short rise, then a cosine.

    :param done: share of all steps that is done.
    :param step_number: of the step, from 0.
    """
    fall = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + np.cos(np.pi * done))
    return float(fall * min(1.0, (step_number + 1) / WARM_UP))
