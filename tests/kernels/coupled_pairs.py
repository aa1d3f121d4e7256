"""Pairs of atoms whose bond is bent in a double well: a crystal that anharmonicity stabilises, distorts or destroys.

The bond of a pair lies along x; its deviation r from the length at rest has the energy
½ k·r² + g x y² + λ y⁴, and springs hold the centres of mass of neighbours along the first lattice vector. Mirror planes
forbid a mean y or z.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_points

CELL, LENGTH = np.diag([4.0, 4.4, 5.0]), 1.5
MASSES = np.array([1.0, 7.0])
SHARES = MASSES / MASSES.sum()
#: Between centres of mass, in the three directions [eV/Å²].
SPRING = np.array([1.0, 2.0, 3.5])


class CoupledPairs:
    """The model, as what evaluates the configurations of a supercell.

    :param quadratic: k of the three directions [eV/Å²].
    :param cubic: g [eV/Å³].
    :param quartic: λ [eV/Å⁴].
    :param mesh: divisions of the supercell.
    :param log: a file that gets a line for each configuration.
    :param broken: a file; as long as it exists nothing is evaluated.
    """

    def __init__(self, quadratic=(30.0, 8.0, 20.0), cubic=0.0, quartic=20.0, mesh=(2, 1, 1), log=None, broken=None):
        self.quadratic, self.cubic, self.quartic, self.mesh = np.array(quadratic), cubic, quartic, tuple(mesh)
        self.log, self.broken = log and Path(log), broken and Path(broken)

    @property
    def crystal(self):
        """Return the crystal at r = 0."""
        return Crystal(CELL, ('H', 'Li'), np.array([[0.1, 0.2, 0.3], [0.1 + LENGTH / 4, 0.2, 0.3]]), MASSES)

    def matrices(self, mesh):
        """Return the harmonic matrices of the crystal at r = 0."""
        blocks = np.kron([[1, -1], [-1, 1]], np.diag(self.quadratic)).astype(complex)
        waves = 2 - 2 * np.cos(2 * np.pi * mesh_points(mesh)[:, 0])
        return DynamicalMatrices(
            self.crystal, mesh, blocks + waves[:, None, None] * np.kron(np.outer(SHARES, SHARES), np.diag(SPRING))
        )

    def evaluate(self, positions, cell):
        """Return energies [eV], forces [eV/Å] and stresses with the sign of ASE [eV/Å³]."""
        if self.log:
            with self.log.open('a') as file:
                file.writelines(f'{configuration[0, 0]:.12f}\n' for configuration in positions)
        if self.broken and self.broken.exists():
            raise RuntimeError('broken')
        count = len(positions)
        pairs = positions.reshape(count, self.mesh[0], 2, 3)
        bonds = pairs[:, :, 1] - pairs[:, :, 0]
        r = bonds - [LENGTH, 0, 0]
        x, y = r[..., 0], r[..., 1]
        energies = (0.5 * self.quadratic * r**2).sum(axis=(1, 2))
        energies += (self.cubic * x * y**2 + self.quartic * y**4).sum(axis=1)
        pull = self.quadratic * r
        pull[..., 0] += self.cubic * y**2
        pull[..., 1] += 2 * self.cubic * x * y + 4 * self.quartic * y**3
        centres = np.einsum('cpai,a->cpi', pairs, SHARES)
        steps = np.roll(centres, -1, axis=1) - centres
        steps[:, -1] += cell[0]
        stretch = SPRING * (steps - CELL[0])
        energies += (0.5 * stretch**2 / SPRING).sum(axis=(1, 2))
        tension = stretch - np.roll(stretch, 1, axis=1)
        forces = np.stack([pull + SHARES[0] * tension, -pull + SHARES[1] * tension], axis=2)
        virials = np.einsum('cpi,cpj->cij', pull, bonds) + np.einsum('cpi,cpj->cij', stretch, steps)
        stresses = 0.5 * (virials + np.swapaxes(virials, 1, 2)) / abs(np.linalg.det(cell))
        return energies, forces.reshape(count, -1, 3), stresses
