"""Each step that fails has its exit code: real runs with programs that fail on purpose."""

import shutil

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching

from aiida_clathrate.calculations.electrons import count_states
from aiida_clathrate.calculations.phonon_files import read_texts

ALWAYS = 'exit 1'
AT_NSCF = 'grep -q nscf aiida.in && exit 1; exec {program} "$@"'
AT_TETRAHEDRA = 'grep -q lambda_tetra aiida.in && exit 1; exec {program} "$@"'
STICKS = 'echo "     inconsistent number of sticks"; exit 1'
SPOIL = '{program} "$@"; sed -i "s/0\\.0000/*.****/" DYN_MAT/dynamical-matrix-2'


@pytest.mark.qe
@pytest.mark.parametrize(
    ('name', 'script', 'changes', 'status'),
    [
        ('pw', ALWAYS, {'relax': True}, 401),
        ('pw', ALWAYS, {'electron_phonon': 'interpolated'}, 402),
        ('pw', ALWAYS, {}, 403),
        ('pw', AT_NSCF, {}, 404),
        ('ph', ALWAYS, {'overrides': {'max_attempts': 1}}, 405),
        ('ph', SPOIL, {}, 406),
        ('ph', '{program} "$@"', {'qpoints': (1, 1, 1)}, 407),
        ('ph', STICKS, {}, 408),
        ('ph', AT_TETRAHEDRA, {'electron_phonon': 'tetrahedra'}, 409),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else '',
)
def test_exit_codes(build, aiida_code_installed, tmp_path, name, script, changes, status):
    """The work chain ends with the exit code of the step, and says why."""
    wrapper = tmp_path / f'{name}.sh'
    wrapper.write_text('#!/bin/bash\n' + script.format(program=shutil.which(f'{name}.x')) + '\n')
    wrapper.chmod(0o755)
    code = aiida_code_installed(
        label=f'failing-{name}-{status}',
        filepath_executable=str(wrapper),
        default_calc_job_plugin=f'quantumespresso.{name}',
    )
    arguments = {'electron_phonon': None, 'relax': False, f'{name}_code': code} | changes
    builder = build(**arguments)
    builder.count_states = status == 404
    if 'relax' in builder and status == 401:
        builder.relax.base_init_relax.max_iterations = builder.relax.base_relax.max_iterations = 1
    with enable_caching(identifier='aiida.calculations:quantumespresso.pw'):
        _, node = run_get_node(builder)
    assert node.exit_status == status, node.exit_message
    assert node.exit_message


def test_bands_below_the_fermi_energy(aiida_profile, aluminium):
    """N(E_F) from bands that all end below E_F is no number but an exit code with the remedy."""
    mesh = orm.KpointsData()
    mesh.set_kpoints_mesh([1, 1, 1])
    bands = orm.BandsData()
    bands.set_kpoints([[0.0, 0.0, 0.0]])
    bands.set_bands([[-1.0, 2.0]], units='eV')
    _, node = count_states.run_get_node(aluminium, mesh, bands, orm.Dict({'fermi_energy': 8.0}))
    assert node.exit_status == 311
    assert 'add bands (nbnd)' in node.exit_message


def test_half_written_files(aiida_profile):
    """Where a run died at a q point and another has finished it, the files of the second one count."""
    folders = []
    for contents in ({'1': 'one', '2': 'half of t'}, {'2': 'two'}):
        folder = orm.FolderData()
        for number, text in contents.items():
            folder.base.repository.put_object_from_bytes(text.encode(), f'DYN_MAT/dynamical-matrix-{number}')
        folders.append(folder.store())
    assert read_texts(folders) == {'dynamical-matrix-1': 'one', 'dynamical-matrix-2': 'two'}
