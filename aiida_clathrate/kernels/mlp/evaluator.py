"""Energies, forces, stresses and expected errors of many configurations of one supercell by a trained potential."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.calculators import Results, ScoredResults
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.mlp import weights
from aiida_clathrate.kernels.mlp.baseline import Baseline
from aiida_clathrate.kernels.mlp.batches import Batch
from aiida_clathrate.kernels.mlp.deviations import configuration_scores, expected_errors
from aiida_clathrate.kernels.mlp.examples import species_numbers
from aiida_clathrate.kernels.mlp.model import Model, Prediction, predict
from aiida_clathrate.kernels.mlp.moments import shell
from aiida_clathrate.kernels.mlp.neighbours import Pairs, distances, find_pairs
from aiida_clathrate.kernels.mlp.potential import Potential
from aiida_clathrate.kernels.torch_device import chosen_device, limited_threads

Floats = NDArray[np.float64]

#: Pairs are looked for again when two atoms could have come nearer to each other by more than this [Å].
SKIN = 0.3
#: So many atoms are computed at a time by each thread: what belongs to their pairs should stay in the cache.
ATOMS_AT_A_TIME = 448


@dataclass(frozen=True)
class Candidates:
    """Pairs of a reference configuration that may come within the cutoff.

    :param positions: of the reference, in fractional coordinates, shape (n, 3).
    :param cell: that it was in [Å].
    :param pairs: within ``reach``.
    :param reach: [Å].
    """

    positions: Floats
    cell: Floats
    pairs: Pairs
    reach: float


class PotentialEvaluator:
    """A potential for configurations of one supercell.

    :param potential: the potential.
    :param symbols: of the atoms of the supercell.
    :param precision: of the network, ``single`` or ``double``; references and baseline are always double.
    :param device: ``cpu`` or ``cuda``.
    :param threads: of the CPU, each with configurations of its own.
    :raises ValueError: for weights that do not fit, an element that the potential does not know, or a supercell that is
        not that of its baseline.
    """

    def __init__(
        self, potential: Potential, symbols: Sequence[str], *, precision: str = 'single', device: str = 'cpu',
        threads: int = 1,
    ):  # fmt: skip
        weights.check(potential)
        self.potential, self.symbols, self.threads = potential, tuple(symbols), threads
        self.numbers = species_numbers(self.symbols, potential.species)
        self.device = chosen_device(device)
        self.dtype = torch.float64 if precision == 'double' else torch.float32
        self.model = Model.from_arrays(potential.architecture, len(potential.species), potential.weights)
        self.model.to(self.device, self.dtype).requires_grad_(False)
        self.factor = torch.from_numpy(np.array(potential.weights['spread_factor'])).to(self.device, self.dtype)
        self.reference = float(np.asarray(potential.weights['reference'], dtype=np.float64)[self.numbers].sum())
        self.baseline = None if potential.baseline is None else Baseline(potential.baseline)
        self.candidates: Candidates | None = None

    def evaluate(self, positions: Floats, cell: Floats) -> Results:
        """Return energies (c,) [eV], forces (c, s, 3) [eV/Å] and stresses (c, 3, 3) [eV/Å³] with the sign of ASE.

        :param positions: shape (c, s, 3), not wrapped [Å].
        :param cell: lattice vectors as rows [Å].
        """
        return self._evaluate(positions, cell, scored=False)[:3]

    def evaluate_scored(self, positions: Floats, cell: Floats) -> ScoredResults:
        """Return the same, and the expected root mean square error of the force components, shape (c,) [eV/Å]."""
        energies, forces, stresses, scores = self._evaluate(positions, cell, scored=True)
        calibration = np.asarray(self.potential.weights['calibration'], dtype=np.float64)
        return energies, forces, stresses, expected_errors(scores, calibration)

    def _evaluate(self, positions: Floats, cell: Floats, scored: bool) -> tuple[Floats, Floats, Floats, Floats]:
        if self.baseline is not None:
            self.baseline.check(self.symbols, cell)
        self._refresh(positions, cell)
        size = max(1, ATOMS_AT_A_TIME // len(self.symbols))
        parts = [positions[start : start + size] for start in range(0, len(positions), size)]
        with limited_threads(1), ThreadPoolExecutor(self.threads) as pool:
            found = list(pool.map(lambda part: self._part(part, cell, scored), parts))
        energies, forces, virials, scores = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        energies = energies + self.reference
        if self.baseline is not None:
            known = self.baseline(positions, cell)
            energies, forces, virials = energies + known[0], forces + known[1], virials + known[2]
        return energies, forces, -virials / abs(np.linalg.det(cell)), scores

    def _part(self, positions: Floats, cell: Floats, scored: bool) -> tuple[Floats, Floats, Floats, Floats]:
        batch = self._batch(positions, cell)
        found = predict(self.model, batch, features=scored)
        scores = self._scores(found, batch) if scored else np.zeros(len(positions))
        forces = found.forces.double().cpu().numpy().reshape(positions.shape)
        return found.energies.cpu().numpy(), forces, found.virials.double().cpu().numpy(), scores

    def _scores(self, found: Prediction, batch: Batch) -> Floats:
        assert found.features is not None
        scores = configuration_scores(found.features, batch.species, self.factor, batch.count)
        return np.asarray(scores.cpu().numpy())

    def _refresh(self, positions: Floats, cell: Floats) -> None:
        """Look for pairs again if atoms may have come nearer than those known reach."""
        cutoff = self.potential.architecture.radial_cutoff
        known = self.candidates
        if known is not None and np.array_equal(known.cell, cell):
            far = np.linalg.norm(positions - known.positions @ cell, axis=2).max()
            if cutoff + 2 * far <= known.reach:
                return
        centre = positions.mean(axis=0)
        far = np.linalg.norm(positions - centre, axis=2).max()
        reach = cutoff + 2 * float(far) + SKIN
        self.candidates = Candidates(
            np.linalg.solve(cell.T, centre.T).T, cell.copy(), find_pairs(centre, cell, reach), reach
        )

    def _batch(self, positions: Floats, cell: Floats) -> Batch:
        assert self.candidates is not None
        architecture, count = self.potential.architecture, len(self.potential.species)
        # Of the candidates, those that are near in any of the configurations.
        nearest = distances(self.candidates.pairs, positions, cell).min(axis=0)
        if len(nearest) and nearest.min() <= 0:
            raise KernelError('ERROR_OUTSIDE_RANGE', 'two atoms lie on each other')
        on_device = torch.from_numpy(positions).to(self.device)
        radial, angular = (
            shell(on_device, self.candidates.pairs.subset(nearest < cutoff).places(self.numbers, count), cell, cutoff,
                  self.dtype)
            for cutoff in (architecture.radial_cutoff, architecture.angular_cutoff)
        )  # fmt: skip
        species = torch.from_numpy(np.tile(self.numbers, len(positions))).to(self.device)
        configuration = torch.arange(len(positions), device=self.device).repeat_interleave(len(self.numbers))
        return Batch(species, configuration, len(positions), radial, angular)
