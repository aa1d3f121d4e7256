"""The screening table, on stored results."""

import csv
import io
import json

import numpy as np
import pytest
from aiida import engine, orm
from click.testing import CliRunner

from aiida_clathrate.cli.query import cmd_query, composition
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.superconductivity import SuperconductivityData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.eliashberg import solve
from aiida_clathrate.kernels.matsubara.settings import Settings
from aiida_clathrate.kernels.spectral import SpectralFunction

#: Name, pressure [GPa], level and λ of an Einstein mode at 40 meV.
COMPOUNDS = (('Al', 0.0, 'harmonic', 0.6), ('B6C6KRb', 0.0, 'sscha', 1.5), ('B3C3Rb', 15.0, 'harmonic', 1.2))


@pytest.fixture(scope='module')
def results():
    """Return the solutions for the compounds."""
    settings = Settings(mu_stars=(0.10, 0.15), reduced_temperatures=())
    return [solve(SpectralFunction(np.array([40.0]), np.array([row[3]])), settings=settings) for row in COMPOUNDS]


@pytest.fixture
def nodes(aiida_profile_clean, results):
    """Return the stored results."""
    labels = [{'formula': name, 'pressure': pressure, 'level': level} for name, pressure, level, _ in COMPOUNDS]
    pairs = zip(results, labels, strict=True)
    return [SuperconductivityData.from_kernel(result, **label).store() for result, label in pairs]


def query(*arguments):
    """Run the command in a wide terminal."""
    return CliRunner(env={'COLUMNS': '200'}).invoke(cmd_query, list(arguments), catch_exceptions=False)


def formulas(*arguments):
    """Return the formulas in the order of the rows."""
    return [row['formula'] for row in json.loads(query(*arguments, '--json').stdout)]


def test_sorted_by_critical_temperature(nodes, results):
    """The highest T_c comes first, with the numbers of its node."""
    rows = json.loads(query('--json').stdout)
    assert [row['formula'] for row in rows] == ['B6C6KRb', 'B3C3Rb', 'Al']
    first, result = rows[0], results[1]
    assert first['uuid'] == nodes[1].uuid
    assert first['mu_star'] == 0.10
    assert first['critical_temperature'] == pytest.approx(result.rescaled[0])
    assert first['raw'] == pytest.approx(result.raw[0])
    assert first['coupling'] == pytest.approx(1.5)
    assert first['error'] is None


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (('--formula', 'KRbB6C6'), ['B6C6KRb']),
        (('--formula', 'Rb2B6C6'), ['B3C3Rb']),
        (('--pressure-max', '10'), ['B6C6KRb', 'Al']),
        (('--level', 'harmonic'), ['B3C3Rb', 'Al']),
        (('--level', 'harmonic', '--pressure-max', '10'), ['Al']),
        (('--min-tc', '1000'), []),
        (('--mu-star', '0.12'), []),
    ],
)
def test_filters(nodes, arguments, expected):
    """Each filter keeps what it says."""
    assert formulas(*arguments) == expected


def test_min_tc(nodes):
    """The limit belongs to what is listed."""
    limit = json.loads(query('--json').stdout)[1]['critical_temperature']
    assert formulas('--min-tc', repr(limit)) == ['B6C6KRb', 'B3C3Rb']


def test_other_mu_star(nodes, results):
    """T_c at another μ* than the stated one."""
    row = json.loads(query('--mu-star', '0.15', '--formula', 'Al', '--json').stdout)[0]
    assert row['critical_temperature'] == pytest.approx(results[0].rescaled[1])
    assert row['allen_dynes'] == pytest.approx(results[0].allen_dynes[1])


def test_csv_and_table(nodes):
    """The same rows as CSV and, for reading, as a table."""
    rows = list(csv.DictReader(io.StringIO(query('--csv').stdout)))
    assert [row['formula'] for row in rows] == formulas()
    assert rows[0]['error'] == ''
    output = query().output
    for words in ('λ', 'T_c', '(K)', 'B6C6KRb', 'sscha'):
        assert words in output
    assert '…' not in output  # a number that is cut would be another number


def test_nothing(aiida_profile_clean):
    """An empty profile is said to be empty."""
    assert 'nothing found' in query().output
    assert json.loads(query('--json').stdout) == []
    assert query('--csv').stdout == ''


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--formula', 'Xy9'), "--formula 'Xy9' is not a chemical formula"),
        (('--stability', '--min-tc', '3'), '--min-tc'),
    ],
)
def test_refused(nodes, arguments, message):
    """What makes no sense is refused in one sentence."""
    result = query(*arguments)
    assert result.exit_code != 0
    assert message in result.output


@engine.calcfunction
def judge(matrices):
    """Return a verdict as the analysis of phonons does."""
    frequency = matrices.base.attributes.get('smallest_frequency')
    content = {'class': 'stable', 'smallest_frequency': frequency, 'qpoint': [0.5, 0.0, 0.0], 'irrep': 'B2u (mmm)'}
    return {'stability': orm.Dict(content)}


def test_verdicts(aiida_profile_clean):
    """A verdict is listed with the compound, pressure and level of its dynamical matrices."""
    cell = 4 * np.eye(3)
    crystal = Crystal(cell, ('Al',), np.zeros((1, 3)), np.array([26.98]))
    springs = np.array([np.zeros((3, 3)), np.diag([1.0, 2.0, 3.0])], dtype=complex)
    matrices = DynamicalMatrices(crystal, (2, 1, 1), springs, 'sscha', pressure=7.0)
    judge(DynamicalMatrixData.from_kernel(matrices).store())
    (row,) = json.loads(query('--stability', '--json').stdout)
    assert (row['formula'], row['pressure'], row['level'], row['class']) == ('Al', 7.0, 'sscha', 'stable')
    assert formulas('--stability', '--pressure-max', '5') == []
    output = query('--stability').output
    assert 'B2u (mmm)' in output
    assert '(0.5, 0, 0)' in output


def test_composition():
    """Order and multiples of a formula do not matter."""
    assert composition('Rb2B6C6') == composition('C3B3Rb')
