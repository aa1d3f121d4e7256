"""spglib's two ways to fail are one here."""

import pytest
import spglib
import spglib.error

from aiida_clathrate.kernels.spglib_search import search


@pytest.mark.parametrize('switch', [True, False])
def test_failure(monkeypatch, switch):
    """No such group: ``None``, whatever another library has switched on."""
    monkeypatch.setattr(spglib.error, 'OLD_ERROR_HANDLING', switch)
    assert search(spglib.get_spacegroup_type, 9999) is None
    assert search(spglib.get_spacegroup_type, 525).number == 227
