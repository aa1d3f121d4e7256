"""The archives under ``examples`` give their numbers again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from aiida import orm
from aiida.tools.archive import import_archive

from aiida_clathrate.data.superconductivity import SuperconductivityData

EXAMPLES = Path(__file__).parent.parent / 'examples'
ARCHIVES = sorted((EXAMPLES / 'archives').glob('*.aiida'))


@pytest.mark.parametrize('archive', ARCHIVES, ids=lambda path: path.stem)
def test_recompute(archive, tmp_path):
    """T_c from G(q) and Φ(q) is the T_c of the archive, for somebody who has no profile."""
    environment = os.environ | {'AIIDA_PATH': str(tmp_path)}
    command = [sys.executable, EXAMPLES / 'recompute_archive.py', archive]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    pairs = re.findall(r'stored (\S+) K, recomputed (\S+) K', run.stdout)
    assert len(pairs) == 6
    for before, after in pairs:
        assert float(after) == pytest.approx(float(before), rel=1e-12)


@pytest.mark.parametrize('archive', ARCHIVES, ids=lambda path: path.stem)
def test_import(archive, aiida_profile_clean):
    """An imported archive answers the screening query, and leads from T_c back to the crystal it started from."""
    import_archive(archive)
    builder = orm.QueryBuilder().append(orm.StructureData, tag='crystal')
    builder.append(
        SuperconductivityData, with_ancestors='crystal', project=['attributes.formula', 'attributes.rescaled']
    )
    rows = builder.all()
    assert {formula for formula, _ in rows} == {'H2'}
    assert all(250 < temperature < 400 for _, temperatures in rows for temperature in temperatures)


def test_there_is_one():
    """The archive of the demo is there."""
    assert 'hydrogen' in {archive.stem for archive in ARCHIVES}
