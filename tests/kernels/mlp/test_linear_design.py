"""The design of the linear part against the model itself, one coefficient at a time."""

import numpy as np
import pytest
import torch
from mixed_cells import ARCHITECTURE, CELL, NUMBERS, batch_of, positions, random_model

from aiida_clathrate.kernels.mlp import design as design_module
from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.design import design
from aiida_clathrate.kernels.mlp.model import predict


def check(architecture, batch):
    """Check each column against what the model gives with one coefficient alone, which differentiates by torch."""
    model = random_model(architecture, network=False)
    with torch.no_grad():
        found = design(model.linear, architecture, batch)
        shape = model.linear.coefficients.shape
    for column in range(shape.numel()):
        model.linear.coefficients.zero_()
        model.linear.coefficients.view(-1)[column] = 1
        expected = predict(model, batch)
        assert float(found.energies[column]) == pytest.approx(float(expected.energies[0]), abs=1e-9)
        np.testing.assert_allclose(found.forces[..., column], expected.forces, atol=1e-9)
        np.testing.assert_allclose(found.virials[..., column], expected.virials[0], atol=1e-9)


@pytest.mark.parametrize('changes', [{}, {'largest_l': 1}, {'largest_l': 0}, {'triple_products': False}])
def test_columns(changes):
    """Energies, forces and virials of all coefficients are those of the model."""
    architecture = Architecture.from_scalars(ARCHITECTURE.scalars() | {'linear_channels': 2} | changes)
    check(architecture, batch_of(positions()[0], architecture=architecture))


def test_parts(monkeypatch):
    """Atoms one after the other give what all at once give."""
    monkeypatch.setattr(design_module, 'HELD', 1)
    architecture = Architecture.from_scalars(ARCHITECTURE.scalars() | {'linear_channels': 1})
    check(architecture, batch_of(positions()[0], architecture=architecture))


@pytest.mark.parametrize('size', [30.0, 4.2], ids=['alone', 'beyond the angular cutoff'])
def test_few_neighbours(size):
    """Atoms without neighbours in one shell or both have features that do not change."""
    check(ARCHITECTURE, batch_of(np.zeros((1, 3)), size * np.eye(3), [1]))


def test_weights_add_up():
    """Energies, forces and virials of a linear model are products of design and coefficients."""
    model, batch = random_model(network=False), batch_of(positions()[0], CELL, NUMBERS)
    found, expected = design(model.linear, ARCHITECTURE, batch), predict(model, batch)
    coefficients = model.linear.coefficients.flatten()
    np.testing.assert_allclose(found.energies @ coefficients, expected.energies[0], rtol=1e-10)
    np.testing.assert_allclose(found.forces @ coefficients, expected.forces, atol=1e-9)
    np.testing.assert_allclose(found.virials @ coefficients, expected.virials[0], atol=1e-9)
