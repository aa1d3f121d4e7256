"""Configurations drawn from the Gaussian of auxiliary matrices."""

from __future__ import annotations

import numpy as np

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.sscha.gaussian import Gaussian
from aiida_clathrate.kernels.sscha.waves import from_waves


def sample(matrices: DynamicalMatrices, temperature: float, number: int, seed: int) -> ForceEnsemble:
    """Return a population of pairs ±u, of which odd averages vanish exactly.

    The displacements are to be stored: on another machine the same seed gives them to rounding only.

    :param matrices: auxiliary matrices on the mesh of the supercell.
    :param temperature: [K].
    :param number: of configurations, even.
    :param seed: of NumPy's PCG64 generator.
    :raises ValueError: for an odd number, or matrices with a mode that is not positive.
    """
    if number < 2 or number % 2:
        raise ValueError(f'number: configurations come in pairs ±u; give an even number, not {number}')
    gaussian = Gaussian(matrices, temperature)
    vectors, roots = gaussian.vectors, gaussian.root_covariance
    generator = np.random.default_rng(seed)
    shape = (len(vectors.kept), number // 2, roots.shape[-1])
    normal = generator.standard_normal(shape)
    if not vectors.real:
        # Where q ≠ −q real and imaginary part share the variance.
        pairs = (vectors.weights == 2)[:, None, None]
        normal = np.where(pairs, (normal + 1j * generator.standard_normal(shape)) * np.sqrt(0.5), normal)
    half = from_waves(normal @ np.swapaxes(roots, -1, -2), matrices.mesh)
    displacements = np.stack([half, -half], axis=1).reshape(number, -1, 3)
    return ForceEnsemble(matrices, temperature, displacements, seed=seed)
