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


#: Archives with an SSCHA and a potential: results, populations by the potential, Hessians.
CONTENT = {'hydrogen': (1, 0, 0), 'hydrogen_anharmonic': (2, 3, 1)}


@pytest.mark.parametrize('archive', ARCHIVES, ids=lambda path: path.stem)
def test_recompute(archive, tmp_path):
    """All numbers follow from what the archive holds, for somebody who has no profile.

    T_c from G(q) and Φ(q) to rounding; forces by the potential to the single precision of the network and of the
    populations, whatever the order in which a processor sums; the Hessian likewise, through averages over 5,000.
    """
    environment = os.environ | {'AIIDA_PATH': str(tmp_path), 'COLUMNS': '200'}
    command = [sys.executable, EXAMPLES / 'recompute_archive.py', archive]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    pairs = re.findall(r'stored (\S+) K, recomputed (\S+) K', run.stdout)
    results, populations, hessians = CONTENT[archive.stem]
    assert len(pairs) == 6 * results
    for before, after in pairs:
        assert float(after) == pytest.approx(float(before), rel=1e-12)
    forces = [float(number) for number in re.findall(r'by the potential: differ by (\S+) eV/Å', run.stdout)]
    assert len(forces) >= populations
    assert max(forces, default=0.0) < 5e-4
    elements = [
        float(number) for number in re.findall(r'Hessian of \d+ configurations: differs by (\S+) eV/Å²', run.stdout)
    ]
    assert len(elements) == hessians
    assert max(elements, default=0.0) < 1e-5


@pytest.mark.parametrize('archive', ARCHIVES, ids=lambda path: path.stem)
def test_import(archive, aiida_profile_clean):
    """An imported archive answers the screening query, and leads from T_c back to the crystal it started from."""
    import_archive(archive)
    results = orm.QueryBuilder().append(SuperconductivityData).all(flat=True)
    assert len(results) == CONTENT[archive.stem][0]
    for result in results:
        assert result.base.attributes.get('formula') == 'H2'
        assert all(250 < temperature < 400 for temperature in result.base.attributes.get('rescaled'))
        assert any(isinstance(node, orm.StructureData) for node in ancestors(result))


def ancestors(node):
    """Return what a node was made of, each once: through a population there are more paths than a query can walk."""
    found, waiting = {}, [node]
    while waiting:
        for link in waiting.pop().base.links.get_incoming().all():
            if link.node.pk not in found:
                found[link.node.pk] = link.node
                waiting.append(link.node)
    return found.values()


def test_there_is_one():
    """The archive of the demo is there."""
    assert 'hydrogen' in {archive.stem for archive in ARCHIVES}
