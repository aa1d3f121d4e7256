"""Electron-phonon matrices and printed linewidths of ph.x: they must agree with each other to their digits."""

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.files.qe_dyn import parse_dyn_files, write_dyn_files
from aiida_clathrate.kernels.files.qe_elph import parse_elph, read_elph_files, write_elph_files
from aiida_clathrate.kernels.files.qe_linewidths import check_linewidths, read_linewidths
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.sum_rule import impose_sum_rule
from aiida_clathrate.kernels.units import MEV_PER_GHZ, RYDBERG


def printed(texts, pattern):
    """Return the printed linewidths of the files whose names match."""
    return [read_linewidths(text, name) for name, text in texts.items() if re.fullmatch(pattern, name)]


def test_linewidths(hydrogen):
    """γ of G(q) and the modes of Φ(q) is what ph.x printed, to the two decimals; the transposed G is far off."""
    dyn = parse_dyn_files(hydrogen)
    electron_phonon, lines = read_elph_files(hydrogen, dyn), printed(hydrogen, r'elph_dir/elph\.inp_lambda.*')
    couplings = mode_couplings(electron_phonon, dyn.matrices())
    assert len(lines) == 6
    # Two decimals of γ; the eight of G and Φ add next to nothing.
    assert check_linewidths(couplings, lines, dyn) < 0.0051 * MEV_PER_GHZ
    transposed = replace(electron_phonon, matrices=np.swapaxes(electron_phonon.matrices, -1, -2))
    wrong = mode_couplings(transposed, dyn.matrices())
    assert np.abs(wrong.linewidths / np.maximum(couplings.linewidths, 1e-3) - 1)[4, 1:].max() > 0.8
    with pytest.raises(KernelError, match=r'mode \d has γ'):
        check_linewidths(wrong, lines, dyn)


def test_tetrahedra(aluminium):
    """The same for optimised tetrahedra, which have no broadening; ph.x writes copies of the same matrices."""
    dyn = parse_dyn_files(aluminium)
    electron_phonon = read_elph_files(aluminium, dyn)
    assert electron_phonon.smearings.tolist() == [0.0]
    assert electron_phonon.densities_of_states[0] * RYDBERG == pytest.approx(2.033309, abs=1e-6)
    couplings = mode_couplings(electron_phonon, impose_sum_rule(dyn.matrices()))
    lines = printed(aluminium, r'dyn\d\.elph\.\d')
    assert len(lines) == 3
    assert lines[1].couplings[0] == pytest.approx([0.0270, 0.0270, 0.0665])
    assert check_linewidths(couplings, lines, dyn) < 0.0051 * MEV_PER_GHZ


def test_degenerate(hydrogen):
    """What ph.x prints for degenerate modes differs between them; the mean counts."""
    dyn = parse_dyn_files(hydrogen)
    couplings = mode_couplings(read_elph_files(hydrogen, dyn), dyn.matrices())
    line = read_linewidths(hydrogen['elph_dir/elph.inp_lambda.2'], 'elph.inp_lambda.2')
    split = line.linewidths + np.array([0.01, -0.01, 0, 0, 0, 0])
    check_linewidths(couplings, [replace(line, linewidths=split)], dyn)
    with pytest.raises(KernelError, match='mode 5 has γ'):
        check_linewidths(couplings, [replace(line, linewidths=line.linewidths + np.array([0, 0, 0, 0, 0.01, 0]))], dyn)
    with pytest.raises(KernelError, match='other broadenings or modes'):
        check_linewidths(couplings, [replace(line, linewidths=line.linewidths[:4])], dyn)


def test_couplings(hydrogen):
    """λ of the modes too, to its four decimals."""
    dyn = parse_dyn_files(hydrogen)
    couplings = mode_couplings(read_elph_files(hydrogen, dyn), dyn.matrices())
    line = read_linewidths(hydrogen['elph_dir/elph.inp_lambda.4'], 'elph.inp_lambda.4')
    index = np.flatnonzero(np.abs(couplings.frequencies - line.frequencies).max(axis=1) < 0.01)
    assert couplings.couplings[:, index[0]] == pytest.approx(line.couplings, abs=0.6e-4)


def test_round_trip(hydrogen):
    """What is written is read back to the last digits, beside the dynamical matrices written with it."""
    dyn = parse_dyn_files(hydrogen)
    before = read_elph_files(hydrogen, dyn)
    after = read_elph_files(write_elph_files(before), parse_dyn_files(write_dyn_files(dyn.matrices())))
    assert np.abs(after.matrices - before.matrices).max() < 1e-14 * np.abs(before.matrices).max()
    for name in ('smearings', 'densities_of_states', 'fermi_energies'):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-14)


@pytest.mark.qe
def test_q2r(hydrogen, tmp_path):
    """q2r.x makes the same of our files as of those of ph.x, which are in another order."""
    dyn = parse_dyn_files(hydrogen)
    ours = write_dyn_files(dyn.matrices()) | write_elph_files(read_elph_files(hydrogen, dyn))
    found = []
    for name, texts in (('theirs', hydrogen), ('ours', ours)):
        (tmp_path / name / 'elph_dir').mkdir(parents=True)
        for file, text in texts.items():
            if file.startswith(('dyn', 'elph_dir')):
                (tmp_path / name / file).write_text(text)
        (tmp_path / name / 'q2r.in').write_text("&input fildyn='dyn', zasr='no', flfrc='frc', la2F=.true. /\n")
        subprocess.run(['q2r.x', '-in', 'q2r.in'], cwd=tmp_path / name, check=True, capture_output=True)
        files = [tmp_path / name / 'frc', *sorted((tmp_path / name / 'elph_dir').glob('a2Fmatdyn.*'))]
        rows = [line.split() for file in files for line in file.read_text().splitlines()]
        found.append(np.array([float(row[3]) for row in rows if len(row) == 4]))
    assert len(found[0]) > 11 * 36 * 27
    assert found[1] == pytest.approx(found[0], abs=1e-12)


def test_folder(hydrogen):
    """Names count with and without a folder."""
    dyn = parse_dyn_files(hydrogen)
    bare = {name.removeprefix('elph_dir/'): text for name, text in hydrogen.items()}
    assert np.array_equal(read_elph_files(bare, dyn).matrices, read_elph_files(hydrogen, dyn).matrices)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda texts: texts.pop('elph_dir/a2Fq2r.53.6'), r'a2Fq2r\.53\.6: was ph.x stopped'),
        (lambda texts: texts.clear(), 'no files a2Fq2r'),
        (lambda texts: texts.update({'a2Fq2r.51.7': texts['elph_dir/a2Fq2r.51.6']}), 'mixed q sets'),
        (lambda texts: texts.update({'elph_dir/a2Fq2r.51.4': texts['elph_dir/a2Fq2r.51.6']}), 'mixed q sets'),
        (lambda texts: texts.update({'elph_dir/a2Fq2r.51.4': texts['elph_dir/a2Fq2r.52.4']}), 'runs are mixed'),
        (
            lambda texts: texts.update({'elph_dir/a2Fq2r.51.4': texts['elph_dir/a2Fq2r.51.4'][:2500]}),
            'a2Fq2r.51.4, line',
        ),
        (lambda texts: texts.update({'elph_dir/a2Fq2r.51.4': '  NaN 1 1\n 1\n'}), "'NaN' is not a number"),
        (lambda texts: texts.update({'elph_dir/a2Fq2r.51.4': '  0.1 1 1\n 1\n'}), 'need the matrices of 1'),
    ],
)
def test_refusals(hydrogen, change, message):
    """Each damage has its message."""
    texts, dyn = dict(hydrogen), parse_dyn_files(hydrogen)
    change(texts)
    with pytest.raises(ValueError, match=message):
        read_elph_files(texts, dyn)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('0.0176', '********', 'printed as stars'),
        ('0.0176', 'NaN', 'not a number'),
        ('lambda(    3)', 'lambda(    4)', r'need "lambda\(3\)'),
        ('    10     6', '    11     6', 'ends too early'),
        ('DOS = ', 'DAS = ', 'need "DOS'),
        ('Gaussian', 'Lorentzian', 'need "Gaussian'),
    ],
)
def test_linewidth_refusals(hydrogen, old, new, message):
    """Stars and NaN are refused with the line, as is a file that is not complete."""
    text = hydrogen['elph_dir/elph.inp_lambda.2'].replace(old, new)
    with pytest.raises(ValueError, match=f'inp, line .*{message}'):
        read_linewidths(text, 'inp')


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_garbage(hydrogen, data):
    """Whatever is cut out of or put into a file, it is read or refused with a message."""
    readers = {
        'elph_dir/a2Fq2r.55.2': lambda text: parse_elph(text, 'file', 2).matrices,
        'elph_dir/elph.inp_lambda.2': lambda text: read_linewidths(text, 'file').linewidths,
    }
    name = data.draw(st.sampled_from(sorted(readers)))
    start, length = data.draw(st.integers(0, 2200)), data.draw(st.integers(0, 60))
    inserted = data.draw(st.one_of(st.text(max_size=12), st.sampled_from(['nan', '1e999', '-', '*****', '99999999'])))
    damaged = hydrogen[name][:start] + inserted + hydrogen[name][start + length :]
    error, values = '', np.nan
    try:
        values = readers[name](damaged)
    except ValueError as refusal:
        error = str(refusal)
    assert 'file' in error or np.isfinite(values).all()
