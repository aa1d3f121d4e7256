"""The node of a potential: what goes in comes out, also through an archive, and nonsense does not get in."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest
from aiida import orm
from aiida.common.exceptions import ValidationError
from aiida.tools.archive import create_archive, import_archive
from harmful_pickle import Harmful
from small_potential import RECORD, small_potential

from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels.mlp.potential_files import DESCRIPTION, FILES, NUMBERS, to_bytes

pytestmark = pytest.mark.usefixtures('aiida_profile')


@pytest.fixture(scope='module')
def potential():
    """Return a potential with a baseline."""
    return small_potential()


def replace_file(node, name, content):
    """Put other content in place of a file of the node."""
    node.base.repository.delete_object(name)
    node.base.repository.put_object_from_bytes(content, name)


def test_round_trip(potential):
    """The node gives the potential back, and has the attributes to query by."""
    node = orm.load_node(PotentialData.from_kernel(potential).store().uuid)
    assert to_bytes(node.to_kernel()) == to_bytes(potential)
    attributes = node.base.attributes.all
    expected = {name: RECORD[name] for name in RECORD if name != 'note'} | {
        'species': ['Mg', 'O'],
        'formula': 'MgO',
        'mesh': [2, 1, 3],
        'number_of_weights': sum(array.size for array in potential.weights.values()),
        'radial_cutoff': 6.0,
        'angular_cutoff': 5.0,
        'angular_order': 2,
        'largest_l': 2,
        'channels': 2,
    }
    assert attributes == expected
    query = orm.QueryBuilder().append(PotentialData, filters={'attributes.force_rmse': {'<': 50}})
    assert node.uuid in {found.uuid for found in query.all(flat=True)}


def test_without_baseline_and_record():
    """What is not known is ``None``."""
    node = PotentialData.from_kernel(replace(small_potential(baseline=False), record={})).store()
    unknown = ('formula', 'mesh', 'model', 'energy_rmse', 'force_rmse', 'stress_rmse', 'seed')
    assert all(node.base.attributes.get(name) is None for name in unknown)
    assert node.to_kernel().baseline is None


def test_equal_hash(potential):
    """Equal potentials have equal hashes, others have others."""
    first, again = (PotentialData.from_kernel(small_potential()).store() for _ in range(2))
    assert first.base.caching.get_hash() == again.base.caching.get_hash()
    other = PotentialData.from_kernel(small_potential(seed=2)).store()
    assert other.base.caching.get_hash() != first.base.caching.get_hash()


@pytest.mark.parametrize('name', ['notes.txt', 'code/potential.py'])
def test_additional_file(potential, name):
    """A node with anything but the two files cannot be stored."""
    node = PotentialData.from_kernel(potential)
    node.base.repository.put_object_from_bytes(b'import os', name)
    with pytest.raises(ValidationError, match='the files must be potential'):
        node.store()
    with pytest.raises(ValueError, match='the files must be'):
        node.to_kernel()


@pytest.mark.parametrize('name', FILES)
def test_missing_file(potential, name):
    """Both files are needed."""
    node = PotentialData.from_kernel(potential)
    node.base.repository.delete_object(name)
    with pytest.raises(ValidationError, match='the files must be'):
        node.store()


def test_folder_in_place_of_file(potential):
    """A folder that has the name of a file is none."""
    node = PotentialData.from_kernel(potential)
    node.base.repository.delete_object(NUMBERS)
    node.base.repository.put_object_from_bytes(b'', f'{NUMBERS}/data.pkl')
    with pytest.raises(ValidationError, match='the files must be'):
        node.store()


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('species', ['Mg', 'Si']),
        ('force_rmse', 1.0),
        ('force_rmse', None),
        ('model', 'linear'),
        ('training_configurations', 1000),
        ('number_of_weights', 3),
        ('radial_cutoff', 5.0),
        ('mesh', None),
        ('formula', 'MgSi'),
    ],
)
def test_attributes_follow(potential, name, value):
    """Attributes that the files contradict cannot be stored."""
    node = PotentialData.from_kernel(potential)
    node.base.attributes.set(name, value)
    with pytest.raises(ValidationError, match=f'attribute {name} is not'):
        node.store()


def test_content_of_another(potential):
    """Files of another potential under the same attributes, or of two potentials, cannot be stored."""
    node = PotentialData.from_kernel(potential)
    replace_file(node, NUMBERS, to_bytes(small_potential(seed=2))[NUMBERS])
    with pytest.raises(ValidationError, match='sha256'):
        node.store()
    other = to_bytes(small_potential(baseline=False))
    for name in FILES:
        replace_file(node, name, other[name])
    with pytest.raises(ValidationError, match='attribute formula is not None'):
        node.store()


@pytest.mark.parametrize(
    ('name', 'value'), [('model', '<script>'), ('model', 3), ('force_rmse', 'small'), ('seed', 1.5), ('seed', True)]
)
def test_record(name, value):
    """A record that gives no number where one is due becomes no attribute."""
    potential = small_potential()
    changed = replace(potential, record={name: value})
    with pytest.raises(ValueError, match=f'record: {name} cannot be'):
        PotentialData.from_kernel(changed)
    node = PotentialData.from_kernel(potential)
    for file, content in to_bytes(changed).items():
        replace_file(node, file, content)
    with pytest.raises(ValidationError, match=f'record: {name} cannot be'):
        node.store()


def test_code_does_not_run(potential, tmp_path):
    """A pickle in place of the weights is refused, and does not run."""
    node = PotentialData.from_kernel(potential)
    replace_file(node, NUMBERS, pickle.dumps(Harmful(tmp_path / 'trace')))
    with pytest.raises(ValidationError, match='a pickle, which can run code'):
        node.store()
    assert not list(tmp_path.iterdir())


def test_archive(tmp_path, aiida_profile_clean):
    """A potential that went through an archive is the same to the last bit."""
    potential = small_potential()
    node = PotentialData.from_kernel(potential).store()
    uuid, hashed = node.uuid, node.base.caching.get_hash()
    create_archive([node], filename=tmp_path / 'potential.aiida')
    aiida_profile_clean.reset_storage()
    assert not orm.QueryBuilder().append(PotentialData).count()
    import_archive(tmp_path / 'potential.aiida')
    again = orm.load_node(uuid)
    assert isinstance(again, PotentialData)
    assert again.base.caching.compute_hash() == hashed
    assert to_bytes(again.to_kernel()) == to_bytes(potential)
    description = json.loads(again.base.repository.get_object_content(DESCRIPTION))
    assert description['record'] == RECORD


def test_without_torch():
    """The node needs no torch: a daemon stays light."""
    script = 'import sys, aiida_clathrate.data.potential; assert "torch" not in sys.modules'
    subprocess.run([sys.executable, '-c', script], check=True)
