"""The configurations of an ensemble as averages of third and fourth order see them.

With r = Υu and the force f beyond the auxiliary one, the derivatives of the potential averaged over the Gaussian are
(R. Bianco et al., Phys. Rev. B 96, 014111 (2017), stochastic implementation)

    ⟨∂³V⟩_abc = Υ_bc ⟨f_a⟩ − ⟨r_b r_c f_a⟩,    (⟨∂⁴V⟩ Z)_bc = −¼ ⟨2 r_b r_c (r·Z·f) + (r_b f_c + f_b r_c)(r·Z·r)⟩,

the first after averaging over the order of the indices; the second, for symmetric Z, has that average done and drops
the terms with ⟨rr⟩⟨rf⟩, which vanish with the gradient of the free energy. ⟨∂⁴V⟩ is never stored. All products are
matrix products over chunks of configurations of the pairs r_b r_c and r_b f_c + f_b r_c, one q at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.sscha.gaussian import Gaussian
from aiida_clathrate.kernels.sscha.triples import Tensors, Triples
from aiida_clathrate.kernels.sscha.waves import to_waves

#: Displacements of a pair that cancel to this are exactly opposite [Å].
SAME_DISPLACEMENT = 1e-8


@dataclass(frozen=True)
class Samples:
    """Independent configurations, or pairs ±u merged into one: ⟨rrf⟩ needs only the even, ⟨rrrf⟩ only the odd force.

    Arrays are waves on the whole mesh, shape (q, c, 3n), on one device.

    :param triples: the wave vectors.
    :param weights: normalised to 1, shape (c,).
    :param displacements: r = Υu [1/Å].
    :param odd: (f(u) − f(−u))/2 [eV/Å]; f itself where configurations are not merged.
    :param even: (f(u) + f(−u))/2 [eV/Å]; f itself where configurations are not merged.
    :param chunk: how many bytes of products are held at a time.
    """

    triples: Triples
    weights: torch.Tensor
    displacements: torch.Tensor
    odd: torch.Tensor
    even: torch.Tensor
    chunk: int

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def size(self) -> int:
        """Return 3n."""
        return int(self.displacements.shape[-1])

    def products(self, index: int, forces: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield slices of configurations with r_b r_c and r_b f_c + f_b r_c of one q, shape (2, c, p·3n·3n)."""
        first, second = torch.from_numpy(self.triples.pairs[index].T).to(self.weights.device)
        size, pairs = self.size, len(first)
        step = max(1, self.chunk // (2 * pairs * size**2 * forces.element_size()))
        buffer = forces.new_empty((2, min(step, len(self)), pairs, size, size))
        for start in range(0, len(self), step):
            part = slice(start, min(start + step, len(self)))
            products = buffer[:, : part.stop - start]
            left, right = (self.displacements[q, part].transpose(0, 1) for q in (first, second))
            left_force, right_force = (forces[q, part].transpose(0, 1) for q in (first, second))
            torch.mul(left[..., None], right[..., None, :], out=products[0])
            torch.mul(left[..., None], right_force[..., None, :], out=products[1])
            products[1].addcmul_(left_force[..., None], right[..., None, :])
            yield part, products.reshape(2, part.stop - start, -1)

    def contract(self, index: int, tensor: torch.Tensor, forces: torch.Tensor) -> torch.Tensor:
        """Return r·Z·r and r·Z·f + f·Z·r of each configuration at one q, shape (2, c, 3n).

        :param tensor: Z times the number of orders of each pair, shape (3n, p, 3n, 3n).
        """
        flat = tensor.reshape(self.size, -1).conj().T
        values = forces.new_empty((2, len(self), self.size))
        for part, products in self.products(index, forces):
            values[:, part] = (products @ flat).conj()
        return values

    def fourth_order(self, tensors: Tensors) -> Tensors:
        """Return ⟨∂⁴V⟩ Z, without the symmetry of the crystal.

        :param tensors: Z times the number of orders of each pair.
        """
        results = []
        for index, tensor in enumerate(tensors):
            flat = tensor.reshape(self.size, -1).conj().T
            total = torch.zeros_like(tensor).reshape(self.size, -1)
            for part, products in self.products(index, self.odd):
                stacked = products.reshape(-1, products.shape[-1])
                values = (stacked @ flat).conj().reshape(2, -1, self.size)
                factors = values.flip(0) * (-0.25 * self.weights[part, None])
                total.addmm_(factors.reshape(-1, self.size).T, stacked)
            results.append(total.reshape(tensor.shape))
        return results

    def third_order(self, inverse_covariance: torch.Tensor) -> Tensors:
        """Return ⟨∂³V⟩, symmetric in its indices, without the symmetry of the crystal.

        :param inverse_covariance: Υ(q) on the whole mesh, shape (q, 3n, 3n).
        """
        tensors = self.triples.zeros(self.size, self.displacements)
        for index, tensor in enumerate(tensors):
            factors = self.even[self.triples.vectors.kept[index]] * self.weights[:, None]
            flat = tensor.reshape(self.size, -1)
            for part, products in self.products(index, self.even):
                flat.addmm_(factors[part].T, products[0], alpha=-1)
        mean = self.weights.to(self.even.dtype) @ self.even[0]
        tensors[0] += mean[:, None, None, None] * inverse_covariance[self.triples.pairs[0][:, 0]]
        return self.triples.symmetrise_indices(tensors)


def samples(
    gaussian: Gaussian,
    displacements: NDArray[np.float64],
    forces: NDArray[np.float64],
    weights: NDArray[np.float64],
    device: torch.device,
    chunk: int,
) -> Samples:
    """Return what the averages need.

    :param gaussian: to which the averages belong.
    :param displacements: from its centroids, shape (c, s, 3) [Å].
    :param forces: of the potential, shape (c, s, 3) [eV/Å].
    :param weights: of importance sampling, shape (c,).
    """
    mesh = gaussian.matrices.mesh
    waves = to_waves(displacements, mesh)
    beyond = to_waves(forces, mesh) + waves @ gaussian.force_constants.swapaxes(1, 2)
    # The net force on the supercell belongs to no mode.
    atoms = beyond[0].reshape(len(displacements), -1, 3)
    atoms -= atoms.mean(axis=1, keepdims=True)
    waves = waves @ gaussian.inverse_covariance.swapaxes(1, 2)
    odd = even = beyond
    if merge := _opposite(displacements, weights):
        waves, weights = waves[:, ::2], weights[::2]
        odd, even = 0.5 * (beyond[:, ::2] - beyond[:, 1::2]), 0.5 * (beyond[:, ::2] + beyond[:, 1::2])
    triples = Triples(mesh)
    odd_forces = triples.full_mesh(odd, device)
    return Samples(
        triples,
        torch.from_numpy(weights / weights.sum()).to(device),
        triples.full_mesh(waves, device),
        odd_forces,
        triples.full_mesh(even, device) if merge else odd_forces,
        chunk,
    )


def _opposite(displacements: NDArray[np.float64], weights: NDArray[np.float64]) -> bool:
    """Whether configurations 2i and 2i+1 are displaced by +u and −u and weigh the same."""
    if len(displacements) % 2:
        return False
    same = np.allclose(weights[::2], weights[1::2], rtol=1e-6, atol=0.0)
    return same and bool(np.abs(displacements[::2] + displacements[1::2]).max() < SAME_DISPLACEMENT)
