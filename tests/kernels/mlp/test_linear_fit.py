"""The closed-form fit recovers what the labels were made of, and chooses its penalty by configurations held out."""

import numpy as np
import pytest
import torch
from mixed_cells import ARCHITECTURE, CELL, SPECIES, SYMBOLS, batch_of, positions, random_model
from numpy.testing import assert_allclose

from aiida_clathrate.kernels.mlp.examples import examples, reference_energies
from aiida_clathrate.kernels.mlp.fitting import Scales
from aiida_clathrate.kernels.mlp.frames import Frames
from aiida_clathrate.kernels.mlp.linear_fit import PENALTIES, Equations, centre, equations, solve
from aiida_clathrate.kernels.mlp.model import predict
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

TEACHER = random_model(network=False)
ATOMS = np.array([-3.0, -1.5])


def labelled(count, seed, symbols=SYMBOLS, atoms=5):
    """Return configurations with the labels of the teacher."""
    numbers = np.array([SPECIES.index(symbol) for symbol in symbols])
    configurations = positions(count, 0.25, seed)[:, :atoms]
    found = [predict(TEACHER, batch_of(each, CELL, numbers)) for each in configurations]
    energies = np.array([float(each.energies[0]) for each in found]) + ATOMS[numbers].sum()
    stresses = np.array([each.virials[0].numpy() for each in found]) * GPA_PER_EV_ANGSTROM3 / np.linalg.det(CELL)
    forces = np.array([each.forces.numpy() for each in found])
    return Frames(symbols, CELL, configurations, energies, forces, stresses)


TRAINING = [labelled(14, 0), labelled(6, 1, ('H', 'C', 'H', 'H'), 4)]
VALIDATION = [labelled(4, 2)]


@pytest.fixture(scope='module')
def fit():
    """Return references, the fit, and its model."""
    settings = TrainingSettings()
    references = reference_energies(TRAINING, SPECIES, None)
    made = [examples(sets, SPECIES, references, ARCHITECTURE, None, torch.float64) for sets in (TRAINING, VALIDATION)]
    student, scales = random_model(network=False), Scales.of(made[0])
    with torch.no_grad():
        centre(student.linear, ARCHITECTURE, [each.batch for each in made[0]])
        parts = [equations(student.linear, ARCHITECTURE, each, scales, settings) for each in made]
    found = solve(*parts, len(SPECIES))
    student.linear.coefficients.copy_(torch.from_numpy(found.coefficients))
    return references, found, student, parts


def test_coefficients(fit):
    """Without noise the coefficients are those of the teacher; a feature that says nothing has none."""
    _, found, _, parts = fit
    expected = TEACHER.linear.coefficients.numpy()
    assert found.penalty == PENALTIES[0]
    assert_allclose(found.coefficients, expected, atol=2e-4 * np.abs(expected).max())
    assert parts[1].loss(np.append(found.coefficients, found.constants)) < 1e-9


def test_energies_of_elements(fit):
    """References and constants together make up for the other middle of the features: energies are right."""
    references, found, student, _ = fit
    for frames in (*TRAINING, *VALIDATION):
        numbers = np.array([SPECIES.index(symbol) for symbol in frames.symbols])
        result = predict(student, batch_of(frames.positions[1], CELL, numbers))
        energy = float(result.energies[0]) + (references + found.constants)[numbers].sum()
        assert energy == pytest.approx(frames.energies[1], abs=1e-5)
        assert_allclose(result.forces, frames.forces[1], atol=1e-5)


def test_loss(fit):
    """The loss is the weighted mean square of what is left of energies, forces and stresses."""
    _, _, _, (training, _) = fit
    references = reference_energies(TRAINING, SPECIES, None)
    made = examples(TRAINING, SPECIES, references, ARCHITECTURE, None, torch.float64)
    scales = Scales.of(made)
    energies = [each.energy / each.atoms / scales.energy for each in made]
    forces = torch.cat([each.forces for each in made]) / scales.force
    virials = torch.stack([each.virial / each.atoms for each in made]) / scales.virial
    expected = np.mean(np.square(energies)) + float(forces.square().mean()) + 0.1 * float(virials.square().mean())
    assert training.loss(np.zeros(len(training.vector))) == pytest.approx(expected, rel=1e-12)


def noisy(rng, count, coefficients, noise):
    """Return the equations of rows with noise."""
    rows = rng.normal(size=(count, len(coefficients)))
    rows[:, -1] = 1
    found = Equations.empty(len(coefficients))
    found.add(rows, rows @ coefficients + noise * rng.normal(size=count), 1 / count)
    return found


def test_penalty():
    """It is the best of all on the configurations held out: much where noise rules, nothing where there is none."""
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=30)
    chosen = {}
    for noise in (0.0, 10.0):
        training, validation = (noisy(rng, count, coefficients, noise) for count in (40, 400))
        found = solve(training, validation, 1)
        chosen[noise] = found.penalty
        loss = validation.loss(np.append(found.coefficients, found.constants))
        exact = np.linalg.solve(training.matrix, training.vector)
        assert loss <= validation.loss(exact) + 1e-12
        if noise == 0:
            assert_allclose(np.append(found.coefficients, found.constants), coefficients, atol=1e-8)
        else:
            assert loss < 0.9 * validation.loss(exact)
    assert chosen[0.0] <= 1e-9
    assert chosen[10.0] >= 1e-2


def test_constants_are_free():
    """A constant far from zero costs next to nothing, whatever the penalty on coefficients."""
    rng = np.random.default_rng(1)
    training, validation = (noisy(rng, count, np.array([0.0, 0.0, 50.0]), 1.0) for count in (50, 400))
    found = solve(training, validation, 1)
    assert found.constants == pytest.approx([50], abs=0.5)


def test_nothing_to_fit():
    """Features that never change cannot be fitted."""
    empty = Equations.empty(3)
    empty.add(np.array([[0.0, 0.0, 1.0]]), np.array([1.0]), 1.0)
    with pytest.raises(ValueError, match='no feature of the linear part varies'):
        solve(empty, empty, 1)
