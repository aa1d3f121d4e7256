"""JSON and arrays from strangers: what Python's readers alone would accept, and must not be."""

import json

import numpy as np
import pytest

from aiida_clathrate.kernels.files.strict_json import LARGEST, parse
from aiida_clathrate.kernels.files.tensor_files import tensor_shapes, tensors_from_bytes, tensors_to_bytes


def test_plain():
    """Plain values come through."""
    content = {'a': [1, 2.5, None, True, 'μ*'], 'b': {'c': -(2**63) + 1}}
    assert parse(json.dumps(content).encode(), 'file') == content


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (b'{"a": NaN}', 'NaN is not a number'),
        (b'{"a": -Infinity}', '-Infinity is not a number'),
        (b'{"a": 1e999}', '1e999 is too large'),
        (b'{"a": 9223372036854775808}', 'too large'),
        (b'{"a": 1' + 1000 * b'0' + b'}', 'too large'),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' is there twice"),
        (b'{"a": {"b": 1, "b": 1}}', "'b' is there twice"),
        (b'[1]', 'must hold a JSON object, not a list'),
        (b'{"a": ', 'is not plain JSON'),
        (b'', 'is not plain JSON'),
        (b'\x80\x04', 'is not plain JSON in UTF-8'),
        (b'{"a": ' + 400_000 * b'[' + 400_000 * b']' + b'}', 'nested too deeply'),
        (b'{"a": "' + LARGEST * b'x' + b'"}', 'more than 1048576 bytes'),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else '',
)
def test_refused_json(text, message):
    """Numbers that are none or too large, names that come twice, depth and length are refused."""
    with pytest.raises(ValueError, match=f'file: .*{message}'):
        parse(text, 'file')


def tensor_file(header, numbers=b''):
    """Return a file with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, 'little') + text + numbers


def entry(**changes):
    """Return what a header says of two numbers."""
    return {'dtype': 'F64', 'shape': [2], 'data_offsets': [0, 16]} | changes


def test_tensors():
    """Arrays of any number of axes come back with their types; no order of them changes the bytes."""
    arrays = {'b': np.array(np.pi), 'a': np.ones((2, 0, 3), dtype='f4'), 'c': np.arange(6.0).reshape(2, 3).T}
    data = tensors_to_bytes(arrays)
    again = tensors_from_bytes(data, 'file')
    assert {name: (array.dtype, array.shape, array.tolist()) for name, array in again.items()} == {
        name: (array.dtype, array.shape, array.tolist()) for name, array in arrays.items()
    }
    assert tensors_to_bytes(dict(reversed(arrays.items()))) == data
    assert tensor_shapes(data, 'file') == {'a': (2, 0, 3), 'b': (), 'c': (3, 2)}
    assert tensors_from_bytes(tensor_file({'a': entry()}, np.arange(2.0).tobytes()), 'file')['a'].tolist() == [0, 1]


@pytest.mark.parametrize('array', [np.arange(3), np.array([None]), np.ones(2, dtype=complex), np.array(['a'])])
def test_other_types(array):
    """Only real numbers are written."""
    with pytest.raises(ValueError, match=r'a: .* is neither float32 nor float64'):
        tensors_to_bytes({'a': array})


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (tensor_file({'a': entry(dtype='I64')}, bytes(16)), "a has the type 'I64'"),
        (tensor_file({'a': entry(dtype=['F64'])}, bytes(16)), 'a has the type'),
        (tensor_file({'a': entry(shape=[-2])}, bytes(16)), 'a has no shape'),
        (tensor_file({'a': entry(shape=[2.0])}, bytes(16)), 'a has no shape'),
        (tensor_file({'a': entry(shape=[2**62] * 9)}, bytes(16)), 'a has no shape of at most 8'),
        (tensor_file({'a': entry(shape=[2**40])}, bytes(16)), 'where its header needs'),
        (tensor_file({'a': entry(extra=1)}, bytes(16)), 'a is no array'),
        (tensor_file({'a': [1]}, bytes(16)), 'a is no array'),
        (tensor_file({'__metadata__': {'code': 'x'}, 'a': entry()}, bytes(16)), '__metadata__ is no array'),
        (tensor_file({'a': entry(data_offsets=[8, 24])}, bytes(16)), 'file: Error while deserializing'),
        (tensor_file({'a': entry(), 'b': entry()}, bytes(32)), 'file: Error while deserializing'),
        (tensor_file({'a': entry(data_offsets=[0, -1])}, bytes(16)), 'file: Error while deserializing'),
        (tensor_file(b'{"a": 1, "a": 2}'), 'twice'),
        (tensor_file(b'{' + 2**20 * b' ' + b'}'), 'header ends at'),
        ((2**63).to_bytes(8, 'little') + b'{}', 'header ends at'),
        (b'', 'another format'),
    ],
)
def test_refused_tensors(data, message):
    """Headers that lie about types, shapes, places and length are refused."""
    with pytest.raises(ValueError, match=message):
        tensors_from_bytes(data, 'file')
