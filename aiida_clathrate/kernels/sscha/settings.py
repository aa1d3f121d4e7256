"""What a user may choose about a minimisation, checked before anything is computed or submitted."""

from __future__ import annotations

from dataclasses import dataclass

from aiida_clathrate.kernels.io import Scalars
from aiida_clathrate.kernels.scalars import from_scalars, is_number


@dataclass(frozen=True)
class Settings:
    """When a minimisation stops and how far it steps.

    :param meaningful_factor: converged when each gradient is below its error times this.
    :param kong_liu_ratio: the ensemble is used up when its effective over its real size falls below this.
    :param step: length of the first trial of a step; 1 goes where the averages point to.
    :param maximum_steps: accepted steps.
    :param relax_positions: whether the centroids move; symmetry decides how.
    :raises ValueError: for values outside their range, with the name and the remedy.
    """

    meaningful_factor: float = 1e-6
    kong_liu_ratio: float = 0.6
    step: float = 1.0
    maximum_steps: int = 100
    relax_positions: bool = True

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ('meaningful_factor', 1e-10, 10.0),
            ('kong_liu_ratio', 0.1, 0.95),
            ('step', 1e-3, 1.0),
        ):
            value = getattr(self, name)
            if not (is_number(value) and lowest <= value <= highest):
                raise ValueError(f'{name}: {value!r} is not between {lowest:g} and {highest:g}')
        if type(self.maximum_steps) is not int or not 1 <= self.maximum_steps <= 10000:
            raise ValueError(f'maximum_steps: {self.maximum_steps!r} is not an integer from 1 to 10000')
        if type(self.relax_positions) is not bool:
            raise ValueError(f'relax_positions: {self.relax_positions!r} is neither true nor false')

    @classmethod
    def from_scalars(cls, scalars: Scalars) -> Settings:
        """Return settings from plain JSON; unknown names are refused."""
        return from_scalars(cls, scalars)
