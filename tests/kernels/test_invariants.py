"""The independent parameters of force constants."""

import numpy as np
import pytest
from springs import diamond, fcc, hcp, hydrogen, rocksalt, spring_matrices

from aiida_clathrate.kernels.invariants import Invariants, invariant_tensor, invariant_vectors
from aiida_clathrate.kernels.space_group import space_group
from aiida_clathrate.kernels.symmetry import representation

CASES = [(diamond(), (2, 2, 2)), (rocksalt(), (3, 3, 3)), (hcp(), (3, 3, 2)), (hydrogen(), (2, 2, 2))]


@pytest.mark.parametrize(('crystal', 'mesh'), CASES)
def test_basis(crystal, mesh):
    """The basis is orthonormal, keeps what is symmetric, and its size is the trace of the group average."""
    invariants = Invariants(crystal, mesh)
    np.testing.assert_allclose((invariants.basis @ invariants.basis.T).toarray(), np.eye(len(invariants)), atol=1e-12)
    matrices = spring_matrices(crystal, mesh).force_constants
    np.testing.assert_allclose(invariants.matrices(invariants.coefficients(matrices)), matrices, atol=1e-10)


@pytest.mark.parametrize(('crystal', 'mesh'), CASES)
def test_every_element_of_the_basis_is_symmetric(crystal, mesh):
    """U M(q) U† = M(q') for every operation, by the representation in q space: another way to the same."""
    invariants, group = Invariants(crystal, mesh), space_group(crystal)
    matrices = invariants.matrices(np.eye(len(invariants)))
    images = group.images(mesh)
    points = spring_matrices(crystal, mesh).qpoints
    for q, point in enumerate(points):
        unitary = representation(group, point)
        turned = unitary[:, None] @ matrices[None, :, q] @ np.swapaxes(unitary, -1, -2).conj()[:, None]
        np.testing.assert_allclose(turned, matrices[:, images[:, q]].swapaxes(0, 1), atol=1e-12)


def test_number_of_parameters():
    """It is the trace of the group average, from the characters of the little groups: 5 for fcc and 2×2×2."""
    group = space_group(fcc())
    mesh = (2, 2, 2)
    points = spring_matrices(fcc(), mesh).qpoints
    images = group.images(mesh)
    trace = 0.0
    for q, point in enumerate(points):
        unitary = representation(group, point)
        kept = images[:, q] == q
        # Trace of the average on hermitian real 3×3: the symmetric square of the representation.
        traces = np.einsum('gii->g', unitary[kept]).real
        squares = np.einsum('gij,gji->g', unitary[kept], unitary[kept]).real
        trace += (0.5 * (traces**2 + squares)).sum() / len(group)
    assert len(Invariants(fcc(), mesh)) == pytest.approx(trace) == 5


def test_vectors_and_tensors():
    """Wyckoff positions without freedom feel no force; a cubic tensor is isotropic, a uniaxial one has two numbers."""
    random = np.random.default_rng(0).normal(size=(4, 2, 3))
    np.testing.assert_allclose(invariant_vectors(space_group(diamond()), random), 0, atol=1e-14)
    tensor = np.random.default_rng(1).normal(size=(3, 3))
    np.testing.assert_allclose(
        invariant_tensor(space_group(diamond()), tensor), np.trace(tensor) / 3 * np.eye(3), atol=1e-14
    )
    uniaxial = invariant_tensor(space_group(hcp()), tensor)
    expected = np.diag([(tensor[0, 0] + tensor[1, 1]) / 2] * 2 + [tensor[2, 2]])
    np.testing.assert_allclose(uniaxial, expected, atol=1e-12)


def test_mesh_of_less_symmetry_has_no_basis():
    """A mesh that breaks the symmetry of the crystal is refused."""
    with pytest.raises(ValueError, match='breaks the symmetry'):
        len(Invariants(diamond(), (2, 1, 1)))
