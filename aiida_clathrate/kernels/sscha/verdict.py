"""Is a crystal stable once the quantum motion of its nuclei is counted: the classes of the B–C clathrate work.

The curvature of the free energy decides, the Hessian, not the auxiliary matrices, which are positive by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from aiida_clathrate.kernels.stability import Stability

StabilityClass = Literal['stable', 'hessian-imaginary', 'collapsed']

#: Errors that a frequency must be away from zero to count as different from it.
SIGNIFICANT = 2.0
#: A frequency runs to zero when it has fallen so many populations in a row, below this [meV].
FALLS, SOFT = 3, 5.0


@dataclass(frozen=True)
class PopulationEvidence:
    """What one population said.

    :param configurations: how many.
    :param frequency: the smallest auxiliary frequency [meV].
    :param error: its standard deviation [meV].
    :param reason: why the minimisation ended.
    """

    configurations: int
    frequency: float
    error: float
    reason: str


@dataclass(frozen=True)
class InterpolatedMode:
    """The softest mode of the interpolated Hessian at a wave vector that the supercell does not have.

    :param frequency: ħω, negative where imaginary [meV].
    :param error: its standard deviation [meV].
    :param qpoint: fractional.
    """

    frequency: float
    error: float
    qpoint: tuple[float, float, float]


@dataclass(frozen=True)
class AnharmonicVerdict:
    """The verdict with its evidence.

    ``stable``: auxiliary matrices and Hessian are positive at the wave vectors of the supercell. ``hessian-imaginary``:
    the auxiliary matrices are positive, the Hessian is not: the crystal distorts. ``collapsed``: in the last two
    populations no positive auxiliary matrices minimise the free energy, or the smallest frequency at the minimum is
    zero within its error; or it fell to nearly zero from population to population.

    :param verdict: the class.
    :param significant: whether the frequency that decides is further than ``SIGNIFICANT`` errors from zero; of a
        collapsed crystal, whether there was no minimum at all.
    :param smallest_frequency: of the Hessian, negative where imaginary, or the smallest auxiliary one of a collapsed
        crystal [meV].
    :param error: its standard deviation [meV]; ``None`` where it is not known.
    :param populations: smallest auxiliary frequency as the ensemble grew.
    :param hessian: the verdict on the Hessian alone; ``None`` for a collapsed crystal.
    :param interpolated: the softest mode between; imaginary, it asks for a larger supercell and decides nothing: the
        error of the interpolation is not in its error. ``None`` where nothing was interpolated.
    """

    verdict: StabilityClass
    significant: bool
    smallest_frequency: float
    error: float | None
    populations: tuple[PopulationEvidence, ...]
    hessian: Stability | None
    interpolated: InterpolatedMode | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; the class under ``class``."""
        return {
            'class': self.verdict,
            'significant': self.significant,
            'smallest_frequency': self.smallest_frequency,
            'smallest_frequency_error': self.error,
            'populations': [vars(population).copy() for population in self.populations],
            'hessian': None if self.hessian is None else self.hessian.to_dict(),
            'interpolated': None if self.interpolated is None else asdict(self.interpolated),
        }


def vanished(population: PopulationEvidence) -> bool:
    """Whether the smallest auxiliary frequency of one population ran to zero.

    A search that stopped because its sample was used up, or after its largest number of steps, was still on its way:
    what it had reached says nothing.
    """
    zero = population.reason == 'converged' and population.frequency < SIGNIFICANT * population.error
    return zero or population.reason == 'not positive'


def runs_to_zero(populations: Sequence[PopulationEvidence]) -> bool:
    """Whether the smallest frequency fell without an end in sight: to where none is, whenever a sample was used up.

    Where ⟨∂²V⟩ is not positive each population takes the frequency down by what its sample bears.
    """
    last = [population.frequency for population in populations[-FALLS:]]
    used_up = all(population.reason == 'kong-liu' for population in populations[-FALLS:])
    falling = all(later < earlier for earlier, later in pairwise(last))
    return len(last) == FALLS and used_up and falling and last[-1] < min(SOFT, 0.5 * last[0])


def collapsed(populations: Sequence[PopulationEvidence]) -> bool:
    """Whether the auxiliary frequencies ran to zero in the last populations: one alone may be bad luck.

    :raises ValueError: without a population.
    """
    if not populations:
        raise ValueError('populations: at least one is needed for a verdict')
    twice = len(populations) > 1 and all(vanished(population) for population in populations[-2:])
    return twice or runs_to_zero(populations)


def anharmonic_verdict(
    populations: Sequence[PopulationEvidence],
    hessian: Stability | None,
    error: float | None,
    interpolated: InterpolatedMode | None = None,
) -> AnharmonicVerdict:
    """Return the class of a crystal.

    :param hessian: stability of the matrices of the Hessian; ``None`` where the auxiliary ones collapsed.
    :param error: of its smallest frequency [meV].
    :param interpolated: the softest mode between the wave vectors of the supercell.
    :raises ValueError: if a crystal that has not collapsed comes without Hessian.
    """
    last = populations[-1] if populations else None
    if collapsed(populations):
        assert last is not None
        significant = last.reason != 'converged'
        return AnharmonicVerdict('collapsed', significant, last.frequency, last.error, tuple(populations), hessian)
    if hessian is None:
        raise ValueError('hessian: the auxiliary matrices are positive, so the Hessian is needed for a verdict')
    smallest = hessian.smallest_frequency
    verdict: StabilityClass = 'hessian-imaginary' if hessian.verdict == 'unstable' else 'stable'
    significant = error is None or abs(smallest) > SIGNIFICANT * error
    return AnharmonicVerdict(verdict, significant, smallest, error, tuple(populations), hessian, interpolated)
