"""Chebyshev polynomials of the distance."""

import numpy as np
import pytest
import torch
from numpy.polynomial.chebyshev import Chebyshev

from aiida_clathrate.kernels.mlp.radial import chebyshev

CUTOFF, ORDER = 5.3, 12


def basis(distances):
    """Return values and derivatives as arrays."""
    return [found.numpy() for found in chebyshev(torch.as_tensor(distances, dtype=torch.float64), ORDER, CUTOFF)]


def test_values():
    """They are T_k(2r/R − 1) times ½ (cos(πr/R) + 1)."""
    distances = np.linspace(0.1, CUTOFF, 40)
    window = 0.5 * (np.cos(np.pi * distances / CUTOFF) + 1)
    expected = [Chebyshev.basis(order)(2 * distances / CUTOFF - 1) * window for order in range(ORDER + 1)]
    np.testing.assert_allclose(basis(distances)[0], expected, atol=1e-13)


def test_derivatives():
    """They are the slopes of the values."""
    distances, step = np.linspace(0.2, CUTOFF - 1e-3, 40), 1e-5
    slopes = (basis(distances + step)[0] - basis(distances - step)[0]) / (2 * step)
    np.testing.assert_allclose(basis(distances)[1], slopes, atol=2e-7)


def test_cutoff():
    """Value and slope go to zero at the cutoff, as the square of what is left and as what is left, and stay there."""
    near = np.array([1e-2, 1e-3])
    values, slopes = np.abs(np.array(basis(CUTOFF - near))).max(axis=1)
    assert values[1] < 1.1e-2 * values[0] < 1e-5
    assert slopes[1] < 0.11 * slopes[0] < 1e-3
    values, slopes = basis([CUTOFF, CUTOFF + 1e-9, CUTOFF + 3])
    assert not values.any()
    assert np.abs(slopes).max() < 1e-15


@pytest.mark.parametrize('order', [0, 1])
def test_low_orders(order):
    """There may be one or two functions only."""
    values, slopes = chebyshev(torch.tensor([2.0], dtype=torch.float64), order, CUTOFF)
    np.testing.assert_array_equal(values[:, 0], basis([2.0])[0][: order + 1, 0])
    np.testing.assert_array_equal(slopes[:, 0], basis([2.0])[1][: order + 1, 0])
