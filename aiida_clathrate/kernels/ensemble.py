"""Displaced configurations of a supercell with their energies, forces and stresses: what the SSCHA averages over.

Order of the atoms of the supercell: the cells in the order of ``supercell_indices(mesh)``, the last lattice vector
fastest, in each of them the atoms in the order of the crystal. It is that of ``ase.Atoms.repeat`` and of Quantum
ESPRESSO inputs made from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal, supercell_indices
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices

#: Of +u and −u [Å]: files of other programs have eight decimals.
PAIR_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ForceEnsemble:
    """A population of configurations drawn from the Gaussian of auxiliary matrices.

    Where ``antithetic``, configurations 2i and 2i+1 are displaced by +u and −u.

    :param matrices: the auxiliary matrices that the configurations were drawn from; their crystal holds the centroids,
        their mesh is the supercell.
    :param temperature: of the Gaussian [K].
    :param displacements: from the centroids, never wrapped, shape (c, s, 3) for c configurations of the s atoms of the
        supercell [Å].
    :param energies: of the supercell, shape (c,) [eV]; ``None`` as long as the configurations are not computed.
    :param forces: shape (c, s, 3) [eV/Å]; ``None`` as long as the configurations are not computed.
    :param stresses: positive under compression, as Quantum ESPRESSO prints it and opposite to ASE, shape (c, 3, 3)
        [GPa]; ``None`` where they were not computed.
    :param antithetic: whether the configurations come in pairs ±u.
    :param seed: of the random numbers, ``None`` where not known.
    :param source: where energies and forces come from, for instance ``quantumespresso.pw``; empty without them.
    :raises ValueError: for shapes that disagree, numbers that are not finite, pairs that are none, forces without
        energies, or a temperature below zero.
    """

    matrices: DynamicalMatrices
    temperature: float
    displacements: NDArray[np.float64]
    energies: NDArray[np.float64] | None = None
    forces: NDArray[np.float64] | None = None
    stresses: NDArray[np.float64] | None = None
    antithetic: bool = True
    seed: int | None = None
    source: str = ''

    def __post_init__(self) -> None:
        count, atoms = len(self.displacements), self.atoms
        if not np.isfinite(self.temperature) or self.temperature < 0:
            raise ValueError(f'temperature: must be 0 K or above, not {self.temperature} K')
        if count == 0:
            raise ValueError('displacements: an ensemble needs at least one configuration')
        shapes = {
            'displacements': (count, atoms, 3),
            'energies': (count,),
            'forces': (count, atoms, 3),
            'stresses': (count, 3, 3),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array is None:
                continue
            if array.shape != shape:
                raise ValueError(
                    f'{name}: need the shape {shape}, {count} configurations of the {atoms} atoms of the supercell '
                    f'{"×".join(map(str, self.mesh))}, not {array.shape}'
                )
            if not np.isfinite(array).all():
                wrong = np.flatnonzero(~np.isfinite(array.reshape(count, -1)).all(axis=1))
                raise ValueError(
                    f'{name}: not finite in configuration {wrong[0]} and {len(wrong) - 1} others; compute them again'
                )
        if (self.energies is None) != (self.forces is None):
            raise ValueError('energies and forces: give both or neither')
        if self.stresses is not None and self.forces is None:
            raise ValueError('stresses: cannot be known without energies and forces')
        if self.antithetic:
            self._check_pairs()

    def _check_pairs(self) -> None:
        if len(self) % 2:
            raise ValueError(f'displacements: {len(self)} configurations cannot be pairs ±u')
        if np.abs(self.displacements[::2] + self.displacements[1::2]).max() > PAIR_TOLERANCE:
            raise ValueError('displacements: configurations 2i and 2i+1 are not displaced by +u and −u')

    def __len__(self) -> int:
        return len(self.displacements)

    @property
    def crystal(self) -> Crystal:
        """Return the primitive crystal at the centroids."""
        return self.matrices.crystal

    @property
    def mesh(self) -> tuple[int, int, int]:
        """Return the divisions of the supercell."""
        return self.matrices.mesh

    @property
    def atoms(self) -> int:
        """Return the number of atoms of the supercell."""
        return int(np.prod(self.mesh)) * len(self.crystal.symbols)

    @property
    def computed(self) -> bool:
        """Whether energies and forces are known."""
        return self.forces is not None

    @property
    def positions(self) -> NDArray[np.float64]:
        """Return the Cartesian positions of all atoms, shape (c, s, 3) [Å]."""
        return self.displacements + supercell_positions(self.crystal, self.mesh)

    def subset(self, indices: NDArray[np.int64] | slice, antithetic: bool | None = None) -> ForceEnsemble:
        """Return some of the configurations.

        :param antithetic: whether those are still pairs ±u; as the ensemble itself unless given.
        """
        names = ('displacements', 'energies', 'forces', 'stresses')
        arrays = {name: getattr(self, name)[indices] for name in names if getattr(self, name) is not None}
        return replace(self, antithetic=self.antithetic if antithetic is None else antithetic, **arrays)


def supercell_positions(crystal: Crystal, mesh: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return the Cartesian positions of the atoms of a supercell, shape (s, 3) [Å]."""
    fractional = supercell_indices(mesh)[:, None] + crystal.positions
    return np.asarray(fractional.reshape(-1, 3) @ crystal.cell)


def supercell_crystal(crystal: Crystal, mesh: tuple[int, int, int]) -> Crystal:
    """Return the supercell as a crystal of its own, in the order of the atoms of an ensemble."""
    cells = supercell_indices(mesh)
    positions = (cells[:, None] + crystal.positions) / np.array(mesh)
    return Crystal(
        crystal.cell * np.array(mesh)[:, None],
        crystal.symbols * len(cells),
        positions.reshape(-1, 3),
        np.tile(crystal.masses, len(cells)),
    )
