"""Configurations made ready for training: neighbours found, and what is known without the network taken off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.baseline import Baseline
from aiida_clathrate.kernels.mlp.batches import Batch
from aiida_clathrate.kernels.mlp.frames import Frames
from aiida_clathrate.kernels.mlp.moments import shell
from aiida_clathrate.kernels.mlp.neighbours import distances, find_pairs
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """A configuration and what the network has to say of it.

    :param batch: the atoms with their neighbours.
    :param energy: without those of the elements and the baseline [eV].
    :param forces: without those of the baseline, shape (n, 3) [eV/Å].
    :param virial: likewise, shape (3, 3) [eV], or ``None``.
    """

    batch: Batch
    energy: float
    forces: Tensor
    virial: Tensor | None

    @property
    def atoms(self) -> int:
        """Return the number of atoms."""
        return len(self.forces)

    def with_targets(self, energy: float, forces: Floats, virial: Floats | None, dtype: torch.dtype) -> Example:
        """Return the example in a precision with other energy [eV], forces [eV/Å] and virial [eV] or ``None``."""
        changed = None if virial is None else torch.from_numpy(virial)
        made = replace(self, energy=float(energy), forces=torch.from_numpy(forces), virial=changed)
        return made.to(self.forces.device, dtype)

    def less(self, constants: Floats) -> Example:
        """Return the example without an energy for each atom, by species [eV]."""
        return replace(self, energy=self.energy - float(constants[self.batch.species.cpu().numpy()].sum()))

    def to(self, device: torch.device, dtype: torch.dtype) -> Example:
        """Return the example on a device and in a precision."""
        virial = None if self.virial is None else self.virial.to(device, dtype)
        return replace(self, batch=self.batch.to(device, dtype), forces=self.forces.to(device, dtype), virial=virial)


def species_numbers(symbols: Sequence[str], species: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of the species of each atom.

    :raises ValueError: for an element that the potential does not know.
    """
    if unknown := sorted(set(symbols) - set(species)):
        raise ValueError(f'the potential knows {", ".join(species)}, not {unknown[0]}')
    return np.array([species.index(symbol) for symbol in symbols])


def configuration_batch(
    positions: Floats, cell: Floats, numbers: NDArray[np.int64], count: int, architecture: Architecture,
    dtype: torch.dtype,
) -> Batch:  # fmt: skip
    """Return one configuration with its neighbours.

    :param positions: shape (n, 3) [Å].
    :param cell: lattice vectors as rows [Å].
    :param numbers: of the species of the atoms, shape (n,).
    :param count: of the species.
    """
    pairs = find_pairs(positions, cell, architecture.radial_cutoff)
    near = pairs.subset(distances(pairs, positions, cell) < architecture.angular_cutoff)
    found = torch.from_numpy(positions)[None]
    radial, angular = (
        shell(found, chosen.places(numbers, count), cell, cutoff, dtype)
        for chosen, cutoff in ((pairs, architecture.radial_cutoff), (near, architecture.angular_cutoff))
    )
    zeros = torch.zeros(len(numbers), dtype=torch.int64)
    return Batch(torch.from_numpy(numbers), zeros, 1, radial, angular)


def reference_energies(
    sets: Sequence[Frames], species: Sequence[str], baseline: Baseline | None
) -> NDArray[np.float64]:
    """Return the energies of the elements that explain most of those of the configurations, shape (species,) [eV].

    By least squares; where compositions do not tell elements apart, those of the smallest norm.
    """
    rows, values = [], []
    for frames in sets:
        numbers = species_numbers(frames.symbols, species)
        rows.append(np.tile(np.bincount(numbers, minlength=len(species)) / len(numbers), (len(frames), 1)))
        energies = frames.energies
        if baseline is not None:
            energies = energies - baseline(frames.positions, frames.cell)[0]
        values.append(energies / len(numbers))
    return np.asarray(np.linalg.lstsq(np.concatenate(rows), np.concatenate(values), rcond=None)[0])


def examples(
    sets: Sequence[Frames],
    species: Sequence[str],
    references: Floats,
    architecture: Architecture,
    baseline: Baseline | None,
    dtype: torch.dtype,
) -> list[Example]:
    """Return the configurations of all sets, in their order."""
    found = []
    for frames in sets:
        numbers = species_numbers(frames.symbols, species)
        energies, forces = frames.energies - references[numbers].sum(), frames.forces
        virials = None if frames.stresses is None else frames.stresses * (frames.volume / GPA_PER_EV_ANGSTROM3)
        if baseline is not None:
            baseline.check(frames.symbols, frames.cell)
            known = baseline(frames.positions, frames.cell)
            energies, forces = energies - known[0], forces - known[1]
            virials = None if virials is None else virials - known[2]
        for index, positions in enumerate(frames.positions):
            batch = configuration_batch(positions, frames.cell, numbers, len(species), architecture, dtype)
            virial = None if virials is None else torch.from_numpy(virials[index]).to(dtype)
            target = torch.from_numpy(forces[index]).to(dtype)
            found.append(Example(batch, float(energies[index]), target, virial))
    return found
