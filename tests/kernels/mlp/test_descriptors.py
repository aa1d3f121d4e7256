"""The moments and their invariants hold the published descriptors, here as sums over pairs and triples of atoms."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from mixed_cells import ARCHITECTURE, CELL, NUMBERS, SYMBOLS, batch_of, positions, random_model
from numpy.polynomial import chebyshev, legendre

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.harmonics import couplings, gaunt
from aiida_clathrate.kernels.mlp.invariants import Invariants
from aiida_clathrate.kernels.mlp.moments import AngularMoments, RadialMoments

ORDERS = Architecture(radial_order=12, radial_cutoff=5.0, angular_order=2, angular_cutoff=3.9, largest_l=10)


def neighbours_of(configuration, cutoff):
    """Return for each atom numbers of the species, distances and directions of the neighbours, found by ASE."""
    atoms = Atoms(SYMBOLS, positions=configuration, cell=CELL, pbc=True)
    first, second, vectors = neighbor_list('ijD', atoms, cutoff)
    for atom in range(len(atoms)):
        lengths = np.linalg.norm(vectors[first == atom], axis=1)
        yield NUMBERS[second[first == atom]], lengths, vectors[first == atom] / lengths[:, None]


def window(distances, cutoff):
    """Return f_c."""
    return 0.5 * (np.cos(np.pi * distances / cutoff) + 1)


def test_radial():
    """Σ_j T_n(2r/R − 1) f_c of Artrith, Urban and Ceder, eq. 3, for the neighbours of each species."""
    configuration = positions()[0]
    found = RadialMoments(batch_of(configuration, architecture=ORDERS).radial, ORDERS).moments().numpy()
    for atom, (species, distances, _) in enumerate(neighbours_of(configuration, ORDERS.radial_cutoff)):
        for number in (0, 1):
            own = distances[species == number]
            terms = (
                chebyshev.chebvander(2 * own / ORDERS.radial_cutoff - 1, 12)
                * window(own, ORDERS.radial_cutoff)[:, None]
            )
            np.testing.assert_allclose(found[atom, 13 * number : 13 * (number + 1)], terms.sum(0), atol=1e-11)


def test_angular():
    """Σ_(j<k) T_n(cos θ) f_c f_c, eq. 5 of the same, n ≤ 10, is a combination of squares of the moments."""
    configuration = positions()[0]
    found = AngularMoments(batch_of(configuration, architecture=ORDERS).angular, ORDERS).moments().numpy()
    # Σ_(sk) with k = 0 alone, without the species: the amplitudes of f_c S_lm.
    amplitudes = found[:, :, 0] + found[:, :, 3]
    powers = np.add.reduceat(amplitudes**2, np.arange(11) ** 2, axis=0)
    in_legendre = [legendre.poly2leg(chebyshev.cheb2poly(np.eye(11)[order])) for order in range(11)]
    for atom, (_, distances, directions) in enumerate(neighbours_of(configuration, ORDERS.angular_cutoff)):
        windows = window(distances, ORDERS.angular_cutoff)
        triples = np.zeros(11)
        for j in range(len(windows)):
            for k in range(j):
                cosine = np.clip(directions[j] @ directions[k], -1, 1)
                triples += windows[j] * windows[k] * np.cos(np.arange(11) * np.arccos(cosine))
        for order, coefficients in enumerate(in_legendre):
            combined = 0.5 * (coefficients @ powers[: len(coefficients), atom] - np.sum(windows**2))
            assert combined == pytest.approx(triples[order], abs=1e-10)


def test_powers_of_channels():
    """The features of a channel are Σ_jk w_j w_k P_l(cos θ_jk) with its weight w of each neighbour."""
    configuration, element = positions()[0], 0
    batch, channels = batch_of(configuration), random_model().linear.channels
    sums = RadialMoments(batch.radial, ARCHITECTURE).moments()
    moments = AngularMoments(batch.angular, ARCHITECTURE).moments()
    found = channels(sums, moments, element).detach().numpy()
    mixing = channels.angular_mixing[element].detach().numpy()
    for atom, (species, distances, directions) in enumerate(neighbours_of(configuration, ARCHITECTURE.angular_cutoff)):
        basis = chebyshev.chebvander(2 * distances / ARCHITECTURE.angular_cutoff - 1, ARCHITECTURE.angular_order)
        basis = basis * window(distances, ARCHITECTURE.angular_cutoff)[:, None]
        cosines = directions @ directions.T
        for order in range(ARCHITECTURE.largest_l + 1):
            by_species = mixing[order].reshape(2, -1, mixing.shape[-1])
            weights = np.einsum('jk,jkc->jc', basis, by_species[species])
            polynomial = legendre.legval(cosines, np.eye(4)[order])
            expected = weights.sum(0) if order == 0 else np.einsum('jc,kc,jk->c', weights, weights, polynomial)
            np.testing.assert_allclose(found[atom, :, 1 + order], expected, atol=1e-11)


@pytest.mark.parametrize('largest_l', [1, 2, 3, 5])
def test_triple_products(largest_l):
    """They are the couplings contracted with three amplitudes."""
    invariants = Invariants(Architecture(largest_l=largest_l)).double()
    amplitudes = np.random.default_rng(1).normal(size=((largest_l + 1) ** 2, 2, 3))
    found = invariants(torch.from_numpy(amplitudes)).numpy()
    chosen = couplings(min(largest_l, 3))
    assert found.shape == (2, 3, 1 + largest_l + len(chosen))
    for number, orders in enumerate(chosen):
        parts = [amplitudes[order**2 : (order + 1) ** 2] for order in orders]
        contracted = np.einsum('abc,anx,bnx,cnx->nx', gaunt(*orders), *parts)
        np.testing.assert_allclose(found[..., 1 + largest_l + number], contracted, atol=1e-12)


def test_spherical_alone():
    """Without angles there are the radial sums only."""
    architecture = Architecture(largest_l=0)
    found = Invariants(architecture).double()(torch.ones(1, 2, 3, dtype=torch.float64))
    assert found.shape == (2, 3, 1)
