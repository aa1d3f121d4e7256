"""Recompute T_c from an archive, without Quantum ESPRESSO and without importing the archive anywhere.

    python examples/recompute_archive.py examples/archives/hydrogen.aiida

From G(q) and Φ(q) to α²F, from α²F to T_c: the numbers must be those that the archive holds.
"""

import sys
from pathlib import Path

from aiida import orm, profile_context
from aiida.storage.sqlite_zip import SqliteZipBackend
from rich.console import Console

from aiida_clathrate.data.superconductivity import SuperconductivityData
from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.eliashberg import run


def recompute(archive: Path):
    """Yield formula, μ*, stored and recomputed T_c [K] of every result in an archive."""
    with profile_context(SqliteZipBackend.create_profile(str(archive)), allow_switch=True):
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
