"""The whole of an SSCHA in plain Python: aluminium at 300 K with the potential EMT of ASE."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_clathrate.kernels.calculators import AseEvaluator
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dispersion import band_path, dispersion
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_points
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.figures.dispersion import MeasuredModes, draw_dispersion
from aiida_clathrate.kernels.figures.minimisation import draw_minimisation
from aiida_clathrate.kernels.finite_displacements import fit_harmonic, single_displacements
from aiida_clathrate.kernels.sscha.hessian import hessian
from aiida_clathrate.kernels.sscha.hessian_settings import HessianSettings
from aiida_clathrate.kernels.sscha.minimisation import minimise
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.start import positive_start

TEMPERATURE, MESH = 300.0, (2, 2, 2)
crystal = Crystal.from_ase(bulk('Al'))
supercell = supercell_crystal(crystal, MESH)
emt = AseEvaluator(EMT(), list(supercell.symbols), stress=False)


def computed(population):
    """Return a population with its forces."""
    energies, forces, _ = emt.evaluate(population.positions, supercell.cell)
    return replace(population, energies=energies, forces=forces, source='ase.emt')


unknown = DynamicalMatrices(crystal, MESH, np.zeros((8, 3, 3), dtype=complex))
harmonic = fit_harmonic(computed(single_displacements(unknown)))
matrices, traces, sizes = positive_start(harmonic, MESH, TEMPERATURE).matrices, [], (20, 40, 80)
for seed, size in enumerate(sizes, start=1):
    minimum = minimise(computed(sample(matrices, TEMPERATURE, size, seed)))
    matrices, traces = minimum.matrices, [*traces, minimum.trace]
    energy, error = minimum.trace.free_energy[-1], minimum.trace.free_energy_error[-1]
    print(f'{size} configurations: {minimum.reason}, F = {energy:.5f} ± {error:.5f} eV')

result = hessian(computed(sample(matrices, TEMPERATURE, 200, seed=0)), settings=HessianSettings(blocks=20))
print(f'highest frequency {harmonic.modes[0].max():.2f} meV, anharmonic {result.frequencies.max():.2f} meV')

path, measured = band_path(crystal), MeasuredModes(mesh_points(MESH), result.frequencies, result.frequency_errors)
lines = dispersion(result.matrices, path=path), dispersion(harmonic, path=path)
draw_dispersion(*lines, measured=measured).save(Path('dispersion.pdf'))
draw_minimisation(traces, sizes).save(Path('minimisation.pdf'))
