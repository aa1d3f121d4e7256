"""Decisions after a phonon calculation."""

import pytest

from aiida_clathrate.workflows.recovery import (
    finished_qpoints,
    gentler,
    mixing_limit,
    next_chunks,
    supported_mixing,
)

MATRICES = [f'DYN_MAT/dynamical-matrix-{q}' for q in (0, 1, 2, 10)]


def test_finished():
    """Number 0 is the list of q points; the others count when all files of G are there."""
    assert finished_qpoints(MATRICES, 0) == {1, 2, 10}
    coupling = ['elph_dir/a2Fq2r.51.1', 'elph_dir/a2Fq2r.52.1', 'elph_dir/a2Fq2r.51.2']
    assert finished_qpoints(MATRICES + coupling, 2) == {1}
    assert finished_qpoints([], 0) == set()


@pytest.mark.parametrize(
    ('finished', 'total', 'one_by_one', 'chunks'),
    [
        (set(), None, False, [(1, None)]),
        (set(), None, True, [(1, 1)]),
        ({1}, 3, True, [(2, 2), (3, 3)]),
        ({1, 3}, 4, False, [(2, 2), (4, 4)]),
        ({1, 2}, 2, False, []),
    ],
    ids=['all at once', 'Γ first', 'the others', 'what failed, alone', 'nothing left'],
)
def test_chunks(finished, total, one_by_one, chunks):
    """All at once or one by one; after a failure only what is missing."""
    assert next_chunks(finished, total, one_by_one) == chunks


def test_gentler():
    """Each attempt halves the mixing, whichever name the parameter has."""
    assert gentler({'alpha_mix(1)': 0.4, 'tr2_ph': 1e-14}, 0) == {'alpha_mix(1)': 0.4, 'tr2_ph': 1e-14}
    assert gentler({'alpha_mix': 0.4}, 2) == {'alpha_mix(1)': 0.1}
    assert gentler({}, 1) == {'alpha_mix(1)': 0.35}


@pytest.mark.parametrize(('version', 'expected'), [('6.7', 5), ('6.8', 5), ('7.0', 8), ('7.4.1', 8)])
def test_mixing(version, expected):
    """ph.x 6 stops with "Wrong nmix_ph" above 5."""
    assert supported_mixing({'nmix_ph': 8}, version) == {'nmix_ph': expected}
    assert supported_mixing({'nmix_ph': 3}, version) == {'nmix_ph': 3}
    assert (mixing_limit(version) is None) == (expected == 8)
