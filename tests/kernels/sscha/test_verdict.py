"""The classes of an anharmonic crystal."""

import json

import pytest
from springs import diamond, spring_matrices

from aiida_clathrate.kernels.sscha.verdict import PopulationEvidence, anharmonic_verdict, collapsed
from aiida_clathrate.kernels.stability import stability


def hessian(stiffness):
    """Return the stability of diamond with bonds of a stiffness."""
    return stability(spring_matrices(diamond(), (2, 2, 2), central=lambda distance: stiffness + 0 * distance))


def population(frequency=30.0, error=1.0, reason='converged', configurations=1000):
    """Return what one population said."""
    return PopulationEvidence(configurations, frequency, error, reason)


def test_stable():
    """Both positive."""
    verdict = anharmonic_verdict([population()], hessian(5.0), 0.5)
    assert (verdict.verdict, verdict.significant) == ('stable', True)
    assert verdict.smallest_frequency == hessian(5.0).smallest_frequency > 0


def test_hessian_imaginary():
    """The auxiliary matrices are positive by construction; the Hessian decides, with its error."""
    unstable = hessian(-5.0)
    verdict = anharmonic_verdict([population()], unstable, 0.5)
    assert (verdict.verdict, verdict.significant) == ('hessian-imaginary', True)
    assert verdict.smallest_frequency < 0
    unsure = anharmonic_verdict([population()], unstable, abs(unstable.smallest_frequency))
    assert (unsure.verdict, unsure.significant) == ('hessian-imaginary', False)
    assert anharmonic_verdict([population()], unstable, None).significant


@pytest.mark.parametrize(
    ('last', 'significant'),
    [(population(1.0, 0.1, 'not positive'), True), (population(1.0, 0.6), False), (population(0.0, 0.1), False)],
)
def test_collapsed(last, significant):
    """Twice no step is left, or the softest mode is zero within its error; no Hessian is needed then."""
    populations = [population(20.0, configurations=500), population(1.0, 0.6), last]
    assert collapsed(populations)
    verdict = anharmonic_verdict(populations, None, None)
    assert (verdict.verdict, verdict.significant) == ('collapsed', significant)
    assert (verdict.smallest_frequency, verdict.error) == (last.frequency, last.error)


@pytest.mark.parametrize(
    'populations',
    [
        [population(1.0, 0.1, 'not positive')],
        [population(1.0, 0.1, 'not positive'), population(4.0, 0.5)],
        [population(4.0, 0.5), population(1.0, 0.8)],
        [population(1.0, 0.8, 'kong-liu'), population(1.0, 0.8, 'kong-liu')],
        [population(1.0, 0.8, 'maximum steps'), population(1.0, 0.8)],
    ],
)
def test_not_yet_collapsed(populations):
    """One population may be bad luck, and one that was used up on its way says nothing."""
    assert not collapsed(populations)


def course(*frequencies, reason='kong-liu'):
    """Return populations that were used up with falling frequencies."""
    return [population(frequency, reason=reason) for frequency in frequencies]


@pytest.mark.parametrize(
    ('populations', 'gone'),
    [
        (course(9.0, 6.0, 4.0), True),
        ([population(), *course(9.0, 6.0, 4.0)], True),
        (course(9.0, 6.0), False),  # too few to see a course
        (course(6.0, 9.0, 4.0), False),  # not falling
        (course(40.0, 20.0, 8.0), False),  # may end above zero
        (course(4.5, 4.2, 4.0), False),  # a soft mode that hardly moves
        (course(9.0, 6.0, 4.0, reason='maximum steps'), False),
        ([*course(9.0, 6.0), population(4.0)], False),  # an end was found
    ],
)
def test_runs_to_zero(populations, gone):
    """Samples used up one after the other show where the frequency goes."""
    assert collapsed(populations) == gone
    if gone:
        assert anharmonic_verdict(populations, None, None).significant


def test_evidence_is_plain_json():
    """It is stored as attributes of a node."""
    stored = json.loads(json.dumps(anharmonic_verdict([population()], hessian(5.0), 0.5).to_dict(), allow_nan=False))
    assert stored['class'] == 'stable'
    assert stored['populations'] == [{'configurations': 1000, 'frequency': 30.0, 'error': 1.0, 'reason': 'converged'}]
    assert stored['hessian']['class'] == 'stable'


def test_bad_input():
    """A verdict needs evidence."""
    with pytest.raises(ValueError, match='populations: at least one'):
        anharmonic_verdict([], None, None)
    with pytest.raises(ValueError, match='so the Hessian is needed'):
        anharmonic_verdict([population()], None, None)
