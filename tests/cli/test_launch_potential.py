"""``launch train``, ``launch evaluate-potential``, and the options of the potential of an SSCHA: what reaches them."""

from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from click.testing import CliRunner
from coupled_pairs import CoupledPairs
from small_potential import small_potential

from aiida_clathrate.cli import submission
from aiida_clathrate.cli.main import cmd_root
from aiida_clathrate.cli.potential import TRAINING
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.workflows.finished_forces import flattened
from aiida_clathrate.workflows.sscha_restart import PROCESS_TYPE

MESH = (2, 1, 1)
ANHARMONIC = ('--supercell', *MESH, '--temperature', 300, '--calculator', 'springs@localhost', '--protocol', 'fast')


@pytest.fixture
def codes(aiida_profile_clean, aiida_localhost):
    """Make the codes, which nothing runs here."""
    plugins = {'pw': 'quantumespresso.pw', 'ph': 'quantumespresso.ph', 'clathrate': None, 'springs': None}
    for label, plugin in plugins.items():
        orm.InstalledCode(aiida_localhost, '/bin/true', label=label, default_calc_job_plugin=plugin).store()


@pytest.fixture
def submitted(monkeypatch):
    """Return the list of builders that reach the engine, which is not there."""
    builders = []
    monkeypatch.setattr(submission, 'submit_builder', builders.append)
    return builders


def ensemble(seed=1, computed=True):
    """Return a stored population of 16."""
    drawn = sample(CoupledPairs().matrices(MESH), 300.0, 16, seed)
    if computed:
        cell = drawn.crystal.cell * np.array(MESH)[:, None]
        energies, forces, _ = CoupledPairs(mesh=MESH).evaluate(drawn.positions, cell)
        drawn = replace(drawn, energies=energies, forces=forces, source='model')
    return ForceEnsembleData.from_kernel(drawn).store()


def potential(aiida_localhost=None, **ensembles):
    """Return a stored potential of the pairs; with ensembles, one that was trained on them."""
    node = PotentialData.from_kernel(replace(small_potential(baseline=False), species=('H', 'Li')))
    if ensembles:
        job = orm.CalcJobNode(computer=aiida_localhost)
        job.set_process_type(TRAINING)
        for label, value in ensembles.items():
            job.base.links.add_incoming(value, LinkType.INPUT_CALC, f'ensembles__{label}')
        node.base.links.add_incoming(job.store(), LinkType.CREATE, 'potential')
    return node.store()


@pytest.fixture
def matrices(codes):
    """Return the pk of matrices of the pairs."""
    return DynamicalMatrixData.from_kernel(CoupledPairs().matrices(MESH)).store().pk


def launch(*arguments):
    """Run the command."""
    return CliRunner().invoke(cmd_root, ['launch', *map(str, arguments)])


def accepted(result, submitted):
    """Return the builder that a command has made, whose inputs its ports accept."""
    assert result.exit_code == 0, result.output
    builder = submitted.pop()
    ports = builder.process_class.spec().inputs
    assert ports.validate(ports.pre_process(builder._inputs(prune=True))) is None
    return builder


def assert_refused(result, message):
    """Assert that a command ended with a sentence and stored no process."""
    assert result.exit_code != 0
    assert message in ' '.join(result.output.split())
    assert isinstance(result.exception, SystemExit)
    assert orm.QueryBuilder().append(orm.ProcessNode, filters={'process_type': {'!==': TRAINING}}).count() == 0


def test_train(codes, submitted):
    """Ensembles have labels in their order, those that were sought others; settings and limits are what was given."""
    nodes = [ensemble(seed) for seed in (1, 2, 3)]
    result = launch(
        'train', nodes[0].pk, nodes[1].uuid, '--sought', nodes[2].pk, '--architecture', 'paper', '--architecture',
        'hidden=[8, 4]', '--architecture', 'radial_cutoff=5.5', '--training', 'epochs=30', '--training',
        'learning_rate=1.0e-3', '--training', 'model=linear', '--seed', 5, '--number', 20, '--validation-fraction', 0.2,
        '--min-validation', 4, '--max-energy-error', 2, '--max-force-error', 80.5, '--cores', 4, '--walltime', 600,
    )  # fmt: skip
    builder = accepted(result, submitted)
    assert {label: node.pk for label, node in builder.ensembles.items()} == {
        'population_1': nodes[0].pk, 'population_2': nodes[1].pk, 'labels_1': nodes[2].pk,
    }  # fmt: skip
    assert builder.train.parameters.get_dict() == {
        'architecture': {'preset': 'paper', 'hidden': [8, 4], 'radial_cutoff': 5.5},
        'training': {'seed': 5, 'epochs': 30, 'learning_rate': 1e-3, 'model': 'linear'},
    }
    assert (builder.split_seed, builder.training_configurations, builder.min_validation) == (5, 20, 4)
    assert (builder.validation_fraction, builder.largest_energy_error, builder.largest_force_error) == (0.2, 2.0, 80.5)
    options = builder.train.metadata.options
    assert (options.resources['num_cores_per_mpiproc'], options.max_wallclock_seconds) == (4, 600)


def test_train_defaults(codes, submitted):
    """Without options the defaults are those of the work chain."""
    builder = accepted(launch('train', ensemble().pk), submitted)
    assert builder.process_class.__name__ == 'PotentialWorkChain'
    assert builder.train.parameters.get_dict() == {'architecture': {}, 'training': {'seed': 0}}
    ports = builder.process_class.spec().inputs
    for name in ('validation_fraction', 'largest_force_error'):
        assert builder.get(name) in (None, ports[name].default())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--architecture', 'slow'), "preset: 'slow' is none of fast, paper"),
        (('--architecture', 'radius=3'), 'radius: no such parameter; there are'),
        (('--training', 'epochs'), "'epochs' is not KEY=VALUE, for instance epochs=300"),
        (('--training', 'epochs=0'), 'epochs: 0 is not a whole number from 1'),
        (('--training', 'epochs=[1'), "'[1' is no value"),
        (('--validation-fraction', 1), '1.0 is not in the range'),
        (('--python', 'none'), "code: 'none' does not exist"),
    ],
)
def test_train_refused(codes, submitted, options, message):
    """What the training would refuse is refused at once."""
    assert_refused(launch('train', ensemble().pk, *options), message)


def test_train_without_forces(codes):
    """Ensembles without forces, or none, are refused in a sentence."""
    assert_refused(launch('train', ensemble(computed=False).pk), 'population_1: its configurations have no forces')
    assert_refused(launch('train'), "Missing argument 'ENSEMBLES...'")
    assert_refused(launch('train', potential().pk), 'ENSEMBLES')


def test_evaluate(codes, submitted):
    """Settings are what was given, else those of the kernel."""
    drawn, held = ensemble(computed=False), potential()
    builder = accepted(launch('evaluate-potential', drawn.pk, held.pk), submitted)
    assert (builder.population.pk, builder.potential.pk) == (drawn.pk, held.pk)
    assert builder.parameters.get_dict() == {'stress': False}
    options = ('--stress', '--batch-size', 8, '--precision', 'double', '--cores', 2, '--walltime', 90)
    builder = accepted(launch('evaluate-potential', drawn.pk, held.pk, *options), submitted)
    assert builder.parameters.get_dict() == {'stress': True, 'batch_size': 8, 'precision': 'double'}
    assert builder.metadata.options.resources['num_cores_per_mpiproc'] == 2


def test_evaluate_refused(codes):
    """Configurations with forces, and a potential of other elements, are refused in a sentence."""
    held = potential()
    assert_refused(launch('evaluate-potential', ensemble().pk, held.pk), 'have forces already')
    other = PotentialData.from_kernel(small_potential()).store()
    message = 'potential: knows Mg, O, the population has H, Li too'
    assert_refused(launch('evaluate-potential', ensemble(computed=False).pk, other.pk), message)


def test_sscha(matrices, submitted):
    """The numbers of the potential reach its namespace, that of the Hessian too: it is the potential's."""
    result = launch(
        'sscha', matrices, *ANHARMONIC, '--populations', '40,80', '--potential', '--potential-populations', '200,400',
        '--max-energy-error', 1, '--max-force-error', 70, '--max-labels', 6, '--potential-cores', 3,
        '--hessian-configurations', 600,
    )  # fmt: skip
    builder = accepted(result, submitted)
    given = builder.potential
    assert (builder.populations.get_list(), given.populations.get_list()) == ([40, 80], [200, 400])
    assert (given.largest_energy_error, given.largest_force_error, given.max_labels) == (1.0, 70.0, 6)
    assert given.hessian_configurations == 600
    assert builder.hessian_configurations != 600
    for job in ('train', 'evaluate'):
        assert given[job].code.label == 'clathrate'
        assert given[job].metadata.options.resources['num_cores_per_mpiproc'] == 3


def test_sscha_without(matrices, submitted):
    """Unless it is asked for, there is no potential, and the Hessian is that of the work chain."""
    builder = accepted(launch('sscha', matrices, *ANHARMONIC, '--hessian-configurations', 160), submitted)
    assert 'potential' not in builder
    assert builder.hessian_configurations == 160


def test_start_potential(matrices, submitted, aiida_localhost):
    """A potential brings what it was trained on; other ensembles take their place."""
    nodes = [ensemble(seed) for seed in (1, 2)]
    start = potential(aiida_localhost, population_3=nodes[0], labels_1=nodes[1])
    builder = accepted(launch('sscha', matrices, *ANHARMONIC, '--start-potential', start.pk), submitted)
    assert builder.potential.start.pk == start.pk
    assert {label: node.pk for label, node in builder.potential.ensembles.items()} == {
        'population_3': nodes[0].pk, 'labels_1': nodes[1].pk,
    }  # fmt: skip
    options = ('--start-potential', potential().pk, '--training-set', nodes[1].pk)
    builder = accepted(launch('sscha', matrices, *ANHARMONIC, *options), submitted)
    assert {label: node.pk for label, node in builder.potential.ensembles.items()} == {'population_1': nodes[1].pk}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--max-labels', 4), '--max-labels: belongs to a run with a potential; add --potential'),
        (('--potential-populations', '100,200'), '--potential-populations: belongs to a run with a potential'),
        (('--potential', '--potential-populations', '200,7'), '--potential-populations: [200, 7] must be even'),
        (('--potential', '--max-force-error', 0), '0.0 is not in the range'),
    ],
)
def test_sscha_refused(matrices, options, message):
    """Options that mean nothing say so."""
    assert_refused(launch('sscha', matrices, *ANHARMONIC, *options), message)


def test_start_of_a_stranger(matrices):
    """Where nobody knows what a potential was trained on, its ensembles are asked for."""
    result = launch('sscha', matrices, *ANHARMONIC, '--start-potential', potential().pk)
    assert_refused(result, 'what it was trained on is not known here; give the ensembles with --training-set')


def earlier(builder):
    """Return a run with these inputs that was killed before its first population."""
    node = orm.WorkChainNode()
    node.set_process_type(PROCESS_TYPE)
    node.set_process_label('SschaWorkChain')
    for label, value in flattened(builder._inputs(prune=True)).items():
        node.base.links.add_incoming(value if value.is_stored else value.store(), LinkType.INPUT_WORK, label)
    options = {'metadata': {'options': {'resources': {'num_machines': 1}}}}
    jobs = {'minimisation': options, 'hessian': options, 'forces': {'calculator': options}}
    node.set_metadata_inputs(jobs | {'potential': {'train': options, 'evaluate': options}})
    node.store()
    node.set_process_state('killed')
    return node


@pytest.mark.parametrize('protocol', ['fast', 'balanced', 'stringent'])
def test_restart(matrices, submitted, protocol):
    """Limits and sizes of a potential may be others in a run that goes on; what it starts from may not."""
    options = (*ANHARMONIC[:-1], protocol, '--potential', '--max-labels', 7)
    node = earlier(accepted(launch('sscha', matrices, *options), submitted))
    changes = ('--max-force-error', 90, '--hessian-configurations', 700, '--potential-cores', 2)
    builder = accepted(launch('sscha', '--restart', node.pk, *changes), submitted)
    assert (builder.potential.max_labels, builder.potential.largest_force_error) == (7, 90.0)
    assert builder.potential.hessian_configurations == 700
    assert builder.hessian_configurations == node.inputs.hessian_configurations
    assert builder.potential.train.metadata.options.resources['num_cores_per_mpiproc'] == 2
    result = launch('sscha', '--restart', node.pk, '--start-potential', potential().pk)
    assert f'--start-potential: run {node.pk} brings its own; leave it out' in ' '.join(result.output.split())


def test_restart_without(matrices, submitted):
    """A run without a potential has no limits for one."""
    node = earlier(accepted(launch('sscha', matrices, *ANHARMONIC), submitted))
    result = launch('sscha', '--restart', node.pk, '--max-labels', 3)
    assert f'--max-labels: run {node.pk} has no potential; leave it out' in ' '.join(result.output.split())
    builder = accepted(launch('sscha', '--restart', node.pk, '--hessian-configurations', 300), submitted)
    assert builder.hessian_configurations == 300


def test_critical_temperature(codes, submitted, monkeypatch):
    """The options reach the anharmonic part of the work chain, and belong to it."""
    given = {}

    def record(**arguments):
        given.update(arguments)
        raise ValueError('enough')

    from aiida.plugins import WorkflowFactory

    monkeypatch.setattr(WorkflowFactory('clathrate.critical_temperature'), 'get_builder_from_protocol', record)
    command = ('critical-temperature', 'NaC6', '--potential', '--max-labels', 4)
    assert 'enough' in launch(*command, '--sscha', 2, 2, 2, '--temperature', 300).output
    assert given['sscha'] == {'supercell': (2, 2, 2), 'temperature': 300.0, 'potential': {'train': {}}}
    assert_refused(launch(*command), '--potential: belongs to an anharmonic run; add for instance --sscha 2 2 2')
