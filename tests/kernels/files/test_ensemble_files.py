"""Ensembles of python-sscha, real ones and our own, and extended XYZ: what they say, and what is refused."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.files.extxyz_ensembles import read_extxyz, write_extxyz
from aiida_clathrate.kernels.files.sscha_binary import write_binary
from aiida_clathrate.kernels.files.sscha_ensembles import read_sscha_ensemble
from aiida_clathrate.kernels.files.sscha_text import write_configurations
from aiida_clathrate.kernels.files.supercell_order import match_supercell
from aiida_clathrate.kernels.sscha.sampling import sample

FIXTURES = Path(__file__).parents[2] / 'fixtures' / 'sscha'
POPULATION = 3
#: Text is in bohr, and python-sscha's is ours to 7·10⁻⁸; ASE writes eight decimals.
TOLERANCES = {'bin': 1e-10, 'text': 1e-7, 'enhanced.xyz': 1e-6, 'extxyz.xyz': 1e-6}


@pytest.fixture
def saved(tmp_path):
    """Return the folder that python-sscha wrote."""
    with zipfile.ZipFile(FIXTURES / 'saved.zip') as archive:
        archive.extractall(tmp_path / 'saved')
    return tmp_path / 'saved'


@pytest.fixture(scope='module')
def ensemble():
    """Return the ensemble that python-sscha was given to write."""
    with np.load(FIXTURES / 'saved.npz') as data:
        crystal = Crystal(data['cell'], tuple(data['symbols'].tolist()), data['positions'], data['masses'])
        mesh = tuple(data['mesh'].tolist())
        temperature = float(data['temperature'])
        matrices = DynamicalMatrices(crystal, mesh, data['force_constants'], 'sscha', None, temperature)
        displacements, energies, forces, stresses = (
            data[name] for name in ('displacements', 'energies', 'forces', 'stresses')
        )
    return ForceEnsemble(matrices, temperature, displacements, energies, forces, stresses, source='python-sscha')


def read(path, ensemble, **options):
    """Return the ensemble in a file or folder."""
    if path.is_dir():
        return read_sscha_ensemble(path, POPULATION, ensemble.temperature, **options)
    return read_extxyz(path, ensemble.matrices, ensemble.temperature, **options)


def write(ensemble, kind, folder):
    """Write an ensemble and return what to read."""
    folder.mkdir()
    if kind == 'extxyz':
        (folder / 'ensemble.xyz').write_text(write_extxyz(ensemble))
        return folder / 'ensemble.xyz'
    if kind == 'text':
        for name, text in write_configurations(ensemble, POPULATION).items():
            (folder / name).write_text(text)
    else:
        for name, content in write_binary(ensemble, POPULATION).items():
            (folder / name).write_bytes(content)
    return folder


def assert_close(found, expected, tolerance):
    """Compare two ensembles."""
    for name in ('displacements', 'energies', 'forces', 'stresses'):
        left, right = getattr(found, name), getattr(expected, name)
        assert np.abs(left - right).max() <= tolerance * max(1, np.abs(right).max()), name
    matrices = (found.matrices.force_constants, expected.matrices.force_constants)
    assert np.abs(matrices[0] - matrices[1]).max() < 1e-7
    assert found.crystal.same_lattice(expected.crystal, 1e-6)
    assert (found.mesh, found.temperature, found.antithetic) == (expected.mesh, expected.temperature, True)


@pytest.mark.parametrize('name', TOLERANCES)
def test_real_files(saved, ensemble, name):
    """Files of python-sscha hold what it was given: units, sign of the stress, order of the atoms."""
    found = read(saved / name, ensemble, source='python-sscha')
    assert_close(found, ensemble, TOLERANCES[name])
    assert found.matrices.level == 'sscha'
    assert (found.source, found.seed) == ('python-sscha', None)


@pytest.mark.parametrize('kind', ['bin', 'text'])
def test_same_files(saved, ensemble, kind, tmp_path):
    """What we write has the names and the numbers of what python-sscha writes."""
    ours = write(ensemble, kind, tmp_path / 'ours')
    theirs = {path.name for path in (saved / kind).iterdir() if not path.name.startswith('dyn_end')}
    assert {path.name for path in ours.iterdir()} == theirs
    for name in theirs:
        if name.endswith('.npy'):
            numbers = np.load(ours / name), np.load(saved / kind / name)
        elif name.endswith('.dat') and not name.startswith('scf'):
            numbers = np.loadtxt(ours / name), np.loadtxt(saved / kind / name)
        else:
            continue
        assert np.allclose(*numbers, rtol=1e-7, atol=1e-9), name


@pytest.mark.parametrize('kind', ['bin', 'text', 'extxyz'])
def test_round_trip(kind, ensemble, tmp_path):
    """What was written is read, with and without stresses."""
    path = write(ensemble, kind, tmp_path / 'full')
    assert_close(read(path, ensemble), ensemble, 1e-7 if kind == 'extxyz' else 1e-10)
    assert read(write(replace(ensemble, stresses=None), kind, tmp_path / 'part'), ensemble).stresses is None


def test_not_computed(ensemble, tmp_path):
    """Positions alone can go out as extended XYZ and come back; python-sscha would take zero for the forces."""
    drawn = replace(ensemble, energies=None, forces=None, stresses=None, source='')
    found = read(write(drawn, 'extxyz', tmp_path / 'xyz'), ensemble)
    assert not found.computed
    for function in (write_binary, write_configurations):
        with pytest.raises(ValueError, match='has no forces'):
            function(drawn, POPULATION)


def test_other_order(saved, ensemble, tmp_path):
    """Atoms in another order, and in another cell of the crystal, are found by where they are."""
    order = np.random.default_rng(1).permutation(18)
    shift = np.array([1, 0, -2]) @ (ensemble.crystal.cell * np.array(ensemble.mesh)[:, None])
    for name in ('xats', 'forces'):
        path = saved / 'bin' / f'{name}_pop{POPULATION}.npy'
        np.save(path, np.load(path)[:, order] + (shift if name == 'xats' else 0))
    assert_close(read(saved / 'bin', ensemble), ensemble, 1e-7)


def test_crossing_atoms(ensemble, tmp_path):
    """Displacements are not those to the nearest image: an atom at a face of the cell has moved out of it."""
    positions = ensemble.positions
    assert (np.linalg.solve(ensemble.crystal.cell.T, positions.reshape(-1, 3).T).min(axis=1) < 0).any()
    cell = ensemble.crystal.cell * np.array(ensemble.mesh)[:, None]
    path = write(ensemble, 'bin', tmp_path / 'wrapped')
    wrapped = (positions @ np.linalg.inv(cell)) % 1 @ cell
    np.save(path / f'xats_pop{POPULATION}.npy', wrapped)
    with pytest.raises(ValueError, match='wrapped into the cell'):
        read(path, ensemble)


def change(path, function):
    """Replace an array in a file."""
    np.save(path, function(np.load(path)))


def incomplete(array):
    """Return forces of which the last two are zero."""
    return np.concatenate([array[:-2], 0 * array[-2:]])


@pytest.mark.parametrize(
    ('name', 'function', 'message'),
    [
        ('forces', incomplete, r'forces: all zero in 2 of 6 configurations, the first is number 5'),
        ('forces', lambda array: array[:4], 'forces of 4 configurations, positions of 6'),
        ('energies', lambda array: array[:5], 'energies of 5 configurations'),
        ('stresses', lambda array: array[:5], 'stresses of 5 configurations'),
        ('forces', lambda array: np.where(array > 0.1, np.nan, array), 'forces: not finite in configuration'),
        ('xats', lambda array: np.where(array > 0.1, np.nan, array), 'positions: need finite numbers'),
        ('xats', lambda array: array[:, :12], '12 atoms, where the supercell 2×1×3 of CBLi has 18'),
        ('xats', lambda array: array[:, ::-1] + 0.9, 'no atom belongs to'),
        ('xats', lambda array: 1.001 * array, r'are pairs ±u about centroids that are up to 0\.0[01]\d* Å from'),
        ('xats', lambda array: 2 * array - array.mean(axis=0), r'their mean square is [34]\.'),
        ('xats', lambda array: array[:, :, 0], 'unexpected shape'),
        ('forces', lambda array: 0 * array, 'forces: all zero in 6 of 6'),
        ('energies', lambda array: array.astype(int), 'no array of real numbers'),
        ('energies', lambda array: array.astype(object), 'cannot be read'),
    ],
)
def test_damaged_binary(saved, ensemble, name, function, message):
    """Arrays that cannot be an ensemble are refused with the name of the file or folder."""
    change(saved / 'bin' / f'{name}_pop{POPULATION}.npy', function)
    with pytest.raises(ValueError, match=message) as caught:
        read(saved / 'bin', ensemble)
    assert str(saved / 'bin') in str(caught.value)


@pytest.mark.parametrize(
    ('name', 'old', 'new', 'message'),
    [
        ('energies_supercell_population3.dat', '\n', '\n1.0\n', 'has 12 energies, and there are 6 files'),
        ('scf_population3_2.dat', 'angstrom', 'alat', 'use_alat=False'),
        ('scf_population3_2.dat', 'Li ', 'Na ', 'other atoms or another cell than in number 1'),
        ('scf_population3_2.dat', '10.1999999999999993', '10.3', 'other atoms or another cell'),
        ('scf_population3_2.dat', 'POSITIONS angstrom', 'POSITIONS bohr', 'need ATOMIC_POSITIONS angstrom'),
        ('u_population3_5.dat', 'e-0', 'e-1', 'not the displacements of the positions'),
        ('forces_population3_4.dat', 'e', 'nan', 'is not a number'),
        ('forces_population3_4.dat', '\n', '\n\n1 2 3\n', 'need 18 lines of 3 numbers, not 36'),
        ('pressures_population3_4.dat', 'e', '*', 'printed as stars'),
    ],
)
def test_damaged_text(saved, ensemble, name, old, new, message):
    """A damaged file is named."""
    path = saved / 'text' / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        read(saved / 'text', ensemble)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('text/forces_population3_2.dat', 'forces_population3_2.dat cannot be read'),
        ('text/pressures_population3_2.dat', 'stresses of 5 of 6 configurations'),
        ('text/scf_population3_6.dat', 'has 6 energies, and there are 5 files'),
        ('text/energies_supercell_population3.dat', 'holds no population 3'),
        ('bin/energies_pop3.npy', 'energies_pop3.npy cannot be read'),
        ('bin/xats_pop3.npy', 'holds no population 3'),
        ('bin/dyn_gen_pop3_4', 'q'),
    ],
)
def test_missing_file(saved, ensemble, name, message):
    """A missing file is named."""
    (saved / name).unlink()
    with pytest.raises(ValueError, match=message):
        read(saved / name.split('/')[0], ensemble)


def test_matrices_from_elsewhere(saved, ensemble, tmp_path):
    """Without matrices in the folder they must be given; others than those that were drawn from are refused."""
    for path in [*(saved / 'text').glob('dyn_*')]:
        path.unlink()
    with pytest.raises(ValueError, match='neither dyn_gen_pop3_1 nor dyn_start_population3_1'):
        read(saved / 'text', ensemble)
    assert_close(read(saved / 'text', ensemble, matrices=ensemble.matrices), ensemble, 1e-7)
    softer = replace(ensemble.matrices, force_constants=0.01 * ensemble.matrices.force_constants)
    with pytest.raises(ValueError, match='give the temperature and the matrices'):
        read(saved / 'text', ensemble, matrices=softer)
    with pytest.raises(ValueError, match='of the Gaussian of the matrices at 10000 K'):
        read_sscha_ensemble(saved / 'bin', POPULATION, 10000.0)
    imaginary = replace(ensemble.matrices, force_constants=-ensemble.matrices.force_constants)
    with pytest.raises(ValueError, match='is not positive'):
        read(saved / 'bin', ensemble, matrices=imaginary)
    crystal = ensemble.crystal
    moved = replace(crystal, positions=crystal.positions + np.array([[0.1, 0, 0], [0, 0, 0], [0, 0, 0]]))
    with pytest.raises(ValueError, match=r'about centroids that are up to 0\.26 Å'):
        read(saved / 'bin', ensemble, matrices=replace(ensemble.matrices, crystal=moved))


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('5.2 0.2 0.4', '5.3 0.2 0.4', 'is not the supercell 2×1×3'),
        ('\nB ', '\nN ', 'is N, where the crystal has B'),
        ('energy=', 'other=', 'energies and forces: give both or neither'),
        ('pos:R:3', 'pos:R:4', 'cannot be read as extended XYZ'),
        ('\n18\n', '\n17\n', 'cannot be read as extended XYZ'),
    ],
)
def test_damaged_extxyz(saved, ensemble, old, new, message):
    """Another structure, missing numbers and damage are refused."""
    path = saved / 'extxyz.xyz'
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        read(path, ensemble)


def test_extxyz_in_part(saved, ensemble):
    """Results of some of the configurations are refused, and so are atoms that change their order."""
    path = saved / 'extxyz.xyz'
    text = path.read_text()
    path.write_text(text.replace('stress=', 'other=', 1))
    with pytest.raises(ValueError, match='stresses of 5 of 6 configurations'):
        read(path, ensemble)
    path.write_text(text.replace('\nLi ', '\nB ', 1))
    with pytest.raises(ValueError, match='configuration 2 has other atoms'):
        read(path, ensemble)
    path.write_text('')
    with pytest.raises(ValueError, match=r'cannot be read|no configurations'):
        read(path, ensemble)
    shutil.rmtree(saved)
    with pytest.raises(ValueError, match='cannot be read'):
        read(path, ensemble)


def test_free_energy_goes_with_the_forces(saved, ensemble):
    """Of two energies in a file the one is taken that the forces belong to."""
    path = saved / 'extxyz.xyz'
    path.write_text(path.read_text().replace('energy=', 'free_energy=0.5 energy='))
    assert np.array_equal(read(path, ensemble).energies, np.full(6, 0.5))


def test_match_images(ensemble):
    """Each atom gets the image that the other program has."""
    crystal, mesh = ensemble.crystal, ensemble.mesh
    positions = ensemble.positions.mean(axis=0)
    cell = crystal.cell * np.array(mesh)[:, None]
    images = np.random.default_rng(2).integers(-2, 3, size=(18, 3))
    order, centroids = match_supercell(crystal, mesh, positions + images @ cell, crystal.symbols * 6)
    assert order.tolist() == list(range(18))
    assert np.allclose(centroids, positions + images @ cell)
    with pytest.raises(ValueError, match='atom 1 is C, where the crystal has Li'):
        match_supercell(crystal, mesh, positions, crystal.symbols[::-1] * 6)


def test_pairs(ensemble, tmp_path):
    """Pairs are found where they are neighbours; a mean that is not that of the centroids is refused without them."""
    drawn = sample(ensemble.matrices, 0.0, 400, seed=3)
    crystal = ensemble.crystal
    moved = replace(crystal, positions=crystal.positions + np.array([[0, 0, 0.015], [0, 0, 0], [0, 0, 0]]))
    other = replace(ensemble.matrices, crystal=moved)
    for order, pairs in ((np.arange(400), True), (np.argsort(np.arange(400) % 2, kind='stable'), False)):
        path = write(drawn.subset(order, antithetic=pairs), 'extxyz', tmp_path / str(pairs))
        assert read_extxyz(path, ensemble.matrices, 0.0).antithetic is pairs
    path = write(drawn.subset(np.arange(0, 400, 2), antithetic=False), 'extxyz', tmp_path / 'halves')
    assert len(read_extxyz(path, ensemble.matrices, 0.0)) == 200
    with pytest.raises(ValueError, match='times what chance explains'):
        read_extxyz(path, other, 0.0)
    single = write(drawn.subset(slice(1), antithetic=False), 'extxyz', tmp_path / 'single')
    assert read_extxyz(single, ensemble.matrices, 0.0).antithetic is False
