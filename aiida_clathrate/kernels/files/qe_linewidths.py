"""λ_qν and γ_qν as ph.x prints them, and their comparison with those made of G(q) and Φ(q).

``elph_dir/elph.inp_lambda.Q`` for Gaussian broadenings, ``DYN_Q.elph.Q`` for tetrahedra. λ is printed with four
decimals, γ with two [GHz, as an ordinary frequency]; numbers that do not fit are printed as stars, which are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.alpha2f import ModeCouplings
from aiida_clathrate.kernels.dynamical_matrix import mesh_index
from aiida_clathrate.kernels.files.qe_dyn import DynFiles
from aiida_clathrate.kernels.files.text import Lines
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.units import MEV_PER_GHZ, MEV_PER_RYDBERG, RYDBERG

_BROADENING = re.compile(r'\s*Gaussian Broadening:\s*(\S+)\s*Ry, ngauss=.*')
_DENSITY = re.compile(r'\s*DOS =\s*(\S+)\s*states/spin/Ry/Unit Cell at Ef=\s*(\S+)\s*eV\s*')
_MODE = re.compile(r'\s*lambda\(\s*(\d+)\)=\s*(\S+)\s*gamma=\s*(\S+)\s*GHz\s*')

#: Modes closer than this count as degenerate [meV]; ph.x prints their γ with differences of up to 1 %.
DEGENERACY = 0.02
#: γ is printed with two decimals.
PRINTED_GHZ = 0.01
#: The matrices are printed with eight decimals; relative to the largest γ of the broadening.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class PrintedLinewidths:
    """The content of one file.

    :param name: name of the file.
    :param qpoint: Cartesian wave vector, shape (3,) [2π/alat].
    :param frequencies: ħω, negative where imaginary, shape (m,) [meV].
    :param smearings: broadening of the double delta, shape (s,) [eV]; 0 for tetrahedra.
    :param densities_of_states: N(E_F), shape (s,) [states/eV/spin/cell].
    :param fermi_energies: E_F, shape (s,) [eV].
    :param couplings: λ, shape (s, m) [dimensionless].
    :param linewidths: γ, shape (s, m) [meV].
    """

    name: str
    qpoint: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    smearings: NDArray[np.float64]
    densities_of_states: NDArray[np.float64]
    fermi_energies: NDArray[np.float64]
    couplings: NDArray[np.float64]
    linewidths: NDArray[np.float64]


def read_linewidths(text: str, name: str) -> PrintedLinewidths:
    """Return the content of ``elph.inp_lambda.Q`` or ``DYN_Q.elph.Q``.

    :raises ValueError: if it is damaged, incomplete, or holds stars instead of numbers.
    """
    lines = Lines(text, name)
    *qpoint, modes = (head := lines.numbers())[:3] + head[-1:]
    broadenings = int(head[3]) if len(head) == 5 else 1
    if len(head) not in (4, 5) or modes != int(modes) or not 0 < modes <= 30_000 or not 0 < broadenings <= 1000:
        raise lines.error('need a wave vector and numbers of broadenings and modes here')
    squares: list[float] = []
    while len(squares) < modes:
        squares += lines.numbers()
    if len(squares) > modes:
        raise lines.error(f'need {int(modes)} squares of frequencies, not {len(squares)}')
    tables = [_read_broadening(lines, int(modes)) for _ in range(broadenings)]
    heads = np.array([table[0] for table in tables])
    values = np.array([table[1] for table in tables])
    return PrintedLinewidths(
        name,
        np.array(qpoint),
        MEV_PER_RYDBERG * np.sign(squares) * np.sqrt(np.abs(squares)),
        heads[:, 0] * RYDBERG,
        heads[:, 1] / RYDBERG,
        heads[:, 2],
        values[..., 0],
        values[..., 1] * MEV_PER_GHZ,
    )


def check_linewidths(couplings: ModeCouplings, printed: Sequence[PrintedLinewidths], dyn: DynFiles) -> float:
    """Compare γ of the modes of a run of ph.x with those that it printed.

    ph.x prints γ before it imposes the symmetry on G, which shares γ evenly among degenerate modes: their means are
    compared.

    :param couplings: from G(q) and Φ(q) of the run.
    :param printed: what the run printed, for any of its wave vectors.
    :param dyn: the dynamical matrix files of the run.
    :return: the largest deviation [meV]; modes without frequency, as the acoustic ones of Γ, are left out.
    :raises KernelError: ``ERROR_INCONSISTENT_MATRICES`` if γ or the frequencies deviate by more than their digits.
    """
    worst = 0.0
    for one in printed:
        index = int(mesh_index(dyn.mesh, one.qpoint @ dyn.crystal.cell.T / dyn.files[0].alat))
        if one.linewidths.shape != couplings.linewidths[:, index].shape:
            raise KernelError('ERROR_INCONSISTENT_MATRICES', f'{one.name}: other broadenings or modes than G and Φ')
        kept = couplings.frequencies[index] > 0
        mean = _mean_of_degenerate(couplings.frequencies[index][kept])
        pair = [widths[:, kept] @ mean for widths in (one.linewidths, couplings.linewidths[:, index])]
        error = np.abs(pair[0] - pair[1])
        allowed = PRINTED_GHZ * MEV_PER_GHZ + TOLERANCE * one.linewidths.max(axis=1, keepdims=True)
        if np.any(error > allowed):
            s, mode = (int(i) for i in np.unravel_index(np.argmax(error / allowed), error.shape))
            raise KernelError(
                'ERROR_INCONSISTENT_MATRICES',
                f'{one.name}: mode {np.flatnonzero(kept)[mode] + 1} has γ = {pair[0][s, mode]:.4g} meV in the file '
                f'and {pair[1][s, mode]:.4g} meV from G and Φ (smearing {s + 1}): files of different runs are mixed',
            )
        worst = max(worst, float(error.max(initial=0.0)))
    return worst


def _mean_of_degenerate(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix that replaces values of modes by their mean over degenerate ones, shape (m, m)."""
    blocks = np.cumsum(np.diff(frequencies, prepend=frequencies[:1]) > DEGENERACY)
    same = np.equal.outer(blocks, blocks).astype(np.float64)
    return np.asarray(same / same.sum(axis=0))


def _read_broadening(lines: Lines, modes: int) -> tuple[list[float], list[list[float]]]:
    line = lines.read_filled()
    smearing = [0.0]
    if match := _BROADENING.fullmatch(line):
        smearing = lines.parse(match[1], 1)
    elif 'Tetrahedron' not in line:
        raise lines.error('need "Gaussian Broadening:" or "Tetrahedron method" here')
    if not (match := _DENSITY.fullmatch(lines.read_filled())):
        raise lines.error('need "DOS = … at Ef= … eV" here')
    head = smearing + lines.parse(match[1], 1) + lines.parse(match[2], 1)
    values = []
    for mode in range(modes):
        if not (match := _MODE.fullmatch(lines.read_filled())) or int(match[1]) != mode + 1:
            raise lines.error(f'need "lambda({mode + 1})= … gamma= … GHz" here')
        values.append(lines.parse(match[2], 1) + lines.parse(match[3], 1))
    return head, values
