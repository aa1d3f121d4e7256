"""λ and ω_log as programs print them: ``lambda`` of matdyn.x and ``lambda.dat`` of lambda.x."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.files.text import Lines
from aiida_clathrate.kernels.units import KELVIN_PER_MEV, RYDBERG

_MATDYN = re.compile(r'\s*Broadening\s+(\S+)\s+lambda\s+(\S+)\s+dos\(Ef\)\s*(\S+)\s+omega_ln \[K\]\s+(\S+)\s*')


@dataclass(frozen=True)
class CouplingSummary:
    """One value for each broadening.

    :param smearings: broadening of the double delta, shape (s,) [eV].
    :param couplings: λ, shape (s,) [dimensionless].
    :param omegas_log: ω_log, shape (s,) [meV].
    :param densities_of_states: N(E_F), shape (s,) [states/eV/spin/cell].
    """

    smearings: NDArray[np.float64]
    couplings: NDArray[np.float64]
    omegas_log: NDArray[np.float64]
    densities_of_states: NDArray[np.float64]


def read_summary(text: str, name: str) -> CouplingSummary:
    """Return what a file ``lambda`` or ``lambda.dat`` holds.

    :raises ValueError: if it is neither, or holds NaN or stars.
    """
    lines, rows = Lines(text, name), []
    while not lines.done:
        line = lines.read_filled()
        if match := _MATDYN.fullmatch(line):
            rows.append([lines.parse(match[number], 1)[0] for number in (1, 2, 4, 3)])
        elif line.lstrip().startswith('#'):
            continue
        elif not line.strip().startswith('Electron-phonon coupling constant'):
            # broadening, λ, λ from the table, ω_log, N(E_F)
            values = lines.parse(line, 5)
            rows.append([values[0], values[1], values[3], values[4]])
    if not rows:
        raise lines.error('need a line with broadening, λ, N(E_F) and ω_log')
    table = np.array(rows)
    return CouplingSummary(table[:, 0] * RYDBERG, table[:, 1], table[:, 2] / KELVIN_PER_MEV, table[:, 3] / RYDBERG)
