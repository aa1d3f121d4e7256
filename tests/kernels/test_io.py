"""The run folder: complete or absent, and nothing in it that could run."""

import json

import numpy as np
import pytest

from aiida_clathrate.kernels import io


def test_round_trip(tmp_path):
    """Scalars and arrays come back, with their types and to the last bit."""
    arrays = {
        'complex': np.array([[1 + 2j]]),
        'integers': np.arange(3),
        'empty': np.zeros((0, 3)),
        'pi': np.array(np.pi),
    }
    io.write(tmp_path, io.RESULTS, {'temperature': None, 'list': [0.1, 'μ*']}, arrays)
    scalars, again = io.read(tmp_path, io.RESULTS)
    assert scalars == {'temperature': None, 'list': [0.1, 'μ*']}
    assert {name: (array.dtype, array.tolist()) for name, array in again.items()} == {
        name: (array.dtype, array.tolist()) for name, array in arrays.items()
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ['results.json', 'results.npz']


@pytest.mark.parametrize(
    ('scalars', 'arrays', 'message'),
    [
        ({'temperature': float('nan')}, {}, 'not JSON compliant'),
        ({'temperature': float('inf')}, {}, 'not JSON compliant'),
        ({}, {'numbers': np.ones(2), 'objects': np.array([{}])}, r"objects cannot be written: \['objects'\]"),
        ({}, {'ragged': [1, None]}, 'cannot be written'),
    ],
)
def test_refused(tmp_path, scalars, arrays, message):
    """NaN and Python objects are refused before a file is there."""
    with pytest.raises(ValueError, match=message):
        io.write(tmp_path, io.RESULTS, scalars, arrays)
    assert not list(tmp_path.iterdir())


def test_pickles_stay_closed(tmp_path):
    """An array of objects that somebody else wrote is not opened."""
    np.savez(tmp_path / 'inputs.npz', objects=np.array([{}]))
    (tmp_path / 'inputs.json').write_text(json.dumps({}))
    with pytest.raises(ValueError, match='allow_pickle=False'):
        io.read(tmp_path, io.INPUTS)


def test_incomplete(tmp_path):
    """A folder with arrays alone has no results yet."""
    io.write(tmp_path, io.RESULTS, {}, {'array': np.ones(2)})
    (tmp_path / 'results.json').unlink()
    with pytest.raises(FileNotFoundError):
        io.read(tmp_path, io.RESULTS)
