"""Forces by real runs of pw.x: the numbers of a direct run, nothing computed twice, nothing dropped silently."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory

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
            label=label,
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
    """Energies, forces and stresses are those that pw.x prints; each configuration is run once."""
    code, log = logged_pw()
    outputs, node = run_get_node(builder(code, stress=True, max_concurrent=3))
    assert node.is_finished_ok, node.exit_message
    ensemble = outputs['ensemble'].to_kernel()
    pseudo = orm.load_group(aluminium_family).get_pseudo('Al')
    for index in (1, 2):
        energy, forces, stress = direct_run(ensemble, index, pseudo, tmp_path)
        # The plugin converts with older constants of nature, to 1e-7 the same.
        assert ensemble.energies[index] == pytest.approx(energy, rel=2e-7)
        np.testing.assert_allclose(ensemble.forces[index], forces, atol=1e-6)  # eight decimals are printed, in Ry/bohr
        np.testing.assert_allclose(ensemble.stresses[index], stress, atol=2e-3)  # two decimals, in kbar
    assert np.abs(ensemble.forces).max() > 0.05
    np.testing.assert_array_equal(ensemble.displacements, population.to_kernel().displacements)
    assert ensemble.source == 'quantumespresso.pw'
    assert 'failures' not in outputs
    assert starts(log) == 4
    assert configurations(node) == [f'configuration_{index:05d}_attempt1' for index in range(4)]
    collected = outputs['ensemble'].creator.inputs
    assert 'trajectory_00003' in collected
    assert collected.trajectory_00003.creator.process_type == 'aiida.calculations:quantumespresso.pw'
