"""The node of an ensemble: what goes in comes out, in either precision, and nonsense does not get in."""

from dataclasses import fields, replace

import numpy as np
import pytest
from aiida import orm
from aiida.common.exceptions import ValidationError

from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_index, mesh_points
from aiida_clathrate.kernels.ensemble import ForceEnsemble

pytestmark = pytest.mark.usefixtures('aiida_profile')
MESH = (2, 1, 3)


@pytest.fixture
def matrices():
    """Return auxiliary matrices of a crystal without symmetry."""
    rng = np.random.default_rng(1)
    cell = np.array([[3.0, 0.1, 0.2], [0.0, 3.2, 0.3], [0.4, 0.0, 3.5]])
    crystal = Crystal(cell, ('C', 'B'), np.array([[0.0, 0.0, 0.0], [0.41, 0.52, 0.48]]), np.array([12.011, 10.81]))
    values = rng.normal(size=(6, 6, 12)) + 1j * rng.normal(size=(6, 6, 12))
    positive = values @ np.swapaxes(values, 1, 2).conj()
    symmetric = 0.5 * (positive + positive[mesh_index(MESH, -mesh_points(MESH))].conj())
    return DynamicalMatrices(crystal, MESH, symmetric, 'sscha', 50.0, 250.0)


@pytest.fixture
def ensemble(matrices):
    """Return three computed pairs ±u."""
    rng = np.random.default_rng(2)
    half = rng.normal(scale=0.1, size=(3, 1, 12, 3))
    displacements = np.concatenate([half, -half], axis=1).reshape(6, 12, 3)
    energies, forces = -1e5 + rng.normal(size=6), rng.normal(size=(6, 12, 3))
    return ForceEnsemble(matrices, 300.0, displacements, energies, forces, rng.normal(size=(6, 3, 3)), True, 7, 'model')


def assert_same(first, second):
    """Compare all that two ensembles hold, to the bit."""
    for field in fields(first):
        left, right = getattr(first, field.name), getattr(second, field.name)
        if isinstance(left, (DynamicalMatrices, Crystal)):
            assert_same(left, right)
        elif isinstance(left, np.ndarray):
            assert left.dtype == right.dtype
            assert np.array_equal(left, right), field.name
        else:
            assert left == right, field.name


def test_round_trip(ensemble):
    """All arrays and scalars come back, and the attributes are those to query by."""
    node = ForceEnsembleData.from_kernel(ensemble).store()
    assert_same(orm.load_node(node.uuid).to_kernel(), ensemble)
    attributes = node.base.attributes.all
    expected = {
        'number': 6,
        'mesh': [2, 1, 3],
        'temperature': 300.0,
        'pressure': 50.0,
        'matrices_temperature': 250.0,
        'level': 'sscha',
        'formula': 'CB',
        'symbols': ['C', 'B'],
        'antithetic': True,
        'seed': 7,
        'source': 'model',
        'precision': 'double',
        'computed': True,
        'has_stresses': True,
    }
    assert {key: attributes[key] for key in expected} == expected
    assert attributes['mean_energy'] == pytest.approx(ensemble.energies.mean() / 12)
    assert attributes['largest_force'] == pytest.approx(np.linalg.norm(ensemble.forces, axis=-1).max())
    squares = np.linalg.norm(ensemble.displacements, axis=-1) ** 2
    assert attributes['root_mean_square_displacement'] == pytest.approx(np.sqrt(squares.mean()))
    query = orm.QueryBuilder().append(ForceEnsembleData, filters={'attributes.number': {'>': 5}})
    assert node.uuid in {found.uuid for found in query.all(flat=True)}


@pytest.mark.parametrize('missing', [('energies', 'forces', 'stresses'), ('stresses',)])
def test_not_computed(ensemble, missing):
    """Displacements alone, and forces without stresses, are ensembles too."""
    part = replace(ensemble, seed=None, source='', antithetic=False, **dict.fromkeys(missing))
    node = ForceEnsembleData.from_kernel(part).store()
    assert_same(orm.load_node(node.uuid).to_kernel(), part)
    assert node.base.attributes.get('computed') == ('forces' not in missing)
    assert node.base.attributes.get('has_stresses') is False
    assert ('mean_energy' in node.base.attributes.all) == part.computed


def test_single_precision(ensemble):
    """Seven digits of what grows with the number of configurations; all digits of the rest."""
    # So large that rounding moves +u and −u apart by as much as it ever does.
    ensemble = replace(ensemble, displacements=10 * ensemble.displacements)
    node = ForceEnsembleData.from_kernel(ensemble, precision='single').store()
    loaded = orm.load_node(node.uuid).to_kernel()
    assert np.array_equal(loaded.energies, ensemble.energies)
    assert np.array_equal(loaded.matrices.force_constants, ensemble.matrices.force_constants)
    for name in ('displacements', 'forces', 'stresses'):
        assert node.get_array(name).dtype == np.float32
        assert getattr(loaded, name).dtype == np.float64
        assert np.allclose(getattr(loaded, name), getattr(ensemble, name), rtol=6e-8, atol=0)
    assert node.base.attributes.get('precision') == 'single'
    again = ForceEnsembleData.from_kernel(loaded, precision='single').store()
    assert again.base.caching.get_hash() == node.base.caching.get_hash()
    with pytest.raises(ValueError, match="not 'half'"):
        ForceEnsembleData.from_kernel(ensemble, precision='half')
    with np.errstate(over='ignore'), pytest.raises(ValueError, match='forces: not finite'):
        ForceEnsembleData.from_kernel(replace(ensemble, forces=1e40 * ensemble.forces), precision='single')


def test_equal_hash(ensemble):
    """Equal content has an equal hash: caching finds it. One displacement changes it."""
    first = ForceEnsembleData.from_kernel(ensemble).store()
    again = replace(ensemble, forces=np.asfortranarray(ensemble.forces), seed=np.int64(7), temperature=300)
    assert ForceEnsembleData.from_kernel(again).store().base.caching.get_hash() == first.base.caching.get_hash()
    moved = ensemble.displacements.copy()
    moved[:2, 0, 0] += [1e-9, -1e-9]
    for other in (replace(ensemble, displacements=moved), replace(ensemble, seed=8)):
        node = ForceEnsembleData.from_kernel(other).store()
        assert node.base.caching.get_hash() != first.base.caching.get_hash()


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        ('displacements', lambda array: array[:, :4], 'displacements: need the shape'),
        ('displacements', lambda array: array + 0.01, 'not displaced by'),
        ('displacements', lambda array: array[:4], 'energies: need the shape'),
        ('displacements', lambda array: 2 * array, 'attribute root_mean_square_displacement is not'),
        ('forces', lambda array: np.where(array > 2, np.nan, array), 'forces: not finite'),
        ('forces', lambda array: array.astype('<f4'), 'forces of the type float32'),
        ('forces', lambda array: array.astype('<c16'), 'forces of the type complex128'),
        ('forces', lambda array: 2 * array, 'attribute largest_force is not'),
        ('energies', lambda array: array.astype('<f4'), 'energies has the type float32'),
        ('energies', lambda array: array[:4], 'energies: need the shape'),
        ('energies', lambda array: array + 13, 'attribute mean_energy is not'),
        ('stresses', lambda array: array[..., 0], 'stresses: need the shape'),
        ('force_constants', lambda array: array[:3], 'need Φ of shape'),
        ('cell', lambda array: array.astype('<f4'), 'cell has the type float32'),
        ('weights', lambda _: np.ones(6), 'needs the arrays'),
    ],
)
def test_nonsense_arrays(ensemble, name, change, message):
    """A node with wrong arrays cannot be stored."""
    node = ForceEnsembleData.from_kernel(ensemble)
    node.set_array(name, change(node.get_array(name) if name in node.get_arraynames() else None))
    with pytest.raises(ValidationError, match=message):
        node.store()


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('number', 7, 'attribute number is not 6'),
        ('computed', False, 'attribute computed is not True'),
        ('has_stresses', False, 'attribute has_stresses is not True'),
        ('temperature', -1.0, 'must be 0 K or above'),
        ('temperature', None, 'temperature cannot be None'),
        ('antithetic', 'no', "antithetic cannot be 'no'"),
        ('seed', 'lucky', "seed cannot be 'lucky'"),
        ('source', ['a'], 'source cannot be'),
        ('precision', 'single', "a node whose precision is 'single'"),
        ('precision', 'half', "a node whose precision is 'half'"),
        ('mesh', [2, 2, 2], 'need Φ of shape'),
        ('symbols', ['C'], 'crystal'),
        ('level', 'guess', 'level must be one of'),
    ],
)
def test_nonsense_attributes(ensemble, key, value, message):
    """Attributes that the arrays contradict, or that are none, cannot be stored."""
    node = ForceEnsembleData.from_kernel(ensemble)
    node.base.attributes.set(key, value)
    with pytest.raises(ValidationError, match=message):
        node.store()


@pytest.mark.parametrize('name', ['displacements', 'force_constants', 'energies'])
def test_missing_array(ensemble, name):
    """An array that is missing is named, or missed by the others."""
    node = ForceEnsembleData.from_kernel(ensemble)
    node.delete_array(name)
    with pytest.raises(ValidationError, match=f'{name}|energies and forces'):
        node.store()


def test_pickle_is_not_opened(ensemble, tmp_path):
    """Objects in place of an array are refused."""
    path = tmp_path / 'evil.npy'
    np.save(path, np.array([{'a': 1}], dtype=object), allow_pickle=True)
    node = ForceEnsembleData.from_kernel(ensemble)
    node.base.repository.delete_object('forces.npy')
    node.base.repository.put_object_from_file(path, 'forces.npy')
    with pytest.raises(ValidationError, match='allow_pickle'):
        node.store()
