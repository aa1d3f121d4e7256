"""Tables of α²F: real files, all units, damaged files."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.files.alpha2f_tables import MEV_PER, UNITS, read_alpha2f, write_columns, write_epw
from aiida_clathrate.kernels.files.coupling_summaries import read_summary
from aiida_clathrate.kernels.files.qe_dyn import parse_dyn_files
from aiida_clathrate.kernels.files.qe_elph import read_elph_files
from aiida_clathrate.kernels.units import KELVIN_PER_MEV, RYDBERG


def test_matdyn(hydrogen):
    """The total is the sum of the modes, and λ is the sum that matdyn.x prints below the table."""
    table = read_alpha2f(hydrogen['a2F.dos5'], 'a2F.dos5')
    assert (table.format, table.units, table.modes.shape) == ('qe-matdyn', 'Ry', (6, 100))
    assert table.modes.sum(axis=0) == pytest.approx(table.values[0], abs=1e-5)
    printed = float(hydrogen['a2F.dos5'].split('lambda =')[1].split()[0])
    # Trapezoids and rectangles differ at the ends of the grid only.
    assert table.spectral().coupling == pytest.approx(printed, rel=1e-3)


@pytest.mark.parametrize(('first', 'width'), [(2, 6), (2, 4), (3, 3), (8, 8)])
def test_wrapped(hydrogen, first, width):
    """A row may stand on several lines, as in old versions of matdyn.x."""
    wrapped = []
    for line in hydrogen['a2F.dos5'].splitlines():
        numbers = line.split()
        if len(numbers) == 8:
            wrapped += [' '.join(numbers[:first])]
            wrapped += [' '.join(numbers[start : start + width]) for start in range(first, 8, width)]
        else:
            wrapped.append(line)
    whole, again = (read_alpha2f(text, 'a2F.dos5') for text in (hydrogen['a2F.dos5'], '\n'.join(wrapped) + '\n'))
    assert np.array_equal(again.frequencies, whole.frequencies)
    assert np.array_equal(again.values, whole.values)
    assert np.array_equal(again.modes, whole.modes)


def test_descending(hydrogen):
    """A table from high to low ω is refused, with what to do, and so is one that lost a number."""
    head, rows = hydrogen['a2F.dos5'].splitlines()[:5], hydrogen['a2F.dos5'].splitlines()[5:-1]
    last = hydrogen['a2F.dos5'].splitlines()[-1]
    with pytest.raises(
        ValueError, match=r'a2F\.dos5: frequencies must ascend, not go from 0\.0268409 to .* Ry: sort the rows'
    ):
        read_alpha2f('\n'.join([*head, *rows[::-1], last]), 'a2F.dos5')
    with pytest.raises(ValueError, match='equal numbers of columns'):
        read_alpha2f('\n'.join([*head, *rows[:-1], rows[-1].rsplit(maxsplit=1)[0], last]), 'a2F.dos5')


def test_matdyn_negative(hydrogen):
    """Interpolated matrices make α²F negative: refused, with the frequency."""
    with pytest.raises(ValueError, match=r'a2F\.dos5, column 0 \(total\): .* must not be negative, as at 8'):
        read_alpha2f(hydrogen['interpolated/a2F.dos5'], 'a2F.dos5').spectral()


def test_lambda(hydrogen):
    """The broadenings are columns; each λ is the one that lambda.x prints as the integral of its column."""
    table = read_alpha2f(hydrogen['alpha2F.dat'], 'alpha2F.dat')
    assert (table.format, table.units, len(table.values)) == ('qe-lambda', 'THz', 10)
    assert table.smearings == pytest.approx(RYDBERG * np.arange(1, 11) / 100)
    summary = read_summary(hydrogen['lambda.dat'], 'lambda.dat')
    for column, coupling in enumerate(summary.couplings):
        # The table is rounded to 1e-5, and its integral differs from the sum of modes by its grid.
        assert table.spectral(column).coupling == pytest.approx(coupling, rel=2e-3)
        assert table.spectral(column).omega_log == pytest.approx(summary.omegas_log[column], rel=1e-3)


def test_nan(hydrogen):
    """What lambda.x writes when a mode of Γ is imaginary."""
    with pytest.raises(ValueError, match=r"alpha2F\.dat, line 2: 'NaN' is not a number"):
        read_alpha2f(hydrogen['nan/alpha2F.dat'], 'alpha2F.dat')


def test_summaries(hydrogen):
    """Matdyn.x on the mesh of ph.x agrees with our sum over the modes, to what the sum rule moves."""
    summary = read_summary(hydrogen['lambda'], 'lambda')
    dyn = parse_dyn_files(hydrogen)
    couplings = mode_couplings(read_elph_files(hydrogen, dyn), dyn.matrices())
    assert summary.smearings == pytest.approx(couplings.smearings, rel=1e-6)
    assert summary.densities_of_states == pytest.approx(couplings.densities_of_states, abs=1e-4 / RYDBERG)
    assert summary.couplings[4] == pytest.approx(couplings.spectral(4).coupling, rel=0.02)
    assert summary.omegas_log[4] * KELVIN_PER_MEV == pytest.approx(2395, rel=0.1)


@pytest.mark.parametrize('units', UNITS)
def test_columns(units):
    """Plain columns in any unit come back."""
    grid = np.linspace(0, 100, 51)
    text = ''.join(f'{w / MEV_PER[units]:.17g} {w**2 * (100 - w) / 5e5:.17g}\n' for w in grid)
    table = read_alpha2f(text, 'table.dat', units)
    assert table.frequencies == pytest.approx(grid, rel=1e-14)
    again = read_alpha2f(write_columns(table, units), 'table.dat', units)
    assert again.frequencies == pytest.approx(table.frequencies, rel=1e-14)
    assert np.array_equal(again.values, table.values)
    # 2∫ω(100 − ω)dω/5·10⁵, by trapezoids on 50 intervals.
    assert again.spectral().coupling == pytest.approx(2 / 3, rel=5e-4)


def test_epw():
    """A file of EPW, with its smearings and its trailing lines; and what we write reads the same."""
    grid = np.linspace(0.5, 50, 100)
    values = np.array([grid * (50 - grid) / 1000, grid * (50 - grid) / 900])
    integrated = np.cumsum(2 * values / grid * 0.5, axis=1)
    text = ' w[meV] a2f and integrated 2*a2f/w for    2 smearing values\n'
    text += ''.join(''.join(f'{x:12.7f}' for x in row) + '\n' for row in np.vstack([grid, values, integrated]).T)
    text += ' Integrated el-ph coupling\n  #            1.9700000   2.1888889\n Phonon smearing (meV)\n'
    text += '  #            0.0500000   0.1000000\nElectron smearing (eV)   0.1000000\nFermi window (eV)   0.4\n'
    text += 'Summed el-ph coupling    2.0000000\n'
    table = read_alpha2f(text, 'mgb2.a2f')
    assert (table.format, table.units, len(table.columns)) == ('epw', 'meV', 2)
    assert table.values == pytest.approx(values, abs=1e-7)
    # EPW sums rectangles from its first frequency on.
    assert table.spectral(1).coupling == pytest.approx(integrated[1, -1], rel=0.02)
    again = read_alpha2f(write_epw(table), 'again.a2f')
    assert again.values == pytest.approx(table.values, abs=1e-7)
    assert again.frequencies == pytest.approx(table.frequencies, abs=1e-7)


def test_epw_without_heading():
    """Files that lost their heading are known by their name."""
    assert read_alpha2f('1.0 0.1 0.2\n2.0 0.1 0.3\n', 'x.a2f.01.300.000').units == 'meV'


def test_alpha2f_x():
    """Of the columns of alpha2f.x only the first is α²F."""
    text = ' # Frequency[Ry], a2F, DOS[Ry], Partial DOS(Atom 1), PDOS(Atom 2), ..\n'
    text += '  0.1E-02 0.2 300.0 300.0\n  0.2E-02 0.1 500.0 500.0\n'
    table = read_alpha2f(text, 'al.a2F.dat')
    assert table.values.tolist() == [[0.2, 0.1]]


@pytest.mark.parametrize(
    ('text', 'units', 'message'),
    [
        ('1 0.1\n2 0.2\n', None, 'table does not tell the unit of ω: give units'),
        ('1 0.1\n2 0.2\n', 'eV', 'units must be one of'),
        ('# E(THz) 0.01\n1 0.1\n2 0.2\n', 'meV', 'units must not be meV'),
        ('1 0.1\n2 nan\n', 'meV', "line 2: 'nan' is not a number"),
        ('1 0.1\n2 ****\n', 'meV', 'line 2: .*stars'),
        ('1 0.1\n2\n', 'meV', 'line 2: need 2 numbers'),
        ('1 0.1\n', 'meV', 'at least two rows'),
        ('', 'meV', 'at least two rows'),
        ('2 0.1\n1 0.1\n', 'meV', 'must ascend'),
        ('1 0.1\n2 -0.1\n', 'meV', 'must not be negative'),
        ('-1 0.1\n2 0.1\n', 'meV', 'not zero at ω = -1'),
        ('1 0\n2 0\n', 'meV', 'no coupling'),
    ],
)
def test_refusals(text, units, message):
    """Each damage has its message."""
    with pytest.raises(ValueError, match=message):
        read_alpha2f(text, 'table', units).spectral()


def test_below_zero():
    """Rows without coupling below zero are no harm."""
    table = read_alpha2f('-2 0\n-1 0\n0 0\n1 1\n2 1\n', 'table', 'meV')
    assert table.spectral().coupling == pytest.approx(2 * (1 * 1 / 1 + 0.5 * 1 / 2))
    tail = read_alpha2f('0 1e-30\n1 1\n2 1\n', 'table', 'meV')
    assert tail.spectral().coupling == table.spectral().coupling


def test_incomplete_matdyn(hydrogen):
    """A table without its last line was cut off."""
    with pytest.raises(ValueError, match='incomplete'):
        read_alpha2f(hydrogen['a2F.dos5'][:4000].rsplit('\n', 1)[0] + '\n', 'a2F.dos5')


def test_summary_refusals(hydrogen):
    """Stars and other files are refused."""
    with pytest.raises(ValueError, match='stars'):
        read_summary(hydrogen['lambda'].replace('0.5549', '******'), 'lambda')
    with pytest.raises(ValueError, match='lambda, line'):
        read_summary(hydrogen['dyn1'], 'lambda')
    with pytest.raises(ValueError, match='need a line'):
        read_summary('', 'lambda')


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_garbage(hydrogen, data):
    """Whatever is cut out of or put into a table, it is read or refused with a message."""
    name = data.draw(st.sampled_from(['a2F.dos5', 'alpha2F.dat', 'lambda', 'lambda.dat', 'dyn1']))
    start, length = data.draw(st.integers(0, 1500)), data.draw(st.integers(0, 200))
    inserted = data.draw(st.one_of(st.text(max_size=12), st.sampled_from(['nan', '1e999', '-', '*****', '9e99'])))
    damaged = hydrogen[name][:start] + inserted + hydrogen[name][start + length :]
    error, values = '', np.nan
    try:
        if name.startswith('lambda'):
            values = read_summary(damaged, name).couplings
        else:
            values = read_alpha2f(damaged, name, data.draw(st.sampled_from([None, 'meV', 'THz']))).spectral().couplings
    except ValueError as refusal:
        error = str(refusal)
    assert name in error or 'unit' in error or np.isfinite(values).all()
