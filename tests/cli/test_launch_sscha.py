"""``launch sscha``, and anharmonic options of ``critical-temperature``: what reaches the work chains, what does not."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from ase.build import bulk
from click.testing import CliRunner

from aiida_clathrate.cli import submission
from aiida_clathrate.cli.main import cmd_root
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.workflows.finished_forces import flattened
from aiida_clathrate.workflows.sscha_restart import PROCESS_TYPE

COMPLETE = ('--supercell', 2, 1, 1, '--temperature', 300)


@pytest.fixture
def matrices(aiida_profile_clean, aiida_localhost):
    """Make the codes, which nothing runs here; return the pk of harmonic matrices of copper in two cells."""
    plugins = {'pw': 'quantumespresso.pw', 'ph': 'quantumespresso.ph', 'clathrate': None, 'springs': None}
    for label, plugin in plugins.items():
        orm.InstalledCode(aiida_localhost, '/bin/true', label=label, default_calc_job_plugin=plugin).store()
    constants = np.array([np.zeros((3, 3)), 5.0 * np.eye(3)], dtype=complex)
    crystal = Crystal.from_ase(bulk('Cu', 'fcc', a=3.6))
    return DynamicalMatrixData.from_kernel(DynamicalMatrices(crystal, (2, 1, 1), constants)).store().pk


@pytest.fixture
def submitted(monkeypatch):
    """Return the list of builders that reach the engine, which is not there."""
    builders = []
    monkeypatch.setattr(submission, 'submit_builder', builders.append)
    return builders


def launch(*arguments):
    """Run the command."""
    return CliRunner().invoke(cmd_root, ['launch', *map(str, arguments)])


def accepted(builder):
    """Return the inputs of a builder that its ports accept."""
    ports = builder.process_class.spec().inputs
    assert ports.validate(ports.pre_process(builder._inputs(prune=True))) is None
    return builder


@pytest.fixture
def copper_family(aiida_profile_clean, tmp_path):
    """Return the label of a family with a pseudopotential of copper that nothing reads."""
    from aiida_pseudo.data.pseudo import UpfData
    from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily

    (tmp_path / 'Cu.upf').write_text('<UPF version="2.0.1"><PP_HEADER element="Cu" z_valence="11.0"/></UPF>')
    family = CutoffsPseudoPotentialFamily.create_from_folder(tmp_path, 'copper', pseudo_type=UpfData)
    family.set_cutoffs({'Cu': {'cutoff_wfc': 30.0, 'cutoff_rho': 240.0}}, 'standard', unit='Ry')
    return family.label


@pytest.fixture
def earlier(matrices, submitted):
    """Return a run that was killed before its first population."""
    launch('sscha', matrices, *COMPLETE, '--calculator', 'springs@localhost', '--populations', '40,100', '--seed', 3)
    builder = accepted(submitted.pop())
    node = orm.WorkChainNode()
    node.set_process_type(PROCESS_TYPE)
    node.set_process_label('SschaWorkChain')
    for label, value in flattened(builder._inputs(prune=True)).items():
        node.base.links.add_incoming(value if value.is_stored else value.store(), LinkType.INPUT_WORK, label)
    options = {'metadata': {'options': {'resources': {'num_machines': 1}}}}
    node.set_metadata_inputs({'minimisation': options, 'hessian': options, 'forces': {'calculator': options}})
    node.store()
    node.set_process_state('killed')
    return node


def test_calculator(matrices, submitted):
    """A calculator, the numbers and the cell."""
    result = launch(
        'sscha', matrices, *COMPLETE, '--calculator', 'springs@localhost', '--protocol', 'stringent',
        '--populations', '40,100', '--hessian-configurations', 200, '--seed', 5, '--variable-cell', '--pressure', 15,
        '--reference', '--walltime', 600, '--mpi', 2,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    builder = accepted(submitted[0])
    # Not the sizes that the protocol has for calculators.
    assert builder.populations.get_list() == [40, 100]
    assert builder.hessian_configurations == 200
    assert (builder.seed, builder.pressure, builder.temperature) == (5, 15.0, 300.0)
    assert builder.variable_cell.value
    assert builder.reference.value
    assert builder.dynamical_matrices.pk == matrices
    assert builder.forces.calculator.code.label == 'springs'
    options = builder.forces.calculator.metadata.options
    assert (options.max_wallclock_seconds, options.resources['num_mpiprocs_per_machine']) == (600, 2)


def test_pw(matrices, submitted, copper_family):
    """Forces come from pw.x unless a calculator is named."""
    result = launch(
        'sscha', matrices, *COMPLETE, '--pseudo-family', copper_family, '--kpoints', 2, 4, 4,
        '--max-concurrent', 3, '--no-reference',
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    builder = accepted(submitted[0])
    assert builder.forces.pw.pw.code.label == 'pw'
    assert builder.forces.pw.kpoints.get_kpoints_mesh()[0] == [2, 4, 4]
    assert builder.forces.max_concurrent == 3
    assert not builder.reference.value


def test_restart(earlier, submitted):
    """An earlier run brings its inputs; numbers and resources may be others."""
    result = launch('sscha', '--restart', earlier.pk, '--populations', '100,200', '--walltime', 900)
    assert result.exit_code == 0, result.output
    builder = accepted(submitted[0])
    assert builder.populations.get_list() == [100, 200]
    assert builder.dynamical_matrices.pk == earlier.inputs.dynamical_matrices.pk
    assert (builder.seed, builder.temperature) == (3, 300.0)
    assert builder.forces.calculator.metadata.options.max_wallclock_seconds == 900


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--protocol', 'fast'), '--protocol: run {} brings its own; leave it out beside --restart'),
        (('--pw-code', 'pw@localhost'), '--pw: run {} brings its own'),
        (('--populations', '100,40'), '--populations: [100, 40] must not shrink'),
    ],
)
def test_restart_refused(earlier, submitted, options, message):
    """What the finished forces depend on stays as it was."""
    result = launch('sscha', '--restart', earlier.pk, *options)
    assert result.exit_code == 1
    assert message.format(earlier.pk) in ' '.join(result.output.split())
    assert not submitted


def test_restart_running(earlier, submitted):
    """A run that still runs is left alone."""
    earlier.set_process_state('waiting')
    result = launch('sscha', '--restart', earlier.pk)
    assert result.exit_code == 1
    assert f'--restart: SschaWorkChain {earlier.pk} is still running; wait for it or kill it' in result.output
    assert not submitted


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--supercell', 2, 1, 1), '--temperature: missing; give for instance --temperature 300'),
        (('--temperature', 300), '--supercell: missing; give for instance --supercell 2 2 2'),
        (('--supercell', 2, 1, 0, '--temperature', 300), '0 is not in the range'),
        (('--supercell', 2, 1, 1, '--temperature', -1), "'--temperature': -1"),
        ((*COMPLETE, '--pressure', 5), '--variable-cell and --pressure: a cell that varies goes to a pressure'),
        ((*COMPLETE, '--variable-cell'), '--variable-cell and --pressure'),
        ((*COMPLETE, '--pw', 'a', '--calculator', 'b'), '--pw and --calculator b: forces come from one place'),
        ((*COMPLETE, '--kpoints', 2, 2, 2, '--calculator', 'b'), '--kpoints and --calculator b: forces come from one'),
        ((*COMPLETE, '--calculator', 'none'), "code: 'none' does not exist; `aiida-clathrate setup`"),
        ((*COMPLETE, '--populations', '100,x'), "'100,x' are no whole numbers; give for instance 100,200,400"),
        ((*COMPLETE, '--calculator', 'springs@localhost', '--populations', '7'), '--populations: [7] must be even'),
        (
            (*COMPLETE, '--calculator', 'springs@localhost', '--hessian-configurations', 7),
            '--hessian-configurations: 7 is not an even number',
        ),
        ((*COMPLETE, '--restart', 999999), '999999'),
    ],
)
def test_refused(matrices, options, message):
    """One sentence, a status that scripts see, and nothing in the database."""
    assert_refused(launch('sscha', matrices, *options), message)


def assert_refused(result, message):
    """Assert that a command ended with a sentence and stored no process."""
    assert result.exit_code != 0
    assert message in ' '.join(result.output.split())
    assert 'Traceback' not in result.output
    assert isinstance(result.exception, SystemExit)
    assert orm.QueryBuilder().append(orm.ProcessNode).count() == 0


def test_without_matrices(matrices):
    """An SSCHA begins with something."""
    assert_refused(launch('sscha', *COMPLETE), 'MATRICES: missing; give the pk of harmonic matrices, or an earlier run')


def test_critical_temperature(matrices, submitted, monkeypatch):
    """The options of the SSCHA reach the work chain inside."""
    given = {}

    def record(**arguments):
        given.update(arguments)
        raise ValueError('enough')

    from aiida.plugins import WorkflowFactory

    monkeypatch.setattr(WorkflowFactory('clathrate.critical_temperature'), 'get_builder_from_protocol', record)
    result = launch('critical-temperature', 'NaC6', '--sscha', 2, 2, 2, '--temperature', 300)
    assert 'enough' in result.output
    assert given['sscha'] == {'supercell': (2, 2, 2), 'temperature': 300.0}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--temperature', 300), '--temperature: belongs to an anharmonic run; add for instance --sscha 2 2 2'),
        (('--hessian-configurations', 200), '--hessian-configurations: belongs to an anharmonic run'),
        (('--sscha', 2, 2, 2), '--temperature: missing; an anharmonic run needs it'),
        (('--sscha', 2, 2, 2, '--temperature', 0, '--calculator', 'none'), "code: 'none' does not exist"),
    ],
)
def test_critical_temperature_refused(matrices, options, message):
    """Options of an SSCHA without one say so."""
    assert_refused(launch('critical-temperature', 'NaC6', *options), message)
