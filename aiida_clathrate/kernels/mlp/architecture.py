"""What a potential is made of: orders, cutoffs and sizes, and the shapes of the weights that follow from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aiida_clathrate.kernels.io import Scalars
from aiida_clathrate.kernels.scalars import from_scalars, is_number

#: Largest angular momentum of each named preset; ``paper`` resolves angles as Chebyshev polynomials of order 10 do.
PRESETS: dict[str, dict[str, Any]] = {
    'fast': {'largest_l': 4},
    'paper': {'largest_l': 10},
}
#: Bounds that keep a file from a stranger from asking for all memory there is.
LARGEST = {
    'radial_order': 40,
    'angular_order': 40,
    'largest_l': 12,
    'channels': 128,
    'linear_channels': 256,
    'attention_heads': 32,
}


@dataclass(frozen=True)
class Architecture:
    """The network and its descriptors.

    The radial basis is T_k(2r/R − 1) f_c(r), k = 0 … ``radial_order``; the angular one T_k(2r/R − 1) f_c(r) S_lm(r̂),
    k = 0 … ``angular_order``, l = 0 … ``largest_l``, with real solid harmonics S_lm: by the addition theorem, sums of
    their squares are the sums over Chebyshev or Legendre polynomials of the angle between two neighbours up to this
    order (Artrith, Urban and Ceder, Phys. Rev. B 96, 014112 (2017)), at a cost that is linear in the neighbours.

    :param radial_order: largest order of the radial Chebyshev polynomials.
    :param radial_cutoff: where the radial basis ends [Å].
    :param angular_order: largest order of the Chebyshev polynomials in the angular basis.
    :param angular_cutoff: where the angular basis ends, not beyond ``radial_cutoff`` [Å].
    :param largest_l: largest angular momentum.
    :param channels: learnt mixtures of the species and orders, for each element.
    :param linear_channels: random mixtures, which stay as they are, of the part that is linear in its features.
    :param triple_products: whether invariants of four bodies are among the features, beside those of two and three.
    :param attention_heads: of the self-attention over the channels; 0 leaves it out.
    :param token_size: length of the vector of a channel in the attention, a multiple of ``attention_heads``.
    :param hidden: sizes of the hidden layers of the readouts.
    :raises ValueError: for values that make no network.
    """

    radial_order: int = 12
    radial_cutoff: float = 6.0
    angular_order: int = 10
    angular_cutoff: float = 5.0
    largest_l: int = 4
    channels: int = 16
    linear_channels: int = 48
    triple_products: bool = True
    attention_heads: int = 4
    token_size: int = 16
    hidden: tuple[int, ...] = (64, 32)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'hidden', tuple(self.hidden))
        for name, largest in LARGEST.items():
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= largest:
                raise ValueError(f'{name}: {value!r} is not a whole number from 0 to {largest}')
        for name in ('radial_cutoff', 'angular_cutoff'):
            value = getattr(self, name)
            if not is_number(value) or not 0.5 <= value <= 20:
                raise ValueError(f'{name}: {value!r} is not a distance from 0.5 to 20 Å')
        if self.angular_cutoff > self.radial_cutoff:
            raise ValueError(
                f'angular_cutoff: {self.angular_cutoff} Å is beyond the radial cutoff, {self.radial_cutoff} Å'
            )
        if min(self.channels, self.linear_channels) < 1:
            raise ValueError('channels and linear_channels: need at least one of each')
        if type(self.triple_products) is not bool:
            raise ValueError(f'triple_products: {self.triple_products!r} is neither true nor false')
        if type(self.token_size) is not int or not 1 <= self.token_size <= 256:
            raise ValueError(f'token_size: {self.token_size!r} is not a whole number from 1 to 256')
        if self.attention_heads and self.token_size % self.attention_heads:
            raise ValueError(
                f'token_size: {self.token_size} is not a multiple of {self.attention_heads} attention_heads'
            )
        if not 1 <= len(self.hidden) <= 8 or not all(type(size) is int and 1 <= size <= 1024 for size in self.hidden):
            raise ValueError(f'hidden: {self.hidden} are not one to eight sizes from 1 to 1024')

    @classmethod
    def from_scalars(cls, scalars: Scalars) -> Architecture:
        """Return the architecture from plain JSON: ``preset`` and what differs from it; unknown names are refused."""
        changes = dict(scalars)
        preset = changes.pop('preset', 'fast')
        if preset not in PRESETS:
            raise ValueError(f'preset: {preset!r} is none of {", ".join(PRESETS)}')
        return from_scalars(cls, PRESETS[preset] | changes)

    def scalars(self) -> Scalars:
        """Return plain JSON that ``from_scalars`` understands."""
        return asdict(self) | {'hidden': list(self.hidden)}
