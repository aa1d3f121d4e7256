"""A hexagonal close packing of Morse bonds: what expands, along its axis as it likes, when it gets hot."""

from __future__ import annotations

from ase.build import bulk
from morse_clathrate import Bond, MorseCrystal


def packing():
    """Return the two atoms of the primitive cell at rest."""
    return bulk('Mg', 'hcp', a=3.2, c=5.2)


class HexagonalBonds(MorseCrystal):
    """Bonds in the basal plane and between the planes, of different stiffness.

    :param cells: how often the primitive cell is repeated.
    :param decay: of the bonds [1/Å]; the larger, the stiffer they are.
    """

    def __init__(self, cells=(1, 1, 1), decay=1.3):
        atoms = packing()
        lengths = atoms.cell.lengths()[0], min(atoms.get_all_distances(mic=True)[0, 1:])
        bonds = [Bond(('Mg', 'Mg'), length, depth, decay) for length, depth in zip(lengths, (0.3, 0.4), strict=True)]
        super().__init__(atoms.repeat(tuple(cells)), bonds)
