"""Files of phonopy: what it makes of ours, and we of its."""

from itertools import pairwise

import numpy as np
import phonopy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phonopy.file_IO import write_FORCE_CONSTANTS
from phonopy.structure.atoms import PhonopyAtoms

from aiida_clathrate.kernels.files.phonopy_files import parse_force_constants, read_phonopy_files, write_phonopy_files
from aiida_clathrate.kernels.files.qe_dyn import read_dyn_files
from aiida_clathrate.kernels.units import MEV_PER_THZ


@pytest.fixture(scope='module')
def matrices(hydrogen):
    """Return the matrices of hydrogen, whose phases matter."""
    return read_dyn_files(hydrogen)


def save(texts, folder):
    """Write files to a folder."""
    for name, text in texts.items():
        (folder / name).write_text(text)


def test_round_trip(matrices):
    """What is written is read back to rounding."""
    again = read_phonopy_files(write_phonopy_files(matrices), 'hessian', 500.0, 0.0)
    assert np.abs(again.force_constants - matrices.force_constants).max() < 1e-12
    assert np.abs(again.crystal.cell - matrices.crystal.cell).max() < 1e-12
    assert np.abs(again.crystal.positions - matrices.crystal.positions).max() < 1e-12
    assert np.array_equal(again.crystal.masses, matrices.crystal.masses)
    assert (again.mesh, again.level, again.pressure, again.temperature) == ((3, 3, 3), 'hessian', 500.0, 0.0)


def test_frequencies(matrices, tmp_path):
    """Phonopy finds our frequencies at every point of the mesh."""
    save(write_phonopy_files(matrices), tmp_path)
    loaded = phonopy.load(
        tmp_path / 'phonopy.yaml',
        force_constants_filename=tmp_path / 'FORCE_CONSTANTS',
        symmetrize_fc=False,
        is_nac=False,
        log_level=0,
    )
    for qpoint, frequencies in zip(matrices.qpoints, matrices.modes[0], strict=True):
        loaded.run_qpoints([qpoint])
        # Values that phonopy has of the constants differ from CODATA's by 1e-8.
        assert loaded.qpoints.frequencies[0] * MEV_PER_THZ == pytest.approx(frequencies, rel=1e-6, abs=1e-3)


@pytest.fixture
def silicon():
    """Return phonopy's object for a conventional cell with a primitive one, with force constants of springs."""
    cell = PhonopyAtoms(
        cell=5.43 * np.eye(3),
        symbols=['Si'] * 8,
        scaled_positions=[
            np.array(corner) + shift
            for corner in ([0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0])
            for shift in (0, 0.25)
        ],
    )
    found = phonopy.Phonopy(cell, supercell_matrix=np.eye(3), primitive_matrix='F')
    positions = found.supercell.scaled_positions
    constants = np.zeros((8, 8, 3, 3))
    for first in range(8):
        for second in range(8):
            for shift in np.ndindex(3, 3, 3):
                bond = (positions[second] - positions[first] + np.array(shift) - 1) @ found.supercell.cell
                if 0 < np.linalg.norm(bond) < 2.6:
                    spring = np.outer(bond, bond) / (bond @ bond) + 0.1 * np.eye(3)
                    constants[first, second] -= spring
                    constants[first, first] += spring
    found.force_constants = constants
    return found


def test_conventional_cell(silicon, tmp_path):
    """Where the supercell does not repeat the primitive cell along its vectors the unit cell is taken."""
    path = tmp_path / 'FORCE_CONSTANTS'
    write_FORCE_CONSTANTS(silicon.force_constants, path)
    texts = {'phonopy.yaml': str(silicon.to_phonopy_yaml(settings={})), 'FORCE_CONSTANTS': path.read_text()}
    matrices = read_phonopy_files(texts)
    assert (matrices.mesh, len(matrices.crystal.symbols)) == ((1, 1, 1), 8)
    # The optical modes of Γ are those of the primitive cell, and X folds onto Γ.
    silicon.run_qpoints([[0, 0, 0], [0, 0.5, 0.5]])
    ours = matrices.modes[0][0]
    for frequency in silicon.qpoints.frequencies.ravel() * MEV_PER_THZ:
        assert np.abs(ours - frequency).min() < 1e-3


def test_force_constants_inside(matrices, tmp_path):
    """Force constants within the YAML file serve too; compact ones that no mesh fits are refused."""
    save(write_phonopy_files(matrices), tmp_path)
    loaded = phonopy.load(
        tmp_path / 'phonopy.yaml', force_constants_filename=tmp_path / 'FORCE_CONSTANTS', symmetrize_fc=False
    )
    text = str(loaded.to_phonopy_yaml(settings={'force_constants': True}))
    again = read_phonopy_files({'phonopy_params.yaml': text})
    assert np.abs(again.force_constants - matrices.force_constants).max() < 1e-10


def test_compact_without_mesh(silicon, tmp_path):
    """Force constants of the primitive atoms alone do not serve for the unit cell."""
    path = tmp_path / 'FORCE_CONSTANTS'
    rows = silicon.primitive.p2s_map
    write_FORCE_CONSTANTS(silicon.force_constants[rows], path, p2s_map=rows)
    texts = {'phonopy.yaml': str(silicon.to_phonopy_yaml(settings={})), 'FORCE_CONSTANTS': path.read_text()}
    with pytest.raises(ValueError, match=r'does not repeat the primitive cell .*--full-fc'):
        read_phonopy_files(texts)


def test_code_in_yaml(matrices, tmp_path):
    """A YAML file cannot run code."""
    texts = write_phonopy_files(matrices)
    texts['phonopy.yaml'] += f'\nevil: !!python/object/apply:os.mkdir ["{tmp_path}/made"]\n'
    with pytest.raises(ValueError, match=r'phonopy\.yaml is not a file of phonopy'):
        read_phonopy_files(texts)
    assert not (tmp_path / 'made').exists()


@pytest.mark.parametrize(
    ('name', 'old', 'new', 'message'),
    [
        ('FORCE_CONSTANTS', '   2   54', '   2   52', 'FORCE_CONSTANTS, line'),
        ('FORCE_CONSTANTS', '\n1 2\n', '\n1 3\n', 'the block that ends here'),
        ('FORCE_CONSTANTS', 'e+00', 'e+nan', 'not a number'),
        ('FORCE_CONSTANTS', '\n28 ', '\n29 ', 'mixed runs'),
        ('phonopy.yaml', '- - 3', '- - 2', 'do not fit'),
        ('phonopy.yaml', 'supercell_matrix', 'matrix', 'no supercell matrix'),
        ('phonopy.yaml', 'unit_cell:', 'cell:', 'no unit cell|not a file of phonopy'),
        ('phonopy.yaml', 'angstrom^2', 'parsec^2', 'conflicts with'),
        ('phonopy.yaml', 'symbol: H', 'symbol: Q', 'not a file of phonopy'),
    ],
)
def test_refusals(matrices, name, old, new, message):
    """Each damage has its message."""
    texts = write_phonopy_files(matrices)
    assert old in texts[name]
    texts[name] = texts[name].replace(old, new)
    with pytest.raises(ValueError, match=message):
        read_phonopy_files(texts)


def test_missing_files(matrices):
    """Both files are needed."""
    texts = write_phonopy_files(matrices)
    for name, message in (('phonopy.yaml', 'for the crystal'), ('FORCE_CONSTANTS', 'holds no force constants')):
        with pytest.raises(ValueError, match=message):
            read_phonopy_files({key: text for key, text in texts.items() if key != name})


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_garbage(matrices, data):
    """Whatever is cut out of or put into FORCE_CONSTANTS, it is read or refused with a message."""
    text = write_phonopy_files(matrices)['FORCE_CONSTANTS'][:3000]
    cuts = sorted(data.draw(st.lists(st.integers(0, 3000), min_size=2, max_size=4)))
    damaged = ''.join(text[start:end] for start, end in pairwise([0, *cuts])) + data.draw(st.text(max_size=9))
    with pytest.raises(ValueError, match='file, line'):
        parse_force_constants(damaged, 'file')
