"""Dynamical matrix files: real ones, round trips, damaged ones."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiida_clathrate.kernels.dynamical_matrix import mesh_points
from aiida_clathrate.kernels.files.qe_dyn import parse_dyn, parse_dyn_files, read_dyn_files, write_dyn_files
from aiida_clathrate.kernels.units import MEV_PER_INVERSE_CM


def test_frequencies(hydrogen):
    """The modes are those that ph.x prints, for each star."""
    matrices, files = read_dyn_files(hydrogen), parse_dyn_files(hydrogen)
    for file in files.files:
        printed = [float(value) for value in re.findall(r'=\s*(\S+) \[cm-1\]', hydrogen[file.name])]
        index = np.flatnonzero(np.abs((mesh_points((3, 3, 3)) - file.qpoints[0] + 0.1) % 1 - 0.1).max(axis=1) < 1e-6)
        # Φ has eight decimals: 0.02 cm⁻¹ at these frequencies, more at Γ where they vanish.
        tolerance = 5.0 if file.name == 'dyn1' else 0.02
        assert matrices.modes[0][index[0]] / MEV_PER_INVERSE_CM == pytest.approx(np.array(printed), abs=tolerance)


def test_crystal(hydrogen, aluminium):
    """Cell, positions and masses, with and without ibrav."""
    crystal = read_dyn_files(hydrogen).crystal
    assert crystal.space_group() == 'I4_1/amd (141)'
    assert crystal.cell[0, 0] == pytest.approx(1.227786634, abs=1e-7)
    assert crystal.masses == pytest.approx(1.00794, rel=1e-6)
    fcc = read_dyn_files(aluminium).crystal
    assert fcc.space_group() == 'Fm-3m (225)'
    assert fcc.volume == pytest.approx(7.5**3 / 4 * 0.529177**3, rel=1e-5)


def test_phase(hydrogen):
    """The files hold Σ_R Φ(0a, Rb) exp(+i q·R): the four bonds of an atom are equal and stiffer than all else."""
    matrices = read_dyn_files(hydrogen)
    crystal = matrices.crystal
    centred = (matrices.qpoints + 0.5) % 1 - 0.5
    cells = np.rint(3 * centred)
    bonds = cells + crystal.positions[1] - crystal.positions[0]
    images = bonds[:, None] + 3 * (np.array(list(np.ndindex(3, 3, 3))) - 1)
    order = np.argsort(np.linalg.norm(images @ crystal.cell, axis=-1).min(axis=1))

    def stiffness(force_constants):
        real = np.einsum('qij,qr->rij', force_constants, np.exp(-2j * np.pi * centred @ cells.T)) / len(cells)
        return np.linalg.norm(real[:, :3, 3:], axis=(1, 2))[order]

    right, wrong = stiffness(matrices.force_constants), stiffness(matrices.force_constants.conj())
    assert right[:4] == pytest.approx(right[0], rel=1e-4)
    assert right[4:].max() < 0.4 * right[0]
    assert wrong[:4].min() < 0.1 * wrong.max()


def test_round_trip(hydrogen):
    """What is written is read back to the last digit, and ends up in stars as those of ph.x."""
    matrices = read_dyn_files(hydrogen, level='sscha', pressure=500.0, temperature=0.0)
    texts = write_dyn_files(matrices, 'p')
    again = read_dyn_files(texts, 'p', 'sscha', 500.0, 0.0)
    scale = np.abs(matrices.force_constants).max()
    assert np.abs(again.force_constants - matrices.force_constants).max() < 1e-14 * scale
    assert np.abs(again.crystal.cell - matrices.crystal.cell).max() < 1e-14
    assert np.abs(again.crystal.positions - matrices.crystal.positions).max() < 1e-14
    assert again.crystal.masses == pytest.approx(matrices.crystal.masses, rel=1e-14)
    sizes = sorted(len(file.qpoints) for file in parse_dyn_files(texts, 'p').files)
    assert sizes == sorted(len(file.qpoints) for file in parse_dyn_files(hydrogen).files)


def test_without_dyn0(hydrogen):
    """The files of python-sscha have no list of stars: the mesh comes from the wave vectors."""
    texts = {name: text for name, text in hydrogen.items() if name != 'dyn0'}
    assert read_dyn_files(texts).mesh == (3, 3, 3)
    title = 'File generated with the CellConstructor by Lorenzo Monacelli'
    texts = {name: text.replace('Dynamical  Matrix', 'Dynamical Matrix') for name, text in texts.items()}
    texts = {name: '\n'.join([text.split('\n')[0], title, *text.split('\n')[2:]]) for name, text in texts.items()}
    assert np.array_equal(read_dyn_files(texts).force_constants, read_dyn_files(hydrogen).force_constants)


def test_half_of_the_stars(hydrogen):
    """Φ(−q) = Φ(q)* fills what the files leave out."""
    full, half = read_dyn_files(hydrogen), {}
    for name in (f'dyn{n}' for n in range(1, 7)):
        head, *blocks = hydrogen[name].split('     Diagonalizing')[0].split('     Dynamical  Matrix')
        kept, seen = [], []
        for block, q in zip(blocks, parse_dyn(hydrogen[name], name).qpoints, strict=True):
            if not any(np.abs((q + other + 0.1) % 1 - 0.1).max() < 1e-5 for other in seen):
                kept.append(block)
                seen.append(q)
        half[name] = '     Dynamical  Matrix'.join([head, *kept])
    assert sum(text.count('q = (') for text in half.values()) == 14
    assert np.abs(read_dyn_files(half).force_constants - full.force_constants).max() < 1e-5


def test_insulator(hydrogen):
    """Dielectric tensor and effective charges are returned, and left out of the matrices with a warning."""
    block = '\n     Dielectric Tensor:\n\n' + '  2.0 0.0 0.0\n  0.0 2.0 0.0\n  0.0 0.0 3.0\n'
    block += '\n     Effective Charges E-U: Z_{alpha}{s,beta}\n\n'
    block += ''.join(f'     atom # {a}\n  {a} 0 0\n  0 {a} 0\n  0 0 {a}\n' for a in (1, 2)) + '\n     Diagonalizing'
    texts = {**hydrogen, 'dyn1': hydrogen['dyn1'].replace('     Diagonalizing', block)}
    file = parse_dyn(texts['dyn1'], 'dyn1')
    assert file.dielectric[2, 2] == 3
    assert file.charges.shape == (2, 3, 3)
    with pytest.warns(UserWarning, match='dyn1: the dielectric tensor'):
        read_dyn_files(texts)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda texts: texts.pop('dyn4'), 'these are missing: dyn4'),
        (lambda texts: [texts.pop(name) for name in [*texts] if name.startswith('dyn')], 'no files dyn1'),
        (lambda texts: texts.update(dyn4=texts['dyn6']), 'is in none of the files|differs by'),
        (lambda texts: texts.update(dyn3=texts['dyn3'][:1500]), 'dyn3, line .*incomplete'),
        (lambda texts: texts.update(dyn3=texts['dyn3'].replace('0.', '*.', 400)), 'stars'),
        (lambda texts: texts.update(dyn0='   3   3   2\n   6\n'), 'dyn0, line'),
        (
            lambda texts: texts.update(dyn0=texts['dyn0'].replace('   3   3   3', '4194304 4194304 1048576')),
            'cannot fill',
        ),
        (lambda texts: texts.update(dyn1='<?xml version="1.0"?>'), 'dyn1 is XML'),
        (lambda texts: texts.update(dyn2=texts['dyn2'].replace("'H   '", "'Qq  '")), 'symbol of an element'),
        (lambda texts: texts.update(dyn2=texts['dyn2'].replace('2.3201805', '2.4201805')), 'different crystals'),
        (
            lambda texts: texts.update(dyn2=re.sub(r'(?m)^    1    2$', '    2    1', texts['dyn2'], count=1)),
            'atoms 1 and 2',
        ),
        (
            lambda texts: texts.update(dyn2=re.sub(r'    2    2\n  0\.\d+', '    2    2\n  NaN', texts['dyn2'])),
            'not a number',
        ),
    ],
)
def test_refusals(hydrogen, change, message):
    """Each damage has its message."""
    texts = {name: text for name, text in hydrogen.items() if name.startswith('dyn')}
    change(texts)
    with pytest.raises(ValueError, match=message):
        read_dyn_files(texts)


def test_not_hermitian(hydrogen):
    """A wrong number in a matrix is seen."""
    first = hydrogen['dyn4'].index('    1    2')
    damaged = hydrogen['dyn4'][:first] + re.sub(r'\d\.\d{8}', '1.23456789', hydrogen['dyn4'][first:], count=1)
    with pytest.raises(ValueError, match='not hermitian'):
        parse_dyn(damaged, 'dyn4')


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_garbage(hydrogen, data):
    """Whatever is cut out of or put into a file, it is read or refused with a message."""
    text = hydrogen['dyn2']
    start = data.draw(st.integers(0, 2200))
    length = data.draw(st.integers(0, 60))
    inserted = data.draw(st.one_of(st.text(max_size=12), st.sampled_from(['nan', '1e999', '-', '*****', '99999999'])))
    damaged = text[:start] + inserted + text[start + length :]
    error, file = '', None
    try:
        file = parse_dyn(damaged, 'dyn2')
    except ValueError as refusal:
        error = str(refusal)
    assert 'dyn2' in error or np.isfinite(file.force_constants).all()
