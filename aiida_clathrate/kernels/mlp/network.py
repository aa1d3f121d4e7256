"""The network: from moments to energies of atoms, by channels, their invariants, attention and readouts by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.invariants import Invariants
from aiida_clathrate.kernels.mlp.weights import shapes

#: What is not trained: mean and scale of the features.
BUFFERS = ('shift', 'scale')
#: Of a feature, over the largest spread of all.
LEAST_SPREAD = 1e-3


class Network(nn.Module):
    """Energies of atoms from their moments; the weights of each element are its own.

    With the channels A_(c,lm) = Σ_(s,k) W_(c,sk) M_(lm,sk) and the features f_c of each channel (its radial sum, A_00,
    Σ_m A_lm² and triple products), the energy of an atom is E_0 + ε [w·f + MLP(f, attention(f))], all f shifted and
    scaled to mean 0 and variance 1 over the training set.

    :param architecture: orders and sizes.
    :param count: of the species.
    """

    invariants: Invariants
    shift: Tensor
    scale: Tensor
    radial_mixing: Tensor
    angular_mixing: Tensor
    embedding_weight: Tensor
    embedding_bias: Tensor
    output: Tensor
    linear: Tensor
    readout: Tensor

    def __init__(self, architecture: Architecture, count: int):
        super().__init__()
        self.architecture, self.count = architecture, count
        self.invariants = Invariants(architecture)
        for name, shape in shapes(architecture, count).items():
            if name in BUFFERS:
                self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
            else:
                self.register_parameter(name, nn.Parameter(torch.zeros(shape, dtype=torch.float64)))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights; those of the last layer are zero, so that training begins at the mean of the energies."""
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.endswith('bias') or name in ('linear', 'readout'):
                    weight.zero_()
                    continue
                drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
                weight.copy_(drawn / np.sqrt(weight.shape[-2]))
            self.scale.fill_(1)

    def standardise(self, features: Sequence[NDArray[np.float64]]) -> None:
        """Shift and scale the features to mean 0 and variance 1 over a training set.

        :param features: of the atoms of each element, as they are without, shape (n, channels · features).
        """
        for element, found in enumerate(features):
            spread = found.std(axis=0)
            # A feature that hardly varies must not become noise.
            scale = 1 / (spread + LEAST_SPREAD * spread.max() + np.finfo(float).tiny) if len(found) else spread + 1
            if not np.isfinite(scale).all() or not spread.any():
                scale = np.ones_like(spread)
            self.shift[element] = torch.from_numpy(found.mean(axis=0)).reshape(self.shift[element].shape)
            self.scale[element] = torch.from_numpy(scale).reshape(self.scale[element].shape)

    def features(self, radial: Tensor, angular: Tensor, element: int) -> Tensor:
        """Return the features of atoms of one element, neither shifted nor scaled, shape (n, channels, features).

        :param radial: moments, shape (n, species · orders).
        :param angular: moments, shape ((L + 1)², n, species · orders).
        """
        sums = radial @ self.radial_mixing[element]
        mixing = self.angular_mixing[element][self.invariants.order_of_component]
        channels = torch.bmm(angular, mixing)
        return torch.cat([sums[..., None], self.invariants(channels)], dim=2)

    def forward(self, radial: Tensor, angular: Tensor, element: int) -> Tensor:
        """Return energies of atoms of one element in units of ε, shape (n,)."""
        return self.energies(self.features(radial, angular, element), element)

    def energies(self, features: Tensor, element: int) -> Tensor:
        """Return the energies that features give, in units of ε, shape (n,)."""
        tokens = (features - self.shift[element]) * self.scale[element]
        flat = tokens.flatten(1)
        hidden = flat
        if self.architecture.attention_heads:
            hidden = torch.cat([flat, self.attention(tokens, element).flatten(1)], dim=1)
        for number in range(len(self.architecture.hidden)):
            weight, bias = (getattr(self, f'layer_{number}_{kind}')[element] for kind in ('weight', 'bias'))
            hidden = nn.functional.silu(hidden @ weight + bias)
        return flat @ self.linear[element] + hidden @ self.readout[element]

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

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the weights as arrays by name."""
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.state_dict().items()}

    @classmethod
    def from_arrays(cls, architecture: Architecture, count: int, arrays: Mapping[str, NDArray[Any]]) -> Network:
        """Return the network with given weights."""
        network = cls(architecture, count)
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
        return network
