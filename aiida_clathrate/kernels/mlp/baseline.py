"""Harmonic energies that a potential is added to: what a network need not learn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.sscha.gaussian import LatticeModes
from aiida_clathrate.kernels.sscha.waves import from_waves, to_waves

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Baseline:
    """½ uᵀΦu on the supercell of matrices, u counted from their positions in fractional coordinates.

    Energy and forces do not change when the crystal is displaced as a whole. They do when it is turned: a baseline
    belongs to one setting of the lattice.

    :param matrices: Φ and the crystal, any level.
    """

    matrices: DynamicalMatrices

    @cached_property
    def _modes(self) -> LatticeModes:
        return LatticeModes(self.matrices)

    @cached_property
    def _fractions(self) -> Floats:
        return supercell_crystal(self.matrices.crystal, self.matrices.mesh).positions

    def digest(self) -> str:
        """Return a digest of the matrices and their crystal."""
        crystal = self.matrices.crystal
        found = hashlib.sha256(repr((crystal.symbols, self.matrices.mesh)).encode())
        for array in (crystal.cell, crystal.positions, self.matrices.force_constants):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def check(self, symbols: tuple[str, ...], cell: Floats) -> None:
        """Refuse another supercell than that of the matrices.

        :raises ValueError: for other atoms, or a lattice that differs by more than a strain of a fifth.
        """
        crystal, mesh = self.matrices.crystal, self.matrices.mesh
        if symbols != crystal.symbols * int(np.prod(mesh)):
            raise ValueError(
                f'the potential has a harmonic baseline for the supercell {"×".join(map(str, mesh))} of '
                f'{crystal.formula} in its own order of atoms, and cannot be used for another one; train one without'
            )
        strain = np.linalg.solve(crystal.cell * np.array(mesh)[:, None], cell) - np.eye(3)
        if np.abs(strain).max() > 0.2:
            raise ValueError(
                'the cell differs from that of the harmonic baseline of the potential by more than a fifth'
            )

    def __call__(self, positions: Floats, cell: Floats) -> tuple[Floats, Floats, Floats]:
        """Return energies (c,) [eV], forces (c, s, 3) [eV/Å] and virials (c, 3, 3) [eV].

        :param positions: Cartesian, not wrapped, shape (c, s, 3) [Å].
        :param cell: of the supercell [Å].
        """
        displacements = positions - self._fractions @ cell
        waves = to_waves(displacements, self.matrices.mesh)
        forces = -from_waves(waves @ self._modes.force_constants.swapaxes(1, 2), self.matrices.mesh)
        energies = -0.5 * np.einsum('csx,csx->c', forces, displacements)
        # A strain at fixed fractional coordinates takes u to (1 + ε)u; a stress is symmetric.
        virials = np.einsum('csx,csy->cxy', forces, displacements)
        return energies, forces, 0.5 * (virials + virials.swapaxes(1, 2))
