"""Named arrays as a safetensors file: numbers behind a header of names, types and shapes, and nothing that can run.

Format: https://huggingface.co/docs/safetensors. Eight bytes with the length of the header, little endian; the header,
a JSON object of ``{name: {dtype, shape, data_offsets}}``; the numbers, without gaps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aiida_clathrate.kernels.files.strict_json import LARGEST, parse
from aiida_clathrate.kernels.io import Arrays

#: Types that are read and written, with their size [bytes].
SIZES = {'F32': 4, 'F64': 8}
MOST_AXES = 8
#: First bytes of files that are often renamed.
KINDS = {
    b'PK': 'a zip file, such as those of torch.save and numpy.savez',
    b'\x93NUMPY': 'a NumPy file',
    b'\x80': 'a pickle, which can run code',
}
Shape = tuple[int, ...]


def tensors_to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the content of the file; the same for the same arrays, whatever their order.

    :param arrays: float32 or float64.
    :raises ValueError: for arrays of another type.
    """
    if wrong := [name for name, array in arrays.items() if array.dtype not in (np.float32, np.float64)]:
        raise ValueError(f'{wrong[0]}: {arrays[wrong[0]].dtype} is neither float32 nor float64')
    return save({name: np.asarray(arrays[name], order='C') for name in sorted(arrays)})


def tensors_from_bytes(data: bytes, name: str) -> Arrays:
    """Return the arrays of a file.

    :param name: of the file, for messages.
    :raises ValueError: for what is not a complete safetensors file of float32 and float64 arrays.
    """
    tensor_shapes(data, name)
    try:
        return load(data)
    except SafetensorError as error:
        raise ValueError(f'{name}: {error}') from error


def tensor_shapes(data: bytes, name: str) -> dict[str, Shape]:
    """Return the shapes that the header promises, once they agree with the size of the file.

    The parameters and errors are those of ``tensors_from_bytes``.
    """
    # The header is an object: anything else at byte 8 is another format.
    if data[8:9] != b'{':
        kind = next((kind for start, kind in KINDS.items() if data.startswith(start)), 'another format')
        raise ValueError(f'{name}: is not a safetensors file but {kind}; nothing of it was read')
    end = 8 + int.from_bytes(data[:8], 'little')
    if end > min(len(data), 8 + LARGEST):
        raise ValueError(f'{name}: is truncated, or no safetensors file: its header ends at {end} of {len(data)} bytes')
    header = parse(data[8:end], f'header of {name}')
    shapes = {key: _shape(key, entry, name) for key, entry in header.items()}
    size = sum(math.prod(shapes[key]) * SIZES[header[key]['dtype']] for key in header)
    if end + size != len(data):
        raise ValueError(f'{name}: is truncated or damaged: {len(data)} bytes, where its header needs {end + size}')
    return shapes


def _shape(key: str, entry: Any, name: str) -> Shape:
    if not isinstance(entry, dict) or set(entry) != {'dtype', 'shape', 'data_offsets'}:
        raise ValueError(f'{name}: {key[:40]} is no array with dtype, shape and data_offsets')
    dtype, shape = entry['dtype'], entry['shape']
    if not isinstance(dtype, str) or dtype not in SIZES:
        raise ValueError(f'{name}: {key[:40]} has the type {dtype!r}; only {" and ".join(SIZES)} are read')
    if (
        not isinstance(shape, list)
        or len(shape) > MOST_AXES
        or not all(type(size) is int and size >= 0 for size in shape)
    ):
        raise ValueError(f'{name}: {key[:40]} has no shape of at most {MOST_AXES} whole numbers')
    return tuple(shape)
