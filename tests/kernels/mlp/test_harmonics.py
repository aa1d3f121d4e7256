"""Real harmonics against Legendre polynomials, and the couplings of three against closed forms and rotations."""

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import Legendre
from scipy.spatial.transform import Rotation

from aiida_clathrate.kernels.mlp.harmonics import couplings, gaunt, harmonics
from aiida_clathrate.kernels.mlp.weights import TRIPLE_L

LARGEST = 12


def unit_vectors(count, seed=0):
    """Return random directions, the poles among them, shape (3, count)."""
    vectors = np.random.default_rng(seed).normal(size=(3, count))
    vectors[:, :2] = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, -1.0]])
    return vectors / np.linalg.norm(vectors, axis=0)


def values(vectors, largest_l=LARGEST):
    """Return the harmonics as an array."""
    return harmonics(torch.from_numpy(vectors), largest_l)[0].numpy()


def representation(order, rotation):
    """Return D with S(R u) = D S(u) for one angular momentum."""
    own = slice(order**2, (order + 1) ** 2)
    points = unit_vectors(60)
    turned, before = values(rotation @ points, order)[own], values(points, order)[own]
    return np.linalg.lstsq(before.T, turned.T, rcond=None)[0].T


def test_addition_theorem():
    """Σ_m S_lm(u) S_lm(v) = P_l(u·v)."""
    u, v = unit_vectors(12, 1), unit_vectors(9, 2)
    products = np.einsum('au,av->auv', values(u), values(v))
    for order in range(LARGEST + 1):
        expected = Legendre.basis(order)(u.T @ v)
        np.testing.assert_allclose(products[order**2 : (order + 1) ** 2].sum(0), expected, atol=2e-13)


def test_first_components():
    """Component l² + l + m is that of m: for l = 1 they are y, z, x."""
    points = unit_vectors(5)
    np.testing.assert_allclose(values(points, 1), [np.ones(5), points[1], points[2], points[0]], atol=1e-15)


def test_gradients():
    """Along the sphere the gradients are those of the values."""
    points, step = unit_vectors(8, 3), 1e-6
    found = harmonics(torch.from_numpy(points), LARGEST)[1].numpy()
    for direction in np.eye(3):
        tangent = direction[:, None] - points * (direction @ points)
        ends = [values((moved := points + sign * step * tangent) / np.linalg.norm(moved, axis=0)) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose((found * tangent[:, None]).sum(0), slope, atol=2e-8)


@pytest.mark.parametrize('orders', couplings(TRIPLE_L))
def test_coupling_is_invariant(orders):
    """A rotation of all three indices leaves a coupling as it is."""
    rotation = Rotation.from_euler('zyz', [0.3, 1.1, -0.7]).as_matrix()
    tensor = gaunt(*orders)
    first, second, third = (representation(order, rotation) for order in orders)
    np.testing.assert_allclose(np.einsum('abc,xa,yb,zc->xyz', tensor, first, second, third), tensor, atol=1e-11)
    assert np.linalg.norm(tensor) == pytest.approx(1)


def test_coupling_of_two_vectors_and_a_quadrupole():
    """Contracted with unit vectors a, b and the quadrupole of c, (1, 1, 2) is ½ (3 (a·c)(b·c) − a·b) over its norm."""
    a, b, c = (unit_vectors(3, seed)[:, 2] for seed in (4, 5, 6))
    contracted = np.einsum('abc,a,b,c->', gaunt(1, 1, 2), *(values(v[:, None], 2)[own, 0] for v, own in (
        (a, slice(1, 4)), (b, slice(1, 4)), (c, slice(4, 9)))))  # fmt: skip
    # Norm 1: five components, each of ½ (3 ĉĉ − 1), whose squares add up to 3/2.
    expected = (1.5 * (a @ c) * (b @ c) - 0.5 * a @ b) / np.sqrt(7.5)
    assert contracted == pytest.approx(expected, abs=1e-13)


def test_couplings_are_even_and_complete():
    """Which products of three have an invariant: triangles whose sum is even."""
    assert couplings(3) == ((1, 1, 2), (1, 2, 3), (2, 2, 2), (2, 3, 3))
    for orders in couplings(3):
        assert np.abs(gaunt(*orders)).max() > 0.1
