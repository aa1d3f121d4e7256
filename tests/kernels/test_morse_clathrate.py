"""The forces that the tests of the anharmonic lattice rest on."""

import numpy as np
import pytest
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from morse_clathrate import Bond, MorseClathrate, MorseCrystal, clathrate_atoms

from aiida_clathrate.kernels.dynamical_matrix import diagonalise


def test_derivatives():
    """Forces and stress are derivatives of the energy, also of wrapped atoms; a shift of all changes nothing."""
    calculator = MorseClathrate((2, 1, 1))
    atoms = calculator.reference.copy()
    atoms.positions += [0.3, -0.2, 0.1]
    atoms.positions += np.random.default_rng(0).normal(scale=0.1, size=atoms.positions.shape)
    energies, forces, stresses = calculator.evaluate(atoms.positions[None] + [[[0, 0, 0]], [[1, 2, 3]]], atoms.cell)
    np.testing.assert_allclose(np.diff(energies), 0, atol=1e-10)
    atoms.wrap()
    atoms.calc = calculator
    np.testing.assert_allclose(calculate_numerical_forces(atoms, 1e-4, iatoms=[0, 9]), forces[0][[0, 9]], atol=1e-5)
    np.testing.assert_allclose(calculate_numerical_stress(atoms, 1e-4, voigt=False), stresses[0], atol=1e-6)


def test_equilibrium():
    """The reference is without force and stress, and stable: three modes at zero, the guests lowest."""
    calculator = MorseClathrate()
    reference = calculator.reference
    _, forces, stresses = calculator.evaluate(reference.positions[None], reference.cell.array)
    np.testing.assert_allclose(forces, 0, atol=1e-12)
    np.testing.assert_allclose(stresses, 0, atol=1e-12)
    frequencies, _ = diagonalise(calculator.hessian().astype(complex), reference.get_masses())
    np.testing.assert_allclose(frequencies[:3], 0, atol=1e-4)
    assert frequencies[3] > 10


def test_refusals():
    """A bond that the crystal does not have, and atoms that are not those of the reference."""
    with pytest.raises(ValueError, match='no bond K–B'):
        MorseCrystal(clathrate_atoms(), [Bond(('K', 'B'), 1.0, 1.0, 1.0)])
    atoms = clathrate_atoms()[::-1]
    atoms.calc = MorseClathrate()
    with pytest.raises(ValueError, match='in this order'):
        atoms.get_potential_energy()
