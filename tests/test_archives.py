"""The archives under ``examples`` give their numbers again."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from aiida import orm
from aiida.tools.archive import import_archive

from aiida_clathrate.data.superconductivity import SuperconductivityData

EXAMPLES = Path(__file__).parent.parent / 'examples'
ARCHIVES = sorted((EXAMPLES / 'archives').glob('*.aiida'))


@pytest.fixture(scope='module')
def recompute():
    """Return the function of the example that recomputes an archive."""
    spec = spec_from_file_location('recompute_archive', EXAMPLES / 'recompute_archive.py')
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.recompute


@pytest.mark.parametrize('archive', ARCHIVES, ids=lambda path: path.stem)
def test_recompute(archive, recompute, aiida_profile):
    """T_c from G(q) and Φ(q) is the T_c of the archive; attributes keep 14 digits."""
    results = list(recompute(archive))
    assert results
    for _, _, before, after in results:
        assert after == pytest.approx(before, rel=1e-12)


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
