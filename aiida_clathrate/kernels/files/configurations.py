"""Configurations of another program, and the ensemble that they are once their atoms are in our order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import PAIR_TOLERANCE, ForceEnsemble
from aiida_clathrate.kernels.files.supercell_order import match_supercell
from aiida_clathrate.kernels.sscha.sample_check import check_sample

Array = NDArray[np.float64]

#: Of the middle of pairs and the centroids [Å].
CENTROID_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Configurations:
    """What files tell, in our units, the atoms in the order of the files.

    :param name: of the file or folder, for messages.
    :param positions: never wrapped, shape (c, s, 3) [Å].
    :param energies: of the supercell, shape (c,) [eV]; ``None`` where not computed.
    :param forces: shape (c, s, 3) [eV/Å]; ``None`` where not computed.
    :param stresses: positive under compression, shape (c, 3, 3) [GPa]; ``None`` where not computed.
    :param symbols: of the atoms; ``None`` where the files do not tell.
    """

    name: str
    positions: Array
    energies: Array | None = None
    forces: Array | None = None
    stresses: Array | None = None
    symbols: tuple[str, ...] | None = None

    def ensemble(self, matrices: DynamicalMatrices, temperature: float, source: str) -> ForceEnsemble:
        """Return the ensemble, its atoms in our order.

        Displacements are positions less centroids, not those to the nearest image: an atom may have crossed the border
        of the cell. Pairs ±u of neighbouring configurations are found by looking; their displacements are from the
        middle of the pair, because another program's bohr can differ from ours in the eighth digit.

        :param matrices: auxiliary matrices that the configurations were drawn from.
        :param temperature: that they were drawn at [K].
        :param source: where energies and forces come from.
        :raises ValueError: for configurations of another structure, of other matrices or another temperature, that are
            incomplete or whose forces are all zero.
        """
        try:
            return self._ensemble(matrices, temperature, source)
        except ValueError as error:
            raise ValueError(f'{self.name}: {error}') from error

    def _ensemble(self, matrices: DynamicalMatrices, temperature: float, source: str) -> ForceEnsemble:
        self._check_complete()
        mean = self.positions.mean(axis=0)
        order, centroids = match_supercell(matrices.crystal, matrices.mesh, mean, self.symbols)
        positions = self.positions[:, order]
        pairs = _in_pairs(positions, centroids)
        ensemble = ForceEnsemble(
            matrices,
            temperature,
            _from_middles(positions) if pairs else positions - centroids,
            self.energies,
            None if self.forces is None else self.forces[:, order],
            self.stresses,
            antithetic=pairs,
            source=source,
        )
        check_sample(ensemble)
        return ensemble

    def _check_complete(self) -> None:
        count = len(self.positions)
        if self.positions.ndim != 3 or count == 0 or not np.isfinite(self.positions).all():
            raise ValueError('positions: need finite numbers of at least one configuration')
        for name in ('energies', 'forces', 'stresses'):
            array = getattr(self, name)
            if array is not None and len(array) != count:
                raise ValueError(f'{name} of {len(array)} configurations, positions of {count}: files are mixed')
        if self.forces is not None and len(zero := np.flatnonzero(~self.forces.any(axis=(1, 2)))):
            raise ValueError(
                f'forces: all zero in {len(zero)} of {count} configurations, the first is number {zero[0] + 1}: they '
                'were never computed; compute them, or remove them before the ensemble is saved'
            )


def _in_pairs(positions: Array, centroids: Array) -> bool:
    """Whether configurations 2i and 2i+1 are displaced by ±u from the centroids.

    :raises ValueError: if they are, but from other centroids.
    """
    if len(positions) % 2:
        return False
    middles = 0.5 * (positions[::2] + positions[1::2])
    offset = float(np.abs(middles[0] - centroids).max())
    if len(middles) > 1 and np.abs(middles - middles[0]).max() > PAIR_TOLERANCE:
        return False
    if offset > CENTROID_TOLERANCE and len(middles) > 1:
        raise ValueError(
            f'the configurations are pairs ±u about centroids that are up to {offset:.2g} Å from those of the '
            'matrices: give the matrices that they were drawn from'
        )
    return offset <= CENTROID_TOLERANCE


def _from_middles(positions: Array) -> Array:
    half = 0.5 * (positions[::2] - positions[1::2])
    return np.stack([half, -half], axis=1).reshape(positions.shape)
