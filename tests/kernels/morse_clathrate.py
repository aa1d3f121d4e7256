"""A clathrate of Morse bonds: forces that are anharmonic, exact and cheap, for tests, examples and benchmarks.

The bonds are those of a reference crystal and stay what they are however far the atoms move. Each is at its minimum in
the reference, which is therefore without stress, and the energy depends on differences of positions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress
from scipy.sparse import coo_array

#: Lattice constant of the clathrate [Å].
LATTICE_CONSTANT = 4.9
#: Bond lengths of the reference may differ by this from the table [Å].
SAME_LENGTH = 1e-4
#: So many configurations are evaluated at a time, which bounds the memory.
BATCH = 256


@dataclass(frozen=True)
class Bond:
    """A kind of bond, D (1 − exp(−α (r − r₀)))².

    :param symbols: the two elements.
    :param length: r₀ [Å].
    :param depth: D [eV].
    :param decay: α [1/Å].
    """

    symbols: tuple[str, str]
    length: float
    depth: float
    decay: float


#: B–C, then the second neighbours, which hold the cages in shape, then the guests.
CLATHRATE_BONDS = (
    Bond(('B', 'C'), LATTICE_CONSTANT / 8**0.5, 3.5, 2.2),
    Bond(('B', 'B'), LATTICE_CONSTANT / 2, 1.0, 1.6),
    Bond(('C', 'C'), LATTICE_CONSTANT / 2, 1.0, 1.6),
    *(Bond((guest, host), LATTICE_CONSTANT * 5**0.5 / 4, 0.2, 1.2) for guest in ('K', 'Rb') for host in ('B', 'C')),
)


class MorseCrystal(Calculator):
    """Forces of bonds between the neighbours of a reference crystal.

    :param reference: the crystal, or a supercell of it, in equilibrium; other structures must have its atoms in its
        order.
    :param bonds: the kinds of bonds; pairs of other lengths do not interact.
    :raises ValueError: if a kind of bond does not occur.
    """

    implemented_properties = ['energy', 'free_energy', 'forces', 'stress']

    def __init__(self, reference: Atoms, bonds: Sequence[Bond]):
        super().__init__()
        first, second, lengths, shifts = neighbor_list('ijdS', reference, max(b.length for b in bonds) + SAME_LENGTH)
        order = np.arange(len(reference))
        # Every pair comes twice; of an atom and its own image, the shift tells one from the other.
        once = (order[first] < order[second]) | ((first == second) & (shifts @ [9, 3, 1] > 0))
        symbols = np.array(reference.get_chemical_symbols())
        kind = np.full(len(first), -1)
        for index, bond in enumerate(bonds):
            a, b = bond.symbols
            named = ((symbols[first] == a) & (symbols[second] == b)) | ((symbols[first] == b) & (symbols[second] == a))
            kind[named & once & (np.abs(lengths - bond.length) < SAME_LENGTH)] = index
            if not np.any(kind == index):
                raise ValueError(f'the reference has no bond {a}–{b} of {bond.length:.3f} Å')
        kept = kind >= 0
        self.reference = reference
        self.shifts = shifts[kept]
        self.r0, self.depth, self.decay = np.array([(b.length, b.depth, b.decay) for b in bonds])[kind[kept]].T
        pairs = np.arange(kept.sum())
        ends = np.concatenate([second[kept], first[kept]])
        signs = np.concatenate([np.ones(len(pairs)), -np.ones(len(pairs))])
        self.difference = coo_array((signs, (np.tile(pairs, 2), ends)), shape=(len(pairs), len(reference))).tocsr()

    def evaluate(self, positions, cell):
        """Return energies (N,) [eV], forces (N, n, 3) [eV/Å] and stresses (N, 3, 3) [eV/Å³], positive in tension.

        :param positions: shape (N, n, 3) [Å]; atoms must not be wrapped back into the cell.
        :param cell: lattice vectors as rows [Å].
        """
        batches = [positions[start : start + BATCH] for start in range(0, len(positions), BATCH)]
        results = zip(*(self._evaluate(batch, np.asarray(cell)) for batch in batches), strict=True)
        return tuple(np.concatenate(result) for result in results)

    def _evaluate(self, positions, cell):
        count, atoms, _ = positions.shape
        # Atoms first, configurations last: what the sparse matrix of the bonds acts on.
        columns = np.moveaxis(positions, 0, -1).reshape(atoms, -1)
        vectors = (self.difference @ columns).reshape(-1, 3, count) + (self.shifts @ cell)[..., None]
        lengths = np.linalg.norm(vectors, axis=1)
        decayed = np.exp(-self.decay[:, None] * (lengths - self.r0[:, None]))
        energies = (self.depth[:, None] * (1 - decayed) ** 2).sum(axis=0)
        tensions = 2 * (self.depth * self.decay)[:, None] * (1 - decayed) * decayed / lengths
        pulls = tensions[:, None] * vectors
        forces = -(self.difference.T @ pulls.reshape(len(pulls), -1)).reshape(atoms, 3, count)
        stresses = np.einsum('pan,pbn->nab', pulls, vectors) / abs(np.linalg.det(cell))
        return energies, np.moveaxis(forces, -1, 0), stresses

    def calculate(self, atoms=None, properties=('energy',), system_changes=all_changes):
        """Evaluate one structure for ASE; atoms may be wrapped."""
        super().calculate(atoms, properties, system_changes)
        if atoms.get_chemical_symbols() != self.reference.get_chemical_symbols():
            raise ValueError(f'need the atoms of {self.reference.symbols} in this order, not {atoms.symbols}')
        drift = atoms.cell.scaled_positions(atoms.positions) - self.reference.get_scaled_positions(wrap=False)
        unwrapped = atoms.positions - np.round(drift) @ atoms.cell.array
        energies, forces, stresses = self.evaluate(unwrapped[None], atoms.cell.array)
        stress = full_3x3_to_voigt_6_stress(stresses[0])
        energy = float(energies[0])
        self.results = {'energy': energy, 'free_energy': energy, 'forces': forces[0], 'stress': stress}

    def hessian(self, step=1e-3):
        """Return the force constants of the reference by central differences, shape (3n, 3n) [eV/Å²].

        Fourth-order differences: the error is of the order step⁴, about 1e-10 of the largest element.
        """
        size = 3 * len(self.reference)
        moves = step * np.eye(size).reshape(size, -1, 3)
        rows = np.zeros((size, size))
        for factor, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            _, forces, _ = self.evaluate(self.reference.positions + factor * moves, self.reference.cell.array)
            rows -= weight * forces.reshape(size, size) / (12 * step)
        return 0.5 * (rows + rows.T)


class MorseClathrate(MorseCrystal):
    """KRbB6C6, Pm-3.

    :param cells: how often the primitive cell is repeated, the last direction fastest as in ASE.
    """

    def __init__(self, cells: Sequence[int] = (1, 1, 1)):
        super().__init__(clathrate_atoms().repeat(tuple(cells)), CLATHRATE_BONDS)


def clathrate_atoms() -> Atoms:
    """Return the primitive cell of KRbB6C6 in equilibrium."""
    boron = [(0.25, 0, 0.5), (0.75, 0, 0.5), (0.5, 0.25, 0), (0.5, 0.75, 0), (0, 0.5, 0.25), (0, 0.5, 0.75)]
    carbon = [(0.25, 0.5, 0), (0.75, 0.5, 0), (0, 0.25, 0.5), (0, 0.75, 0.5), (0.5, 0, 0.25), (0.5, 0, 0.75)]
    sites = [(0, 0, 0), (0.5, 0.5, 0.5), *boron, *carbon]
    return Atoms('KRbB6C6', scaled_positions=sites, cell=3 * [LATTICE_CONSTANT], pbc=True)
