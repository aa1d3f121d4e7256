"""When a crystal counts as stable, distorted or collapsed."""

from dataclasses import replace

import pytest
from coupled_pairs import CoupledPairs

from aiida_clathrate.kernels.sscha.verdict import PopulationEvidence, anharmonic_verdict, collapsed
from aiida_clathrate.kernels.stability import stability


def course(*frequencies, reason='kong-liu', error=1.0):
    """Return populations with their smallest frequencies."""
    return [PopulationEvidence(100, frequency, error, reason) for frequency in frequencies]


@pytest.mark.parametrize(
    ('populations', 'gone'),
    [
        (course(10.0, reason='converged'), False),
        (course(1.0, reason='converged'), False),  # one alone
        (course(1.0, 1.5, reason='converged'), True),  # not to be told from zero
        (course(1.0, 2.5, reason='converged'), False),
        (course(30.0, 20.0, reason='not positive'), True),
        (course(30.0, reason='not positive') + course(20.0, reason='converged'), False),
        (course(9.0, 6.0, 4.0), True),
        (course(9.0, 6.0), False),  # too few to see a course
        (course(6.0, 9.0, 4.0), False),  # not falling
        (course(40.0, 20.0, 8.0), False),  # may end above zero
        (course(4.5, 4.2, 4.0), False),  # a soft mode that hardly moves
        (course(1.0, 1.0, 1.0, error=5.0), False),  # used up on the way, which says nothing
        (course(9.0, 6.0, 4.0, reason='maximum steps'), False),
    ],
)
def test_collapsed(populations, gone):
    """Frequencies run to zero twice, or from population to population."""
    assert collapsed(populations) == gone


def test_classes():
    """The Hessian decides where the auxiliary matrices are positive; errors say how surely."""
    populations = course(40.0, reason='converged')
    for softest, error, expected in (
        (8.0, 1.0, ('stable', True)),
        (-3.0, 1.0, ('hessian-imaginary', True)),
        (-3.0, 100.0, ('hessian-imaginary', False)),
        (8.0, None, ('stable', True)),
    ):
        hessian = stability(replace(CoupledPairs((30.0, softest, 20.0)).matrices((2, 1, 1)), level='hessian'))
        verdict = anharmonic_verdict(populations, hessian, error)
        assert (verdict.verdict, verdict.significant) == expected
        assert verdict.smallest_frequency == hessian.smallest_frequency
    with pytest.raises(ValueError, match='the Hessian is needed for a verdict'):
        anharmonic_verdict(populations, None, None)
    with pytest.raises(ValueError, match='at least one is needed'):
        collapsed([])
    verdict = anharmonic_verdict(course(9.0, 6.0, 4.0), None, None)
    assert (verdict.verdict, verdict.significant, verdict.smallest_frequency) == ('collapsed', True, 4.0)
    assert [row['frequency'] for row in verdict.to_dict()['populations']] == [9.0, 6.0, 4.0]
