"""Recompute the numbers of an archive, without Quantum ESPRESSO and without importing the archive anywhere.

    python examples/recompute_archive.py examples/archives/hydrogen.aiida

From G(q) and Φ(q) to α²F, from α²F to T_c; from a trained potential the forces on its populations; from populations
the Hessian of the free energy. The numbers must be those that the archive holds.
"""

import sys
from pathlib import Path

import numpy as np
from aiida import orm, profile_context
from aiida.storage.sqlite_zip import SqliteZipBackend
from rich.console import Console

from aiida_clathrate.data.superconductivity import SuperconductivityData
from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.eliashberg import run
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator
from aiida_clathrate.kernels.sscha.hessian import hessian
from aiida_clathrate.kernels.sscha.hessian_settings import HessianSettings

#: So many configurations of each population are evaluated again.
CONFIGURATIONS = 100


def opened(archive: Path):
    """Return a context in which the nodes of an archive can be read."""
    return profile_context(SqliteZipBackend.create_profile(str(archive)), allow_switch=True)


def calculations(entry_point: str):
    """Return the calculations of a kind that ended well."""
    filters = {
        'process_type': f'aiida.calculations:{entry_point}', 'attributes.exit_status': 0,
    }  # fmt: skip
    return orm.QueryBuilder().append(orm.CalcJobNode, filters=filters).all(flat=True)


def reevaluate(archive: Path):
    """Yield formula, number of configurations and largest difference of a force [eV/Å] for each use of a potential."""
    with opened(archive):
        for node in calculations('clathrate.evaluate_potential'):
            stored = node.outputs.ensemble.to_kernel()
            symbols = supercell_crystal(stored.crystal, stored.mesh)
            chosen = slice(0, CONFIGURATIONS)
            evaluator = PotentialEvaluator(node.inputs.potential.to_kernel(), symbols.symbols)
            forces = evaluator.evaluate(stored.positions[chosen], symbols.cell)[1]
            yield stored.crystal.formula, len(stored), np.abs(forces - stored.forces[chosen]).max()


def recompute_hessians(archive: Path):
    """Yield formula, number of configurations and largest difference of an element [eV/Å²] for each Hessian."""
    with opened(archive):
        for node in calculations('clathrate.sscha_hessian'):
            ensemble = node.inputs.ensemble.to_kernel()
            found = hessian(ensemble, settings=HessianSettings.from_scalars(node.inputs.parameters.get_dict()))
            stored = node.outputs.hessian.to_kernel().force_constants
            difference = np.abs(found.matrices.force_constants - stored).max()
            yield ensemble.crystal.formula, len(ensemble), difference


def recompute(archive: Path):
    """Yield formula, μ*, stored and recomputed T_c [K] of every result in an archive."""
    with opened(archive):
        for node in orm.QueryBuilder().append(SuperconductivityData).all(flat=True):
            stored = node.to_kernel()
            inputs = node.creator.inputs
            origin = inputs.spectral_function.creator.inputs
            couplings = mode_couplings(
                origin.electron_phonon.to_kernel(),
                origin.dynamical_matrices.to_kernel(),
                **origin.settings.get_dict(),
            )
            arrays = {name: getattr(couplings, name) for name in ('frequencies', 'weights', 'couplings', 'smearings')}
            results, _ = run(inputs.parameters.get_dict(), arrays)
            formula = node.base.attributes.get('formula')
            temperatures = results['critical_temperature']['rescaled']
            for mu_star, before, after in zip(stored.mu_star, stored.rescaled, temperatures, strict=True):
                yield formula, mu_star, before, after


if __name__ == '__main__':
    console = Console()
    for formula, mu_star, before, after in recompute(Path(sys.argv[1])):
        console.print(f'{formula}  μ* = {mu_star:.2f}:  stored {before:.9f} K, recomputed {after:.9f} K')
    for formula, number, difference in reevaluate(Path(sys.argv[1])):
        console.print(f'{formula}  forces on {number} configurations by the potential: differ by {difference:.1e} eV/Å')
    for formula, number, difference in recompute_hessians(Path(sys.argv[1])):
        console.print(f'{formula}  Hessian of {number} configurations: differs by {difference:.1e} eV/Å²')
