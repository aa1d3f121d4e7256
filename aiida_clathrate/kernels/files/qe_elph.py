"""Electron-phonon matrices of ph.x: ``elph_dir/a2Fq2r.S.Q``, S = 51, 52 … the broadening, Q = 1, 2 … the star.

ph.x writes them with ``electron_phonon = 'interpolated'``, ``'lambda_tetra'`` and ``'gamma_tetra'``. Two lines of
header: broadening [Ry], E_F [Ry], N(E_F) [states/Ry/spin]; number of wave vectors of the star. Then G(q) [1/bohr²] of
each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import mesh_index, mesh_points
from aiida_clathrate.kernels.electron_phonon import ElectronPhonon
from aiida_clathrate.kernels.files.qe_blocks import format_block, on_mesh, read_blocks
from aiida_clathrate.kernels.files.qe_dyn import DynFiles
from aiida_clathrate.kernels.files.star_groups import star_groups
from aiida_clathrate.kernels.files.text import Lines
from aiida_clathrate.kernels.units import BOHR, RYDBERG

_NAME = re.compile(r'(?:.*/)?a2Fq2r\.(\d{1,6})\.(\d{1,6})', re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class ElphFile:
    """The content of one file.

    :param name: name of the file.
    :param smearing: broadening of the double delta [eV]; 0 for tetrahedra.
    :param fermi_energy: E_F [eV].
    :param density_of_states: N(E_F) [states/eV/spin/cell].
    :param qpoints: Cartesian wave vectors of the star, shape (k, 3) [2π/alat].
    :param matrices: G(q), shape (k, 3n, 3n) [1/Å²].
    """

    name: str
    smearing: float
    fermi_energy: float
    density_of_states: float
    qpoints: NDArray[np.float64]
    matrices: NDArray[np.complex128]


def read_elph_files(texts: Mapping[str, str], dyn: DynFiles) -> ElectronPhonon:
    """Return G(q) on the whole mesh for all broadenings.

    :param texts: contents of files by name, with or without folder; others than ``a2Fq2r.S.Q`` are ignored.
    :param dyn: the dynamical matrix files of the same run; G of a star must belong to the same wave vectors.
    :raises ValueError: for files that are missing, damaged, of other wave vectors or of other runs.
    """
    found = {(int(m[1]), int(m[2])): name for name in texts if (m := _NAME.fullmatch(name))}
    if not found:
        raise ValueError(
            "no files a2Fq2r.S.Q: retrieve elph_dir of a run of ph.x with electron_phonon = 'interpolated' or "
            "'lambda_tetra' ('simple' does not write them)"
        )
    stars = range(1, len(dyn.files) + 1)
    smearings = sorted({smearing for smearing, _ in found})
    missing = [f'a2Fq2r.{s}.{q}' for s in smearings for q in stars if (s, q) not in found]
    if missing:
        raise ValueError(f'{len(missing)} files are missing, such as {missing[0]}: was ph.x stopped before its last q?')
    if extra := sorted(name for (_, star), name in found.items() if star not in stars):
        raise ValueError(f'{extra[0]} has no counterpart among the {len(stars)} dynamical matrices: mixed q sets')
    sets = [[parse_elph(texts[found[s, q]], found[s, q], len(dyn.crystal.symbols)) for q in stars] for s in smearings]
    # With tetrahedra ph.x writes the same files el_ph_nsigma times: q2r.x asks for them.
    sets = [files for s, files in enumerate(sets) if files[0].smearing or not s]
    return ElectronPhonon(
        dyn.crystal,
        dyn.mesh,
        np.array([files[0].smearing for files in sets]),
        np.array([_matrices(files, dyn) for files in sets]),
        np.array([files[0].density_of_states for files in sets]),
        np.array([files[0].fermi_energy for files in sets]),
    )


def parse_elph(text: str, name: str, atoms: int) -> ElphFile:
    """Return the content of one file of a crystal of ``atoms`` atoms.

    :raises ValueError: if it is damaged or incomplete.
    """
    lines = Lines(text, name)
    smearing, fermi_energy, density = lines.numbers(3)
    (count,) = lines.integers(1)
    qpoints, matrices = read_blocks(lines, atoms)
    if len(qpoints) != count or not lines.done:
        raise lines.error(f'need the matrices of {count} wave vectors, not of {len(qpoints)}: the file is incomplete')
    return ElphFile(name, smearing * RYDBERG, fermi_energy * RYDBERG, density / RYDBERG, qpoints, matrices / BOHR**2)


def write_elph_files(electron_phonon: ElectronPhonon, folder: str = 'elph_dir/') -> dict[str, str]:
    """Return the texts of ``a2Fq2r.S.Q`` by name, in the order of stars of ``write_dyn_files``."""
    crystal, mesh = electron_phonon.crystal, electron_phonon.mesh
    alat = float(np.linalg.norm(crystal.cell[0]))
    cartesian = mesh_points(mesh) @ np.linalg.inv(crystal.cell / alat).T
    texts = {}
    for number, members in enumerate(star_groups(crystal, mesh), 1):
        for s, matrices in enumerate(electron_phonon.matrices):
            header = (
                f'{electron_phonon.smearings[s] / RYDBERG:26.16E}{electron_phonon.fermi_energies[s] / RYDBERG:26.16E}'
                f'{electron_phonon.densities_of_states[s] * RYDBERG:26.16E}\n{len(members):12d}\n'
            )
            blocks = [format_block(cartesian[q], matrices[q] * BOHR**2) for q in members]
            texts[f'{folder}a2Fq2r.{51 + s}.{number}'] = header + ''.join(blocks)
    return texts


def _matrices(files: list[ElphFile], dyn: DynFiles) -> NDArray[np.complex128]:
    parts = []
    for elph, matching in zip(files, dyn.files, strict=True):
        head = [elph.smearing, elph.fermi_energy, elph.density_of_states]
        first = [files[0].smearing, files[0].fermi_energy, files[0].density_of_states]
        if not np.allclose(head, first, rtol=1e-6, atol=0):
            raise ValueError(f'{elph.name} and {files[0].name} differ in broadening, E_F or N(E_F): runs are mixed')
        qpoints = elph.qpoints @ dyn.crystal.cell.T / matching.alat
        try:
            same = set(mesh_index(dyn.mesh, qpoints).tolist()) == set(mesh_index(dyn.mesh, matching.qpoints).tolist())
        except ValueError:
            same = False
        if not same:
            raise ValueError(f'{elph.name} and {matching.name} are for different wave vectors: mixed q sets')
        parts.append((elph.name, qpoints, elph.matrices * BOHR**2))
    full: NDArray[np.complex128] = on_mesh(dyn.mesh, parts) / BOHR**2
    return full
