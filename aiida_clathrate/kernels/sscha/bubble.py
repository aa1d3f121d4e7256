"""The static bubble: how a pair of modes answers, and the coordinates in which it is minus one.

The free-energy Hessian is H = Φ + T G (1 − M G)⁻¹ T with third and fourth derivatives T, M of the averaged potential
and, in mass-weighted modes, G_μν = ½ (a²_μ − a²_ν)/(ω²_μ − ω²_ν) (R. Bianco et al., Phys. Rev. B 96, 014111 (2017),
eqs. 29 and A5). As a² falls with ω, G = −L L† with a real L, and H = Φ − b (1 + L†M L)⁻¹ b† with b = L†T: a symmetric
problem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.sscha.gaussian import EV_PER_MEV, Gaussian
from aiida_clathrate.kernels.sscha.triples import Tensors, Triples
from aiida_clathrate.kernels.units import HBAR_SQUARED, KELVIN_PER_MEV

#: Relative distance of two frequencies below which the quotient of differences is the derivative.
SAME_FREQUENCY = 1e-5


@dataclass(frozen=True)
class Bubble:
    """L for every pair of wave vectors.

    :param vectors: e/√M, modes as columns, on the whole mesh, shape (q, 3n, 3n) [amu^(−1/2)].
    :param roots: √(−G) times the root of the number of orders of the pair, for each q kept, shape (p, 3n, 3n).
    """

    triples: Triples
    vectors: torch.Tensor
    roots: tuple[torch.Tensor, ...]

    def from_modes(self, modes: Tensors) -> Tensors:
        """Return L y, times the number of orders of each pair: ready to be contracted with pairs of waves."""
        result = []
        for pairs, root, tensor in zip(self.triples.pairs, self.roots, modes, strict=True):
            left, right = self.vectors[pairs[:, 0]], self.vectors[pairs[:, 1]]
            result.append(left @ (root * tensor) @ right.transpose(1, 2))
        return result

    def to_modes(self, tensors: Tensors) -> Tensors:
        """Return L† W."""
        result = []
        for pairs, root, tensor in zip(self.triples.pairs, self.roots, tensors, strict=True):
            left, right = self.vectors[pairs[:, 0]], self.vectors[pairs[:, 1]]
            result.append(root * (left.conj().transpose(1, 2) @ tensor @ right.conj()))
        return result


def bubble(gaussian: Gaussian, triples: Triples, device: torch.device) -> Bubble:
    """Return the bubble of the auxiliary matrices."""
    masses = np.repeat(gaussian.matrices.crystal.masses, 3)
    vectors = gaussian.vectors.extend(gaussian.modes[1] / np.sqrt(masses)[:, None])
    response = pair_response(gaussian)
    # The same at ±q: number of the wave vector kept for each of the mesh.
    kept = np.searchsorted(triples.vectors.kept, np.minimum(np.arange(triples.vectors.cells), triples.opposite))
    roots = tuple(
        torch.from_numpy(np.sqrt(-weights[:, None, None] * response[kept[pairs[:, 0]], :, kept[pairs[:, 1]]])).to(
            device
        )
        for pairs, weights in zip(triples.pairs, triples.weights, strict=True)
    )
    waves = vectors.real.copy() if triples.vectors.real else vectors
    return Bubble(triples, torch.from_numpy(waves).to(device), roots)


def pair_response(gaussian: Gaussian) -> NDArray[np.float64]:
    """Return G of all pairs of modes, zero for translations, shape (k, 3n, k, 3n) [amu² Å⁴/eV]."""
    shape = gaussian.frequencies.shape
    energies = np.where(gaussian.active, gaussian.frequencies, 1.0).ravel()
    active, variances = gaussian.active.ravel(), gaussian.variances.ravel()
    squares = (EV_PER_MEV * energies) ** 2 / HBAR_SQUARED  # ω² [eV/(Å² amu)]
    slopes = variance_slopes(energies, gaussian.temperature)
    differences = energies[:, None] - energies
    same = np.abs(differences) < SAME_FREQUENCY * energies
    quotients = np.divide(
        variances[:, None] - variances, squares[:, None] - squares, out=np.zeros(same.shape), where=~same
    )
    # Symmetric also where one of two frequencies is within the limit of the other but not the reverse.
    response = 0.5 * np.where(same | same.T, 0.5 * (slopes[:, None] + slopes), quotients)
    return np.where(active[:, None] & active, response, 0.0).reshape(*shape, *shape)


def variance_slopes(energies: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return da²/dω² of each mode [amu² Å⁴/eV].

    :param energies: ħω [meV].
    :param temperature: [K].
    """
    omega = EV_PER_MEV * energies
    slopes = -(HBAR_SQUARED**2) / (4 * omega**3)
    if temperature > 0:
        half = energies * KELVIN_PER_MEV / (2 * temperature)
        # coth x + x/sinh² x, written so that nothing overflows for cold modes.
        decay = np.exp(-2 * half)
        slopes = slopes * ((1 + decay) / (1 - decay) + 4 * half * decay / (1 - decay) ** 2)
    return np.asarray(slopes)
