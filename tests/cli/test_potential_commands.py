"""A trained potential through ``show``, ``plot``, ``export``, ``import`` and ``query``."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from click.testing import CliRunner
from coupled_pairs import CoupledPairs
from small_potential import RECORD, small_potential

from aiida_clathrate.calculations.potential_report import add_bias, join_reports, judge_training
from aiida_clathrate.cli.import_export import cmd_export, cmd_import
from aiida_clathrate.cli.inspect import cmd_plot, cmd_show
from aiida_clathrate.cli.potential import TRAINING
from aiida_clathrate.cli.query import cmd_query
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels.ensemble_arrays import ensemble_to_arrays
from aiida_clathrate.kernels.mlp.potential_files import FILES, load, to_bytes
from aiida_clathrate.kernels.mlp.train import SEPARATOR, run
from aiida_clathrate.kernels.sscha.sampling import sample

MESH, CONFIGURATIONS, HELD_OUT = (2, 1, 1), 16, 6
ARCHITECTURE = {
    'radial_order': 4, 'radial_cutoff': 4.0, 'angular_cutoff': 4.0, 'angular_order': 2, 'largest_l': 2, 'channels': 2,
    'linear_channels': 4, 'attention_heads': 0, 'hidden': [4],
}  # fmt: skip
SPLIT = {'training': list(range(HELD_OUT, CONFIGURATIONS)), 'validation': list(range(HELD_OUT))}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Return an ensemble, and scalars, arrays and potential of a training on it."""
    model = CoupledPairs(mesh=MESH)
    drawn = sample(CoupledPairs().matrices(MESH), 300.0, CONFIGURATIONS, 1)
    energies, forces, _ = model.evaluate(drawn.positions, drawn.crystal.cell * np.array(MESH)[:, None])
    ensemble = replace(drawn, energies=energies, forces=forces, source='model')
    scalars, arrays = ensemble_to_arrays(ensemble)
    inputs = {
        'ensembles': {'population_1': scalars}, 'split': {'population_1': SPLIT}, 'architecture': ARCHITECTURE,
        'settings': {'epochs': 6, 'evaluate_every': 2, 'model': 'both'}, 'baseline': None, 'previous': False,
        'max_seconds': None,
    }  # fmt: skip
    folder = tmp_path_factory.mktemp('training')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        results = run(inputs, {f'population_1{SEPARATOR}{name}': array for name, array in arrays.items()})
    return ensemble, *results, load(folder)


@pytest.fixture
def training(aiida_profile_clean, trained, tmp_path):
    """Return the calculation of the training, with its nodes."""
    ensemble, scalars, arrays, potential = trained
    computer = orm.Computer('here', 'localhost', workdir=str(tmp_path), transport_type='core.local',
                            scheduler_type='core.direct').store()  # fmt: skip
    job = orm.CalcJobNode(computer=computer)
    job.set_process_type(TRAINING)
    inputs = {'ensembles__population_1': ForceEnsembleData.from_kernel(ensemble),
              'split': orm.Dict({'population_1': SPLIT})}  # fmt: skip
    for label, value in inputs.items():
        job.base.links.add_incoming(value.store(), LinkType.INPUT_CALC, label)
    job.store()
    history = dict(zip(scalars['history_columns'], arrays['history'].T, strict=True))
    outputs = {
        'potential': PotentialData.from_kernel(potential),
        'output_parameters': orm.Dict(scalars),
        'history': orm.ArrayData(history),
        'validation': orm.ArrayData({name: array for name, array in arrays.items() if name != 'history'}),
    }
    for label, output in outputs.items():
        output.base.links.add_incoming(job, LinkType.CREATE, label)
        output.store()
    return job


def invoke(command, *arguments, columns=200):
    """Run a command and return its result."""
    return CliRunner(env={'COLUMNS': str(columns)}).invoke(command, [str(argument) for argument in arguments])


def shown(node, **more):
    """Return what ``show`` prints, its lines as one."""
    result = invoke(cmd_show, node.pk, **more)
    assert result.exit_code == 0, result.output
    return ' '.join(result.output.split())


def test_show(training, trained):
    """What it is, how good on what was held out, by element, and where it comes from."""
    _, scalars, _, _ = trained
    output = shown(training.outputs.potential)
    words = [
        'H, Li', 'linear part, and a network for the rest', 'up to 4 Å, order 4', 'order 2, l ≤ 2',
        f'{training.outputs.potential.base.attributes.get("number_of_weights"):,}', 'harmonic baseline none',
        '10 configurations', '6 configurations', f'RMSE {scalars["energy_rmse"]:.3g} meV/atom, largest',
        f'RMSE {scalars["force_rmse"]:.3g} meV/Å, largest {scalars["force_max"]:.3g}', 'meV/Å × score^',
        f'training {training.pk} on population_1 ({training.inputs.ensembles.population_1.pk})',
    ]  # fmt: skip
    for name, found in scalars['candidates'].items():
        words.append(f'candidate {name} {found["energy_rmse"]:.3g} meV/atom, {found["force_rmse"]:.3g} meV/Å')
    for name in ('H', 'Li'):
        held, learnt = (scalars[f'{part}force_rmse_by_species'][name] for part in ('', 'training_'))
        words.append(f'{name} {held:.3g} {learnt:.3g}')
    for word in words:
        assert word in output, word
    assert 'stresses' not in output


def test_show_of_a_stranger(aiida_profile_clean):
    """What a record does not tell, or tells in words where numbers are due, is not shown."""
    tried = {'energy_rmse': 'huge', 'force_rmse': 1.0}
    record = {
        'force_rmse': 12.5, 'force_max': '[red]huge', 'rank_correlation': 'huge',
        'candidates': {'linear': 3, 'both': tried}, 'force_rmse_by_species': {'Mg': 'huge'},
    }  # fmt: skip
    potential = small_potential()
    weights = {**potential.weights, 'calibration': np.array([1e6, 1.0])}
    output = shown(PotentialData.from_kernel(replace(potential, record=record, weights=weights)).store())
    assert 'RMSE 12.5 meV/Å' in output
    assert 'inf meV/Å × score^1.00' in output
    assert 'of MgO in 2 × 1 × 3 cells' in output
    assert 'model not told' in output
    assert 'no training in this profile' in output
    for word in ('huge', 'candidate', 'element '):
        assert word not in output
    assert 'RMSE 31.5 meV/Å' in shown(PotentialData.from_kernel(small_potential()).store())


@pytest.mark.parametrize('label', ['', 'potential', 'validation'])
def test_plot(training, trained, tmp_path, label):
    """The training, its potential and its validation have one figure, with elements and course."""
    node = training.outputs[label] if label else training
    result = invoke(cmd_plot, node.pk, '--output', tmp_path / 'a.png')
    assert result.exit_code == 0, result.output
    tables = json.loads((tmp_path / 'a.json').read_text())
    assert tables['forces']['element'] == ['H', 'Li', 'H', 'Li'] * HELD_OUT
    np.testing.assert_allclose(tables['errors']['true_meV_per_angstrom'], 1e3 * trained[2]['force_errors'])
    assert tables['history']['epoch'] == [2, 4, 6]


def test_plot_of_a_stranger(aiida_profile_clean, training, tmp_path):
    """Without its training there is nothing to draw of a potential, and less of its validation."""
    node = PotentialData.from_kernel(small_potential()).store()
    result = invoke(cmd_plot, node.pk, '--output', tmp_path / 'a.png')
    assert f'node {node.pk} has nothing to draw' in result.output
    bare = training.outputs.validation.clone().store()
    assert invoke(cmd_plot, bare.pk, '--output', tmp_path / 'b.png').exit_code == 0
    tables = json.loads((tmp_path / 'b.json').read_text())
    assert set(tables['forces']['element']) == {'all'}
    assert 'history' not in tables


def test_exchange(training, trained, tmp_path):
    """Out and in again, to the last bit; the format is the only one."""
    result = invoke(cmd_export, training.outputs.potential.pk, tmp_path / 'out')
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == sorted(FILES)
    result = invoke(cmd_import, 'potential', tmp_path / 'out')
    assert result.exit_code == 0, result.output
    node = orm.load_node(re.search(r'[0-9a-f]{8}-[0-9a-f-]{27}', result.output)[0])
    assert to_bytes(node.to_kernel()) == to_bytes(trained[-1])
    assert f'H, Li, {node.base.attributes.get("number_of_weights"):,} weights' in result.output
    again = invoke(cmd_export, node.pk, tmp_path / 'out', '--format', 'potential')
    assert 'exists: give another path' in again.output


def test_format_needed(training, tmp_path):
    """A node with several formats asks which."""
    result = invoke(cmd_export, training.inputs.ensembles.population_1.pk, tmp_path / 'out')
    assert result.exit_code == 2
    assert '--format: a ForceEnsembleData can be exported as sscha, sscha-text, extxyz; say which' in result.output


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        (FILES[0], b'{"format": "other"}', "potential.json: its format is 'other'"),
        (FILES[1], b'\x80\x04cos\nsystem\n.', 'potential.safetensors'),
        (FILES[1], None, 'potential.safetensors'),
    ],
)
def test_import_refused(aiida_profile_clean, tmp_path, name, content, message):
    """Files that are no potential are refused in a sentence, and nothing is stored."""
    for file, good in to_bytes(small_potential()).items():
        (tmp_path / file).write_bytes(good)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    result = invoke(cmd_import, 'potential', tmp_path)
    assert result.exit_code == 1
    assert 'import potential: ' in result.output
    assert message in result.output
    assert 'Traceback' not in result.output
    assert orm.QueryBuilder().append(PotentialData).count() == 0


def test_query(training):
    """Potentials are listed with their errors, newest first; a formula asks for those that know its elements."""
    other = PotentialData.from_kernel(small_potential()).store()
    rows = json.loads(invoke(cmd_query, '--potentials', '--json').stdout)
    assert [row['pk'] for row in rows] == [other.pk, training.outputs.potential.pk]
    assert rows[0]['species'] == ['Mg', 'O']
    assert rows[0]['force_rmse'] == RECORD['force_rmse']
    found = json.loads(invoke(cmd_query, '--potentials', '--formula', 'LiH', '--json').stdout)
    assert [row['pk'] for row in found] == [training.outputs.potential.pk]
    assert json.loads(invoke(cmd_query, '--potentials', '--formula', 'LiHe', '--json').stdout) == []
    table = invoke(cmd_query, '--potentials').output
    for word in ('Mg, O', '31.5', '0.25', '(meV/Å)', str(other.pk)):
        assert word in table
    assert 'uuid' in invoke(cmd_query, '--potentials', '--csv').stdout


@pytest.mark.parametrize('options', [('--min-tc', 3), ('--stability',), ('--level', 'sscha'), ('--pressure-max', 1)])
def test_query_refused(aiida_profile_clean, options):
    """Potentials have no T_c, no pressure and no verdict."""
    result = invoke(cmd_query, '--potentials', *options)
    assert result.exit_code == 1
    assert f'query: {options[0]} does not go with --potentials' in result.output


def judged(training, **limits):
    """Return the verdict on the training."""
    limits = {'energy': 1e3, 'force': 1e4} | limits
    outputs = training.outputs
    return judge_training(
        outputs.output_parameters, outputs.validation, training.inputs.split, orm.Float(limits['energy']),
        orm.Float(limits['force']),
    )  # fmt: skip


def test_show_verdict(training, trained):
    """The verdict has its limits, and the configurations that are worst."""
    output = shown(judged(training, force=0.01))
    worst = int(np.argmax(trained[2]['force_errors']))
    error = 1e3 * trained[2]['force_errors'][worst]
    for words in ('not accurate', '10 configurations, 6 held out', 'meV/Å, limit 0.01',
                  f'population_1 {worst} {error:.3g}'):  # fmt: skip
        assert words in output
    assert 'verdict accurate' in shown(judged(training))
    assert 'where one was uncertain' not in output


CHECK = {
    'random': 20, 'uncertain': 0, 'missing': [7], 'energy_rmse': 0.21, 'force_rmse': 14.0, 'force_deviation': 1950.0,
    'energy_mean_error': 0.12, 'energy_mean_error_error': 0.05, 'free_energy_bias': -0.0017,
    'free_energy_bias_error': 0.0007, 'pressure_bias': 0.31, 'pressure_bias_error': 0.12,
    'force_rmse_by_species': {'B': 15.0, 'C': 11.0},
}  # fmt: skip


def test_show_bias(aiida_profile_clean):
    """What a check has found stands beside the free energy of the potential, with both errors."""
    row = {
        'configurations': 400, 'effective_configurations': 400.0, 'reason': 'converged', 'free_energy': 1.5,
        'free_energy_error': 0.003, 'gradient': 1e-9, 'gradient_error': 1e-3, 'force': 1e-9, 'force_error': 1e-3,
        'smallest_frequency': 9.0, 'smallest_frequency_error': 0.1, 'evaluations': 4, 'steps': 3, 'warnings': [],
    }  # fmt: skip
    parameters = orm.Dict({**row, 'populations': [row]}).store()
    assert 'corrected' not in shown(parameters)
    output = shown(add_bias(parameters, orm.Dict(CHECK)))
    for words in ('free energy 1.5000 ± 0.0030 eV', 'bias of the potential -0.00170 ± 0.00070 eV, label minus',
                  'corrected free energy 1.4983 ± 0.0031 eV', 'bias of its pressure 0.31 ± 0.12 GPa'):  # fmt: skip
        assert words in output


def selection(beyond, labelled, largest):
    """Return a selection of a population of 1000."""
    return {
        'beyond': beyond, 'limit': 0.1, 'uncertain': list(range(labelled)), 'random': [], 'number': 1000,
        'largest_deviation': largest, 'indices': [], 'deviations': [],
    }  # fmt: skip


def test_show_check(aiida_profile_clean):
    """A check tells the bias with its error."""
    output = shown(orm.Dict(CHECK).store())
    for words in ('-0.00170 ± 0.00070 eV per primitive cell', '0.31 ± 0.12 GPa', 'without a label 1',
                  'RMSE 14 meV/Å', 'forces on C RMSE 11 meV/Å'):  # fmt: skip
        assert words in output


def test_show_report(training):
    """The stage is a table in the order of time, whatever the order in which the database keeps it, in 80 columns."""
    verdict = judged(training)
    population = join_reports(
        training_1=verdict, selection_2=orm.Dict(selection(0, 0, 0.08)), selection_1=orm.Dict(selection(12, 5, 0.25))
    )
    report = join_reports(
        check_10=orm.Dict(CHECK), training_2=verdict, hessian=orm.Dict({'selection_1': selection(1, 0, 0.11)}),
        population_3=population,
    )  # fmt: skip
    result = invoke(cmd_show, report.pk, columns=80)
    output = ' '.join(result.output.split())
    rows = ('training 2 10 + 6', 'population 3 1000 12 5 250', '– trained 10 + 6',
            '– again 1000 0 0 80', 'check 10 20 20 0.21 14', 'hessian 1000 1 0 110')  # fmt: skip
    places = [output.index(row) for row in rows]
    assert places == sorted(places)
    assert '5 where it was uncertain, 20 at random' in output
    assert '…' not in result.output
