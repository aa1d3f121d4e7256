"""Harmonic matrices from the forces on single displaced atoms."""

from dataclasses import replace

import numpy as np
import pytest
from coupled_pairs import CoupledPairs
from hexagonal_bonds import HexagonalBonds, packing
from springs import clathrate, diamond, fcc, hcp, hydrogen, rocksalt, spring_matrices

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_points
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.finite_displacements import STEP, fit_harmonic, single_displacements
from aiida_clathrate.kernels.fourier import interpolate


def springs_of_supercell(matrices, displacements):
    """Return the forces of springs, −Φ u with Φ between all atoms of the supercell."""
    cells = np.array(list(np.ndindex(*matrices.mesh)))
    phases = np.exp(2j * np.pi * (cells[:, None] - cells) @ mesh_points(matrices.mesh).T)
    blocks = np.einsum('lmq,qab->lamb', phases, matrices.force_constants).real / len(cells)
    size = blocks.shape[0] * blocks.shape[1]
    return -(displacements.reshape(len(displacements), size) @ blocks.reshape(size, size)).reshape(displacements.shape)


@pytest.mark.parametrize(
    ('crystal', 'mesh', 'pairs'),
    [
        (fcc(), (2, 2, 2), 1),
        (diamond(), (2, 2, 2), 1),
        (rocksalt(), (3, 3, 3), 2),
        (hcp(), (2, 2, 1), 2),
        (hydrogen(), (2, 2, 2), 2),
        (clathrate(), (1, 1, 1), 8),
        (CoupledPairs().crystal, (2, 1, 1), 6),
    ],
    ids=['fcc', 'diamond', 'rocksalt', 'hcp', 'hydrogen', 'clathrate', 'orthorhombic'],
)
def test_springs(crystal, mesh, pairs):
    """The matrices of springs come back exactly, from as few pairs as symmetry leaves."""
    exact = spring_matrices(crystal, mesh, cutoff=4.6)
    population = single_displacements(exact)
    assert len(population) == 2 * pairs
    assert np.count_nonzero(population.displacements) == 2 * pairs
    forces = springs_of_supercell(exact, population.displacements)
    found = fit_harmonic(replace(population, energies=np.zeros(len(population)), forces=forces))
    scale = np.abs(exact.force_constants).max()
    np.testing.assert_allclose(found.force_constants, exact.force_constants, atol=1e-9 * scale)
    assert (found.level, found.temperature) == ('harmonic', None)


def test_anharmonic_bonds():
    """Pairs ±u leave the third order out; what is left is of second order in the displacement."""
    mesh, calculator = (2, 2, 1), HexagonalBonds((2, 2, 1))
    crystal = Crystal.from_ase(packing())
    supercell = supercell_crystal(crystal, mesh)
    np.testing.assert_allclose(supercell.positions @ supercell.cell, calculator.reference.positions, atol=1e-9)
    exact = DynamicalMatrices(supercell, (1, 1, 1), calculator.hessian()[None].astype(complex)).modes[0]
    blank = DynamicalMatrices(crystal, mesh, np.zeros((4, 6, 6), dtype=complex))
    worst = []
    for step in (STEP, STEP / 2):
        population = single_displacements(blank, step)
        energies, forces, _ = calculator.evaluate(population.positions, supercell.cell)
        found = fit_harmonic(replace(population, energies=energies, forces=forces))
        worst.append(np.abs(np.sort(found.modes[0].ravel()) - np.sort(exact.ravel())).max())
    assert worst[0] < 0.01
    assert worst[1] == pytest.approx(worst[0] / 4, rel=0.1)


def test_finer_mesh():
    """Springs that end within the supercell are known on every mesh."""
    crystal = fcc()
    coarse, fine = (spring_matrices(crystal, 3 * (size,), cutoff=3.0) for size in (3, 6))
    population = single_displacements(coarse)
    forces = springs_of_supercell(coarse, population.displacements)
    found = fit_harmonic(replace(population, energies=np.zeros(len(population)), forces=forces))
    np.testing.assert_allclose(interpolate(found, (6, 6, 6)).force_constants, fine.force_constants, atol=1e-9)


def test_refused():
    """A population without forces, and one that leaves force constants open, with the numbers of both."""
    exact = spring_matrices(rocksalt(), (2, 2, 2))
    population = single_displacements(exact)
    with pytest.raises(ValueError, match='ensemble: has no forces yet'):
        fit_harmonic(population)
    # Without the second sublattice the self-interaction of its atoms is not seen; the sum rule is imposed later.
    first = population.subset(slice(2))
    forces = springs_of_supercell(exact, first.displacements)
    with pytest.raises(ValueError, match=r'its displacements fix \d+ of the \d+ force constants'):
        fit_harmonic(replace(first, energies=np.zeros(2), forces=forces))
