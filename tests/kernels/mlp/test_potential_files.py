"""Files of a potential: exact in both directions, and harmless whoever made them."""

import hashlib
import io
import json
import pickle
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from harmful_pickle import Harmful
from safetensors.numpy import save as save_tensors
from small_potential import small_potential

from aiida_clathrate.kernels.files.tensor_files import tensors_from_bytes
from aiida_clathrate.kernels.mlp import potential_files
from aiida_clathrate.kernels.mlp.potential_files import DESCRIPTION, NUMBERS, from_bytes, load, save, to_bytes


@pytest.fixture(scope='module')
def potential():
    """Return a potential with a baseline, one of its weights in single precision."""
    return small_potential(single=('network.readout',))


@pytest.fixture
def content(potential):
    """Return the content of its files."""
    return to_bytes(potential)


def described(content, **changes):
    """Return files with other entries in the description."""
    description = json.loads(content[DESCRIPTION]) | changes
    return content | {DESCRIPTION: json.dumps(description).encode()}


def numbered(content, **arrays):
    """Return files with other arrays, ``None`` for none, and a description that belongs to them."""
    held = {name.replace('__', '.'): array for name, array in arrays.items()}
    merged = tensors_from_bytes(content[NUMBERS], NUMBERS) | held
    numbers = save_tensors({name: array for name, array in merged.items() if array is not None})
    return with_numbers(content, numbers)


def with_numbers(content, numbers):
    """Return files with other numbers, and a description that belongs to them."""
    return described(content | {NUMBERS: numbers}, sha256=hashlib.sha256(numbers).hexdigest())


@pytest.mark.parametrize('baseline', [True, False])
def test_round_trip(tmp_path, baseline):
    """All of a potential comes back to the last bit, and is written in the same bytes again."""
    potential = small_potential(baseline=baseline, single=('network.readout', 'network.shift'))
    save(potential, tmp_path)
    again = load(tmp_path)
    assert (again.architecture, again.species, again.record) == (
        potential.architecture,
        potential.species,
        potential.record,
    )
    assert {name: (array.dtype, array.tolist()) for name, array in again.weights.items()} == {
        name: (array.dtype, array.tolist()) for name, array in potential.weights.items()
    }
    assert (again.baseline is None) == (potential.baseline is None)
    if baseline:
        assert np.array_equal(again.baseline.force_constants, potential.baseline.force_constants)
        assert np.array_equal(again.baseline.crystal.positions, potential.baseline.crystal.positions)
        assert again.baseline.mesh == potential.baseline.mesh
    assert to_bytes(again) == {name: (tmp_path / name).read_bytes() for name in (DESCRIPTION, NUMBERS)}
    assert sorted(path.name for path in tmp_path.iterdir()) == [DESCRIPTION, NUMBERS]


def test_order_is_no_content(potential, content):
    """The order of the weights in memory, and how they lie there, leave the files as they are."""
    turned = {name: np.array(potential.weights[name], order='F') for name in reversed(potential.weights)}
    assert to_bytes(replace(potential, weights=turned)) == content


def pickled(path):
    """Return a pickle as in old files of torch."""
    return pickle.dumps(Harmful(path))


def zipped(path):
    """Return a zip file with a pickle, as ``torch.save`` writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('archive/data.pkl', pickled(path))
    return buffer.getvalue()


def array_file(path):
    """Return an array of objects as NumPy writes it."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Harmful(path)]), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ('make', 'message'),
    [(pickled, 'but a pickle, which can run code'), (zipped, 'but a zip file'), (array_file, 'but a NumPy file')],
)
@pytest.mark.parametrize('name', [NUMBERS, DESCRIPTION])
def test_code_does_not_run(potential, tmp_path, make, message, name):
    """Files that make another file when they are unpickled are refused, and do not make it."""
    trace = tmp_path / 'trace'
    harmful = make(trace)
    pickle.loads(pickled(trace))
    assert trace.exists(), 'the trap must work'
    trace.unlink()
    save(potential, tmp_path)
    (tmp_path / name).write_bytes(harmful)
    with pytest.raises(ValueError, match=message if name == NUMBERS else 'potential.json: is not plain JSON'):
        load(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda data: data[:-8], 'potential.safetensors: is truncated or damaged'),
        (lambda data: data[:100], 'is truncated, or no safetensors file: its header ends'),
        (lambda data: data[:4], 'not a safetensors file but another format'),
        (lambda data: b'', 'not a safetensors file but another format'),
        (lambda data: data + b'\0', 'is truncated or damaged'),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), 'sha256: is that of another'),
    ],
)
def test_damaged(content, damage, message):
    """A file that lost, won or changed a byte is refused."""
    with pytest.raises(ValueError, match=message):
        from_bytes(content | {NUMBERS: damage(content[NUMBERS])})


@pytest.mark.parametrize(
    ('arrays', 'message'),
    [
        ({'weights__network__readout': None}, 'weights.network.readout is missing'),
        ({'baseline__masses': None}, 'baseline.masses is missing'),
        ({'weights__extra': np.ones(3)}, "'weights.extra' is no array of this architecture"),
        ({'loose': np.ones(3)}, "'loose' is no array of this architecture"),
        (
            {'weights__network__readout': np.ones((2, 4))},
            r'weights.network.readout has the shape \(2, 4\), needs \(2, 3\)',
        ),
        ({'weights__energy_scale': np.ones(1)}, r'weights.energy_scale has the shape \(1,\), needs \(\)'),
        ({'baseline__cell': np.ones((9,))}, r'baseline.cell has the shape \(9,\)'),
        (
            {'weights__network__readout': np.ones((2, 3), dtype=np.float16)},
            "weights.network.readout has the type 'F16'",
        ),
        ({'weights__network__readout': np.ones((2, 3), dtype=np.int64)}, "weights.network.readout has the type 'I64'"),
        ({'weights__network__readout': np.full((2, 3), np.nan)}, 'weights: network.readout must hold finite numbers'),
        (
            {'weights__network__readout': np.full((2, 3), np.inf, dtype=np.float32)},
            'weights: network.readout must hold finite',
        ),
        ({'baseline__masses': np.ones(2, dtype=np.float32)}, 'baseline.masses must be in double precision'),
        ({'baseline__masses': np.array([1.0, np.nan])}, 'must be finite'),
        ({'baseline__masses': np.array([1.0, -1.0])}, 'positive masses'),
        ({'baseline__positions': np.zeros((2, 3))}, 'overlap'),
    ],
)
def test_wrong_arrays(content, arrays, message):
    """Arrays that this architecture and baseline do not have are named."""
    with pytest.raises(ValueError, match=message):
        from_bytes(numbered(content, **arrays))


def baseline(**changes):
    """Return the description of a baseline with changes."""
    held = {'level': 'harmonic', 'matrices_temperature': None, 'mesh': [2, 1, 3], 'pressure': None}
    return {'baseline': held | {'symbols': ['Mg', 'O']} | changes}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'format': 'pickle'}, "its format is 'pickle'"),
        ({'version': 2}, 'its version is 2, this program reads 1; update aiida-clathrate'),
        ({'version': '1'}, 'its version is 1'),
        ({'version': True}, 'its version is True'),
        ({'units': {'energy': 'Ry'}}, 'units must be'),
        ({'record': [1]}, 'record must be an object'),
        ({'comment': 'x'}, "'comment' is missing or unknown"),
        ({'species': 'MgO'}, 'species: must be a list'),
        ({'species': ['Mg', 'Mg']}, 'different elements'),
        ({'species': ['Mg', 'Qq']}, "'Qq' is no element"),
        ({'species': ['O', 'Si']}, 'baseline: is of MgO'),
        ({'species': ['Mg', 'O', 'Si']}, 'has the shape'),
        ({'architecture': {'channels': 3}}, 'architecture: is not complete'),
        ({'architecture': {'channels': 10**9}}, 'channels: 1000000000 is not'),
        ({'architecture': {'run': 'x'}}, 'run: no such parameter'),
        ({'architecture': [1]}, 'potential.json and'),
        ({'sha256': None}, 'sha256: is that of another'),
        ({'baseline': None}, "'baseline.cell' is no array"),
        ({'baseline': [1]}, 'baseline: must be null or hold'),
        (baseline(mesh=[2, 1, 2]), 'baseline.force_constants has the shape'),
        (baseline(mesh=[2, 1, -3]), 'mesh must be three whole numbers'),
        (baseline(mesh='213'), 'mesh must be three whole numbers'),
        (baseline(symbols=['Mg'] * 501), 'more than 500 atoms'),
        (baseline(symbols=['Mg', 1]), 'baseline: symbols: must be a list'),
        (baseline(level='guess'), 'level must be one of'),
        (baseline(pressure='high'), 'baseline: pressure must be a number or null'),
    ],
)
def test_wrong_description(content, changes, message):
    """A description of something else is refused, and says of what."""
    with pytest.raises(ValueError, match=message):
        from_bytes(described(content, **changes))


@pytest.mark.parametrize('key', potential_files.KEYS)
def test_missing_key(content, key):
    """Each entry of the description is needed."""
    description = json.loads(content[DESCRIPTION])
    del description[key]
    with pytest.raises(ValueError, match=key):
        from_bytes(content | {DESCRIPTION: json.dumps(description).encode()})


@pytest.mark.parametrize('name', [DESCRIPTION, NUMBERS])
def test_too_large(content, monkeypatch, name):
    """Of a file that is too large no more is read than to know it."""
    monkeypatch.setitem(potential_files.LARGEST, name, 64)
    streams = {other: io.BytesIO(content[other]) for other in content}
    places = {}

    @contextmanager
    def open_file(opened):
        yield streams[opened]
        places[opened] = streams[opened].tell()

    with pytest.raises(ValueError, match=f'{name}: is larger than 64 bytes'):
        potential_files.read(open_file)
    assert places[name] == 65


def test_refused_before_written(potential, tmp_path):
    """What could not be read again is not written."""
    wrong = dict(potential.weights)
    del wrong['network.readout']
    for refused in (replace(potential, weights=wrong), replace(potential, record={'force_rmse': float('nan')})):
        with pytest.raises(ValueError, match=r'network.readout is missing|not JSON compliant'):
            save(refused, tmp_path)
    with pytest.raises(ValueError, match='larger than'):
        save(replace(potential, record={'note': 'x' * 2**20}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_incomplete(potential, tmp_path):
    """Numbers alone are no potential yet."""
    save(potential, tmp_path)
    (tmp_path / DESCRIPTION).unlink()
    with pytest.raises(FileNotFoundError, match=DESCRIPTION):
        load(tmp_path)


def test_without_torch(potential, tmp_path):
    """A potential is read without torch, which costs a daemon seconds and hundreds of megabytes."""
    save(potential, tmp_path)
    script = (
        'import sys; from pathlib import Path; from aiida_clathrate.kernels.mlp.potential_files import load; '
        f'load(Path({str(tmp_path)!r})); assert "torch" not in sys.modules'
    )
    subprocess.run([sys.executable, '-c', script], check=True)
