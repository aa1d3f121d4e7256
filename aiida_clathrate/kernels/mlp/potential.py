"""A trained potential as plain numbers: what is stored, shared and checked; no code, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.mlp.architecture import Architecture


@dataclass(frozen=True)
class Potential:
    """Weights of a potential, and what they belong to.

    :param architecture: orders, cutoffs and sizes.
    :param species: chemical symbols, in the order of the first axis of the weights.
    :param weights: arrays by name, float64 or float32; which names and shapes are right is known to
        ``kernels.mlp.weights.expected``.
    :param baseline: harmonic matrices whose energy the network's is added to, or ``None``. They tie the potential to
        their supercell: displacements are counted from their positions, in fractional coordinates.
    :param record: how it was trained and how good it is, as plain JSON.
    :raises ValueError: for species that are none, or weights that are not finite numbers.
    """

    architecture: Architecture
    species: tuple[str, ...]
    weights: Mapping[str, NDArray[Any]]
    baseline: DynamicalMatrices | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.species or len(set(self.species)) != len(self.species):
            raise ValueError(f'species: {self.species} must be different elements, at least one')
        if unknown := [symbol for symbol in self.species if symbol not in atomic_numbers]:
            raise ValueError(f'species: {unknown[0]!r} is no element')
        for name, array in self.weights.items():
            if array.dtype not in (np.float64, np.float32) or not np.isfinite(array).all():
                raise ValueError(f'weights: {name} must hold finite numbers, float64 or float32')
        if self.baseline is not None and not set(self.baseline.crystal.symbols) <= set(self.species):
            raise ValueError(
                f'baseline: is of {self.baseline.crystal.formula}, the potential knows {", ".join(self.species)}'
            )
