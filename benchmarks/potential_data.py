"""What ``potential.py`` trains on and tests with: public sets that are read, and a clathrate of Morse bonds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sscha_tasks import with_forces

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.finite_displacements import fit_harmonic, single_displacements
from aiida_clathrate.kernels.mlp.frames import Frames, from_ensemble
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.waves import to_waves, wave_vectors

Floats = NDArray[np.float64]
Evaluate = Callable[[Floats, Floats], tuple[Any, ...]]

#: Mean absolute errors on the test sets of mlearn [meV/atom, eV/Å], as Zuo et al., J. Phys. Chem. A 124, 731 (2020)
#: print them.
PUBLISHED = {
    'Li': {'GAP': (0.49, 0.01), 'MTP': (0.49, 0.01)},
    'Si': {'GAP': (2.91, 0.07), 'MTP': (2.21, 0.06)},
    'Mo': {'GAP': (2.24, 0.09), 'MTP': (2.83, 0.09)},
}
#: Supercell of the graphite ensemble, and the carbon atoms of its cell.
GRAPHITE_MESH = (6, 6, 1)
#: Atoms of one sublattice of the graphite agree within this [fractional].
SAME_SITE = 1e-3
#: Forces of a harmonic crystal are reproduced within this [eV/Å].
EXACT = 1e-6


@dataclass(frozen=True)
class Split:
    """Labelled configurations for training, for stopping and choosing, and for the test.

    :param training: what is fitted.
    :param validation: what decides when to stop; never part of the test.
    :param test: what errors are reported of.
    """

    training: list[Frames]
    validation: list[Frames]
    test: list[Frames]


@dataclass(frozen=True)
class Errors:
    """Errors on a set.

    :param energy_mae, energy_rmse: [meV/atom].
    :param force_mae, force_rmse: of the components [meV/Å].
    """

    energy_mae: float
    energy_rmse: float
    force_mae: float
    force_rmse: float

    @classmethod
    def of(cls, energies: Floats, forces: Floats) -> Errors:
        """Return those of differences: of energies for each atom [eV], and of force components [eV/Å]."""
        return cls(
            *(1e3 * float(np.abs(energies).mean()), 1e3 * float(np.sqrt(np.mean(energies**2)))),
            *(1e3 * float(np.abs(forces).mean()), 1e3 * float(np.sqrt(np.mean(forces**2)))),
        )


def mlearn(folder: Path, element: str, share: float, seed: int) -> Split:
    """Return the set of an element.

    Virials are left out: their order of the shear components is one in silicon and another in molybdenum, as the
    energies of the strained crystals show, and the published comparison is of energies and forces.

    :param folder: of the sets, with ``ELEMENT/training.json`` and ``ELEMENT/test.json``.
    :param share: of the training set that is kept for validation.
    """
    records, test = (json.loads((folder / element / f'{part}.json').read_text()) for part in ('training', 'test'))
    order = np.random.default_rng(seed).permutation(len(records))
    kept = max(round(share * len(records)), 1)
    chosen = ([records[index] for index in part] for part in (order[kept:], order[:kept]))
    return Split(*(grouped(part) for part in (*chosen, test)))


def grouped(records: Sequence[dict[str, Any]]) -> list[Frames]:
    """Return structures of pymatgen with their labels, those of one cell together."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for record in records:
        symbols = tuple(site['species'][0]['element'] for site in record['structure']['sites'])
        key = (symbols, tuple(np.ravel(record['structure']['lattice']['matrix'])))
        groups.setdefault(key, []).append(record)
    return [
        Frames(
            symbols,
            np.reshape(cell, (3, 3)),
            np.array([[site['xyz'] for site in record['structure']['sites']] for record in group]),
            np.array([record['outputs']['energy'] for record in group]),
            np.array([record['outputs']['forces'] for record in group]),
            name=group[0]['description'],
        )
        for (symbols, cell), group in groups.items()
    ]


def graphite(path: Path) -> ForceEnsemble:
    """Return the ensemble of graphite with the matrices that it was drawn from.

    Those are not in the file; the forces of its Gaussian are. One wave vector at a time, Φ(q) is what takes
    displacements to these forces, without an error: there are more configurations than unknowns.

    :raises ValueError: if the forces are not those of a harmonic crystal.
    """
    with np.load(path, allow_pickle=False) as file:
        data = dict(file)
    centroids = data['positions'].mean(axis=0)
    cell = data['cell'] / np.array(GRAPHITE_MESH)[:, None]
    crystal, order = unfold(centroids, cell, GRAPHITE_MESH)
    displacements = (data['positions'] - centroids)[:, order]
    own = data['sscha_forces_eVA'][:, order]
    vectors = wave_vectors(GRAPHITE_MESH)
    waves, forces = (to_waves(field, GRAPHITE_MESH) for field in (displacements, own))
    found = []
    for wave, force in zip(waves, forces, strict=True):
        matrix = -np.linalg.lstsq(wave, force, rcond=1e-9)[0].T
        if np.abs(wave @ matrix.T + force).max() > EXACT:
            raise ValueError(f'{path}: the forces of its Gaussian are not harmonic')
        found.append(0.5 * (matrix + matrix.conj().T))
    matrices = DynamicalMatrices(crystal, GRAPHITE_MESH, vectors.extend(np.array(found)), level='sscha')
    return ForceEnsemble(
        matrices, 0.0, displacements, data['energies_eV'], data['forces_eVA'][:, order], source=path.name
    )  # fmt: skip


def unfold(positions: Floats, cell: Floats, mesh: tuple[int, int, int]) -> tuple[Crystal, NDArray[np.int64]]:
    """Return the crystal of carbon whose supercell has these atoms, and which atom is where in its order."""
    fractional = positions @ np.linalg.inv(cell)
    sites: list[Floats] = []
    order = np.full(len(positions), -1)
    atoms = len(positions) // int(np.prod(mesh))
    for index, point in enumerate(fractional):
        offsets = [point - site for site in sites]
        which = next((k for k, d in enumerate(offsets) if np.abs(d - np.round(d)).max() < SAME_SITE), len(sites))
        if which == len(sites):
            sites.append(point)
        number = np.ravel_multi_index(tuple(np.round(point - sites[which]).astype(int) % mesh), mesh)
        order[number * atoms + which] = index
    if len(sites) != atoms or (order < 0).any():
        raise ValueError(f'the atoms are no supercell {"×".join(map(str, mesh))} of a smaller cell')
    return Crystal(cell, ('C',) * atoms, np.array(sites), np.full(atoms, 12.011)), order


def pairs(ensemble: ForceEnsemble, chosen: NDArray[np.int64], name: str) -> list[Frames]:
    """Return both members of some pairs ±u of an ensemble."""
    return [from_ensemble(ensemble, np.sort(np.concatenate([2 * chosen, 2 * chosen + 1])), name)]


def split_pairs(ensemble: ForceEnsemble, order: NDArray[np.int64], number: int, validation: int) -> Split:
    """Return the first pairs, in some order, for training, and all others for the test.

    :param order: of the pairs.
    :param number: configurations that are used, all together.
    :param validation: how many of them decide when to stop.
    """
    kept, used = validation // 2, number // 2
    parts = {'validation': order[:kept], 'training': order[kept:used], 'test': order[used:]}
    return Split(**{name: pairs(ensemble, chosen, name) for name, chosen in parts.items()})


def by_energy(ensemble: ForceEnsemble, seed: int) -> NDArray[np.int64]:
    """Return pairs in such an order that those of low energy come first; in each half at random."""
    assert ensemble.energies is not None
    order = np.argsort(ensemble.energies.reshape(-1, 2).mean(axis=1))
    generator = np.random.default_rng(seed)
    return np.concatenate([generator.permutation(half) for half in np.array_split(order, 2)])


def clathrate(cells: tuple[int, int, int]) -> DynamicalMatrices:
    """Return the harmonic matrices of KRbB6C6 with Morse bonds."""
    from morse_clathrate import clathrate_atoms

    crystal = Crystal.from_ase(clathrate_atoms())
    nothing = np.zeros((int(np.prod(cells)), 42, 42), dtype=complex)
    return fit_harmonic(with_forces(single_displacements(DynamicalMatrices(crystal, cells, nothing))))


def population(matrices: DynamicalMatrices, temperature: float, number: int, seed: int) -> ForceEnsemble:
    """Return configurations of KRbB6C6 drawn from the Gaussian of matrices, with labels."""
    return with_forces(sample(matrices, temperature, number, seed))


def predict(evaluate: Evaluate, frames: Frames) -> tuple[Floats, Floats]:
    """Return errors of the energies for each atom, shape (c,) [eV], and of the forces, shape (c, n, 3) [eV/Å]."""
    energies, forces, *_ = evaluate(frames.positions, frames.cell)
    return (energies - frames.energies) / len(frames.symbols), forces - frames.forces


def errors(differences: Sequence[tuple[Floats, Floats]]) -> Errors:
    """Return the errors of several sets together."""
    energies, forces = zip(*differences, strict=True)
    return Errors.of(np.concatenate(energies), np.concatenate([each.ravel() for each in forces]))
