"""Irreducible representations against tables of crystals and counting rules."""

from collections import Counter

import numpy as np
import pytest
from ase.spacegroup import crystal as from_spacegroup
from phonopy.phonon.character_table import character_table
from springs import clathrate, diamond, exponential, hcp, hydrogen, rocksalt, spring_constants

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import diagonalise
from aiida_clathrate.kernels.irreps import irreps

FLUORITE = Crystal.from_ase(
    from_spacegroup(
        ['Ca', 'F'], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=[5.46] * 3 + [90] * 3, primitive_cell=True
    )
)


def labels(crystal, qpoint, cutoff=3.7):
    """Return labels and degeneracies at one wave vector, and the little co-group."""
    qpoint = np.array(qpoint, dtype=float)
    matrices = spring_constants(crystal, qpoint[None], exponential(), exponential(0.5), cutoff)
    frequencies, vectors = diagonalise(matrices, crystal.masses)
    found = irreps(crystal, qpoint, frequencies[0], vectors[0])
    assert [mode for irrep in found for mode in irrep.modes] == list(range(len(frequencies[0])))
    return {(irrep.label, len(irrep.modes)) for irrep in found}, found[0].little_co_group


@pytest.mark.parametrize(
    ('crystal', 'expected', 'group'),
    [
        pytest.param(diamond(), {('T1u', 3), ('T2g', 3)}, 'm-3m', id='diamond'),
        pytest.param(rocksalt(), {('T1u', 3)}, 'm-3m', id='rocksalt'),
        pytest.param(FLUORITE, {('T1u', 3), ('T2g', 3)}, 'm-3m', id='fluorite'),
        # The three acoustic modes are degenerate: A2u and E1u or Eu.
        pytest.param(hcp(), {('A2u+E1u', 3), ('E2g', 2), ('B1g', 1)}, '6/mmm', id='hcp'),
        pytest.param(hydrogen(), {('A2u+Eu', 3), ('Eg', 2), ('B1g', 1)}, '4/mmm', id='I4_1/amd'),
    ],
)
def test_gamma(crystal, expected, group):
    """Modes of Γ as in the tables of D. L. Rousseau et al., J. Raman Spectrosc. 10, 253 (1981)."""
    assert labels(crystal, (0, 0, 0)) == (expected, group)


def test_clathrate():
    """Γ of Pm-3: Tu of each guest, and Ag + Eg + 2 Tg + 3 Tu of each of the two sites of six atoms."""
    crystal = clathrate()
    matrices = spring_constants(crystal, np.zeros((1, 3)), exponential(), exponential(0.5), 3.7)
    frequencies, vectors = diagonalise(matrices, crystal.masses)
    found = Counter(irrep.label for irrep in irreps(crystal, np.zeros(3), frequencies[0], vectors[0]))
    assert found == {'Ag': 2, 'Eg': 2, 'Tg': 4, 'Tu': 8}


def test_little_co_groups():
    """Along Γ–X and Γ–L, at L and at X of diamond; at X the representations are projective and twofold."""
    assert labels(diamond(), (0.1, 0, 0.1)) == ({('E', 2), ('A1', 1), ('B1', 1)}, '4mm')
    assert labels(diamond(), (0.2, 0.2, 0.2)) == ({('E', 2), ('A1', 1)}, '3m')
    found, group = labels(diamond(), (0.5, 0.5, 0.5))
    assert group == '-3m'
    assert {label[:1] for label, _ in found} == {'A', 'E'}
    assert labels(diamond(), (0.5, 0, 0.5)) == ({('2-fold', 2)}, '4/mmm')
    # The axis of mm2 is not the third one here.
    found, group = labels(clathrate(), (0, 0.2, 0))
    assert group == 'mm2'
    assert {'A1', 'A2', 'B1', 'B2'} <= {label for label, _ in found}
    # hcp: pairs of branches stick together at A, where c is doubled by the screw.
    assert labels(hcp(), (0, 0, 0.5)) == ({('4-fold', 4), ('2-fold', 2)}, '6/mmm')


def test_rocksalt_at_l():
    """At L of rock salt the two kinds of atoms have opposite parity: one sublattice is at rest in each mode."""
    found, _ = labels(rocksalt(), (0.5, 0.5, 0.5))
    assert found == {('A1g', 1), ('Eg', 2), ('A2u', 1), ('Eu', 2)}


def test_half_of_a_pair():
    """On an axis of the group 4 a mode can be one of two complex conjugate representations."""
    crystal = Crystal.from_ase(
        from_spacegroup(['C', 'B'], [(0.1, 0.2, 0), (0.25, 0.1, 0.3)], spacegroup=75, cellpar=[6, 6, 4, 90, 90, 90])
    )
    assert ('E', 2) in labels(crystal, (0, 0, 0))[0]
    # Springs shorter than c would not know of q.
    found, group = labels(crystal, (0, 0, 0.2), cutoff=4.5)
    assert group == '4'
    assert ('E/2', 1) in found


def test_origin_does_not_matter():
    """A crystal away from its usual origin has the same labels inside the zone."""
    shifted = Crystal(diamond().cell, ('C', 'C'), diamond().positions + 1 / 8, diamond().masses)
    assert labels(shifted, (0, 0, 0)) == labels(diamond(), (0, 0, 0))
    assert labels(shifted, (0.1, 0, 0.1)) == labels(diamond(), (0.1, 0, 0.1))


def test_modes_without_symmetry():
    """Modes that symmetry does not turn into each other are refused."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(6, 6))
    frequencies, vectors = diagonalise((matrix + matrix.T)[None].astype(complex), diamond().masses)
    with pytest.raises(ValueError, match='impose the symmetry'):
        irreps(diamond(), np.zeros(3), frequencies[0], vectors[0])


@pytest.mark.parametrize('symbol', sorted(character_table))
def test_tables(symbol):
    """The tables that are used are orthogonal; pairs of complex conjugate representations count twice."""
    for entry in character_table[symbol]:
        order = entry['rotation_list']
        sizes = np.array([len(entry['mapping_table'][name]) for name in ([order] if isinstance(order, str) else order)])
        rows = np.array([np.atleast_1d(values) for values in entry['character_table'].values()])
        products = (rows * sizes) @ rows.conj().T / sizes.sum()
        np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-9)
        assert set(np.round(np.diag(products).real, 9)) <= {1.0, 2.0}
