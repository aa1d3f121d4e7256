"""Nodes for Φ(q), G(q) and α²F: what goes in comes out, and nonsense does not get in."""

from dataclasses import fields, replace

import numpy as np
import pytest
from aiida import orm
from aiida.common.exceptions import ValidationError

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.electron_phonon import ElectronPhononData
from aiida_clathrate.data.spectral import SpectralFunctionData
from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_index, mesh_points
from aiida_clathrate.kernels.electron_phonon import ElectronPhonon
from aiida_clathrate.kernels.spectral import SpectralFunction

pytestmark = pytest.mark.usefixtures('aiida_profile')
MESH = (2, 2, 2)


def hermitian(rng, shape):
    """Return positive matrices on the mesh with M(−q) = M(q)*."""
    values = rng.normal(size=(*shape, 6, 12)) + 1j * rng.normal(size=(*shape, 6, 12))
    matrices = values @ np.swapaxes(values, -1, -2).conj()
    return 0.5 * (matrices + matrices[..., mesh_index(MESH, -mesh_points(MESH)), :, :].conj())


@pytest.fixture
def crystal():
    """Return a crystal without symmetry."""
    cell = np.array([[3.0, 0.1, 0.2], [0.0, 3.2, 0.3], [0.4, 0.0, 3.5]])
    return Crystal(cell, ('C', 'B'), np.array([[0.0, 0.0, 0.0], [0.41, 0.52, 0.48]]), np.array([12.011, 10.81]))


@pytest.fixture
def matrices(crystal):
    """Return dynamical matrices."""
    return DynamicalMatrices(crystal, MESH, hermitian(np.random.default_rng(1), (8,)), 'sscha', 50.0, 300.0)


@pytest.fixture
def electron_phonon(crystal):
    """Return electron-phonon matrices for two broadenings."""
    values = hermitian(np.random.default_rng(2), (2, 8))
    return ElectronPhonon(crystal, MESH, np.array([0.1, 0.2]), values, np.array([0.8, 0.9]), np.array([5.0, 5.1]))


@pytest.fixture
def modes(electron_phonon, matrices):
    """Return couplings with all of their arrays."""
    translations = np.kron(np.ones((2, 1)), np.eye(3)) / np.sqrt(2)
    projector = np.eye(6) - translations @ translations.T
    values = matrices.force_constants.copy()
    values[0] = projector @ values[0] @ projector
    return mode_couplings(electron_phonon, replace(matrices, force_constants=values))


def same(first, second):
    """Whether two kernel dataclasses have the same content."""
    for field in fields(first):
        left, right = getattr(first, field.name), getattr(second, field.name)
        if isinstance(left, Crystal):
            same(left, right)
        elif isinstance(left, np.ndarray):
            assert np.array_equal(left, right), field.name
            assert left.dtype == right.dtype
        else:
            assert left == right, field.name


def test_dynamical_matrices(matrices):
    """Round trip through the database, and the attributes to query by."""
    node = DynamicalMatrixData.from_kernel(matrices).store()
    same(orm.load_node(node.uuid).to_kernel(), matrices)
    attributes = node.base.attributes.all
    assert attributes['formula'] == 'CB'
    assert (attributes['level'], attributes['pressure'], attributes['temperature']) == ('sscha', 50.0, 300.0)
    assert attributes['smallest_frequency'] == pytest.approx(matrices.smallest_frequency()[0])
    # Without symmetry each star is q and −q; on this mesh they are the same.
    assert attributes['number_of_stars'] == 8
    assert node.stars.tolist() == list(range(8))
    query = orm.QueryBuilder().append(DynamicalMatrixData, filters={'attributes.pressure': {'>': 49.0}})
    assert node.uuid in {found.uuid for found in query.all(flat=True)}


def test_electron_phonon(electron_phonon):
    """Round trip, and the attributes."""
    node = ElectronPhononData.from_kernel(electron_phonon).store()
    same(orm.load_node(node.uuid).to_kernel(), electron_phonon)
    assert node.base.attributes.get('densities_of_states') == [0.8, 0.9]
    assert node.base.attributes.get('mesh') == [2, 2, 2]


def test_spectral(modes):
    """Round trip of all arrays, the attributes of the first broadening and of all, labels and table."""
    node = SpectralFunctionData.from_kernel(modes, formula='CB', level='sscha', pressure=50.0, temperature=None).store()
    loaded = orm.load_node(node.uuid)
    same(loaded.to_modes(), modes)
    same(loaded.to_kernel(1), modes.spectral(1))
    attributes = loaded.base.attributes.all
    assert attributes['coupling'] == pytest.approx(modes.spectral(0).coupling)
    assert attributes['couplings'][1] == pytest.approx(modes.spectral(1).coupling)
    assert attributes['level'] == 'sscha'
    assert attributes['temperature'] is None
    grid, table = loaded.get_array('table_frequencies'), loaded.get_array('table_values')
    positive = grid > 0
    area = (2 * table[0][positive] / grid[positive]).sum() * grid[1]
    assert area == pytest.approx(attributes['coupling'], rel=0.02)


def test_imported_spectral():
    """A table has lines, but neither wave vectors nor atoms."""
    spectral = SpectralFunction.from_table(np.linspace(0, 10, 101), np.linspace(0, 10, 101) ** 2)
    node = SpectralFunctionData.from_kernel(spectral).store()
    same(node.to_kernel(), spectral)
    assert node.to_modes().qpoints is None
    with pytest.raises(ValueError, match='smearing must be 0 to 0, not 1'):
        node.to_kernel(1)


def test_label_of_an_attribute(modes):
    """A label cannot replace what follows from the arrays."""
    with pytest.raises(ValueError, match='coupling'):
        SpectralFunctionData.from_kernel(modes, coupling=3.0)


def test_equal_hash(matrices, modes):
    """Equal content has an equal hash, whatever the order of the arrays in memory: caching finds it."""
    again = replace(matrices, force_constants=np.asfortranarray(matrices.force_constants))
    first, second = (DynamicalMatrixData.from_kernel(each).store() for each in (matrices, again))
    assert first.base.caching.get_hash() == second.base.caching.get_hash()
    other = DynamicalMatrixData.from_kernel(replace(matrices, pressure=51.0)).store()
    assert other.base.caching.get_hash() != first.base.caching.get_hash()
    hashes = {SpectralFunctionData.from_kernel(modes, level='sscha').store().base.caching.get_hash() for _ in 'ab'}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        ('force_constants', lambda array: array[:4], 'need Φ of shape'),
        ('force_constants', lambda array: np.where(array.real > 0, np.nan, array), 'finite'),
        ('force_constants', lambda array: array + 1j, 'hermitian'),
        ('force_constants', lambda array: array.astype('<c8'), 'type complex64'),
        ('force_constants', lambda array: 4 * array, 'attribute smallest_frequency is not'),
        ('masses', lambda array: -array, 'positive masses'),
        ('positions', lambda array: 0 * array, 'overlap'),
        ('stars', lambda array: array[:4], 'one of 8 stars'),
        ('stars', lambda array: array + 1, 'one of 8 stars'),
        ('more', lambda _: np.zeros(3), 'needs the arrays'),
    ],
)
def test_nonsense_arrays(matrices, name, change, message):
    """A node with wrong arrays cannot be stored."""
    node = DynamicalMatrixData.from_kernel(matrices)
    array = node.get_array(name) if name in node.get_arraynames() else None
    node.set_array(name, change(array))
    with pytest.raises(ValidationError, match=message):
        node.store()


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('smallest_frequency', 1e3, 'smallest_frequency'),
        ('formula', 'LaH10', 'formula'),
        ('level', 'guess', 'level must be one of'),
        ('mesh', [2, 2], 'need Φ of shape'),
        ('mesh', 'all', 'DynamicalMatrixData'),
        ('symbols', ['C'], 'crystal'),
        ('number_of_stars', 3, 'one of 3 stars'),
    ],
)
def test_nonsense_attributes(matrices, key, value, message):
    """Attributes that the arrays contradict cannot be stored."""
    node = DynamicalMatrixData.from_kernel(matrices)
    node.base.attributes.set(key, value)
    with pytest.raises(ValidationError, match=message):
        node.store()


def test_other_table(modes):
    """The table for plots must be that of the couplings."""
    node = SpectralFunctionData.from_kernel(modes)
    node.set_array('table_values', node.get_array('table_values') + 0.1)
    with pytest.raises(ValidationError, match='table_values is not what'):
        node.store()


def test_missing_array(electron_phonon, modes):
    """An array that is missing is named."""
    for node, name in (
        (ElectronPhononData.from_kernel(electron_phonon), 'smearings'),
        (SpectralFunctionData.from_kernel(modes), 'weights'),
    ):
        node.delete_array(name)
        with pytest.raises(ValidationError, match=f'needs the arrays .*{name}'):
            node.store()


def test_objects_are_not_loaded(matrices, tmp_path):
    """A pickle in place of an array is not opened."""
    path = tmp_path / 'evil.npy'
    np.save(path, np.array([{'a': 1}], dtype=object), allow_pickle=True)
    node = DynamicalMatrixData.from_kernel(matrices)
    node.base.repository.delete_object('force_constants.npy')
    node.base.repository.put_object_from_file(path, 'force_constants.npy')
    node.clear_internal_cache()
    with pytest.raises(ValidationError, match='allow_pickle'):
        node.store()
