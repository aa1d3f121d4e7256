"""Batches of configurations, and what a network says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.moments import (
    Shell,
    joined,
)


@dataclass(frozen=True)
class Batch:
    """Atoms of several configurations with their neighbours.

    :param species: number of the species of each atom, shape (n,).
    :param configuration: number of the configuration of each atom, shape (n,).
    :param count: of the configurations.
    :param radial: neighbours within the radial cutoff.
    :param angular: neighbours within the angular cutoff.
    """

    species: Tensor
    configuration: Tensor
    count: int
    radial: Shell
    angular: Shell

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return replace(
            self, species=self.species.to(device), configuration=self.configuration.to(device),
            radial=self.radial.to(device), angular=self.angular.to(device),
        )  # fmt: skip


def join(batches: Sequence[Batch], architecture: Architecture) -> Batch:
    """Return several batches as one."""
    counts = np.cumsum([0] + [batch.count for batch in batches])
    return Batch(
        torch.cat([batch.species for batch in batches]),
        torch.cat([batch.configuration + int(start) for batch, start in zip(batches, counts, strict=False)]),
        int(counts[-1]),
        joined([batch.radial for batch in batches], architecture.radial_cutoff),
        joined([batch.angular for batch in batches], architecture.angular_cutoff),
    )
