"""Whether displacements can have been drawn from the Gaussian that they are said to be drawn from."""

from __future__ import annotations

import numpy as np

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
    vectors, inverse = gaussian.vectors, gaussian.inverse_covariance
    waves = to_waves(ensemble.displacements, ensemble.mesh)
    squares = np.einsum('kci,kci->k', waves.conj(), waves @ np.swapaxes(inverse, -1, -2)).real
    freedom = float(vectors.sum(gaussian.active.sum(axis=1).astype(np.float64)))
    independent = len(ensemble) / (2 if ensemble.antithetic else 1)
    return float(vectors.sum(squares)) / (len(ensemble) * freedom), float(np.sqrt(2 / (independent * freedom)))


def check_sample(ensemble: ForceEnsemble) -> None:
    """Refuse displacements whose mean square is not that of the Gaussian.

    :raises ValueError: if it is further from it than chance can explain, or no Gaussian belongs to the matrices.
    """
    value, error = mean_square(ensemble)
    if abs(value - 1) > DEVIATIONS * error:
        raise ValueError(
            f'displacements: their mean square is {value:.4g} times that of the Gaussian of the matrices at '
            f'{ensemble.temperature:g} K, where chance allows 1 ± {DEVIATIONS * error:.2g}: give the temperature and '
            'the matrices that the configurations were drawn from'
        )
