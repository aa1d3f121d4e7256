"""``structure``: stored, shown, refused."""

import pytest
from click.testing import CliRunner

from aiida_clathrate.cli.main import cmd_root


def invoke(*arguments):
    """Run the command."""
    return CliRunner().invoke(cmd_root, ['structure', *arguments])


def test_stored(aiida_profile_clean):
    """The stored structure is the crystal, and says where its lattice constant comes from."""
    from aiida import orm

    result = invoke('KPbB6C6', '--set', 'x_boron=0.2513', '--set', 'x_carbon=0.2485', '--occupation', 'B-6f')
    assert result.exit_code == 0, result.output
    assert 'Pm-3 (200)' in result.output
    node = orm.QueryBuilder().append(orm.StructureData).one()[0]
    assert f'StructureData {node.pk} ' in result.output
    assert node.get_formula() == 'C6B6KPb'
    assert node.label == 'KPbB6C6'
    assert 'a = 4.9000 Å: calculated, 0 GPa' in node.description
    assert node.get_cell_volume() == pytest.approx(4.90**3)


def test_dry_run(aiida_profile_clean):
    """Nothing is stored, and an estimate is called one."""
    from aiida import orm

    result = invoke('BaB3C3', '--dry-run')
    assert result.exit_code == 0
    assert 'estimate: ' in result.output
    assert '14 atoms' in result.output
    assert orm.QueryBuilder().append(orm.StructureData).count() == 0


def test_options():
    """Lattice constant, pressure and cell are those asked for."""
    assert '3.9200 Å' in invoke('NaC6', '--pressure', '300', '--dry-run').output
    assert '4.2000 Å (given)' in invoke('NaC6', '--lattice-constant', '4.2', '--dry-run').output
    assert '14 atoms' in invoke('NaC6', '--conventional', '--dry-run').output
    assert 'C40F4' in invoke('FC10', '--conventional', '--set', 'u=0.125', '--dry-run').output


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('XyzB',), 'fits none of these patterns'),
        (('NaC6', '--set', 'x=0.1'), "no option 'x'"),
        (('FC10', '--set', 'u'), 'there is no "="'),
        (('FC10', '--set', 'u=a'), "'a' is not a number"),
        (('NaC6', '--lattice-constant', '0.7'), 'overlap'),
        (('KKB6C6',), 'Pm-3n'),
    ],
)
def test_refused(arguments, message):
    """Each mistake is answered in words, with an exit status."""
    result = invoke(*arguments, '--dry-run')
    assert result.exit_code == 1
    assert message in result.output
    assert 'Traceback' not in result.output
