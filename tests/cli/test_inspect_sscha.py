"""``show`` and ``plot`` on the nodes of an SSCHA: a clathrate of Morse bonds, in one cell."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from click.testing import CliRunner
from morse_clathrate import MorseClathrate, clathrate_atoms

from aiida_clathrate.calculations.sscha import judge, summarise_populations
from aiida_clathrate.cli.inspect import cmd_plot, cmd_show
from aiida_clathrate.cli.sscha import MINIMISATION, WORKCHAIN, in_brackets, largest_ratio
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble_arrays import ensemble_to_arrays
from aiida_clathrate.kernels.sscha.hessian import hessian
from aiida_clathrate.kernels.sscha.hessian_settings import HessianSettings
from aiida_clathrate.kernels.sscha.minimisation import Trace, minimise, run
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.uncertainty import with_error
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

TEMPERATURE = 300.0
SETTINGS = {'meaningful_factor': 1e-3, 'kong_liu_ratio': 0.5}
SIZES = (100, 200)


@pytest.fixture(scope='module')
def results():
    """Return harmonic matrices, populations with what their minimisation gave, and the Hessian of the last one."""
    crystal, calculator = Crystal.from_ase(clathrate_atoms()), MorseClathrate()
    harmonic = DynamicalMatrices(crystal, (1, 1, 1), calculator.hessian()[None].astype(complex), 'harmonic')
    matrices, populations = replace(harmonic, level='sscha', temperature=TEMPERATURE), []
    for seed, size in enumerate(SIZES):
        drawn = sample(matrices, TEMPERATURE, size, seed)
        energies, forces, stresses = calculator.evaluate(drawn.positions, crystal.cell)
        stresses = -stresses * GPA_PER_EV_ANGSTROM3
        ensemble = replace(drawn, energies=energies, forces=forces, stresses=stresses, source='ase:morse')
        scalars, arrays = ensemble_to_arrays(ensemble)
        scalars, arrays = run(scalars | {'settings': SETTINGS}, arrays)
        # The error of the mean of the diagonal of a cubic tensor is that of each element.
        assert scalars['pressure_error'] == pytest.approx(arrays['pressure_error'][0, 0])
        populations.append((ensemble, scalars, arrays))
        matrices = minimise(ensemble).matrices
    populations[0][1]['warnings'].append('too few configurations')
    settings = HessianSettings(fourth_order=False, blocks=20)
    return harmonic, populations, hessian(populations[-1][0], settings=settings)


def trace_node(arrays):
    """Return an unstored trace as the parser of the minimisation makes it."""
    named = {field.name: arrays[f'trace_{field.name}'] for field in fields(Trace)}
    return orm.ArrayData(named | {'frequency_errors': arrays['frequency_errors']})


@pytest.fixture
def chain(aiida_profile_clean, results):
    """Return a work chain with two minimisations that has not collected its results."""
    harmonic, populations, _ = results
    node = orm.WorkChainNode()
    node.set_process_type(WORKCHAIN)
    node.set_process_label('SschaWorkChain')
    node.base.links.add_incoming(
        DynamicalMatrixData.from_kernel(harmonic).store(), LinkType.INPUT_WORK, 'dynamical_matrices'
    )
    node.store()
    computer = orm.Computer('here', 'localhost', transport_type='core.local', scheduler_type='core.direct').store()
    # Stored out of order, as after a restart: the labels tell which came first.
    for number, (ensemble, scalars, arrays) in reversed(list(enumerate(populations, 1))):
        job = orm.CalcJobNode(computer=computer)
        job.set_process_type(MINIMISATION)
        for label, value in {
            'ensemble': ForceEnsembleData.from_kernel(ensemble),
            'parameters': orm.Dict(SETTINGS),
        }.items():
            job.base.links.add_incoming(value.store(), LinkType.INPUT_CALC, label)
        job.base.links.add_incoming(node, LinkType.CALL_CALC, f'population_{number}_minimisation')
        job.store()
        for label, output in {'output_parameters': orm.Dict(scalars), 'trace': trace_node(arrays)}.items():
            output.base.links.add_incoming(job, LinkType.CREATE, label)
            output.store()
    return node


@pytest.fixture
def finished(chain, results):
    """Return the work chain with its outputs."""
    _, populations, found = results
    parameters = {f'population_{number}': orm.Dict(row[1]) for number, row in enumerate(populations, 1)}
    names = ('frequencies', 'frequency_errors', 'deviations')
    errors = orm.ArrayData({name: getattr(found, name) for name in names})
    matrices = DynamicalMatrixData.from_kernel(found.matrices)
    outputs = {
        'output_parameters': summarise_populations(**parameters),
        'stability': judge(hessian=matrices, measured=matrices, errors=errors, **parameters),
        'hessian_matrices': matrices,
        'frequency_errors': errors,
    }
    for label, output in outputs.items():
        output.store().base.links.add_incoming(chain, LinkType.RETURN, label)
    return chain


def invoke(command, *arguments):
    """Run a command in a wide terminal and return its result."""
    arguments = [str(argument) for argument in arguments]
    return CliRunner(env={'COLUMNS': '240'}).invoke(command, arguments, catch_exceptions=False)


def test_show(finished, results):
    """A row for each population, the verdict with its evidence, the smallest frequency with its error."""
    _, populations, found = results
    output = invoke(cmd_show, finished.pk).output
    for _, scalars, _ in populations:
        assert in_brackets(scalars['free_energy'], scalars['free_energy_error']) in output
        assert in_brackets(scalars['smallest_frequency'], scalars['smallest_frequency_error']) in output
        assert in_brackets(scalars['pressure'], scalars['pressure_error']) in output
    index = np.argsort(found.frequencies[0])[3]
    smallest = with_error(found.frequencies[0, index], found.frequency_errors[0, index])
    for words in (f'{smallest} meV', 'verdict', 'stable', '300 in 2 populations', 'converged', 'GPa', 'N_eff'):
        assert words in output
    assert 'too few configurations' in output
    assert f'{1e3 * populations[-1][1]["free_energy_bias"]:.2g} meV, not taken off' in output


def test_show_unfinished(chain, results):
    """A run that goes on shows the populations that it has."""
    output = invoke(cmd_show, chain.pk).output
    assert 'SschaWorkChain' in output
    places = [output.index(in_brackets(row[1]['free_energy'], row[1]['free_energy_error'])) for row in results[1]]
    assert places[-1] > 0


def test_plot_minimisation(chain, results, tmp_path):
    """Populations come in the order of their numbers, with their sizes and the limits of the settings."""
    result = invoke(cmd_plot, chain.pk, '--output', tmp_path / 'course.pdf')
    assert result.exit_code == 0, result.output
    table = json.loads((tmp_path / 'course.json').read_text())['minimisation']
    lengths = [len(row[2]['trace_kong_liu']) for row in results[1]]
    assert table['population'] == [1] * lengths[0] + [2] * lengths[1]
    np.testing.assert_allclose(table['kong_liu'][: lengths[0]], results[1][0][2]['trace_kong_liu'])


def test_plot_dispersion(finished, results, tmp_path):
    """Hessian, harmonic phonons and errors are in one figure without being asked for."""
    result = invoke(cmd_plot, finished.pk, '--kind', 'all', '--output', tmp_path / 'a.png')
    assert result.exit_code == 0, result.output
    kinds = ('overview', 'dispersion', 'minimisation')
    assert {path.name for path in tmp_path.glob('*.png')} == {f'a-{kind}.png' for kind in kinds}
    tables = json.loads((tmp_path / 'a-dispersion.json').read_text())
    assert set(tables) == {'dispersion', 'dispersion-harmonic', 'errors'}
    # Γ is passed twice on the path of a simple cubic crystal.
    np.testing.assert_allclose(tables['errors']['error_meV'][:42], results[2].frequency_errors[0], atol=1e-6)


def test_plot_trace(chain, tmp_path):
    """A trace has the figure of its population, also where nothing is known of its calculation."""
    trace = chain.called[0].outputs.trace
    bare = trace.clone().store()
    for node in (trace, chain.called[0], bare):
        result = invoke(cmd_plot, node.pk, '--output', tmp_path / f'{node.pk}.pdf')
        assert result.exit_code == 0, result.output
        assert (tmp_path / f'{node.pk}-minimisation.csv').exists()


def test_plot_matrices(finished, tmp_path):
    """Matrices have a dispersion, with others to compare."""
    pk, harmonic = finished.outputs.hessian_matrices.pk, finished.inputs.dynamical_matrices.pk
    invoke(cmd_plot, pk, '--harmonic', harmonic, '--output', tmp_path / 'm.pdf')
    assert set(json.loads((tmp_path / 'm.json').read_text())) == {'dispersion', 'dispersion-harmonic'}


def test_show_collapsed(aiida_profile_clean):
    """A crystal whose auxiliary frequencies ran to zero has no Hessian, and the verdict says on what it rests."""
    populations = [
        {'configurations': 400, 'frequency': 9.0, 'error': 1.0, 'reason': 'converged'},
        {'configurations': 800, 'frequency': 0.52, 'error': 0.61, 'reason': 'not positive'},
    ]
    content = {
        'class': 'collapsed',
        'significant': True,
        'smallest_frequency': 0.52,
        'smallest_frequency_error': 0.61,
        'populations': populations,
        'hessian': None,
    }
    output = invoke(cmd_show, orm.Dict(content).store().pk).output
    course = '9.0 ± 1.0 (400) → 0.52 ± 0.61 (800) meV'
    for words in ('collapsed', 'auxiliary', '0.52 ± 0.61 meV', course, 'converged, not positive'):
        assert words in output


def test_show_imaginary(aiida_profile_clean):
    """The imaginary modes of the Hessian are listed; a verdict within the error is said to be open."""
    mode = {'frequency': -3.2, 'qpoint': [0.5, 0, 0], 'irrep': 'Eu', 'degeneracy': 2, 'interpolated': False}
    curvature = {'qpoint': [0.5, 0, 0], 'irrep': 'Eu', 'imaginary_modes': [mode], 'class': 'unstable'}
    content = {
        'class': 'hessian-imaginary',
        'significant': False,
        'smallest_frequency': -3.2,
        'smallest_frequency_error': 2.5,
        'populations': [],
        'hessian': curvature,
    }
    output = invoke(cmd_show, orm.Dict(content).store().pk).output
    for words in ('hessian-imaginary', '-3.2 ± 2.5 meV, which its error does not tell from zero', '(0.5, 0, 0)', 'Eu'):
        assert words in output


@pytest.mark.parametrize(
    ('value', 'error', 'text'),
    [
        (-3929.13562, 0.00467, '-3929.1356 ± 0.0047'),
        (130.697, 2.34, '130.7 ± 2.3'),
        (130.697, 23.4, '131 ± 23'),
        (5.0, None, '5'),
        (5.0, 0.0, '5'),
        (None, None, '–'),
    ],
)
def test_with_error(value, error, text):
    """An error has two digits, and its value as many decimals; what is not known has none."""
    assert with_error(value, error) == text


@pytest.mark.parametrize(
    ('value', 'error', 'text'),
    [
        (-3929.13562, 0.00467, '-3929.1356(47)'),
        (11.6031, 0.0264, '11.603(26)'),
        (130.697, 2.34, '130.7(2.3)'),
        (130.697, 23.4, '131(23)'),
        (5.0, None, '5'),
        (None, None, '–'),
    ],
)
def test_in_brackets(value, error, text):
    """The error of the last digits stands behind them, with its own point where it has one."""
    assert in_brackets(value, error) == text


def test_narrow(finished):
    """Nothing of the table of populations is cut off in 80 columns."""
    output = CliRunner(env={'COLUMNS': '80'}).invoke(cmd_show, [str(finished.pk)], catch_exceptions=False).output
    table = output.partition('N_eff')[2].partition('╰')[0]
    assert 'converged' in table
    assert '…' not in table


def test_forbidden_force():
    """The larger ratio decides; the rounding that is left of what symmetry forbids has none."""
    assert largest_ratio((1e-17, 1e-17)) == '–'
    assert largest_ratio((0.02, 0.01), (1e-17, 1e-17), (1.0, 10.0)) == '2'
