"""The evaluator of many configurations says of each what the model says with its exact neighbours."""

import numpy as np
import pytest
import torch
from mixed_cells import ARCHITECTURE, CELL, NUMBERS, SYMBOLS, batch_of, positions, random_potential
from springs import rocksalt, spring_matrices

from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.mlp import evaluator as evaluator_module
from aiida_clathrate.kernels.mlp.baseline import Baseline
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator
from aiida_clathrate.kernels.mlp.examples import examples
from aiida_clathrate.kernels.mlp.frames import Frames
from aiida_clathrate.kernels.mlp.model import Model, predict
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

POTENTIAL = random_potential()


def double(potential=POTENTIAL, symbols=SYMBOLS, **options):
    """Return an evaluator in double precision."""
    return PotentialEvaluator(potential, symbols, precision='double', **options)


def exact(configurations, cell=CELL, potential=POTENTIAL):
    """Return energies, forces and stresses one by one, with neighbours of each configuration."""
    model = Model.from_arrays(potential.architecture, 2, potential.weights)
    found = [predict(model, batch_of(each, cell)) for each in configurations]
    reference = potential.weights['reference'][NUMBERS].sum()
    return (
        np.array([float(each.energies[0]) for each in found]) + reference,
        np.array([each.forces.numpy() for each in found]),
        -np.array([each.virials[0].numpy() for each in found]) / np.linalg.det(cell),
    )


def check(found, expected, tolerance=1e-9):
    """Check energies, forces and stresses."""
    for one, other in zip(found[:3], expected, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)


def test_exact_neighbours():
    """Pairs that are looked for once give what each configuration's own would."""
    configurations = positions(7, 0.3)
    check(double().evaluate(configurations, CELL), exact(configurations))


def test_scores():
    """The expected error is a · score^b, with the root mean square of |W (x, 1)| over the atoms."""
    configurations = positions(3)
    model = Model.from_arrays(ARCHITECTURE, 2, POTENTIAL.weights)
    scores = []
    for each in configurations:
        features = predict(model, batch_of(each), features=True).features.numpy()
        ends = [
            POTENTIAL.weights['spread_factor'][number] @ np.append(row, 1)
            for number, row in zip(NUMBERS, features, strict=True)
        ]
        scores.append(np.sqrt(np.mean([end @ end for end in ends])))
    found = double().evaluate_scored(configurations, CELL)
    np.testing.assert_allclose(found[3], np.exp(-1.0) * np.array(scores) ** 0.8, rtol=1e-9)
    check(found, exact(configurations))


def test_batches_and_threads(monkeypatch):
    """Neither the number of threads nor the size of the batches changes a number."""
    configurations = positions(9, 0.2)
    whole = double().evaluate_scored(configurations, CELL)
    monkeypatch.setattr(evaluator_module, 'ATOMS_AT_A_TIME', 2 * len(SYMBOLS))
    one = double().evaluate_scored(configurations, CELL)
    two = double(threads=2).evaluate_scored(configurations, CELL)
    for first, second, third in zip(whole, one, two, strict=True):
        np.testing.assert_allclose(second, first, atol=1e-10)
        np.testing.assert_array_equal(third, second)


def test_far_configurations():
    """An evaluator that has seen a configuration finds all neighbours of others, near or far, and in another cell."""
    found = double()
    near = positions(2, 0.02)
    check(found.evaluate(near, CELL), exact(near))
    known = found.candidates
    check(found.evaluate(near + 0.03, CELL), exact(near))
    assert found.candidates is known, 'small moves need no new search'
    far = positions(4, 0.8, seed=3)
    check(found.evaluate(far, CELL), exact(far))
    assert found.candidates is not known
    moved = near + np.array([0, 1, 0, -2, 3])[:, None] * CELL[2]
    check(found.evaluate(moved, CELL), exact(near))
    smaller = near @ np.linalg.solve(CELL, 0.8 * CELL)
    check(found.evaluate(smaller, 0.8 * CELL), exact(smaller, 0.8 * CELL))
    # The same lattice constants to the eye: only the cell says that an image has come nearer.
    sheared = CELL + np.array([[0, 0, 0], [0, 0, 0], [0.9, 0, 0]])
    check(found.evaluate(near, sheared), exact(near, sheared))


def test_drift_within_reach():
    """Many small steps away from the first configuration add up, and are seen."""
    found, configuration = double(), positions(1, 0.02)
    direction = np.random.default_rng(2).normal(size=(5, 3))
    direction -= direction.mean(axis=0)
    for step in range(6):
        moved = configuration + 0.08 * step * direction
        check(found.evaluate(moved, CELL), exact(moved))


def test_atoms_that_meet():
    """Two atoms that come towards each other are found in time, as are images when the cell shrinks around them."""
    cutoff, cell = ARCHITECTURE.radial_cutoff, 14 * np.eye(3)
    found = double(symbols=('C', 'H'))
    apart = np.array([[[0, 0, 0], [cutoff + 0.35, 0, 0]]])
    assert not found.evaluate(apart, cell)[1].any()
    closer = apart + np.array([[0.4, 0, 0], [-0.4, 0, 0]])
    fresh = double(symbols=('C', 'H'))
    expected = fresh.evaluate(closer, cell)[1]
    assert expected.any()
    np.testing.assert_allclose(found.evaluate(closer, cell)[1], expected, atol=1e-12)
    found.evaluate(apart, cell)
    smaller = 0.7
    expected = double(symbols=('C', 'H')).evaluate(smaller * apart, smaller * cell)[1]
    np.testing.assert_allclose(found.evaluate(smaller * apart, smaller * cell)[1], expected, atol=1e-12)


def test_single_precision():
    """Single precision, with sums and references in double, is good to its digits."""
    configurations = positions(3)
    energies, forces, stresses = exact(configurations)
    found = PotentialEvaluator(POTENTIAL, SYMBOLS).evaluate(configurations, CELL)
    assert all(array.dtype == np.float64 for array in found)
    np.testing.assert_allclose(found[0], energies, atol=1e-5 * np.abs(energies).max())
    np.testing.assert_allclose(found[1], forces, atol=3e-5 * np.abs(forces).max())
    np.testing.assert_allclose(found[2], stresses, atol=3e-5 * np.abs(stresses).max())


def test_stress():
    """The stress is dE/dε / V, positive in tension as in ASE; frames have the opposite sign, in GPa."""
    configuration, step = positions(1), 1e-4
    _, forces, stresses = double().evaluate(configuration, CELL)
    volume = np.linalg.det(CELL)
    for index in np.ndindex(3, 3):
        strain = np.zeros((3, 3))
        strain[index] = step
        ends = [
            double().evaluate(configuration @ (np.eye(3) + sign * strain), CELL @ (np.eye(3) + sign * strain))[0][0]
            for sign in (1, -1)
        ]
        assert stresses[0][index] == pytest.approx((ends[0] - ends[1]) / (2 * step * volume), abs=1e-6)
    frames = Frames(SYMBOLS, CELL, configuration, np.zeros(1), forces, -GPA_PER_EV_ANGSTROM3 * stresses)
    virial = examples([frames], ('C', 'H'), np.zeros(2), ARCHITECTURE, None, torch.float64)[0].virial
    model = Model.from_arrays(ARCHITECTURE, 2, POTENTIAL.weights)
    predicted = predict(model, batch_of(configuration[0])).virials[0]
    np.testing.assert_allclose(virial.numpy(), predicted.numpy(), atol=1e-9)


def test_baseline_is_added():
    """With a baseline, the energies are those of network and matrices."""
    matrices = spring_matrices(rocksalt(), (2, 1, 1))
    supercell = supercell_crystal(matrices.crystal, matrices.mesh)
    species = tuple(sorted(set(supercell.symbols)))
    bare = random_potential()
    plain = type(bare)(ARCHITECTURE, species, bare.weights)
    configurations = supercell.positions @ supercell.cell + np.random.default_rng(0).normal(0, 0.1, (2, 4, 3))
    without = double(plain, supercell.symbols).evaluate(configurations, supercell.cell)
    combined = double(type(bare)(ARCHITECTURE, species, bare.weights, matrices), supercell.symbols)
    energies, forces, virials = Baseline(matrices)(configurations, supercell.cell)
    volume = abs(np.linalg.det(supercell.cell))
    expected = (without[0] + energies, without[1] + forces, without[2] - virials / volume)
    check(combined.evaluate(configurations, supercell.cell), expected)
    with pytest.raises(ValueError, match='has a harmonic baseline for the supercell 2×1×1'):
        double(combined.potential, supercell.symbols[::-1]).evaluate(configurations, supercell.cell)
    with pytest.raises(ValueError, match='by more than a fifth'):
        combined.evaluate(configurations, 1.3 * supercell.cell)


def test_refused():
    """Elements that are not known, weights of another architecture and atoms on each other are refused."""
    with pytest.raises(ValueError, match='knows C, H, not Xe'):
        PotentialEvaluator(POTENTIAL, ('C', 'Xe'))
    weights = dict(POTENTIAL.weights)
    del weights['network.readout']
    with pytest.raises(ValueError, match=r'network\.readout is missing'):
        PotentialEvaluator(type(POTENTIAL)(ARCHITECTURE, ('C', 'H'), weights), SYMBOLS)
    configuration = positions(1)
    configuration[0, 1] = configuration[0, 0] + CELL[0]
    with pytest.raises(KernelError, match='lie on each other'):
        double().evaluate(configuration, CELL)


def test_isolated_atom():
    """An atom without neighbours has an energy, no force and no stress."""
    energies, forces, stresses = double(symbols=('C',)).evaluate(np.zeros((1, 1, 3)), 20 * np.eye(3))
    assert np.isfinite(energies).all()
    assert not forces.any()
    assert not stresses.any()
