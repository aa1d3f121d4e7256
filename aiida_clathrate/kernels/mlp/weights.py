"""Names and shapes of the weights of a potential."""

from __future__ import annotations

from math import prod

from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.potential import Potential

Shape = tuple[int, ...]

#: Largest angular momentum in the invariants of four bodies.
TRIPLE_L = 3
#: Values that the attention hands on for each channel.
HANDED_ON = 4
#: More than this no file may ask for.
LARGEST_NUMBER = 50_000_000


def features_of_channel(architecture: Architecture) -> int:
    """Return the number of features of a channel: radial sum, powers l = 0 … L, triple products."""
    return 2 + architecture.largest_l + (triple_count(architecture) if architecture.triple_products else 0)


def triple_count(architecture: Architecture) -> int:
    """Return the number of triple products of a channel."""
    largest = min(architecture.largest_l, TRIPLE_L)
    return sum(
        1
        for first in range(1, largest + 1)
        for second in range(first, largest + 1)
        for third in range(second, min(largest, first + second) + 1)
        if (first + second + third) % 2 == 0
    )


def mixing_shapes(architecture: Architecture, count: int, channels: int) -> dict[str, Shape]:
    """Return the shapes of the mixtures that make channels of moments; the first axis is the species."""
    return {
        'radial_mixing': (count, count * (architecture.radial_order + 1), channels),
        'angular_mixing': (count, architecture.largest_l + 1, count * (architecture.angular_order + 1), channels),
    }


def nested(shapes: dict[str, Shape]) -> dict[str, Shape]:
    """Return the names of weights as those of a part called ``channels``."""
    return {f'channels.{name}': shape for name, shape in shapes.items()}


def linear_shapes(architecture: Architecture, count: int) -> dict[str, Shape]:
    """Return the shapes of the weights of the linear part by name."""
    width = architecture.linear_channels * features_of_channel(architecture)
    return nested(mixing_shapes(architecture, count, architecture.linear_channels)) | {
        'middle': (count, width),
        'coefficients': (count, width),
    }


def network_shapes(architecture: Architecture, count: int) -> dict[str, Shape]:
    """Return the shapes of the weights of the network by name."""
    channels, tokens, size = architecture.channels, features_of_channel(architecture), architecture.token_size
    width = channels * tokens
    found: dict[str, Shape] = nested(mixing_shapes(architecture, count, channels)) | {
        'shift': (count, channels, tokens),
        'scale': (count, channels, tokens),
        'direct': (count, width),
    }
    if architecture.attention_heads:
        found |= {
            'embedding_weight': (count, tokens, size),
            'embedding_bias': (count, channels, size),
            'query': (count, size, size),
            'key': (count, size, size),
            'value': (count, size, size),
            'output': (count, size, HANDED_ON),
        }
        width += channels * HANDED_ON
    for number, hidden in enumerate(architecture.hidden):
        found |= {f'layer_{number}_weight': (count, width, hidden), f'layer_{number}_bias': (count, hidden)}
        width = hidden
    return found | {'readout': (count, width)}


def expected(architecture: Architecture, count: int) -> dict[str, Shape]:
    """Return the shapes of all weights that a potential must have, by name.

    Beside those of the linear part, ``linear.…``, and of the network, ``network.…``: ``reference`` energies of the
    species (count,) [eV]; the ``energy_scale`` ε () [eV], 0 where there is no network; ``spread_factor``
    (count, f, f + 1), by which features of the linear part that are unlike those of the training set are known;
    ``calibration`` (2,) of the expected error.

    :raises ValueError: if they are more than a file may ask for.
    """
    parts = {'linear': linear_shapes(architecture, count), 'network': network_shapes(architecture, count)}
    width = architecture.linear_channels * features_of_channel(architecture)
    found: dict[str, Shape] = {
        f'{part}.{name}': shape for part, shapes in parts.items() for name, shape in shapes.items()
    }
    found |= {
        'reference': (count,), 'energy_scale': (), 'spread_factor': (count, width, width + 1), 'calibration': (2,),
    }  # fmt: skip
    number = sum(prod(shape) for shape in found.values())
    if number > LARGEST_NUMBER:
        raise ValueError(f'architecture: {number} weights are more than {LARGEST_NUMBER}; make it smaller')
    return found


def check(potential: Potential) -> None:
    """Refuse a potential whose weights are not those of its architecture.

    :raises ValueError: with the name of the first that is missing, too many, or of a wrong shape.
    """
    wanted = expected(potential.architecture, len(potential.species))
    if missing := sorted(set(wanted) - set(potential.weights)):
        raise ValueError(f'weights: {missing[0]} is missing')
    if unknown := sorted(set(potential.weights) - set(wanted)):
        raise ValueError(f'weights: {unknown[0]} is no weight of this architecture')
    for name, shape in wanted.items():
        if potential.weights[name].shape != shape:
            raise ValueError(f'weights: {name} has the shape {potential.weights[name].shape}, needs {shape}')
