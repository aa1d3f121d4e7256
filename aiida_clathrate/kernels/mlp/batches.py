"""Batches of configurations of any structures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.moments import Shell, joined


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

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """Return the batch on a device, with vectors in a precision."""
        return replace(
            self, species=self.species.to(device), configuration=self.configuration.to(device),
            radial=self.radial.to(device, dtype), angular=self.angular.to(device, dtype),
        )  # fmt: skip

    def by_element(self, count: int) -> Iterator[tuple[int, Tensor]]:
        """Yield the number of each species that is there, and the indices of its atoms.

        :param count: of the species.
        """
        for element in range(count):
            atoms = torch.nonzero(self.species == element)[:, 0]
            if len(atoms):
                yield element, atoms


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
