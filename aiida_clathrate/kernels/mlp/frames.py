"""Labelled configurations that a potential is trained on or judged by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.ensemble import ForceEnsemble, supercell_crystal

Floats = NDArray[np.float64]

#: Largest mean force on the atoms of a configuration [eV/Å]: a code that works with plane waves takes it out.
NET_FORCE = 0.05
#: Labels of the same positions may differ by this: energies [eV/atom] and force components [eV/Å].
SAME_ENERGY, SAME_FORCE = 1e-6, 0.01
#: How far an energy may be from what its own forces make likely, in median deviations of the whole set.
OUTLIER = 30.0


class LabelError(ValueError):
    """Energies or forces that cannot be right."""


@dataclass(frozen=True)
class Frames:
    """Configurations of one supercell with their energies and forces.

    :param symbols: of the atoms.
    :param cell: lattice vectors as rows [Å].
    :param positions: Cartesian, shape (c, n, 3) [Å].
    :param energies: shape (c,) [eV].
    :param forces: shape (c, n, 3) [eV/Å].
    :param stresses: positive under compression, shape (c, 3, 3) [GPa], or ``None``.
    :param name: what messages call it.
    :param indices: what messages call the configurations, shape (c,); 0, 1, … if left out.
    :raises LabelError: for labels that are not finite, or contradict each other, with the configuration.
    """

    symbols: tuple[str, ...]
    cell: Floats
    positions: Floats
    energies: Floats
    forces: Floats
    stresses: Floats | None = None
    name: str = 'frames'
    indices: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        count, atoms = len(self.positions), len(self.symbols)
        wanted = {'positions': (count, atoms, 3), 'energies': (count,), 'forces': (count, atoms, 3)}
        if self.stresses is not None:
            wanted['stresses'] = (count, 3, 3)
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise LabelError(f'{self.name}: {name} have the shape {array.shape}, need {shape}')
            wrong = ~np.isfinite(array.reshape(count, -1)).all(axis=1)
            if wrong.any():
                raise LabelError(f'{self._first(wrong)}: {name} are not finite; compute it again or leave it out')
        net = np.linalg.norm(self.forces.mean(axis=1), axis=1)
        if (net > NET_FORCE).any():
            raise LabelError(
                f'{self._first(net > NET_FORCE)}: its forces do not add up to zero, '
                f'{net[net > NET_FORCE][0]:.3f} eV/Å an atom; '
                'compute it again or leave it out'
            )
        doubled = self._contradictions()
        if doubled.any():
            raise LabelError(f'{self._first(doubled)}: another one has the same positions and other labels')

    def _contradictions(self) -> NDArray[np.bool_]:
        """Return which configurations repeat an earlier one with different labels."""
        earlier: dict[bytes, int] = {}
        # A zero is added since −0 is another number to the last bit only.
        first = [earlier.setdefault((each + 0.0).tobytes(), number) for number, each in enumerate(self.positions)]
        energies = np.abs(self.energies - self.energies[first]) > SAME_ENERGY * len(self.symbols)
        forces = (np.abs(self.forces - self.forces[first]) > SAME_FORCE).any(axis=(1, 2))
        return np.asarray(energies | forces)

    def _first(self, wrong: NDArray[np.bool_]) -> str:
        """Return the name of the first of some configurations."""
        position = int(np.flatnonzero(wrong)[0])
        number = position if self.indices is None else int(self.indices[position])
        others = int(wrong.sum()) - 1
        return f'{self.name}, configuration {number}' + (f' and {others} others' if others else '')

    def __len__(self) -> int:
        return len(self.positions)

    def digest(self) -> str:
        """Return a digest of all numbers and symbols."""
        found = hashlib.sha256(repr(self.symbols).encode())
        for array in (self.cell, self.positions, self.energies, self.forces, self.stresses):
            found.update(b'-' if array is None else np.ascontiguousarray(array, dtype='<f8').tobytes())
        return found.hexdigest()

    @property
    def volume(self) -> float:
        """Return the volume of the supercell [Å³]."""
        return float(abs(np.linalg.det(self.cell)))


def from_ensemble(ensemble: ForceEnsemble, chosen: NDArray[np.int64], name: str) -> Frames:
    """Return some configurations of an ensemble as frames.

    An energy must go with the forces: E ≈ E₀ − ½ F·u, to a multiple of the spread that anharmonicity gives it. A
    calculation that ended in another electronic state shows there.

    :raises LabelError: for labels that cannot be right, with the configuration.
    """
    if ensemble.energies is None or ensemble.forces is None:
        raise LabelError(f'{name}: its configurations have no forces')
    supercell = supercell_crystal(ensemble.crystal, ensemble.mesh)
    rest = ensemble.energies + 0.5 * np.einsum('csx,csx->c', ensemble.forces, ensemble.displacements)
    deviations = np.abs(rest - np.median(rest))
    # Anharmonic energies have long tails: a strongly displaced configuration may be as far off as its own energy is.
    own = 0.5 * np.abs(np.einsum('csx,csx->c', ensemble.forces, ensemble.displacements))
    limit = OUTLIER * max(float(np.median(deviations)), 1e-4 * ensemble.atoms) + own
    beyond = chosen[(deviations > limit)[chosen]]
    if len(beyond):
        worst = int(beyond[np.argmax(deviations[beyond])])
        raise LabelError(
            f'{name}, configuration {worst}: its energy is {deviations[worst]:.3f} eV from what its forces and the '
            f'other configurations make likely, more than {limit[worst]:.3f} eV; compute it again or leave it out'
        )
    stresses = None if ensemble.stresses is None else ensemble.stresses[chosen]
    return Frames(
        supercell.symbols, supercell.cell, ensemble.positions[chosen], ensemble.energies[chosen],
        ensemble.forces[chosen], stresses, name, chosen,
    )  # fmt: skip
