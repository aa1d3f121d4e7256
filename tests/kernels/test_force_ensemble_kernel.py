"""Ensembles as kernels see them."""

from dataclasses import replace

import numpy as np
import pytest
from springs import rocksalt, spring_matrices

from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.ensemble import ForceEnsemble, supercell_crystal, supercell_positions
from aiida_clathrate.kernels.ensemble_arrays import ensemble_from_arrays, ensemble_to_arrays
from aiida_clathrate.kernels.sscha.sampling import sample

MESH = (2, 1, 2)


def ensemble(number=6, mesh=(2, 2, 2)):
    """Return pairs with numbers for energies, forces and stresses."""
    drawn = sample(spring_matrices(rocksalt(), mesh), 100.0, number, seed=5)
    random = np.random.default_rng(0)
    return replace(
        drawn,
        energies=random.normal(size=number),
        forces=random.normal(size=drawn.displacements.shape),
        stresses=random.normal(size=(number, 3, 3)),
        source='numbers',
    )


def test_order_of_the_supercell():
    """That of ASE's ``repeat``: last lattice vector fastest, in each cell the atoms of the crystal."""
    crystal = rocksalt()
    repeated = crystal.to_ase().repeat(MESH)
    np.testing.assert_allclose(supercell_positions(crystal, MESH), repeated.positions, atol=1e-12)
    supercell = supercell_crystal(crystal, MESH)
    assert supercell.symbols == tuple(repeated.get_chemical_symbols())
    np.testing.assert_allclose(supercell.cell, repeated.cell.array, atol=1e-12)
    np.testing.assert_allclose(supercell.positions @ supercell.cell, repeated.positions, atol=1e-12)
    np.testing.assert_allclose(supercell.masses, repeated.get_masses())
    assert isinstance(supercell, Crystal)


def test_positions_are_not_wrapped():
    """Displacements are added to the centroids."""
    one = ensemble()
    moved = one.positions - supercell_positions(one.crystal, one.mesh)
    np.testing.assert_allclose(moved, one.displacements, atol=1e-12)
    assert one.atoms == 16
    assert one.computed


@pytest.mark.parametrize('computed', [True, False])
def test_run_folder(tmp_path, computed):
    """Scalars and arrays of a folder give the same ensemble back, without results too."""
    before = ensemble() if computed else sample(spring_matrices(rocksalt(), (2, 2, 2)), 0.0, 4, seed=1)
    io.write(tmp_path, io.INPUTS, *ensemble_to_arrays(before))
    after = ensemble_from_arrays(*io.read(tmp_path, io.INPUTS))
    for name in ('temperature', 'antithetic', 'seed', 'source', 'mesh', 'computed'):
        assert getattr(after, name) == getattr(before, name)
    for name in ('displacements', 'energies', 'forces', 'stresses'):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    np.testing.assert_array_equal(after.matrices.force_constants, before.matrices.force_constants)
    assert after.crystal.same_lattice(before.crystal, 1e-12)


def test_single_precision():
    """Arrays in single precision become double ones, and pairs are still pairs."""
    before = ensemble()
    scalars, arrays = ensemble_to_arrays(before)
    arrays |= {name: arrays[name].astype(np.float32) for name in ('displacements', 'energies', 'forces', 'stresses')}
    after = ensemble_from_arrays(scalars, arrays)
    assert after.forces.dtype == np.float64
    np.testing.assert_allclose(after.displacements, before.displacements, atol=1e-7)


def test_subset():
    """Pairs stay pairs only where they are chosen together."""
    one = ensemble()
    assert len(one.subset(slice(0, 4))) == 4
    with pytest.raises(ValueError, match='configurations cannot be pairs'):
        one.subset(np.array([0, 1, 2]))
    with pytest.raises(ValueError, match='are not displaced by'):
        one.subset(np.array([0, 2]))
    np.testing.assert_array_equal(one.subset(np.array([0, 2]), antithetic=False).energies, one.energies[[0, 2]])


def spoiled(name):
    """Return an array of the ensemble with one number that is none."""
    array = getattr(ensemble(), name).copy()
    array.reshape(6, -1)[3, 0] = np.nan
    return {name: array}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'temperature': -1.0}, 'temperature: must be 0 K or above, not -1.0 K'),
        ({'temperature': float('nan')}, 'temperature: must be 0 K or above'),
        ({'displacements': np.zeros((0, 16, 3))}, 'at least one configuration'),
        (
            {'displacements': np.zeros((6, 15, 3))},
            r'need the shape \(6, 16, 3\), 6 configurations of the 16',
        ),
        ({'energies': np.zeros(5)}, r'energies: need the shape \(6,\)'),
        ({'stresses': np.zeros((6, 6))}, r'stresses: need the shape \(6, 3, 3\)'),
        (spoiled('forces'), 'forces: not finite in configuration 3 and 0 others; compute them again'),
        (spoiled('energies'), 'energies: not finite in configuration 3'),
        ({'forces': None}, 'energies and forces: give both or neither'),
        ({'forces': None, 'energies': None}, 'stresses: cannot be known without energies and forces'),
    ],
)
def test_bad_input(changes, message):
    """Everything that cannot be an ensemble is named, with where it is wrong."""
    with pytest.raises(ValueError, match=message):
        replace(ensemble(), **changes)


def test_other_supercell():
    """Displacements of another supercell than the mesh of the matrices are refused."""
    other = spring_matrices(rocksalt(), (3, 3, 3))
    with pytest.raises(ValueError, match='of the 54 atoms of the supercell 3×3×3'):
        ForceEnsemble(other, 100.0, ensemble().displacements)
