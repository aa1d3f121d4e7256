"""The network: from moments to energies of atoms, by channels, their invariants, attention and readouts by element."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.batches import Batch
from aiida_clathrate.kernels.mlp.invariants import Invariants
from aiida_clathrate.kernels.mlp.moments import AngularMoments, RadialMoments
from aiida_clathrate.kernels.mlp.weights import linear_shapes, mixing_shapes, network_shapes

#: What is not trained: mean and scale of the features.
BUFFERS = ('shift', 'scale')
#: Of a feature, over the largest spread of all.
LEAST_SPREAD = 1e-3


class Channels(nn.Module):
    """Mixtures of the moments of an atom, and the invariants of each.

    A_(c,lm) = Σ_(s,k) W_(c,lsk) M_(lm,sk) with weights of their own for each element of the atom in the middle. The
    features of a channel are its radial sum, A_00, Σ_m A_lm² and triple products.

    :param architecture: orders and sizes.
    :param count: of the species.
    :param channels: how many.
    """

    invariants: Invariants
    radial_mixing: Tensor
    angular_mixing: Tensor

    def __init__(self, architecture: Architecture, count: int, channels: int):
        super().__init__()
        self.invariants = Invariants(architecture)
        for name, shape in mixing_shapes(architecture, count, channels).items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape, dtype=torch.float64)))

    def mix(self, radial: Tensor, angular: Tensor, element: int) -> tuple[Tensor, Tensor]:
        """Return radial sums, shape (n, channels), and A, shape ((L + 1)², n, channels), of atoms of one element.

        :param radial: moments, shape (n, species · orders).
        :param angular: moments, shape ((L + 1)², n, species · orders).
        """
        mixing = self.angular_mixing[element][self.invariants.order_of_component]
        return radial @ self.radial_mixing[element], torch.bmm(angular, mixing)

    def forward(self, radial: Tensor, angular: Tensor, element: int) -> Tensor:
        """Return the features of atoms of one element, shape (n, channels, features)."""
        sums, mixed = self.mix(radial, angular, element)
        return torch.cat([sums[..., None], self.invariants(mixed)], dim=2)


class Linear(nn.Module):
    """Energies linear in the features of channels that were drawn at random and stay as they are.

    :param architecture: orders and sizes.
    :param count: of the species.
    """

    channels: Channels
    coefficients: Tensor
    middle: Tensor

    def __init__(self, architecture: Architecture, count: int):
        super().__init__()
        self.channels = Channels(architecture, count, architecture.linear_channels)
        for name, shape in linear_shapes(architecture, count).items():
            if '.' not in name:
                self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the mixtures."""
        draw(self.channels, generator)
        self.requires_grad_(False)

    def forward(self, features: Tensor, element: int) -> Tensor:
        """Return the energies that features give, shape (n,) [eV]."""
        return (features.flatten(1) - self.middle[element]) @ self.coefficients[element]


class Network(nn.Module):
    """Energies from the features of learnt channels; the weights of each element are its own.

    With the features f of all channels, shifted and scaled to mean 0 and variance 1 over the training set, the energy
    of an atom in units of ε is w·f + MLP(f, attention(f)).

    :param architecture: orders and sizes.
    :param count: of the species.
    """

    channels: Channels
    shift: Tensor
    scale: Tensor
    embedding_weight: Tensor
    embedding_bias: Tensor
    output: Tensor
    direct: Tensor
    readout: Tensor

    def __init__(self, architecture: Architecture, count: int):
        super().__init__()
        self.architecture, self.count = architecture, count
        self.channels = Channels(architecture, count, architecture.channels)
        for name, shape in network_shapes(architecture, count).items():
            if name in BUFFERS:
                self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
            elif '.' not in name:
                self.register_parameter(name, nn.Parameter(torch.zeros(shape, dtype=torch.float64)))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights; those of the last layer are zero, so that training begins with no energy at all."""
        draw(self, generator)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.endswith('bias') or name in ('direct', 'readout'):
                    weight.zero_()
            self.scale.fill_(1)

    def standardise(self, features: Sequence[NDArray[np.float64]]) -> None:
        """Shift and scale the features to mean 0 and variance 1 over a training set.

        :param features: of the atoms of each element, as they are without, shape (n, channels · features).
        """
        for element, found in enumerate(features):
            spread = found.std(axis=0) if len(found) else np.zeros(1)
            if not spread.any():
                continue  # an element that is not there, or always the same: its features stay as they are
            # A feature that hardly varies must not become noise.
            scale = 1 / (spread + LEAST_SPREAD * spread.max())
            self.shift[element] = torch.from_numpy(found.mean(axis=0)).reshape(self.shift[element].shape)
            self.scale[element] = torch.from_numpy(scale).reshape(self.scale[element].shape)

    def forward(self, features: Tensor, element: int) -> Tensor:
        """Return the energies that features give, in units of ε, shape (n,)."""
        tokens = (features - self.shift[element]) * self.scale[element]
        flat = tokens.flatten(1)
        hidden = flat
        if self.architecture.attention_heads:
            hidden = torch.cat([flat, self.attention(tokens, element).flatten(1)], dim=1)
        for number in range(len(self.architecture.hidden)):
            weight, bias = (getattr(self, f'layer_{number}_{kind}')[element] for kind in ('weight', 'bias'))
            hidden = nn.functional.silu(hidden @ weight + bias)
        return flat @ self.direct[element] + hidden @ self.readout[element]

    def attention(self, tokens: Tensor, element: int) -> Tensor:
        """Return what each channel takes over from the others, shape (n, channels, values)."""
        heads = self.architecture.attention_heads
        embedded = nn.functional.silu(tokens @ self.embedding_weight[element] + self.embedding_bias[element])
        query, key, value = (
            (embedded @ getattr(self, name)[element]).unflatten(2, (heads, -1)).transpose(1, 2)
            for name in ('query', 'key', 'value')
        )
        weights = (query @ key.transpose(2, 3) / query.shape[-1] ** 0.5).softmax(-1)
        handed: Tensor = (weights @ value).transpose(1, 2).flatten(2) @ self.output[element]
        return handed


def described(
    channels: Channels, architecture: Architecture, batches: Iterable[Batch], count: int
) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of each species and the features of its atoms, batch by batch, shapes (n, channels · features).

    :param count: of the species.
    """
    for batch in batches:
        sums = RadialMoments(batch.radial, architecture).moments()
        moments = AngularMoments(batch.angular, architecture).moments()
        for element, atoms in batch.by_element(count):
            yield element, channels(sums[atoms], moments[:, atoms], element).flatten(1)


def draw(module: nn.Module, generator: torch.Generator) -> None:
    """Give all weights random values, of variance one over the number of values that they are summed with."""
    with torch.no_grad():
        for weight in module.parameters():
            drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            weight.copy_(drawn / np.sqrt(weight.shape[-2]))
