"""Codes of calculators; codes and pseudopotentials for real runs of Quantum ESPRESSO."""

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

#: Modules with models that are calculators too.
CALCULATORS = Path(__file__).parent.parent / 'kernels'
DEBIAN_PSEUDOS = Path('/usr/share/espresso/pseudo')


@pytest.fixture
def qe_codes(aiida_code_installed, aiida_localhost):
    """Return the codes of pw.x and ph.x; skip where they are not installed."""
    codes = {}
    for name in ('pw', 'ph'):
        executable = shutil.which(f'{name}.x')
        if executable is None:
            pytest.skip(f'{name}.x is not installed')
        codes[f'{name}_code'] = aiida_code_installed(
            label=f'test-{name}',
            filepath_executable=executable,
            default_calc_job_plugin=f'quantumespresso.{name}',
            prepend_text='export OMP_NUM_THREADS=1',
        )
    if os.geteuid() == 0:
        aiida_localhost.set_mpirun_command(
            ['mpirun', '--allow-run-as-root', '--oversubscribe', '-np', '{tot_num_mpiprocs}']
        )
    aiida_localhost.set_minimum_job_poll_interval(0.2)
    return codes


@pytest.fixture
def code(aiida_localhost):
    """Return a function that makes a code, with a calculator if one is named."""
    from aiida import orm

    aiida_localhost.set_minimum_job_poll_interval(0.05)

    def make(calculator=None, **options):
        lines = [f'export PYTHONPATH={CALCULATORS}:$PYTHONPATH OMP_NUM_THREADS=1']
        if calculator:
            lines.append(f'export CLATHRATE_CALCULATOR={calculator}')
            lines.append(f'export CLATHRATE_CALCULATOR_OPTIONS={shlex.quote(json.dumps(options))}')
        return orm.InstalledCode(
            label='python', computer=aiida_localhost, filepath_executable=sys.executable, prepend_text='\n'.join(lines)
        ).store()

    return make


@pytest.fixture
def aluminium_family(tmp_path):
    """Return the label of a family with Debian's norm-conserving LDA pseudopotential of aluminium."""
    from aiida import orm
    from aiida_pseudo.data.pseudo import UpfData
    from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily

    label = 'test-aluminium'
    if orm.QueryBuilder().append(CutoffsPseudoPotentialFamily, filters={'label': label}).count():
        return label
    source = DEBIAN_PSEUDOS / 'Al.pz-vbc.UPF'
    if not source.exists():
        pytest.skip(f'{source} is not there: apt-get install quantum-espresso-data')
    shutil.copy(source, tmp_path / 'Al.upf')
    family = CutoffsPseudoPotentialFamily.create_from_folder(tmp_path, label, pseudo_type=UpfData)
    family.set_cutoffs({'Al': {'cutoff_wfc': 15.0, 'cutoff_rho': 60.0}}, 'standard', unit='Ry')
    return label


@pytest.fixture
def aluminium():
    """Return fcc aluminium near its LDA lattice constant."""
    from aiida import orm
    from ase.build import bulk

    return orm.StructureData(ase=bulk('Al', 'fcc', a=3.95))


@pytest.fixture
def build(aiida_profile, aluminium, qe_codes, aluminium_family):
    """Return a function that makes a builder for small meshes, of a ``RelaxPhononWorkChain`` or another."""
    from aiida.plugins import WorkflowFactory

    def build(process_class=None, **changes):
        arguments = {
            'structure': aluminium,
            'protocol': 'fast',
            'pseudo_family': aluminium_family,
            'qpoints': (2, 2, 2),
            'kpoints': (4, 4, 4),
            'kpoints_dense': (8, 8, 8),
            'overrides': {
                'scf': {'pw': {'parameters': {'SYSTEM': {'smearing': 'mp', 'degauss': 0.05}}}},
                'electron_phonon': {'el_ph_sigma': 0.02},
            },
            'options': {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}},
        }
        process_class = process_class or WorkflowFactory('clathrate.relax_phonon')
        return process_class.get_builder_from_protocol(**(qe_codes | arguments | changes))

    return build


@pytest.fixture
def assert_refused():
    """Return a function that changes a builder and asserts that nothing is run with it."""
    from aiida import orm
    from aiida.engine import run_get_node

    def check(builder, change, message):
        before = orm.QueryBuilder().append(orm.ProcessNode).count()
        with pytest.raises(ValueError, match=message):  # noqa: PT012 - a builder may refuse a value itself
            change(builder)
            run_get_node(builder)
        assert orm.QueryBuilder().append(orm.ProcessNode).count() == before

    return check
