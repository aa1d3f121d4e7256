"""Every file that the documentation shows runs."""

import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

SNIPPETS = Path(__file__).parent.parent / 'docs' / 'snippets'


@pytest.mark.parametrize('path', sorted(SNIPPETS.glob('*.py')), ids=lambda path: path.name)
def test_script(path, tmp_path):
    """A script runs in an empty folder and says something."""
    result = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_command():
    """The command on an α²F table prints the promised JSON."""
    environment = os.environ | {'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'}
    result = subprocess.run(
        ['bash', 'tc.sh'], cwd=SNIPPETS, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert {'lambda', 'omega_log_meV', 'omega_2_meV', 'mu_star', 'critical_temperature'} <= set(answer)
    for name in ('rescaled', 'raw', 'allen_dynes', 'mcmillan'):
        assert len(answer['critical_temperature'][name]) == 2


def test_every_snippet_is_shown():
    """No file is left that no page includes."""
    pages = ''.join(path.read_text() for path in SNIPPETS.parent.rglob('*.md'))
    files = {path.relative_to(SNIPPETS).as_posix() for path in SNIPPETS.rglob('*.*') if path.suffix != '.pyc'}
    assert {name for name in files if f'snippets/{name}' not in pages} == set()


@pytest.fixture
def cluster(aiida_profile_clean):
    """Return the computer that the configuration files of the cluster's how-to make, with its code of pw.x."""
    from aiida import orm
    from aiida.cmdline.commands.cmd_verdi import verdi

    computer, code = SNIPPETS / 'cluster.yaml', SNIPPETS / 'code_pw.yaml'
    for command in (['computer', 'setup'], ['code', 'create', 'core.code.installed']):
        file = computer if command[0] == 'computer' else code
        result = CliRunner().invoke(verdi, [*command, '--config', str(file), '--non-interactive'])
        assert result.exit_code == 0, result.output
    return orm.load_computer('cluster')


def test_cluster(cluster):
    """The stored code and computer are those of the files."""
    from aiida import orm

    expected = yaml.safe_load((SNIPPETS / 'code_pw.yaml').read_text())
    code = orm.load_code('pw@cluster')
    assert str(code.filepath_executable) == expected['filepath_executable']
    assert code.default_calc_job_plugin == expected['default_calc_job_plugin']
    assert cluster.scheduler_type == 'core.slurm'


@pytest.fixture
def codes(cluster, tmp_path):
    """Make the other codes of the cluster, and the pseudopotentials."""
    from aiida import orm
    from aiida.cmdline.commands.cmd_verdi import verdi
    from aiida_pseudo.data.pseudo import UpfData
    from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily

    for label, plugin in (('ph', 'quantumespresso.ph'), ('clathrate', 'clathrate.eliashberg')):
        orm.InstalledCode(cluster, f'/opt/{label}', label=label, default_calc_job_plugin=plugin).store()
    arguments = ['code', 'create', 'core.code.installed', '--non-interactive']
    result = CliRunner().invoke(verdi, [*arguments, '--config', str(SNIPPETS / 'code_calculator.yaml')])
    assert result.exit_code == 0, result.output
    for element in ('Sr', 'B', 'C'):
        header = f'<PP_HEADER element="{element}" z_valence="4.0" pseudo_type="NC"/>'
        (tmp_path / f'{element}.upf').write_text(f'<UPF version="2.0.1">\n{header}\n</UPF>\n')
    label = 'PseudoDojo/0.4/PBE/SR/standard/upf'
    family = CutoffsPseudoPotentialFamily.create_from_folder(tmp_path, label, pseudo_type=UpfData)
    cutoffs = {element: {'cutoff_wfc': 80.0, 'cutoff_rho': 320.0} for element in ('Sr', 'B', 'C')}
    family.set_cutoffs(cutoffs, 'normal', unit='Ry')


def test_inputs_from_protocol(codes):
    """The inputs of the cluster's how-to are complete: all but the daemon accepts them."""
    builder = runpy.run_path(str(SNIPPETS / 'profile' / 'critical_temperature.py'))['builder']
    inputs = builder._inputs(prune=True)
    assert builder.process_class.spec().inputs.validate(inputs) is None
    assert inputs['relax_phonon']['pressure'] == 50.0


@pytest.fixture
def harmonic(codes):
    """Return stored matrices of SrB3C3 on the mesh of the supercell."""
    import numpy as np

    from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
    from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
    from aiida_clathrate.kernels.structures import structure_from_name

    crystal = structure_from_name('SrB3C3')
    size = 3 * len(crystal.symbols)
    springs = np.tile(5.0 * np.eye(size, dtype=complex), (8, 1, 1))
    return DynamicalMatrixData.from_kernel(DynamicalMatrices(crystal, (2, 2, 2), springs, 'harmonic')).store()


def test_anharmonic_inputs(codes, monkeypatch):
    """Phonons, SSCHA and Eliashberg equations in one."""
    builder = builder_of('anharmonic_tc.py', None, monkeypatch)
    assert builder.anharmonic_modes == 'hessian'
    assert builder.sscha.supercell.get_list() == [2, 2, 2]


def builder_of(name, node, monkeypatch):
    """Return the builder of a script, which may be given a node, after all its ports have accepted its inputs."""
    monkeypatch.setattr(sys, 'argv', [name, *([] if node is None else [str(node.pk)])])
    builder = runpy.run_path(str(SNIPPETS / 'profile' / name))['builder']
    ports = builder.process_class.spec().inputs
    assert ports.validate(ports.pre_process(builder._inputs(prune=True))) is None
    return builder


def test_sscha_inputs(harmonic, monkeypatch):
    """The inputs of the how-to of the SSCHA are complete, with pw.x as with a calculator."""
    dft = builder_of('sscha_dft.py', harmonic, monkeypatch)
    assert dft.forces.max_concurrent == 32
    assert 'calculator' not in dft.forces._inputs(prune=True)
    calculator = builder_of('sscha_calculator.py', harmonic, monkeypatch)
    assert calculator.populations.get_list()[-1] == calculator.hessian_configurations == 40000
    assert calculator.hessian.parameters['device'] == 'cuda'


def test_potential_inputs(harmonic, monkeypatch):
    """The inputs of the how-to of the potential are complete: trained alone, in the SSCHA, and a model in its place."""
    trained = builder_of('sscha_potential.py', harmonic, monkeypatch)
    assert trained.potential.train.parameters['training'] == {'epochs': 300}
    assert trained.potential.largest_force_error == 50.0
    assert 'calculator' not in trained.potential._inputs(prune=True)
    model = builder_of('sscha_foundation.py', harmonic, monkeypatch)
    assert model.potential.calculator.code.label == 'mace'
    assert not {'train', 'evaluate'} & set(model.potential._inputs(prune=True))


def test_training_inputs(harmonic, monkeypatch):
    """A potential is trained on an ensemble with forces."""
    import numpy as np

    from aiida_clathrate.data.force_ensemble import ForceEnsembleData
    from aiida_clathrate.kernels.sscha.sampling import sample

    population = sample(harmonic.to_kernel(), 300.0, 4, seed=1)
    computed = replace(population, energies=np.zeros(4), forces=np.zeros_like(population.displacements), source='none')
    builder = builder_of('train_potential.py', ForceEnsembleData.from_kernel(computed).store(), monkeypatch)
    assert list(builder.ensembles) == ['population_1']
    assert builder.validation_fraction == 0.2


def test_sscha_restart(harmonic, monkeypatch):
    """An earlier run gives all inputs of the next one but those that are said to be other."""
    from aiida import orm
    from aiida.common.links import LinkType

    from aiida_clathrate.workflows.finished_forces import flattened

    builder = builder_of('sscha_calculator.py', harmonic, monkeypatch)
    earlier = orm.WorkChainNode()
    earlier.set_process_type('aiida.workflows:clathrate.sscha')
    for label, value in flattened(builder._inputs(prune=True)).items():
        earlier.base.links.add_incoming(value.store(), LinkType.INPUT_WORK, label)
    options = {'resources': {'num_machines': 1}}
    earlier.set_metadata_inputs(
        {name: {'metadata': {'options': options}} for name in ('minimisation', 'hessian')}
        | {'forces': {'calculator': {'metadata': {'options': options}}}}
    )
    earlier.set_process_state('finished')
    earlier.store()
    restart = builder_of('sscha_restart.py', earlier, monkeypatch)
    assert restart.dynamical_matrices.pk == harmonic.pk
    assert restart.populations.get_list() == [1000, 2000]
    assert restart.hessian.parameters['device'] == 'cuda'
