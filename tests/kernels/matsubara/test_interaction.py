"""The table of λ(ν) and the sums over Matsubara frequencies against their definitions."""

import numpy as np
import pytest
from scipy.linalg import hankel, toeplitz
from spectra import einstein

from aiida_clathrate.kernels.matsubara.interaction import Interaction
from aiida_clathrate.kernels.matsubara.sums import basis, correlations, pair_sum


@pytest.mark.parametrize('sharp', [True, False])
def test_table(spectral, sharp):
    """λ(ν) and its slope are those of the sum over lines, for a smooth spectrum and for a single line."""
    lines = einstein(1.3, 0.5) if sharp else spectral
    places = np.geomspace(0.02, 3000, 1001)
    values, slopes = Interaction.tabulate(lines, places[0], places[-1]).at(places)
    squares = lines.frequencies**2
    terms = lines.couplings * squares / (squares + places[:, None] ** 2)
    assert values == pytest.approx(terms.sum(axis=1), rel=1e-10)
    expected = (-2 * places[:, None] ** 2 / (squares + places[:, None] ** 2) * terms).sum(axis=1)
    assert slopes == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_outside(spectral):
    """Nothing is extrapolated."""
    interaction = Interaction.tabulate(spectral, 1.0, 100.0)
    for place in (0.5, 200.0):
        with pytest.raises(ValueError, match='tabulated from 1 to 100 meV'):
            interaction.at(np.array([place]))


@pytest.mark.parametrize('number', [1, 2, 37, 300])
@pytest.mark.parametrize('parity', [1, -1])
def test_pair_sum(number, parity):
    """Transforms give the product with the full matrix."""
    generator = np.random.default_rng(number)
    couplings, functions = generator.normal(size=2 * number), generator.normal(size=(3, number))
    matrix = toeplitz(couplings[:number]) + parity * hankel(couplings[1 : number + 1], couplings[number:])
    assert pair_sum(couplings, functions, parity) == pytest.approx(functions @ matrix, abs=1e-11)


def test_correlations():
    """The derivatives contract with λ to the quadratic form."""
    generator = np.random.default_rng(3)
    couplings, vector = generator.normal(size=80), generator.normal(size=40)
    matrix = toeplitz(couplings[:40]) + hankel(couplings[1:41], couplings[40:])
    assert correlations(vector) @ couplings == pytest.approx(vector @ matrix @ vector)


@pytest.mark.parametrize('number', [5, 28, 29, 100, 4000])
def test_basis(number):
    """The basis interpolates polynomials in ln(n + ½) exactly, and stays small."""
    functions = basis(number)
    places = np.log(np.arange(number) + 0.5)
    nodes = np.flatnonzero((functions == 1).any(axis=0))
    assert len(functions) <= min(number, 90)
    assert places[nodes] ** 4 @ functions == pytest.approx(places**4, abs=1e-8)
