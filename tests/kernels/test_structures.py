"""Prototypes: space groups, distances, names and where their lattice constants come from."""

import math

import numpy as np
import pytest

from aiida_clathrate.kernels.prototypes.clathrates import bond_lengths, c6, xb3c3, xc6, xc10, xc12, xyb6c6
from aiida_clathrate.kernels.prototypes.diamond import SUPERCELLS, doped_diamond
from aiida_clathrate.kernels.prototypes.elements import ci16
from aiida_clathrate.kernels.prototypes.sites import crystal_from_sites, cubic
from aiida_clathrate.kernels.structures import PATTERNS, named_crystal, structure_from_name

ALL = {
    'SrB3C3': ('Pm-3n (223)', 14),
    'KRbB6C6': ('Pm-3 (200)', 14),
    'C6': ('Im-3m (229)', 6),
    'NaC6': ('Im-3m (229)', 7),
    'NaC12': ('Pm-3m (221)', 13),
    'C10': ('Fm-3m (225)', 10),
    'FC10': ('Fm-3m (225)', 11),
    'BC7': ('P-43m (215)', 8),
    'BC15': ('F-43m (216)', 16),
    'BC31': ('I-43m (217)', 32),
    'NC53': ('F-43m (216)', 54),
    'BC63': ('P-43m (215)', 64),
    'diamond': ('Fd-3m (227)', 2),
    'graphite': ('P6_3/mmc (194)', 4),
    'B12': ('R-3m (166)', 12),
    'F2': ('C2/c (15)', 4),
    'H-I41amd': ('I4_1/amd (141)', 2),
    'H': ('I4_1/amd (141)', 2),
    'Na-bcc': ('Im-3m (229)', 1),
    'Na-fcc': ('Fm-3m (225)', 1),
    'Na-cI16': ('I-43d (220)', 8),
    'Na-hP4': ('P6_3/mmc (194)', 4),
    'K-bcc': ('Im-3m (229)', 1),
    'Rb-fcc': ('Fm-3m (225)', 1),
    'Pb-fcc': ('Fm-3m (225)', 1),
    'Pb-hcp': ('P6_3/mmc (194)', 2),
    'Al-fcc': ('Fm-3m (225)', 1),
}
CONVENTIONAL = {'C6': 12, 'NaC6': 14, 'C10': 40, 'FC10': 44, 'diamond': 8, 'B12': 36, 'F2': 8, 'Na-cI16': 16}


def distances(crystal, longest):
    """Return all distances between atoms up to ``longest`` [Å] with the elements, sorted."""
    from ase.neighborlist import neighbor_list

    first, second, lengths = neighbor_list('ijd', crystal.to_ase(), longest)
    pairs = [tuple(sorted((crystal.symbols[i], crystal.symbols[j]))) for i, j in zip(first, second, strict=True)]
    return sorted(zip(pairs, np.round(lengths, 6), strict=True))


@pytest.mark.parametrize('name', ALL)
def test_space_group(name):
    """Each name gives its space group and the number of atoms of the primitive cell, with standard masses."""
    crystal = structure_from_name(name)
    assert (crystal.space_group(), len(crystal.symbols)) == ALL[name]
    assert np.all((crystal.positions >= 0) & (crystal.positions < 1 - 1e-9))
    assert dict(zip(crystal.symbols, crystal.masses, strict=True)).items() <= {
        'H': 1.008, 'B': 10.81, 'C': 12.011, 'N': 14.007, 'F': 18.998403163, 'Na': 22.98976928, 'Al': 26.9815385,
        'K': 39.0983, 'Rb': 85.4678, 'Sr': 87.62, 'Pb': 207.2,
    }.items()  # fmt: skip


@pytest.mark.parametrize('name', CONVENTIONAL)
def test_conventional(name):
    """The conventional cell has a multiple of the atoms, of the same density and symmetry."""
    primitive, conventional = structure_from_name(name), structure_from_name(name, primitive=False)
    assert len(conventional.symbols) == CONVENTIONAL[name]
    ratio = CONVENTIONAL[name] / len(primitive.symbols)
    assert conventional.volume == pytest.approx(ratio * primitive.volume, rel=1e-12)
    assert conventional.space_group() == primitive.space_group()
    assert conventional.shortest_distance()[0] == pytest.approx(primitive.shortest_distance()[0], abs=1e-9)


def test_sodalite_bond():
    """All bonds of the sodalite cage are a/√8 long, four for each atom."""
    for crystal in (c6(4.0), xc6('Na', 4.0), xb3c3('Sr', 4.0)):
        cage = [i for i, symbol in enumerate(crystal.symbols) if symbol in 'BC']
        bonds = [pair for pair in distances(crystal, 1.5) if set(pair[0]) <= {'B', 'C'}]
        assert len(bonds) == 4 * len(cage)
        np.testing.assert_allclose([length for _, length in bonds], 4.0 / math.sqrt(8), atol=1e-6)


def test_framework_is_bipartite():
    """In XB3C3 boron has bonds to carbon only."""
    assert {pair for pair, _ in distances(xb3c3('Sr', 4.87), 1.8)} == {('B', 'C')}


@pytest.mark.parametrize('occupation', ['C-6f', 'B-6f'])
def test_bond_lengths(occupation):
    """The two B–C bonds of XYB6C6 are those of the formulas, twelve of each in both directions."""
    a, boron, carbon = 4.90, 0.2613, 0.2385
    crystal = xyb6c6('K', 'Pb', a, boron, carbon, occupation)
    bonds = [length for pair, length in distances(crystal, 1.9) if pair == ('B', 'C')]
    expected = sorted(bond_lengths(a, boron, carbon))
    np.testing.assert_allclose(bonds, np.repeat(expected, 24), atol=1e-6)
    on_6f = [crystal.positions[i] for i, symbol in enumerate(crystal.symbols) if symbol == occupation[0]]
    assert any(np.allclose(place, [boron if occupation == 'B-6f' else carbon, 0, 0.5]) for place in on_6f)


def test_bond_lengths_of_potassium_lead():
    """With the published coordinates of KPbB6C6 the bonds are 1.7317 and 1.7331 Å, worked out by hand."""
    # d1² = 24.01 (0.06315169 + 0.06175225), d2² = 24.01 (0.06185169 + 0.06325225)
    assert bond_lengths(4.90, 0.2513, 0.2485) == pytest.approx((1.731746, 1.733132), abs=1e-6)
    assert bond_lengths(4.0, 0.25, 0.25) == pytest.approx((math.sqrt(2), math.sqrt(2)))


def test_occupations_are_orientations():
    """The two occupations have the same distances between all elements; exchanging X and Y does not."""
    make = lambda *guests, **rest: xyb6c6(*guests, 4.9, 0.2613, 0.2385, **rest)  # noqa: E731
    one = distances(make('K', 'Pb', occupation='C-6f'), 5.0)
    assert one == distances(make('K', 'Pb', occupation='B-6f'), 5.0)
    assert one != distances(make('Pb', 'K', occupation='C-6f'), 5.0)


def test_equal_guests():
    """XYB6C6 with one element is XB3C3, and says so."""
    with pytest.raises(ValueError, match='Pm-3n'):
        xyb6c6('K', 'K', 4.9)


def test_hydrogen_coordinates():
    """Atomic hydrogen has its atoms at (0,0,0) and (3/4,1/4,1/2) of the primitive cell."""
    crystal = structure_from_name('H-I41amd')
    a, c = 1.2059, 3.1352
    np.testing.assert_allclose(crystal.cell, np.array([[-a, a, c], [a, -a, c], [a, a, -c]]) / 2, atol=1e-12)
    np.testing.assert_allclose(crystal.positions, [[0, 0, 0], [0.75, 0.25, 0.5]], atol=1e-12)


def test_free_parameters():
    """Moving x and u moves the carbon atoms that they should, and special values are refused."""
    assert distances(xc12('Na', 4.4, 0.24), 1.5)[0][1] == pytest.approx(4.4 * 0.24 * math.sqrt(2), abs=1e-6)
    u = 0.121
    shortest = xc10('F', 6.58, u).shortest_distance()[0]
    assert shortest == pytest.approx(6.58 * (0.25 - u) * math.sqrt(3), abs=1e-6)
    with pytest.raises(ValueError, match='free coordinates has the space group Im-3m'):
        ci16('Na', 5.5, x=0)


def test_reference_distances():
    """Bonds of the references: α-boron's and graphite's are known, fluorine's is an argument."""
    assert structure_from_name('graphite').shortest_distance()[0] == pytest.approx(2.464 / math.sqrt(3), abs=1e-6)
    # Decker and Kasper give 1.71 Å for the three-centre and two-centre bonds' shortest.
    assert structure_from_name('B12').shortest_distance()[0] == pytest.approx(1.71, abs=0.01)
    assert structure_from_name('F2', bond=1.40).shortest_distance()[0] == pytest.approx(1.40, abs=1e-9)
    # Abstract of Meyer et al.: 128.4 Å³ for the conventional cell.
    assert structure_from_name('F2', primitive=False).volume == pytest.approx(128.4, abs=0.1)


@pytest.mark.parametrize('atoms', SUPERCELLS)
def test_doped_diamond_site(atoms):
    """Whichever atom is replaced, the crystal is the same, and dopants are as far apart as the lattice allows."""
    spacing = {8: 1, 16: math.sqrt(2), 32: math.sqrt(3), 54: 1.5 * math.sqrt(2), 64: 2}[atoms]
    dopants = []
    for site in (0, atoms - 1):
        crystal = doped_diamond('B', atoms, 3.567, site)
        assert crystal.symbols[site] == 'B'
        assert crystal.volume == pytest.approx(3.567**3 * atoms / 8)
        dopants.append([length for pair, length in distances(crystal, 3.567 * spacing + 0.1) if pair == ('B', 'B')])
    assert dopants[0] == dopants[1]
    assert dopants[0][0] == pytest.approx(3.567 * spacing, abs=1e-6)


def test_every_pattern():
    """Each example in the list of patterns is a name."""
    examples = [word.strip(' ,') for line in PATTERNS.splitlines()[:-1] for word in line[39:59].split() if word]
    assert len(examples) == 8
    for name in [*examples, *(word.strip(',') for word in PATTERNS.splitlines()[-1].split()[:5])]:
        assert structure_from_name(name)


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        ('XyzB', {}, 'fits none of these patterns'),
        ('', {}, 'fits none of these patterns'),
        ('BC30', {}, 'fits none of these patterns'),
        ('SrB3C3H', {}, 'fits none of these patterns'),
        ('QqB3C3', {}, "'Qq' is not a chemical element"),
        ('Qq-fcc', {}, 'none is known for Qq-fcc'),
        ('O-fcc', {}, 'none is known for O-fcc'),
        ('NaC6', {'occupation': 'B-6f'}, "XC6 has no option 'occupation'"),
        ('KRbB6C6', {'occupation': 'B'}, "'B' is neither 'B-6f' nor 'C-6f'"),
        ('NaC6', {'lattice_constant': -1.0}, 'no length of a cell'),
        ('NaC6', {'lattice_constant': math.nan}, 'no length of a cell'),
        ('NaC6', {'lattice_constant': 0.6}, 'overlap'),
        ('QqC31', {}, "'Qq' is not a chemical element"),
        ('BC31', {'site': 32}, 'outside the supercell'),
        ('CC31', {}, r'has the space group Fd-3m \(227\), not I-43m'),
    ],
)
def test_refused(name, options, message):
    """What cannot be made is refused with the value and the remedy."""
    with pytest.raises(ValueError, match=message):
        structure_from_name(name, **options)


def test_doped_diamond_atoms():
    """Supercells that are not cubic are refused."""
    with pytest.raises(ValueError, match='no cubic supercell has 12 atoms'):
        doped_diamond('B', 12, 3.567)


def test_hall_number():
    """A number beyond those of the space groups is refused."""
    with pytest.raises(ValueError, match='531 is no number of a space group'):
        crystal_from_sites(531, cubic(4.0), [('C', (0, 0, 0))], primitive=True)


def test_lattice_constants():
    """Tabulated values are told from estimates, and each says its source or rule."""
    exact = named_crystal('NaC6').lattice_constant
    assert (exact.value, exact.estimated) == (4.43, False)
    between = named_crystal('NaC6', pressure=165.0).lattice_constant
    assert between.value == pytest.approx((4.43 + 3.92) / 2)
    assert between.estimated
    assert 'between 30 and 300 GPa' in between.source
    outside = named_crystal('NaC6', pressure=0.0).lattice_constant
    assert (outside.value, outside.estimated) == (4.43, True)
    mixed = named_crystal('RbSrB6C6').lattice_constant
    assert mixed.value == pytest.approx((4.92 + 4.87) / 2)
    assert mixed.estimated
    assert named_crystal('BC31').lattice_constant.estimated
    assert named_crystal('KC10').lattice_constant.estimated
    given = named_crystal('NaC6', lattice_constant=4.2)
    assert (given.lattice_constant.source, given.crystal.volume) == ('given', pytest.approx(4.2**3 / 2))


def test_ambient_density():
    """Phases of a metal without a tabulated constant have the volume of the ambient phase."""
    volume = structure_from_name('Pb-fcc').volume
    for phase in ('bcc', 'hcp', 'cI16', 'hP4'):
        crystal = structure_from_name(f'Pb-{phase}')
        assert crystal.volume / len(crystal.symbols) == pytest.approx(volume)
        assert named_crystal(f'Pb-{phase}').lattice_constant.estimated
