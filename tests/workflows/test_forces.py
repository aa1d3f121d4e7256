"""Forces by real runs of pw.x: the numbers of a direct run, nothing computed twice, nothing dropped silently."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.plugins import WorkflowFactory

from aiida_clathrate.calculations.configurations import displaced_structures
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.units import BOHR, RYDBERG

pytestmark = pytest.mark.qe
MESH = (2, 1, 1)
SYSTEM = {'ecutwfc': 8.0, 'occupations': 'smearing', 'smearing': 'mp', 'degauss': 0.05}
#: pw.x that appends to a log, and fails or waits where the script says so.
WRAPPER = """#!/bin/bash
{script}
echo start >> {log}
exec {program} "$@"
"""


@pytest.fixture
def population(aluminium):
    """Return two pairs ±u of a supercell of aluminium."""
    crystal = Crystal.from_ase(aluminium.get_ase())
    constants = np.tile(5.0 * np.eye(3, dtype=complex), (2, 1, 1))
    half = np.random.default_rng(1).normal(scale=0.05, size=(2, 1, 2, 3))
    displacements = np.concatenate([half, -half], axis=1).reshape(4, 2, 3)
    matrices = DynamicalMatrices(crystal, MESH, constants, 'sscha', 0.0, 300.0)
    return ForceEnsembleData.from_kernel(ForceEnsemble(matrices, 300.0, displacements, seed=1))


@pytest.fixture
def logged_pw(aiida_code_installed, qe_codes, tmp_path):
    """Return a function that makes a code of pw.x that logs its starts, and the log."""

    def make(script='', label='logged-pw'):
        wrapper, log = tmp_path / f'{label}.sh', tmp_path / 'log'
        log.touch()
        wrapper.write_text(WRAPPER.format(script=script, log=log, program=shutil.which('pw.x')))
        wrapper.chmod(0o755)
        code = aiida_code_installed(
            label=f'{label}-{tmp_path.name}',  # one of another test has another log
            filepath_executable=str(wrapper),
            default_calc_job_plugin='quantumespresso.pw',
            prepend_text='export OMP_NUM_THREADS=1',
        )
        return code, log

    return make


@pytest.fixture
def builder(aiida_profile, population, aluminium_family, logged_pw):
    """Return a function that makes the inputs of a work chain."""

    def make(code=None, **inputs):
        builder = WorkflowFactory('clathrate.forces').get_builder()
        builder.population = population
        builder.pw.pw.code = code or logged_pw()[0]
        builder.pw.pw.pseudos = {'Al': orm.load_group(aluminium_family).get_pseudo('Al')}
        builder.pw.pw.parameters = {'SYSTEM': SYSTEM, 'ELECTRONS': {'conv_thr': 1e-10}}
        builder.pw.kpoints = orm.KpointsData()
        builder.pw.kpoints.set_kpoints_mesh([1, 2, 2])
        builder.pw.pw.metadata.options.resources = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        for name, value in inputs.items():
            builder[name] = value
        return builder

    return make


def starts(log):
    """Return how often pw.x was started."""
    return len(log.read_text().splitlines())


def configurations(node):
    """Return the link labels of the configurations that a work chain has run, in their order."""
    links = node.base.links.get_outgoing(link_label_filter='configuration%').all()
    return sorted(link.link_label for link in links)


def direct_run(ensemble, index, pseudo, folder):
    """Run pw.x by hand on one configuration; return energy [eV], forces [eV/Å] and stress [GPa] as printed."""
    cell = np.array(MESH)[:, None] * ensemble.crystal.cell
    lines = ['&control', "calculation='scf', tprnfor=.true., tstress=.true., outdir='out'"]
    lines += [f"pseudo_dir='{folder}'", '/', '&system', 'ibrav=0, nat=2, ntyp=1, ecutwfc=8.0']
    lines += ["occupations='smearing', smearing='mp', degauss=0.05", '/', '&electrons', 'conv_thr=1d-10', '/']
    lines += ['ATOMIC_SPECIES', 'Al 26.98 Al.upf', 'CELL_PARAMETERS angstrom']
    lines += [' '.join(f'{value:.12f}' for value in row) for row in cell]
    lines += ['ATOMIC_POSITIONS angstrom']
    lines += ['Al ' + ' '.join(f'{value:.12f}' for value in row) for row in ensemble.positions[index]]
    lines += ['K_POINTS automatic', '1 2 2 0 0 0']
    (folder / 'Al.upf').write_text(pseudo.get_content())
    (folder / 'pw.in').write_text('\n'.join(lines) + '\n')
    command = [shutil.which('pw.x'), '-in', 'pw.in']
    text = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    energy = float(re.search(r'!\s+total energy\s+=\s+(\S+) Ry', text)[1]) * RYDBERG
    forces = [row.split() for row in re.findall(r'atom\s+\d+ type\s+1\s+force =(.*)', text)[:2]]
    stress = text.partition('total   stress')[2].splitlines()[1:4]
    kilobars = np.array([row.split()[3:] for row in stress], dtype=float)
    return energy, np.array(forces, dtype=float) * RYDBERG / BOHR, kilobars / 10


def test_direct_run(builder, population, logged_pw, aluminium_family, tmp_path):
    """Energies, forces and stresses are those that pw.x prints; the cache saves a second run."""
    code, log = logged_pw()
    pair = ForceEnsembleData.from_kernel(population.to_kernel().subset(slice(2)))
    with enable_caching():
        outputs, node = run_get_node(builder(code, population=pair, stress=True))
        assert node.is_finished_ok, node.exit_message
        again, cached = run_get_node(builder(code, population=pair, stress=True))
    ensemble = outputs['ensemble'].to_kernel()
    energy, forces, stress = direct_run(ensemble, 1, orm.load_group(aluminium_family).get_pseudo('Al'), tmp_path)
    # The plugin converts with older constants of nature, to 1e-7 the same.
    assert ensemble.energies[1] == pytest.approx(energy, rel=2e-7)
    np.testing.assert_allclose(ensemble.forces[1], forces, atol=1e-6)  # eight decimals are printed, in Ry/bohr
    np.testing.assert_allclose(ensemble.stresses[1], stress, atol=2e-3)  # two decimals, in kbar
    assert np.abs(forces).max() > 0.05
    np.testing.assert_array_equal(ensemble.displacements, pair.to_kernel().displacements)
    assert ensemble.source == 'quantumespresso.pw'
    assert 'failures' not in outputs
    assert configurations(node) == [f'configuration_{index:05d}_attempt1' for index in range(2)]
    collected = outputs['ensemble'].creator.inputs
    assert collected.trajectory_00001.creator.process_type == 'aiida.calculations:quantumespresso.pw'
    assert cached.is_finished_ok
    np.testing.assert_array_equal(again['ensemble'].to_kernel().forces, ensemble.forces)
    assert starts(log) == 2


def test_failures(builder, population, logged_pw):
    """A configuration that always fails is recorded and refused; what is finished is never computed again."""
    code, log = logged_pw(fails_at(population, 2))
    outputs, failed = run_get_node(builder(code, max_concurrent=3))
    assert failed.exit_status == 401
    assert '1 of 4 configurations failed, more than the 0 allowed; the first: configuration 2' in failed.exit_message
    assert 'ensemble' not in outputs
    failures = outputs['failures'].get_dict()
    assert failures['failed'] == {'2': 'Both the stdout and XML output files could not be read or parsed.'}
    assert (failures['dropped_partners'], failures['number'], failures['used']) == ([3], 4, 2)
    assert 'configuration_00002_attempt2' in configurations(failed)
    done = starts(log)

    outputs, tolerant = run_get_node(
        builder(code, restart_from=failed.uuid, largest_failed_fraction=0.25, max_attempts=1)
    )
    assert tolerant.is_finished_ok, tolerant.exit_message
    ensemble = outputs['ensemble'].to_kernel()
    assert len(ensemble) == 2
    assert ensemble.antithetic
    np.testing.assert_array_equal(ensemble.displacements, population.to_kernel().displacements[:2])
    assert outputs['failures']['dropped_partners'] == [3]
    assert starts(log) == 4 - 1  # all but the one that fails, each once
    assert starts(log) - done == len(configurations(tolerant)) - 1

    good, log = logged_pw(label='good-pw')
    log.write_text('')
    outputs, complete = run_get_node(builder(good, restart_from=tolerant))
    assert complete.is_finished_ok, complete.exit_message
    assert configurations(complete) == ['configuration_00002_attempt1']
    assert starts(log) == 1
    assert len(outputs['ensemble'].to_kernel()) == 4
    np.testing.assert_array_equal(outputs['ensemble'].to_kernel().forces[:2], ensemble.forces)
    check_refused_restarts(builder, population, complete)


def fails_at(population, index):
    """Return a script that fails for one configuration."""
    coordinate = population.to_kernel().positions[index, 1, 0]
    return f'grep -q -e " {coordinate:.10f} " aiida.in && exit 1'


def check_refused_restarts(builder, population, earlier):
    """Results of another population, of other parameters, or without stresses are not taken over."""
    other = ForceEnsembleData.from_kernel(population.to_kernel().subset(slice(2)))
    for changes, message in (
        ({'population': other}, 'had another population'),
        ({'stress': True}, 'had no stresses'),
        ({'structure': orm.StructureData(ase=population.to_kernel().crystal.to_ase())}, 'other inputs: structure'),
        ({'restart_from': earlier.called[0].uuid}, 'is no ForcesWorkChain'),
        ({'restart_from': 'nothing'}, 'there is no node nothing'),
    ):
        with pytest.raises(ValueError, match=message):
            run_get_node(builder(**({'restart_from': earlier.uuid} | changes)))
    inputs = builder(restart_from=earlier.uuid)
    inputs.pw.kpoints = orm.KpointsData()
    inputs.pw.kpoints.set_kpoints_mesh([1, 3, 3])
    inputs.pw.pw.parameters = {'SYSTEM': SYSTEM | {'ecutwfc': 9.0}}
    with pytest.raises(ValueError, match='other inputs: pw__kpoints, pw__pw__parameters'):
        run_get_node(inputs)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'max_concurrent': 0}, 'max_concurrent: 0 is too few'),
        ({'max_attempts': 0}, 'max_attempts: 0 is too few'),
        ({'largest_failed_fraction': 1.0}, 'largest_failed_fraction: 1.0 is not'),
        ({'structure': 'H'}, 'its atoms H are not those of the population, Al'),
        ({'parameters': {'SYSTEM': {}}}, 'SYSTEM.ecutwfc is missing'),
        ({'parameters': {'SYSTEM': SYSTEM, 'CONTROL': {'calculation': 'relax'}}}, "calculation is 'relax'"),
        ({'pseudos': {}}, 'needs one pseudopotential for each of'),
        ({'kpoints': None}, 'give the k mesh of the supercell'),
        ({'pw': None}, 'give one of them, not 0'),
    ],
)
def test_refused(builder, assert_refused, changes, message):
    """Inputs that cannot work are refused before anything is stored, by the name of the port."""

    def change(inputs):
        for name, value in changes.items():
            if name == 'structure':
                inputs.structure = orm.StructureData(cell=np.eye(3).tolist())
                inputs.structure.append_atom(position=(0, 0, 0), symbols=value)
            elif name == 'pw':
                inputs.pop('pw')
            elif name == 'kpoints':
                inputs.pw.pop('kpoints')
            else:
                (inputs.pw.pw if name in ('parameters', 'pseudos') else inputs)[name] = value

    assert_refused(builder(), change, message)


def test_kinds(aiida_profile, population):
    """The atoms of a configuration have the kinds of the crystal, in the order of the ensemble."""
    crystal = orm.StructureData(cell=population.to_kernel().crystal.cell.tolist())
    crystal.append_atom(position=(0, 0, 0), symbols='Al', name='Al1')
    configurations = displaced_structures(population, crystal)
    assert list(configurations) == [f'configuration_{index:05d}' for index in range(4)]
    structure = configurations['configuration_00003']
    assert [site.kind_name for site in structure.sites] == ['Al1', 'Al1']
    np.testing.assert_allclose([site.position for site in structure.sites], population.to_kernel().positions[3])
    np.testing.assert_allclose(structure.cell, np.array(MESH)[:, None] * population.to_kernel().crystal.cell)
