"""Whether displacements can have been drawn from the Gaussian that they are said to be drawn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.sscha.gaussian import Gaussian
from aiida_clathrate.kernels.sscha.waves import to_waves

#: A sample is off by so many standard deviations once in 10⁸.
DEVIATIONS = 6.0


def mean_square(ensemble: ForceEnsemble) -> tuple[float, float]:
    """Return ⟨uᵀΥu⟩ for each degree of freedom, 1 for the Gaussian, and its standard deviation for such a sample.

    The sum of n squares of standard normal numbers has the variance 2n; of a pair ±u one counts.
    """
    gaussian = Gaussian(ensemble.matrices, ensemble.temperature)
    freedom = _freedom(gaussian)
    independent = len(ensemble) / (2 if ensemble.antithetic else 1)
    squares = _squares(gaussian, ensemble.displacements)
    return squares / (len(ensemble) * freedom), float(np.sqrt(2 / (independent * freedom)))


def square_of_mean(ensemble: ForceEnsemble) -> tuple[float, float]:
    """Return N⟨u⟩ᵀΥ⟨u⟩ for each degree of freedom, 1 for N independent configurations, and its standard deviation."""
    gaussian = Gaussian(ensemble.matrices, ensemble.temperature)
    freedom = _freedom(gaussian)
    squares = _squares(gaussian, ensemble.displacements.mean(axis=0, keepdims=True))
    return len(ensemble) * squares / freedom, float(np.sqrt(2 / freedom))


def check_sample(ensemble: ForceEnsemble) -> None:
    """Refuse displacements whose mean square is not that of the Gaussian, or whose mean is not zero.

    :raises ValueError: if one is further off than chance can explain, or no Gaussian belongs to the matrices.
    """
    remedy = 'give the temperature and the matrices that the configurations were drawn from'
    value, error = mean_square(ensemble)
    if abs(value - 1) > DEVIATIONS * error:
        raise ValueError(
            f'displacements: their mean square is {value:.4g} times that of the Gaussian of the matrices at '
            f'{ensemble.temperature:g} K, where chance allows 1 ± {DEVIATIONS * error:.2g}: {remedy}'
        )
    value, error = square_of_mean(ensemble)
    if value - 1 > DEVIATIONS * error:
        raise ValueError(f'displacements: their mean is {np.sqrt(value):.3g} times what chance explains: {remedy}')


def _freedom(gaussian: Gaussian) -> float:
    return float(gaussian.vectors.sum(gaussian.active.sum(axis=1).astype(np.float64)))


def _squares(gaussian: Gaussian, displacements: NDArray[np.float64]) -> float:
    """Return Σ uᵀΥu."""
    waves = to_waves(displacements, gaussian.matrices.mesh)
    products = waves @ np.swapaxes(gaussian.inverse_covariance, -1, -2)
    return float(gaussian.vectors.sum(np.einsum('kci,kci->k', waves.conj(), products).real))
