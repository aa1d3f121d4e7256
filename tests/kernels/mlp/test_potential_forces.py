"""Energies, forces and virials of the model: exact derivatives, and the symmetries of space and of equal atoms."""

import numpy as np
import pytest
import torch
from mixed_cells import ARCHITECTURE, CELL, NUMBERS, batch_of, positions, random_model
from scipy.spatial.transform import Rotation

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.batches import join
from aiida_clathrate.kernels.mlp.model import predict

MODELS = {
    'linear': random_model(network=False),
    'network': random_model(linear=False),
    'both': random_model(),
}
CONFIGURATION = positions()[0]


def evaluate(model, configuration=CONFIGURATION, cell=CELL, numbers=NUMBERS):
    """Return energy, forces and virial of one configuration."""
    found = predict(model, batch_of(configuration, cell, numbers, model.architecture))
    return float(found.energies[0]), found.forces.numpy(), found.virials[0].numpy()


@pytest.fixture(params=MODELS)
def model(request):
    """Return a model with one part or both."""
    return MODELS[request.param]


def check_derivatives(model, configuration=CONFIGURATION, cell=CELL, numbers=NUMBERS, step=1e-4):
    """Check forces and virial against differences of the energy."""
    _, forces, virial = evaluate(model, configuration, cell, numbers)
    slopes = np.zeros_like(forces)
    for index in np.ndindex(forces.shape):
        moved = [configuration.copy() for _ in range(2)]
        moved[0][index] += step
        moved[1][index] -= step
        slopes[index] = (evaluate(model, moved[0], cell, numbers)[0] - evaluate(model, moved[1], cell, numbers)[0]) / (
            2 * step
        )
    scale = np.abs(forces).max()
    np.testing.assert_allclose(forces, -slopes, atol=3e-7 * max(scale, 1))
    for index in np.ndindex(3, 3):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[index] += sign * step
            ends.append(evaluate(model, configuration @ strain, cell @ strain, numbers)[0])
        assert virial[index] == pytest.approx(
            -(ends[0] - ends[1]) / (2 * step), abs=3e-6 * max(np.abs(virial).max(), 1)
        )


def test_derivatives(model):
    """Forces and virial are minus the derivatives with respect to positions and to a homogeneous strain."""
    check_derivatives(model)


@pytest.mark.parametrize(
    'changes',
    [
        {'largest_l': 0},
        {'largest_l': 1},
        {'attention_heads': 0},
        {'triple_products': False},
        {'radial_order': 0, 'angular_order': 0},
        {'angular_cutoff': 1.0},
    ],
    ids='-'.join,
)
def test_architectures(changes):
    """The derivatives are right for the smallest parts too."""
    architecture = Architecture.from_scalars(ARCHITECTURE.scalars() | changes)
    model = random_model(architecture)
    _, forces, _ = evaluate(model)
    moved, step = CONFIGURATION.copy(), 1e-4
    moved[2, 1] += step
    slope = (evaluate(model, moved)[0] - evaluate(model, CONFIGURATION)[0]) / step
    middle = 0.5 * (forces[2, 1] + evaluate(model, moved)[1][2, 1])
    assert middle == pytest.approx(-slope, abs=1e-5 * np.abs(forces).max())


def test_rotation(model):
    """A rotation or a mirror turns the forces and the virial, and leaves the energy."""
    energy, forces, virial = evaluate(model)
    for matrix in (Rotation.from_euler('xyz', [0.4, -1.2, 2.2]).as_matrix(), np.diag([1.0, 1.0, -1.0])):
        turned = evaluate(model, CONFIGURATION @ matrix, CELL @ matrix)
        assert turned[0] == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(turned[1], forces @ matrix, atol=1e-9)
        np.testing.assert_allclose(turned[2], matrix.T @ virial @ matrix, atol=1e-8)


def test_balance(model):
    """The forces add up to zero, and no torque is left: the virial is symmetric."""
    _, forces, virial = evaluate(model)
    assert np.abs(forces).max() > 0.01
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(virial, virial.T, atol=1e-9)


def test_equal_atoms(model):
    """The order of the atoms, a translation, and lattice vectors added to one of them mean nothing."""
    energy, forces, virial = evaluate(model)
    order = np.array([3, 0, 4, 1, 2])
    for places, configuration in (
        (order, CONFIGURATION[order]),
        (np.arange(5), CONFIGURATION + np.array([0.3, -7.1, 2.0])),
        (np.arange(5), CONFIGURATION + np.array([[1, 0, 0], [0, -2, 0], [0, 0, 0], [3, 1, -1], [0, 0, 1]]) @ CELL),
    ):
        found = evaluate(model, configuration, numbers=NUMBERS[places])
        assert found[0] == pytest.approx(energy, abs=1e-10)
        np.testing.assert_allclose(found[1], forces[places], atol=1e-9)
        np.testing.assert_allclose(found[2], virial, atol=1e-9)


def test_supercell(model):
    """A doubled cell has twice the energy and virial, and the same forces."""
    energy, forces, virial = evaluate(model)
    doubled = np.concatenate([CONFIGURATION, CONFIGURATION + CELL[1]])
    found = evaluate(model, doubled, CELL * [[1], [2], [1]], np.tile(NUMBERS, 2))
    assert found[0] == pytest.approx(2 * energy, abs=1e-10)
    np.testing.assert_allclose(found[1], np.tile(forces, (2, 1)), atol=1e-9)
    np.testing.assert_allclose(found[2], 2 * virial, atol=1e-9)


@pytest.mark.parametrize('cutoff', [ARCHITECTURE.radial_cutoff, ARCHITECTURE.angular_cutoff])
def test_smooth_at_the_cutoffs(model, cutoff):
    """Energy and forces go on smoothly where an atom comes within reach."""
    cell = 20 * np.eye(3)
    third = np.array([1.1, 0.7, 0.0])

    def at(distance):
        return evaluate(model, np.array([np.zeros(3), [distance, 0.0, 0.0], third]), cell, [0, 1, 1])

    step = 1e-4
    inside, edge, outside = (at(cutoff + shift) for shift in (-step, 0.0, step))
    assert inside[0] - outside[0] == pytest.approx(2 * step * edge[1][1, 0], abs=2e-7)
    np.testing.assert_allclose(inside[1], outside[1], atol=5e-3 * max(1.0, np.abs(edge[1]).max()))
    # Doubling the step doubles the jump of the force: there is no jump at the cutoff itself.
    jump, wide = outside[1] - inside[1], at(cutoff + 2 * step)[1] - at(cutoff - 2 * step)[1]
    np.testing.assert_allclose(wide, 2 * jump, atol=1e-5 + 0.02 * np.abs(wide).max())


def test_single_precision(model):
    """Single precision is as good as its digits."""
    energy, forces, virial = evaluate(model)
    single = random_model(linear=model.has_linear, network=model.has_network).to(torch.float32)
    found = predict(single, batch_of(CONFIGURATION, dtype=torch.float32))
    assert found.forces.dtype == torch.float32
    assert float(found.energies[0]) == pytest.approx(energy, abs=2e-5 * max(1, abs(energy)))
    np.testing.assert_allclose(found.forces.numpy(), forces, atol=2e-5 * np.abs(forces).max())
    np.testing.assert_allclose(found.virials[0].numpy(), virial, atol=3e-5 * np.abs(virial).max())


def test_joined(model):
    """A batch of different crystals says of each what it says of it alone."""
    parts = [
        (CONFIGURATION, CELL, NUMBERS),
        (positions(seed=4)[0][:2], 0.9 * CELL, [1, 1]),
        (np.zeros((1, 3)), 30 * np.eye(3), [0]),
        (positions(seed=5)[0], 1.1 * CELL, NUMBERS[::-1].copy()),
    ]
    found = predict(model, join([batch_of(*part) for part in parts], ARCHITECTURE), features=True)
    start = 0
    for number, part in enumerate(parts):
        energy, forces, virial = evaluate(model, *part)
        rows = slice(start, start + len(forces))
        assert float(found.energies[number]) == pytest.approx(energy, abs=1e-11)
        np.testing.assert_allclose(found.forces[rows].numpy(), forces, atol=1e-11)
        np.testing.assert_allclose(found.virials[number].numpy(), virial, atol=1e-11)
        alone = predict(model, batch_of(*part), features=True).features
        np.testing.assert_allclose(found.features[rows].numpy(), alone.numpy(), atol=1e-11)
        start += len(forces)


def test_nothing():
    """A model without parts gives no energy and no forces."""
    energy, forces, virial = evaluate(random_model(linear=False, network=False))
    assert energy == 0
    assert not forces.any()
    assert not virial.any()
