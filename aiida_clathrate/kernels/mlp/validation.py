"""How well a potential agrees with the labels of configurations, and what its errors do to averages.

Differences are predicted minus label everywhere, except for a bias, which is what has to be added to an average of the
potential: label minus predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from aiida_clathrate.kernels.io import Scalars

#: Of an eV, and of an eV/Å.
MILLI = 1e3
#: A rank correlation of fewer configurations says nothing.
FEWEST_RANKS = 3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """Energies, forces and stresses of configurations, which may be of different crystals.

    :param energies: shape (c,) [eV/atom].
    :param forces: on all atoms of all configurations, one after the other, shape (n, 3) [eV/Å].
    :param stresses: shape (c, 3, 3) [GPa], or ``None``.
    :raises ValueError: for shapes that disagree, or numbers that are not finite.
    """

    energies: Floats
    forces: Floats
    stresses: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self.energies)
        if not count or self.energies.shape != (count,) or self.forces.shape != (len(self.forces), 3):
            raise ValueError(
                f'need energies (c,) and forces (n, 3) of one configuration or more, not {self.energies.shape} and '
                f'{self.forces.shape}'
            )
        if self.stresses is not None and self.stresses.shape != (count, 3, 3):
            raise ValueError(f'stresses: need the shape {(count, 3, 3)}, not {self.stresses.shape}')
        for name, array in vars(self).items():
            if array is not None and not np.isfinite(array).all():
                raise ValueError(f'{name}: must be finite; leave out the configurations that are not')


@dataclass(frozen=True)
class Parity:
    """Errors of predictions: root mean squares over configurations and over all components of the forces.

    :param configurations: how many.
    :param energy_rmse: [meV/atom].
    :param energy_max: largest error of an energy [meV/atom].
    :param energy_mean_error: mean of predicted minus label, with its sign [meV/atom].
    :param force_rmse: of a component [meV/Å].
    :param force_max: largest error of a component [meV/Å].
    :param force_rmse_by_species: the same for each element [meV/Å].
    :param force_deviation: root mean square of a component of the labels, to compare the errors with [meV/Å].
    :param stress_rmse: of a component [GPa], ``None`` without stresses on either side.
    """

    configurations: int
    energy_rmse: float
    energy_max: float
    energy_mean_error: float
    force_rmse: float
    force_max: float
    force_rmse_by_species: dict[str, float]
    force_deviation: float
    stress_rmse: float | None

    def scalars(self) -> Scalars:
        """Return plain JSON."""
        return asdict(self)


def parity(labels: Numbers, predicted: Numbers, symbols: Sequence[str]) -> Parity:
    """Return how predictions agree with labels.

    :param symbols: of all atoms, in the order of the forces, length n.
    :raises ValueError: for shapes that disagree.
    """
    if labels.energies.shape != predicted.energies.shape or labels.forces.shape != predicted.forces.shape:
        raise ValueError('labels and predictions are not of the same configurations')
    if len(symbols) != len(labels.forces):
        raise ValueError(f'symbols: need one for each of the {len(labels.forces)} forces, not {len(symbols)}')
    energies, forces = predicted.energies - labels.energies, predicted.forces - labels.forces
    species = np.array(symbols)
    stress_rmse = None
    if labels.stresses is not None and predicted.stresses is not None:
        stress_rmse = root_mean_square(predicted.stresses - labels.stresses)
    return Parity(
        len(energies),
        MILLI * root_mean_square(energies),
        MILLI * float(np.abs(energies).max()),
        MILLI * float(energies.mean()),
        MILLI * root_mean_square(forces),
        MILLI * float(np.abs(forces).max()),
        {str(name): MILLI * root_mean_square(forces[species == name]) for name in np.unique(species)},
        MILLI * root_mean_square(labels.forces),
        stress_rmse,
    )


@dataclass(frozen=True)
class SampleMean:
    """A mean over independent configurations.

    :param value: the mean.
    :param error: its standard deviation, ``None`` of a single configuration.
    """

    value: float
    error: float | None


def mean(samples: Floats) -> SampleMean:
    """Return the mean of independent samples and its standard deviation, σ/√n with the unbiased estimate of σ².

    :raises ValueError: without samples.
    """
    count = len(samples)
    if not count:
        raise ValueError('samples: the mean of nothing is not known')
    error = float(np.std(samples, ddof=1) / np.sqrt(count)) if count > 1 else None
    return SampleMean(float(np.mean(samples)), error)


def force_errors(labels: Floats, predicted: Floats) -> Floats:
    """Return the root mean square error of the force components of each configuration, (c, s, 3) → (c,) [eV/Å]."""
    return np.asarray(np.sqrt(np.mean((predicted - labels) ** 2, axis=(1, 2))))


def rank_correlation(errors: Floats, deviations: Floats) -> float | None:
    """Return Spearman's rank correlation of true errors and expected ones.

    ``None`` where it is not defined: for fewer than three configurations, or where all have the same value.
    """
    if len(errors) < FEWEST_RANKS or np.ptp(errors) == 0 or np.ptp(deviations) == 0:
        return None
    return float(spearmanr(errors, deviations).statistic)


def deviation_ratio(errors: Floats, deviations: Floats) -> float | None:
    """Return true errors over expected ones, of root mean squares; ``None`` where none is expected."""
    expected = root_mean_square(deviations)
    return root_mean_square(errors) / expected if expected else None


def root_mean_square(values: Floats) -> float:
    """Return the root of the mean square of all elements."""
    return float(np.sqrt(np.mean(np.square(values))))
