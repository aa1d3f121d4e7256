"""How a potential is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from aiida_clathrate.kernels.evaluate import Settings
from aiida_clathrate.kernels.io import Scalars
from aiida_clathrate.kernels.scalars import from_scalars

PRECISIONS, DEVICES = ('single', 'double'), ('cpu', 'cuda')


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """How to evaluate a potential.

    :param stress: whether stresses are needed.
    :param batch_size: so many configurations are computed at a time.
    :param precision: ``single`` or ``double``, of the network; energies are summed in double precision either way.
    :param device: ``cpu`` or ``cuda``.
    :param threads: of the CPU.
    :raises ValueError: for values that mean nothing.
    """

    batch_size: int = 32
    precision: str = 'single'
    device: str = 'cpu'
    threads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (('precision', PRECISIONS), ('device', DEVICES)):
            if getattr(self, name) not in known:
                raise ValueError(f'{name}: {getattr(self, name)!r} is none of {", ".join(known)}')
        if type(self.threads) is not int or self.threads < 1:
            raise ValueError(f'threads: {self.threads!r} is not a number of threads, 1 or more')

    @classmethod
    def from_scalars(cls, scalars: Scalars) -> EvaluationSettings:
        """Return settings from plain JSON; unknown names are refused."""
        return from_scalars(cls, scalars)
