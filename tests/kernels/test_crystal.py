"""Crystals: what is refused, and what must not depend on the cell that describes them."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from springs import clathrate, diamond, fcc

from aiida_clathrate.kernels.crystal import Crystal


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'positions': np.array([[0, 0, 0], [0.01, 0, 0]])}, r'C1 and C2 overlap, 0\.0\d* Å apart'),
        ({'positions': np.array([[0, 0, 0], [0, 0, 1.0]])}, 'C1 and C2 overlap, 0.000 Å apart'),
        ({'positions': np.array([[0, 0, 0], [np.nan, 0, 0]])}, 'must be finite'),
        ({'positions': np.zeros((1, 3))}, 'each of the 2 atoms'),
        ({'symbols': (), 'positions': np.zeros((0, 3)), 'masses': np.zeros(0)}, 'each of the 0 atoms'),
        ({'masses': np.array([12.0, 0.0])}, 'positive masses'),
        ({'masses': np.ones(3)}, 'each of the 2 atoms'),
        ({'cell': np.ones((3, 3))}, 'need a volume'),
        ({'cell': np.array([[0.4, 0, 0], [0, 9, 0], [0, 0, 9]])}, 'C1 and C1 overlap, 0.400 Å apart'),
    ],
)
def test_refused(change, message):
    """What is no crystal is refused, with the atoms or the value."""
    with pytest.raises(ValueError, match=f'crystal: .*{message}'):
        replace(diamond(), **change)


@pytest.mark.parametrize('atoms', [Atoms('H'), fcc111('Al', (1, 1, 3), vacuum=8.0)], ids=['molecule', 'slab'])
def test_three_dimensions(atoms):
    """A molecule and a slab are not periodic in three dimensions."""
    with pytest.raises(ValueError, match='periodic in three dimensions, not'):
        Crystal.from_ase(atoms)


@pytest.mark.parametrize('crystal', [fcc(), diamond(), clathrate()], ids=['fcc', 'diamond', 'clathrate'])
def test_other_cell(crystal):
    """A skewed cell of the same lattice has the same volume, shortest distance and space group."""
    skew = np.linalg.matrix_power(np.array([[2, 3, 4], [1, 2, 3], [1, 1, 2]]), 2)
    other = replace(crystal, cell=skew @ crystal.cell, positions=crystal.positions @ np.linalg.inv(skew))
    assert other.volume == pytest.approx(crystal.volume)
    assert other.shortest_distance()[0] == pytest.approx(crystal.shortest_distance()[0])
    assert other.space_group() == crystal.space_group()
    assert not crystal.same_lattice(other)


def test_ase():
    """Nothing is lost on the way through ASE, isotopes included."""
    crystal = replace(diamond(), masses=np.array([12.0, 13.0]))
    again = Crystal.from_ase(crystal.to_ase())
    assert again.same_lattice(crystal, 1e-12)
    assert again.masses.tolist() == [12.0, 13.0]


def test_formula():
    """Hill's order: carbon first, then the alphabet; no carbon, the alphabet."""
    assert clathrate().formula == 'C6B6KRb'
    assert Crystal.from_ase(bulk('NaCl', 'rocksalt', a=5.6)).formula == 'ClNa'


def test_same_lattice():
    """Lattice vectors between positions do not matter; order, displacement and cell do."""
    crystal = diamond()
    assert crystal.same_lattice(replace(crystal, positions=crystal.positions + np.array([1, -2, 0])))
    shifted = replace(crystal, positions=crystal.positions + np.array([[0, 0, 0], [0.01, 0, 0]]))
    assert not crystal.same_lattice(shifted)
    assert crystal.same_lattice(shifted, tolerance=0.1)
    assert not crystal.same_lattice(replace(crystal, symbols=('C', 'N')))
    assert not crystal.same_lattice(replace(crystal, cell=1.01 * crystal.cell))


def test_largest_shift():
    """A shift of the whole crystal is none; an atom that moves alone is away by half of it, a wrapped one is far."""
    crystal = diamond()
    assert crystal.largest_shift(replace(crystal, positions=crystal.positions + 0.1)) == pytest.approx(0, abs=1e-12)
    for shift in (np.array([0.02, 0.0, 0.01]), np.array([1.0, 0.0, 0.0])):
        moved = replace(crystal, positions=crystal.positions + np.array([[0, 0, 0], shift]))
        assert crystal.largest_shift(moved) == pytest.approx(0.5 * np.linalg.norm(shift @ crystal.cell))
