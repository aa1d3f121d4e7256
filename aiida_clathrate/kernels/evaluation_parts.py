"""Results of an evaluation in parts, so that a run that is stopped loses next to nothing.

Each part has the digest of its configurations and of what computed them: those of another population, or of another
calculator, are refused and never mixed in.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels import io

FOLDER = 'parts'

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """Results of some configurations of a population.

    :param indices: of the configurations, shape (k,).
    :param energies: shape (k,) [eV].
    :param forces: shape (k, s, 3) [eV/Å].
    :param stresses: shape (k, 3, 3), positive under compression [GPa], or ``None``.
    :param deviations: expected root mean square error of the force components, shape (k,) [eV/Å], or ``None``.
    """

    indices: NDArray[np.int64]
    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    stresses: NDArray[np.float64] | None = None
    deviations: NDArray[np.float64] | None = None

    def arrays(self) -> io.Arrays:
        """Return the arrays that are there, by name."""
        return {name: array for name, array in vars(self).items() if array is not None}


def join(results: list[Evaluated]) -> Evaluated:
    """Return several results as one, in the order of the configurations."""
    order = np.argsort(np.concatenate([part.indices for part in results]))
    names = results[0].arrays()
    return Evaluated(**{name: np.concatenate([getattr(part, name) for part in results])[order] for name in names})


@dataclass(frozen=True)
class Parts:
    """The folder of the parts of one evaluation.

    :param folder: where they are.
    :param positions: of all configurations, shape (c, s, 3) [Å].
    :param origin: what else the results depend on, as text: cell, species, calculator.
    """

    folder: Path
    positions: NDArray[np.float64]
    origin: str

    def write(self, part: Evaluated) -> None:
        """Write a part, named by its first configuration."""
        self.folder.mkdir(exist_ok=True)
        scalars = {'digest': self._digest(part.indices)}
        io.write(self.folder, f'part_{part.indices[0]:08d}', scalars, part.arrays())

    def read(self) -> list[Evaluated]:
        """Return the parts of earlier runs; one that cannot be read is left out and will be computed again.

        :raises KernelError: ERROR_PARTS_REFUSED if one belongs to something else.
        """
        found: list[Evaluated] = []
        for path in sorted(self.folder.glob('part_*.json')):
            try:
                scalars, arrays = io.read(self.folder, path.stem)
                part = Evaluated(**arrays)
            except (OSError, ValueError, LookupError, TypeError, BadZipFile) as error:
                logger.warning('%s: unreadable, its configurations are computed again: %s', path.name, error)
                continue
            if not self._holds(part, scalars.get('digest')):
                raise io.KernelError(
                    'ERROR_PARTS_REFUSED',
                    f'{path.name} is of another population or another calculator; start without the parent folder',
                )
            found.append(part)
        return found

    def _holds(self, part: Evaluated, digest: str | None) -> bool:
        indices = part.indices
        whole = indices.dtype.kind == 'i' and indices.ndim == 1 and len(indices) > 0
        return bool(
            whole and indices.min() >= 0 and indices.max() < len(self.positions) and self._digest(indices) == digest
        )

    def _digest(self, indices: NDArray[np.int64]) -> str:
        digest = hashlib.sha256(self.origin.encode())
        digest.update(np.ascontiguousarray(indices, dtype='<i8').tobytes())
        digest.update(np.ascontiguousarray(self.positions[indices], dtype='<f8').tobytes())
        return digest.hexdigest()
