"""Where a training stands, in memory and on disk: safetensors and JSON, as the potential itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aiida_clathrate.kernels.files.tensor_files import tensors_from_bytes, tensors_to_bytes
from aiida_clathrate.kernels.io import Arrays, KernelError
from aiida_clathrate.kernels.mlp.network import Network
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings

STATE, NUMBERS = 'state.json', 'state.safetensors'
#: A folder of checkpoints in the run folder.
FOLDER = 'checkpoint'
#: What AdamW keeps of each weight.
OPTIMISER = ('exp_avg', 'exp_avg_sq', 'step')


@dataclass
class Progress:
    """How far a training is.

    :param epoch: epochs done.
    :param mean: running average of the weights.
    :param best: the average that did best on the validation set, ``None`` before the first look.
    :param best_loss: of these, on the validation set.
    :param best_epoch: when it was found.
    :param looks_without_better: looks at the validation set since.
    :param history: a row for each look.
    """

    epoch: int
    mean: dict[str, Tensor]
    best: dict[str, Tensor] | None = None
    best_loss: float = float('inf')
    best_epoch: int = 0
    looks_without_better: int = 0
    history: list[list[float]] = field(default_factory=list)

    @classmethod
    def first(cls, network: Network) -> Progress:
        """Return the beginning."""
        return cls(0, copies(network))

    def average(self, network: Network, kept: float) -> None:
        """Move the average towards the present weights.

        :param kept: share of the old average.
        """
        with torch.no_grad():
            for name, weight in network.named_parameters():
                self.mean[name].mul_(kept).add_(weight, alpha=1 - kept)

    @contextmanager
    def averaged(self, network: Network) -> Iterator[None]:
        """Let the network have the averages for a while."""
        present = copies(network)
        assign(network, self.mean)
        try:
            yield
        finally:
            assign(network, present)

    def judge(self, loss: float) -> None:
        """Keep the averages if they are the best so far."""
        self.looks_without_better += 1
        if loss < self.best_loss:
            self.best = {name: weight.clone() for name, weight in self.mean.items()}
            self.best_loss, self.best_epoch, self.looks_without_better = loss, self.epoch, 0

    def record(self, settings: TrainingSettings) -> dict[str, Any]:
        """Return how the training went."""
        stopped = 'epochs' if self.epoch >= settings.epochs else 'patience'
        return {'epochs': self.epoch, 'best_epoch': self.best_epoch, 'stopped': stopped}

    def take_best(self, network: Network) -> None:
        """Give the network the best averages.

        :raises KernelError: ERROR_NOT_FINITE if there never was a finite error.
        """
        if self.best is None:
            raise KernelError('ERROR_NOT_FINITE', 'the errors on the validation set were never finite')
        assign(network, self.best)


def copies(network: Network) -> dict[str, Tensor]:
    """Return copies of the weights by name."""
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def assign(network: Network, weights: Mapping[str, Tensor]) -> None:
    """Give the network other weights."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.copy_(weights[name])


@dataclass(frozen=True)
class Checkpoint:
    """A folder with the state of one training.

    :param folder: where.
    :param identity: what the training depends on: that of another input is refused.
    """

    folder: Path
    identity: Mapping[str, object]

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    def write(self, network: Network, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
        """Write the state; the file that says it is complete comes last, and names the numbers that it goes with."""
        self.folder.mkdir(exist_ok=True)
        content = tensors_to_bytes(numbers_of(network, optimiser, progress))
        state: dict[str, Any] = {
            'identity': self._digest(), 'numbers': hashlib.sha256(content).hexdigest(), 'epoch': progress.epoch,
            'best_loss': progress.best_loss if progress.best is not None else None, 'best_epoch': progress.best_epoch,
            'looks_without_better': progress.looks_without_better, 'history': progress.history,
        }  # fmt: skip
        # Two generations: whatever moment the machine dies at, one of them is complete.
        for name, data in ((f'{state["numbers"][:16]}.safetensors', content), (STATE, json.dumps(state).encode())):
            draft = self.folder / f'{name}.part'
            draft.write_bytes(data)
            draft.replace(self.folder / name)
        for old in self.folder.glob('*.safetensors'):
            if old.name != f'{state["numbers"][:16]}.safetensors':
                old.unlink()

    def read(self, network: Network, optimiser: torch.optim.Optimizer) -> Progress | None:
        """Bring network and optimiser to the state in the folder; ``None`` if there is none.

        :raises KernelError: ERROR_CHECKPOINT_REFUSED for the state of another training, or one that is damaged.
        """
        path = self.folder / STATE
        if not path.exists():
            return None
        try:
            state = json.loads(path.read_text())
            content = (self.folder / f'{state["numbers"][:16]}.safetensors').read_bytes()
            if hashlib.sha256(content).hexdigest() != state['numbers']:
                raise ValueError('the numbers are damaged')
            if state['identity'] != self._digest():
                raise ValueError('it is of a training with other data, architecture or settings')
            arrays = tensors_from_bytes(content, NUMBERS)
            return restore(arrays, state, network, optimiser)
        except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
            raise KernelError(
                'ERROR_CHECKPOINT_REFUSED', f'the checkpoint cannot be used: {error}; start without the parent folder'
            ) from error


def numbers_of(network: Network, optimiser: torch.optim.Optimizer, progress: Progress) -> Arrays:
    """Return all tensors of a training by name."""
    groups: dict[str, Mapping[str, Tensor]] = {'weight': dict(network.state_dict()), 'mean': progress.mean}
    if progress.best is not None:
        groups['best'] = progress.best
    for name, weight in network.named_parameters():
        groups[f'optimiser.{name}'] = optimiser.state[weight]
    return {
        f'{group}.{name}': tensor.detach().cpu().numpy().copy()
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }


def restore(arrays: Arrays, state: Mapping[str, Any], network: Network, optimiser: torch.optim.Optimizer) -> Progress:
    """Give network and optimiser what ``numbers_of`` returned, and return the progress."""
    device = next(network.parameters()).device

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(np.array(arrays[name])).to(device)

    network.load_state_dict({name: tensor(f'weight.{name}') for name in network.state_dict()})
    for name, weight in network.named_parameters():
        if f'optimiser.{name}.step' in arrays:
            # The number of the step stays on the CPU, as the optimiser has it.
            optimiser.state[weight] = {
                key: tensor(f'optimiser.{name}.{key}') if key != 'step' else tensor(f'optimiser.{name}.{key}').cpu()
                for key in OPTIMISER
            }
    names = [name for name, _ in network.named_parameters()]
    best = None if state['best_loss'] is None else {name: tensor(f'best.{name}') for name in names}
    return Progress(
        int(state['epoch']), {name: tensor(f'mean.{name}') for name in names}, best,
        float('inf') if best is None else float(state['best_loss']), int(state['best_epoch']),
        int(state['looks_without_better']), [list(map(float, row)) for row in state['history']],
    )  # fmt: skip
