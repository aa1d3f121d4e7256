"""Dispersions as AiiDA's own bands, so that ``verdi data core.bands`` works on them too."""

from __future__ import annotations

import numpy as np
from aiida import orm

from aiida_clathrate.kernels.dispersion import Dispersion


def dispersion_to_bands(dispersion: Dispersion, cell: np.ndarray) -> orm.BandsData:
    """Return an unstored node.

    :param cell: lattice vectors of the crystal as rows, shape (3, 3) [Å].
    """
    node = orm.BandsData()
    node.set_cell(np.asarray(cell).tolist())
    node.set_kpoints(dispersion.qpoints, labels=[(int(index), name) for index, name in dispersion.labels])
    node.set_bands(dispersion.frequencies, units='meV')
    node.base.attributes.set_many({'breaks': [int(index) for index in dispersion.breaks], 'level': dispersion.level})
    return node


def dispersion_from_bands(node: orm.BandsData) -> Dispersion:
    """Return the dispersion of a node of bands in meV.

    :raises ValueError: for other units, which phonons of this package never have.
    """
    if node.units != 'meV':
        raise ValueError(f'bands {node.pk}: expected phonon energies in meV, not {node.units!r}')
    qpoints, labels = node.get_kpoints(), tuple((int(index), str(name)) for index, name in node.labels or ())
    marked = {index for index, _ in labels}
    # A path of another program says nothing of its jumps: there, two labelled points follow each other.
    breaks = node.base.attributes.get('breaks', sorted(index for index in marked if index - 1 in marked))
    steps = np.linalg.norm(np.diff(qpoints, axis=0) @ np.array(node.reciprocal_cell), axis=1)
    steps[[index - 1 for index in breaks]] = 0.0
    return Dispersion(
        qpoints=qpoints,
        distances=np.append(0.0, np.cumsum(steps)),
        labels=labels,
        breaks=tuple(breaks),
        frequencies=node.get_bands(),
        level=node.base.attributes.get('level', 'harmonic'),
    )
