"""The calculation through the engine: real runs of the kernel, bad input before submission, every exit code."""

import io
import json
import sys

import numpy as np
import pytest
from aiida import orm
from aiida.common import LinkType
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory, DataFactory, ParserFactory

from aiida_clathrate.kernels.alpha2f import ModeCouplings
from aiida_clathrate.kernels.eliashberg import Extras, ModeErrors, solve

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')

LABELS = {'formula': 'XB3C3', 'level': 'harmonic', 'pressure': 50.0, 'temperature': None}


@pytest.fixture
def python(aiida_localhost):
    """Return the interpreter of the tests as a code."""
    return orm.InstalledCode(label='python', computer=aiida_localhost, filepath_executable=sys.executable).store()


def modes(strength=1.0):
    """Return couplings of 3 q and 6 modes for two broadenings, with the atoms of two species."""
    generator = np.random.default_rng(4)
    frequencies = np.sort(generator.uniform(8, 60, (3, 6)), axis=1)
    couplings = strength * generator.uniform(0.05, 0.3, (2, 3, 6))
    shares = generator.uniform(0, 1, (3, 6, 1))
    return ModeCouplings(
        frequencies,
        np.array([0.5, 0.25, 0.25]),
        couplings,
        np.array([0.1, 0.2]),
        qpoints=np.zeros((3, 3)),
        atom_weights=np.concatenate((shares, 1 - shares), axis=2),
        symbols=('B', 'C'),
    )


def builder(python, couplings=None, **parameters):
    """Return the inputs of a calculation."""
    result = CalculationFactory('clathrate.eliashberg').get_builder()
    result.code = python
    node = DataFactory('clathrate.spectral')
    result.spectral_function = node.from_kernel(couplings or modes(), **LABELS)
    if parameters:
        result.parameters = parameters
    return result


def test_result(python):
    """The node has the numbers of the kernel, the labels of the spectral function, and answers a query."""
    outputs, calculation = run_get_node(builder(python, mu_stars=[0.1, 0.15], reduced_temperatures=[0.1, 0.5]))
    assert calculation.is_finished_ok, calculation.exit_message
    node = outputs['superconductivity']
    direct = solve(modes().spectral(), [0.1, 0.15])
    assert node.to_kernel().rescaled == pytest.approx(direct.rescaled, rel=1e-12)
    assert node.to_kernel().smearing_spread > 0
    assert sum(node.to_kernel().isotope_by_species.values()) == pytest.approx(direct.isotope_coefficients[0])
    scalars = outputs['output_parameters'].get_dict()
    assert scalars['critical_temperature']['raw'] == pytest.approx(direct.raw, rel=1e-12)
    filters = {'attributes.critical_temperature': {'>': 1.0}, 'attributes.formula': 'XB3C3'}
    found = orm.QueryBuilder().append(DataFactory('clathrate.superconductivity'), filters=filters).all(flat=True)
    assert [entry.uuid for entry in found] == [node.uuid]


def test_defaults(python):
    """Without parameters, those of the settings hold; the run does not ask for MPI."""
    outputs, calculation = run_get_node(builder(python))
    assert calculation.is_finished_ok, calculation.exit_message
    assert outputs['superconductivity'].base.attributes.get('mu_star') == [0.10, 0.11, 0.12, 0.13, 0.14, 0.15]
    assert calculation.get_option('withmpi') is False


def test_error_bar(python):
    """Errors of the modes become an error of T_c; the errors of images move together."""
    errors = 0.01 * modes().frequencies
    inputs = builder(python, mu_stars=[0.1], reduced_temperatures=[])
    inputs.mode_errors = orm.ArrayData({'frequency_errors': errors, 'error_groups': np.ones((3, 6), dtype=int)})
    outputs, _ = run_get_node(inputs)
    order = np.argsort(modes().frequencies.ravel())
    known = Extras(ModeErrors(errors.ravel()[order], groups=np.ones(18, dtype=int)))
    expected = solve(modes().spectral(), [0.1], extras=known).error
    assert outputs['superconductivity'].base.attributes.get('error') == pytest.approx(expected, rel=1e-9)
    assert expected > 0


def test_not_superconducting(python):
    """No superconductivity is a result: its own exit code, with the outputs attached."""
    inputs = builder(python, modes(0.02), mu_stars=[0.15])
    outputs, calculation = run_get_node(inputs)
    assert calculation.exit_status == 450
    assert outputs['superconductivity'].to_kernel().rescaled == (None,)
    assert outputs['output_parameters']['critical_temperature']['allen_dynes'] == [None]
    assert outputs['output_parameters']['lambda'] > 0


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'mu_stars': [0.1, 0.6]}, r'mu_stars: 0\.6 is not a μ\* in \[0, 0\.5\)'),
        ({'mu_stars': [-0.1]}, r'mu_stars: -0\.1 is not'),
        ({'mu_stars': 0.1}, r'mu_stars: 0\.1 is not a list'),
        ({'mu_star': [0.1]}, 'mu_star: no such parameter'),
        ({'omega_ref': 'highest'}, "omega_ref: 'highest' is not max, log, second"),
        ({'cutoff_factor': 0.5}, r'cutoff_factor: 0\.5'),
        ({'reduced_temperatures': [1.2]}, r'reduced_temperatures: 1\.2'),
        ({'smearing': 7}, 'smearing must be 0 to 1, not 7'),
        ({'mu_stars': [0.45]}, r'μ\* = 0\.45 at ω_ref .* lower cutoff_factor'),
    ],
)
def test_bad_parameters(python, parameters, message):
    """Bad parameters are refused before submission, with port, value and remedy."""
    with pytest.raises(ValueError, match=message) as error:
        run_get_node(builder(python, **parameters))
    assert 'parameters' in str(error.value)
    assert orm.QueryBuilder().append(orm.CalcJobNode).count() == 0


def test_bad_mode_errors(python):
    """Errors that do not belong to the modes are refused before submission."""
    inputs = builder(python)
    inputs.mode_errors = orm.ArrayData({'frequency_errors': np.zeros((2, 6))})
    with pytest.raises(ValueError, match=r'mode_errors: frequency_errors: needs the shape \(3, 6\)'):
        run_get_node(inputs)


@pytest.fixture
def parse(python):
    """Return a function that parses results written by hand."""

    def parsed(files):
        inputs = builder(python).spectral_function.store()
        node = orm.CalcJobNode(computer=python.computer, process_type='aiida.calculations:clathrate.eliashberg')
        node.base.links.add_incoming(inputs, link_type=LinkType.INPUT_CALC, link_label='spectral_function')
        node.set_option('resources', {'num_machines': 1})
        node.store()
        retrieved = orm.FolderData()
        for name, content in files.items():
            retrieved.base.repository.put_object_from_bytes(content, name)
        retrieved.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label='retrieved')
        retrieved.store()
        return ParserFactory('clathrate.eliashberg').parse_from_node(node, store_provenance=False)

    return parsed


def results(scalars):
    """Return the files of results without arrays."""
    stream = io.BytesIO()
    np.savez_compressed(stream)
    return {'results.json': json.dumps(scalars).encode(), 'results.npz': stream.getvalue()}


@pytest.mark.parametrize(
    ('files', 'status'),
    [
        ({}, 302),
        ({'results.json': b'{"lambda": 1'}, 310),
        ({'results.json': b'{}', 'results.npz': b'PK nothing'}, 310),
        (results({'lambda': 1.0}), 310),
        (results({'error': 'ERROR_INPUT_INVALID', 'message': 'mu_stars: wrong'}), 210),
        (results({'error': 'ERROR_COULOMB_POLE', 'message': 'lower it'}), 220),
        (results({'error': 'ERROR_NOT_CONVERGED', 'message': 'no'}), 410),
        (results({'error': 'ERROR_UNHEARD_OF', 'message': 'no'}), 310),
    ],
)
def test_exit_codes(parse, files, status):
    """Missing, damaged and failed results have their exit codes, with the message of the kernel."""
    outputs, node = parse(files)
    assert node.exit_status == status
    assert not outputs
    if status == 210:
        assert 'mu_stars: wrong' in node.exit_message
