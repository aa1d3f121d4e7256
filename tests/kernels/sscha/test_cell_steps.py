"""Steps of the cell towards a pressure, and the pressure tensor as the derivative of the free energy."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from morse_clathrate import Bond, MorseCrystal
from springs import spring_matrices

from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.sscha.cell import LARGEST_STRAIN, MeasuredCell, next_strain, reached, strained
from aiida_clathrate.kernels.sscha.minimisation import minimise
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.settings import Settings
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

#: A tetragonal crystal of caesium chloride's kind: eight bonds between the two atoms, and one along each edge.
SIDES = np.array([2.6, 2.6, 3.0])
ATOMS = Atoms('LiH', scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=SIDES, pbc=True)
BONDS = (
    Bond(('Li', 'H'), 0.5 * float(np.linalg.norm(SIDES)), 2.0, 1.3),
    *(Bond((name, name), side, 1.0, 1.1) for name in ('Li', 'H') for side in (2.6, 3.0)),
)
MORSE = MorseCrystal(ATOMS, BONDS)


def measure(cell):
    """Return the static pressure of the crystal in a cell."""
    _, _, stresses = MORSE.evaluate((ATOMS.get_scaled_positions() @ cell)[None], cell)
    return MeasuredCell(cell, -GPA_PER_EV_ANGSTROM3 * stresses[0], np.full((3, 3), 1e-6))


@pytest.mark.parametrize(
    ('target', 'modulus', 'most'), [(20.0, 100.0, 7), (20.0, 30.0, 9), (20.0, 300.0, 9), (-3.0, 100.0, 7)]
)
def test_way_to_a_pressure(target, modulus, most):
    """An anisotropic crystal gets there in a few cells, from a bulk modulus that is wrong by a factor."""
    history = [measure(ATOMS.cell.array.copy())]
    while not reached(history[-1], target, 0.05):
        strain = next_strain(history, target, modulus)
        np.testing.assert_allclose(strain, strain.T, atol=1e-15)
        assert np.abs(strain).max() <= LARGEST_STRAIN + 1e-15
        assert strain[0, 0] == pytest.approx(strain[1, 1], abs=1e-12)
        history.append(measure(history[-1].cell @ (np.eye(3) + strain)))
        assert len(history) < 20
    assert len(history) <= most
    ratio = history[-1].cell[2, 2] / history[-1].cell[0, 0]
    assert abs(ratio - 3.0 / 2.6) > 1e-3


def test_shear():
    """A sheared crystal loses its shear, and the strain does not turn it."""
    shear = np.array([[0, 0.01, 0], [0.01, 0, 0.005], [0, 0.005, 0]])
    history = [measure(ATOMS.cell.array @ (np.eye(3) + shear))]
    for _ in range(8):
        history.append(measure(history[-1].cell @ (np.eye(3) + next_strain(history, 0.0))))
    assert reached(history[-1], 0.0, 0.1)
    metric = history[-1].cell @ history[-1].cell.T
    np.testing.assert_allclose(metric, np.diag(SIDES**2), atol=0.01)


def test_noise_teaches_nothing():
    """A change of the pressure within its error leaves the response as it was."""
    cell = np.diag([4.0, 4.0, 4.0])
    noisy = [MeasuredCell(cell, np.diag([p, p, p]), np.full((3, 3), 1.0)) for p in (5.0, 5.4)]
    noisy[1] = replace(noisy[1], cell=1.001 * cell)
    np.testing.assert_allclose(next_strain(noisy, 0.0), 5.4 / 300 * np.eye(3), atol=1e-15)
    known = [replace(each, error=np.full((3, 3), 0.01)) for each in noisy]
    # The pressure rose with the volume: nothing to learn from that either.
    np.testing.assert_allclose(next_strain(known, 0.0), 5.4 / 300 * np.eye(3), atol=1e-15)


def test_largest_strain_and_bad_input():
    """A step has a limit; a history without cells and a modulus that is none are refused."""
    cell = MeasuredCell(np.eye(3) * 4, 50 * np.eye(3), np.full((3, 3), 0.1))
    np.testing.assert_allclose(next_strain([cell], 0.0), LARGEST_STRAIN * np.eye(3))
    assert np.all(next_strain([cell], 50.0) == 0)
    with pytest.raises(ValueError, match='at least one cell'):
        next_strain([], 0.0)
    with pytest.raises(ValueError, match='bulk_modulus: must be positive, not 0'):
        next_strain([cell], 0.0, 0.0)


def test_reached():
    """Each element of the tensor counts, and the larger of tolerance and error."""
    cell = MeasuredCell(np.eye(3) * 4, np.diag([10.0, 10.2, 9.9]), np.full((3, 3), 0.1))
    assert not reached(cell, 10.0, 0.05)
    assert reached(cell, 10.0, 0.25)
    assert reached(replace(cell, error=np.full((3, 3), 0.3)), 10.0, 0.05)
    assert not reached(replace(cell, pressure=cell.pressure + 5 * (1 - np.eye(3))), 10.0, 0.25)


def test_strained_matrices():
    """Fractional coordinates and Φ stay, the cell is strained."""
    matrices = spring_matrices(Crystal.from_ase(ATOMS), (2, 2, 1))
    strain = np.diag([0.01, 0.01, -0.02])
    found = strained(replace(matrices, pressure=3.0), strain)
    np.testing.assert_allclose(found.crystal.cell, matrices.crystal.cell * [1.01, 1.01, 0.98])
    np.testing.assert_array_equal(found.crystal.positions, matrices.crystal.positions)
    np.testing.assert_array_equal(found.force_constants, matrices.force_constants)
    assert found.pressure is None


def free_minimum(side, height, seed=0, number=4000):
    """Return the minimum in a tetragonal cell, forces from the bonds."""
    cell = np.diag([side, side, height])
    crystal = replace(Crystal.from_ase(ATOMS), cell=cell)
    start = impose_constraints(DynamicalMatrices(crystal, (1, 1, 1), MORSE.hessian()[None].astype(complex))).matrices
    for population in range(3):
        ensemble = sample(start, 300.0, number, seed + population)
        energies, forces, stresses = MORSE.evaluate(ensemble.positions, cell)
        stresses = -GPA_PER_EV_ANGSTROM3 * stresses
        ensemble = replace(ensemble, energies=energies, forces=forces, stresses=stresses, source='morse')
        minimum = minimise(ensemble, Settings(meaningful_factor=1e-4))
        start = minimum.matrices
    assert minimum.reason == 'converged'
    return minimum


@pytest.mark.parametrize('axis', ['side', 'height'])
def test_pressure_is_the_derivative_of_the_free_energy(axis):
    """−∂F/∂ε of one element over the volume, by differences of cells strained by 1 %, quantum motion included."""
    step, values = 0.01, {'side': 2.6, 'height': 3.0}
    middle = free_minimum(**values)
    ends = [free_minimum(**values | {axis: values[axis] * (1 + sign * step)}) for sign in (1, -1)]
    energies = [float(end.averages.free_energy.value) for end in ends]
    volume = 2.6**2 * 3.0
    difference = -GPA_PER_EV_ANGSTROM3 * (energies[0] - energies[1]) / (2 * step * volume)
    error = np.hypot(*(float(end.averages.free_energy.error) for end in ends))
    error *= GPA_PER_EV_ANGSTROM3 / (2 * step * volume)
    element, count = ((0, 0), 2) if axis == 'side' else ((2, 2), 1)
    pressure, sigma = count * middle.pressure.value[element], count * middle.pressure.error[element]
    assert abs(pressure) > 20 * sigma  # zero-point motion and temperature: the crystal itself has no static stress
    # Third derivatives of the energy along the strain add a percent.
    assert abs(difference - pressure) < 3 * np.hypot(error, sigma) + 0.02 * abs(pressure)
