"""Third-order tensors on triples of wave vectors: storage, permutations, and the chain of subgroups."""

import numpy as np
import pytest
from springs import clathrate, diamond, fcc, hcp, rocksalt

from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.space_group import space_group
from aiida_clathrate.kernels.sscha.waves import to_waves, wave_vectors

torch = pytest.importorskip('torch')
from aiida_clathrate.kernels.sscha.tensor_symmetry import (  # noqa: E402
    coset_chain,
    multiplication_table,
    tensor_symmetry,
)
from aiida_clathrate.kernels.sscha.triples import Triples  # noqa: E402


def tensors_of(fields, mesh):
    """Return Σ u u u of some displacements of the supercell: symmetric in its indices and translation invariant."""
    triples = Triples(mesh)
    waves = triples.full_mesh(to_waves(fields, mesh), torch.device('cpu'))
    return [
        torch.einsum('ca,pcx,pcy->apxy', waves[q], waves[pairs[:, 0]], waves[pairs[:, 1]])
        for q, pairs in zip(triples.vectors.kept, triples.pairs, strict=True)
    ]


def invariant(tensors, triples):
    """Return the sum of the squares of all elements in the supercell."""
    pairs = zip(triples.vectors.weights, triples.weights, tensors, strict=True)
    return sum(w * float((torch.from_numpy(p)[:, None, None] * t.abs() ** 2).sum()) for w, p, t in pairs)


@pytest.mark.parametrize('mesh', [(2, 2, 1), (3, 1, 1), (3, 2, 1)])
def test_triples(mesh):
    """Each pair adds up with its q, all pairs are there, and permutations find every element."""
    triples, points = Triples(mesh), wave_vectors(mesh).kept
    assert sum(weights.sum() for weights in triples.weights) == len(points) * np.prod(mesh)
    fields = np.random.default_rng(0).normal(size=(4, 2 * int(np.prod(mesh)), 3))
    tensors = tensors_of(fields, mesh)
    for ours, theirs in zip(triples.symmetrise_indices(tensors), tensors, strict=True):
        torch.testing.assert_close(ours, theirs)
    # The norm is that of the tensor of the supercell, averaged over translations.
    size = fields.shape[1] * 3
    cube = np.einsum('cx,cy,cz->xyz', *3 * [fields.reshape(4, size)])
    blocks = cube.reshape(*3 * [*mesh, 6])
    moved = [np.roll(blocks, np.tile(cell, 3), (0, 1, 2, 4, 5, 6, 8, 9, 10)) for cell in np.ndindex(*mesh)]
    assert invariant(tensors, triples) == pytest.approx((np.mean(moved, axis=0) ** 2).sum())


@pytest.mark.parametrize(
    ('crystal', 'factors'),
    [(clathrate(), [2, 2, 2, 3]), (fcc(), [2, 2, 2, 2, 3]), (hcp(), [2, 2, 2, 3])],
)
def test_chain(crystal, factors):
    """The steps multiply to the order of the group and the products of their operations are all of it, once."""
    group = space_group(crystal)
    chain = coset_chain(group)
    assert sorted(1 + len(cosets) for cosets in chain) == factors
    table = multiplication_table(group)
    identity = next(i for i in range(len(group)) if np.array_equal(table[i], np.arange(len(group))))
    products = [identity]
    for cosets in chain:
        products = [int(table[number, product]) for number in [identity, *cosets] for product in products]
    assert sorted(products) == list(range(len(group)))


@pytest.mark.parametrize(
    ('crystal', 'mesh'),
    [
        (diamond(), (2, 2, 2)),
        (hcp(), (3, 3, 1)),
        (rocksalt(), (1, 1, 1)),
        (supercell_crystal(hcp(), (1, 1, 2)), (1, 1, 2)),
    ],
)
def test_average(crystal, mesh):
    """The average is that over the turned displacements of the supercell, and a second one changes nothing."""
    triples = Triples(mesh)
    supercell = supercell_crystal(crystal, mesh)
    fields = np.random.default_rng(1).normal(size=(3, len(supercell.symbols), 3))
    tensors = tensors_of(fields, mesh)
    symmetry = tensor_symmetry(crystal, triples, tensors[0])
    average = symmetry.average(tensors)
    group = space_group(supercell)
    turned = np.zeros((len(group), *fields.shape))
    for operation, (permutation, rotation) in enumerate(zip(group.permutations, group.cartesian, strict=True)):
        turned[operation][:, permutation] = fields @ rotation.T
    expected = tensors_of(turned.reshape(-1, *fields.shape[1:]), mesh)
    for ours, theirs, twice in zip(average, expected, symmetry.average(average), strict=True):
        torch.testing.assert_close(ours, theirs / len(group), atol=1e-10, rtol=0)
        torch.testing.assert_close(ours, twice, atol=1e-12, rtol=0)
    assert invariant(average, triples) < 0.9 * invariant(tensors, triples)
