"""Files that ph.x has not written to their end do not count."""

import zipfile
from pathlib import Path

import pytest
from aiida import orm

from aiida_clathrate.calculations.phonon_files import complete_files

FIXTURES = Path(__file__).parents[1] / 'fixtures'


@pytest.mark.parametrize(('name', 'atoms'), [('hydrogen', 2), ('aluminium', 1), ('aluminium-shifted', 1)])
def test_complete_files(aiida_profile, name, atoms):
    """Every file of finished runs counts; none does without its last line, or empty."""
    with zipfile.ZipFile(FIXTURES / f'{name}.zip') as archive:
        texts = {Path(each).name: archive.read(each).decode() for each in archive.namelist()}
    matrices = {f'DYN_MAT/{each}': text for each, text in texts.items() if 'Diagonalizing' in text}
    coupling = {f'elph_dir/{each}': text for each, text in texts.items() if each.startswith('a2Fq2r.')}
    files = matrices | coupling
    assert matrices
    assert coupling
    assert complete_files(folder(files), atoms) == set(files)
    assert not complete_files(folder({path: text.rstrip().rpartition('\n')[0] for path, text in files.items()}), atoms)
    assert not complete_files(folder(dict.fromkeys(files, '')), atoms)


def folder(files):
    """Return a node with the files."""
    node = orm.FolderData()
    for path, text in files.items():
        node.base.repository.put_object_from_bytes(text.encode(), path)
    return node
