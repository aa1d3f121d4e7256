"""``tc``: the numbers of the kernels, and a sentence for every bad input."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from aiida_clathrate.cli.main import cmd_root
from aiida_clathrate.cli.tc import parse_mu_star, parse_reference
from aiida_clathrate.kernels.alpha2f import ModeCouplings
from aiida_clathrate.kernels.eliashberg import run
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import MEV_PER_INVERSE_CM, MEV_PER_RYDBERG, MEV_PER_THZ

GRID = np.linspace(0, 60, 601)
VALUES = 0.9 * (GRID / 20) ** 2 * np.exp(-0.5 * ((GRID - 20) / 3) ** 2) + 0.5 * np.exp(-0.5 * ((GRID - 45) / 3) ** 2)
VALUES[GRID < 5] = 0.0


def invoke(*arguments):
    """Run the command, with its two streams apart."""
    return CliRunner().invoke(cmd_root, ['tc', *map(str, arguments)])


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table of two columns."""

    def write(frequencies=GRID, values=VALUES, name='a2f.dat'):
        np.savetxt(tmp_path / name, np.column_stack([frequencies, values]), fmt='%.17g')
        return tmp_path / name

    return write


def test_json_is_what_the_calculation_returns(table):
    """The numbers are those of the kernel that the ``EliashbergCalculation`` runs, but for the order of sums."""
    result = invoke(table(), '--units', 'meV', '--mu-star', '0.10:0.15:6', '--json')
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    modes = ModeCouplings.from_spectral(SpectralFunction.from_table(GRID, VALUES))
    arrays = {name: getattr(modes, name) for name in ('frequencies', 'weights', 'couplings', 'smearings')}
    expected, _ = run({'mu_stars': [0.10, 0.11, 0.12, 0.13, 0.14, 0.15], 'reduced_temperatures': []}, arrays)
    temperatures = expected.pop('critical_temperature')
    for name, column in found.pop('critical_temperature').items():
        assert column == pytest.approx(temperatures[name], rel=1e-9)
        assert column == sorted(column, reverse=True)
    assert found == {name: pytest.approx(expected[name], rel=1e-12) for name in found}
    assert {'lambda', 'omega_log_meV', 'omega_2_meV', 'mu_star'} <= set(found)
    assert set(temperatures) == {'rescaled', 'raw', 'allen_dynes', 'mcmillan'}


def test_moments(table):
    """The moments in the JSON are the trapezoidal sums over the table."""
    found = json.loads(invoke(table(), '--units', 'meV', '--mu-star', '0.1', '--json').stdout)
    inner, values = GRID[1:], VALUES[1:]
    coupling = np.trapezoid(2 * values / inner, inner)
    assert found['lambda'] == pytest.approx(coupling, rel=1e-10)
    mean = np.trapezoid(2 * values / inner * np.log(inner), inner) / coupling
    assert found['omega_log_meV'] == pytest.approx(math.exp(mean), rel=1e-10)


@pytest.mark.parametrize(
    ('units', 'factor'),
    [
        ('THz', MEV_PER_THZ),
        ('cm-1', MEV_PER_INVERSE_CM),
        ('Ry', MEV_PER_RYDBERG),
        ('Ha', 2 * MEV_PER_RYDBERG),
    ],
)
def test_units(table, units, factor):
    """A table in another unit gives the same T_c."""
    arguments = ('--mu-star', '0.12', '--json')
    reference = json.loads(invoke(table(), '--units', 'meV', *arguments).stdout)
    other = json.loads(invoke(table(GRID / factor, name='other.dat'), '--units', units, *arguments).stdout)
    assert other['critical_temperature']['rescaled'] == pytest.approx(reference['critical_temperature']['rescaled'])
    assert other['lambda'] == pytest.approx(reference['lambda'])


def test_unit_not_given(table):
    """Plain columns are taken as meV, which is said on the other stream."""
    result = invoke(table(), '--mu-star', '0.1', '--json')
    assert 'taken as meV' in result.stderr
    assert json.loads(result.stdout) == json.loads(
        invoke(table(), '--units', 'meV', '--mu-star', '0.1', '--json').stdout
    )


def test_reference_frequency(table):
    """The higher the frequency to which the same μ* belongs, the less is left of it at the cutoff: T_c grows."""
    temperatures = {}
    for reference in ('max', 'log', 'second', '60', '20'):
        found = json.loads(
            invoke(table(), '--units', 'meV', '--mu-star', '0.1', '--omega-ref', reference, '--json').stdout
        )
        temperatures[found['omega_ref_meV']] = found['critical_temperature']['rescaled'][0]
    assert len(temperatures) == 4  # ω_max is 60 meV
    ascending = [temperatures[reference] for reference in sorted(temperatures)]
    assert ascending == sorted(ascending)


def test_no_superconductivity(table):
    """Where repulsion wins there is ``null``, and the command succeeds: it is a result."""
    path = table(values=0.02 * VALUES)
    result = invoke(path, '--units', 'meV', '--mu-star', '0.1', '--json')
    assert result.exit_code == 0
    assert json.loads(result.stdout)['critical_temperature'] == {
        name: [None] for name in ('rescaled', 'raw', 'allen_dynes', 'mcmillan')
    }
    assert 'none' in invoke(path, '--units', 'meV').stdout


def test_human_output(table):
    """Without ``--json`` there is a table with a row for each μ*."""
    result = invoke(table(), '--units', 'meV', '--mu-star', '0.10:0.12:3')
    assert result.exit_code == 0, result.output
    assert 'λ = ' in result.stdout
    for mu_star in ('0.1 ', '0.11 ', '0.12 '):
        assert f' {mu_star}' in result.stdout


def with_nan():
    """Return α²F with one NaN."""
    return np.where(GRID == 30, np.nan, VALUES)


@pytest.mark.parametrize(
    ('frequencies', 'values', 'message'),
    [
        (GRID, with_nan(), "line 301: 'nan' is not a number"),
        (np.append(GRID[:-1], 10.0), np.append(VALUES[:-1], 0.1), 'frequencies must ascend'),
        (GRID - 30, VALUES, 'is not zero at ω'),
        (GRID, -VALUES, 'must not be negative'),
        (GRID, 0 * VALUES, 'no coupling'),
        (GRID[:1], VALUES[:1], 'at least two'),
    ],
)
def test_bad_tables(table, frequencies, values, message):
    """What is no α²F is refused in one sentence with the name of the file, and nothing goes to the standard output."""
    result = invoke(table(frequencies, values), '--units', 'meV', '--json')
    assert result.exit_code == 1
    assert result.stdout == ''
    assert message in result.stderr
    assert 'a2f.dat' in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize(
    ('content', 'message'),
    [(b'', 'is empty'), (b' \n\n', 'is empty'), (bytes(range(256)), 'no text file'), (b'one two\n', 'is not a number')],
)
def test_bad_files(tmp_path, content, message):
    """What is no table is refused."""
    path = tmp_path / 'a2f.dat'
    path.write_bytes(content)
    result = invoke(path, '--units', 'meV', '--json')
    assert (result.exit_code, result.stdout) == (1, '')
    assert message in result.stderr


@pytest.mark.parametrize(
    'arguments',
    [
        ('--mu-star', '0.5'),
        ('--mu-star', '-0.1'),
        ('--mu-star', 'nan'),
        ('--mu-star', '0.1:0.6:3'),
        ('--units', 'furlong'),
        ('--omega-ref', 'mean'),
        ('--omega-ref', '-1'),
        ('--column', '-1'),
    ],
)
def test_bad_options(table, arguments):
    """Values outside their range are refused with the name of the option and what is allowed."""
    result = invoke(table(), '--json', *arguments)
    assert (result.exit_code, result.stdout) == (2, '')
    assert arguments[0] in result.stderr
    assert arguments[1] in result.stderr


def test_column(table):
    """A column that is not there is refused."""
    result = invoke(table(), '--units', 'meV', '--column', '3')
    assert result.exit_code == 1
    assert 'column' in result.stderr


def test_parse_mu_star():
    """One value, or a range with both ends."""
    assert parse_mu_star('0.1') == (0.1,)
    assert parse_mu_star('0.10:0.15:6') == (0.10, 0.11, 0.12, 0.13, 0.14, 0.15)
    assert parse_mu_star('0:0.4:2') == (0.0, 0.4)
    for text in (
        '',
        '0.1:0.2',
        '0.1:0.2:0',
        '0.1:0.2:1',
        '0.1:0.2:2.5',
        '0.1:0.2:3:4',
        '0.1,0.2',
        'inf',
        '0.1:0.2:1001',
    ):
        with pytest.raises(click.BadParameter):
            parse_mu_star(text)


def test_parse_reference():
    """A name or a positive number of meV."""
    assert parse_reference('log') == 'log'
    assert parse_reference('55.5') == 55.5
    for text in ('0', 'nan', 'inf', 'Max'):
        with pytest.raises(click.BadParameter):
            parse_reference(text)


def test_installed_command(table, tmp_path):
    """The installed command works where AiiDA was never configured, and prints nothing but JSON."""
    environment = os.environ | {'AIIDA_PATH': str(tmp_path / 'never')}
    (tmp_path / 'never').mkdir()
    command = [Path(sys.executable).parent / 'aiida-clathrate', 'tc', table(), '--units', 'meV', '--json']
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert len(json.loads(done.stdout)['critical_temperature']['rescaled']) == 6
