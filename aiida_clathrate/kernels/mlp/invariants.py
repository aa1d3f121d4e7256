"""Invariants of the channels of an atom: their powers by angular momentum, and products of three."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.harmonics import couplings, gaunt
from aiida_clathrate.kernels.mlp.weights import TRIPLE_L, features_of_channel


class Invariants(nn.Module):
    """A_00, Σ_m A_lm² for l = 1 … L, and Σ C_(m1 m2 m3) A_(l1 m1) A_(l2 m2) A_(l3 m3) of each channel.

    :param architecture: largest angular momentum, and whether there are triple products.
    """

    order_of_component: Tensor
    power_matrix: Tensor
    first: Tensor
    second: Tensor
    thirds: Tensor
    coupling: Tensor
    owners: Tensor

    def __init__(self, architecture: Architecture):
        super().__init__()
        largest = architecture.largest_l
        order = np.repeat(np.arange(largest + 1), 2 * np.arange(largest + 1) + 1)
        self.register_buffer('order_of_component', torch.from_numpy(order), persistent=False)
        powers = (order[None, :] == np.arange(1, largest + 1)[:, None]).astype(np.float64)
        self.register_buffer('power_matrix', torch.from_numpy(powers), persistent=False)
        largest = min(largest, TRIPLE_L)
        # Below l = 2 no product of three has an invariant.
        self.triple = architecture.triple_products and bool(couplings(largest))
        self.count = features_of_channel(architecture) - 1
        if not self.triple:
            return
        components = (largest + 1) ** 2 - 1
        # Products of two components with first ≤ second, and what of them goes with each third component.
        first, second = np.triu_indices(components)
        number = np.zeros((components, components), dtype=np.int64)
        number[first, second] = number[second, first] = np.arange(len(first))
        rows, thirds, owner = [], [], []
        for which, (one, two, three) in enumerate(couplings(largest)):
            tensor = gaunt(one, two, three)
            for m in range(2 * three + 1):
                row = np.zeros(len(first))
                np.add.at(row, number[one**2 - 1 : (one + 1) ** 2 - 1, two**2 - 1 : (two + 1) ** 2 - 1], tensor[..., m])
                rows.append(row)
                thirds.append(three**2 + m)
                owner.append(which)
        used = np.flatnonzero(np.any(rows, axis=0))
        owners = (np.array(owner)[None] == np.arange(len(couplings(largest)))[:, None]).astype(np.float64)
        for name, array in (
            ('first', first[used] + 1), ('second', second[used] + 1), ('thirds', np.array(thirds)),
            ('coupling', np.array(rows)[:, used]), ('owners', owners),
        ):  # fmt: skip
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def forward(self, channels: Tensor) -> Tensor:
        """Return the invariants, shape (n, channels, invariants).

        :param channels: A_(lm), shape ((L + 1)², n, channels).
        """
        count, shape = len(channels), channels.shape[1:]
        flat = channels.reshape(count, -1)
        found = [flat[:1], self.power_matrix @ flat.square()]
        if self.triple:
            products = flat[self.first] * flat[self.second]
            found.append(self.owners @ ((self.coupling @ products) * flat[self.thirds]))
        return torch.cat(found).reshape(-1, *shape).permute(1, 2, 0)
