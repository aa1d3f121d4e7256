"""What a user may choose of the free-energy Hessian, checked before anything is computed or submitted."""

from __future__ import annotations

from dataclasses import dataclass

from aiida_clathrate.kernels.io import Scalars
from aiida_clathrate.kernels.scalars import from_scalars, is_number

#: Before the names of the arrays of the matrices to which an ensemble is re-weighted, in a run folder.
PREFIX = 'matrices_'


@dataclass(frozen=True)
class HessianSettings:
    """How to compute the Hessian.

    :param fourth_order: with the fourth-order vertex, to all orders of the static bubble; otherwise the third alone.
    :param tolerance: of the correction to Φ, relative to its largest element.
    :param most_iterations: how often the fourth order may be applied.
    :param blocks: of the ensemble, from whose scatter the errors come; B give them to a relative 1/√(2B−2).
    :param smallest_kong_liu: effective over real size of the weighted ensemble below which it is refused.
    :param device: ``cpu`` or ``cuda``.
    :param threads: of the CPU.
    :param memory: what the solution may take [GB].
    :raises ValueError: for values outside their range, with the name and the remedy.
    """

    fourth_order: bool = True
    tolerance: float = 1e-8
    most_iterations: int = 60
    blocks: int = 50
    smallest_kong_liu: float = 0.5
    device: str = 'cpu'
    threads: int = 1
    memory: float = 8.0

    def __post_init__(self) -> None:
        if type(self.fourth_order) is not bool:
            raise ValueError(f'fourth_order: {self.fourth_order!r} is neither true nor false')
        if not (is_number(self.tolerance) and 1e-14 <= self.tolerance <= 1e-2):
            raise ValueError(f'tolerance: {self.tolerance!r} is not between 1e-14 and 0.01; 1e-8 is usual')
        for name, smallest in (('most_iterations', 1), ('blocks', 2), ('threads', 1)):
            value = getattr(self, name)
            if type(value) is not int or value < smallest:
                raise ValueError(f'{name}: {value!r} is not an integer from {smallest}')
        if not (is_number(self.smallest_kong_liu) and 0 < self.smallest_kong_liu <= 1):
            raise ValueError(f'smallest_kong_liu: {self.smallest_kong_liu!r} is not between 0 and 1; 0.5 is usual')
        if self.device not in ('cpu', 'cuda'):
            raise ValueError(f'device: {self.device!r} is neither cpu nor cuda')
        if not (is_number(self.memory) and self.memory > 0):
            raise ValueError(f'memory: {self.memory!r} is not a positive number of GB')

    @classmethod
    def from_scalars(cls, scalars: Scalars) -> HessianSettings:
        """Return settings from plain JSON; unknown names are refused."""
        return from_scalars(cls, scalars)
