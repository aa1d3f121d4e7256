"""How a potential is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from aiida_clathrate.kernels.io import Scalars
from aiida_clathrate.kernels.scalars import from_scalars, is_number

MODELS = ('auto', 'linear', 'network', 'both')
COUNTS = {'epochs': 1, 'batch_size': 1, 'patience': 1, 'evaluate_every': 1, 'threads': 1, 'seed': 0}


@dataclass(frozen=True)
class TrainingSettings:
    """Loss, optimiser, and when to stop.

    The loss of a batch is the mean square error of the force components in units of their standard deviation, and
    ``energy_weight`` and ``stress_weight`` times those of the energies for each atom and of the stresses. What a
    baseline explains is taken off before.

    :param model: ``linear``, fitted in closed form; ``network``; ``both``, a network for what the linear part leaves;
        or ``auto``: ``both`` where the network lowers the loss on the validation set by a twentieth, else ``linear``.
    :param epochs: passes over the training set.
    :param batch_size: configurations in a step.
    :param learning_rate: of Adam, at its highest; it falls to a hundredth along a cosine.
    :param weight_decay: of Adam, decoupled.
    :param force_weight: of the force components.
    :param energy_weight: of the energies.
    :param stress_weight: of the stresses, where there are any.
    :param moving_average: share of the old in the running average of the weights, which is what is kept.
    :param evaluate_every: epochs between two looks at the validation set.
    :param patience: stop after so many looks without a better one.
    :param precision: of the network, ``single`` or ``double``.
    :param threads: of the CPU.
    :param device: ``cpu`` or ``cuda``.
    :param seed: of the first weights and the order of the configurations.
    :raises ValueError: for values that mean nothing.
    """

    model: str = 'auto'
    epochs: int = 60
    batch_size: int = 4
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    force_weight: float = 1.0
    energy_weight: float = 1.0
    stress_weight: float = 0.1
    moving_average: float = 0.99
    evaluate_every: int = 5
    patience: int = 20
    precision: str = 'single'
    threads: int = 1
    device: str = 'cpu'
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ('learning_rate', 'force_weight'):
            value = getattr(self, name)
            if not is_number(value) or value <= 0:
                raise ValueError(f'{name}: {value!r} is not a number above 0')
        for name in ('energy_weight', 'stress_weight', 'weight_decay'):
            value = getattr(self, name)
            if not is_number(value) or value < 0:
                raise ValueError(f'{name}: {value!r} is not a number from 0')
        for name, least in COUNTS.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f'{name}: {value!r} is not a whole number from {least}')
        if not is_number(self.moving_average) or not 0 <= self.moving_average < 1:
            raise ValueError(f'moving_average: {self.moving_average!r} is not in [0, 1)')
        for name, allowed in (('model', MODELS), ('precision', ('single', 'double')), ('device', ('cpu', 'cuda'))):
            if getattr(self, name) not in allowed:
                raise ValueError(f'{name}: {getattr(self, name)!r} is none of {", ".join(allowed)}')

    @classmethod
    def from_scalars(cls, scalars: Scalars) -> TrainingSettings:
        """Return settings from plain JSON; unknown names are refused."""
        return from_scalars(cls, scalars)

    def scalars(self) -> Scalars:
        """Return plain JSON that ``from_scalars`` understands."""
        return asdict(self)
