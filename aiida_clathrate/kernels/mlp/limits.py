"""How accurate a potential must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_clathrate.kernels.scalars import is_number

#: Standard deviations of a root mean square over a few configurations by which it may exceed a limit.
TOLERANCE = 2.0


def without_offset(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return errors as they are where energies may have another zero: another code, or other pseudopotentials.

    :param results: ``energy_rmse`` and ``energy_mean_error`` [meV/atom] among others.
    """
    spread = max(results['energy_rmse'] ** 2 - results['energy_mean_error'] ** 2, 0.0) ** 0.5
    return dict(results) | {'energy_rmse': spread}


@dataclass(frozen=True)
class Limits:
    """Largest errors on configurations that a potential was not trained with.

    :param energy: root mean square error of the energy [meV/atom].
    :param force: root mean square error of the components of the forces [meV/Å].
    :raises ValueError: for limits that are not positive.
    """

    energy: float
    force: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not is_number(value) or value <= 0:
                raise ValueError(f'{name}: {value!r} is no limit; give an error above zero')

    def excess(self, results: Mapping[str, Any]) -> float:
        """Return the larger ratio of an error to its limit: at most one where both are met.

        :param results: ``energy_rmse`` [meV/atom] and ``force_rmse`` [meV/Å].
        """
        return float(max(results['energy_rmse'] / self.energy, results['force_rmse'] / self.force))

    def met(self, results: Mapping[str, Any]) -> bool:
        """Whether both errors are within the limits."""
        return self.excess(results) <= 1

    def met_by_sample(self, results: Mapping[str, Any], number: int) -> bool:
        """Whether the errors of a few configurations contradict the limits by no more than their scatter.

        A root mean square over n Gaussian numbers has the relative standard deviation 1/√(2n).

        :param number: of the configurations.
        """
        return bool(self.excess(results) <= 1 + TOLERANCE / (2 * number) ** 0.5)
