"""A potential in plain Python: aluminium, with labels by the potential EMT of ASE in place of pw.x."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_clathrate.kernels.calculators import AseEvaluator
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.figures.potential import Agreement, draw_potential
from aiida_clathrate.kernels.finite_displacements import fit_harmonic, single_displacements
from aiida_clathrate.kernels.mlp import potential_files
from aiida_clathrate.kernels.mlp.architecture import Architecture
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator
from aiida_clathrate.kernels.mlp.frames import from_ensemble
from aiida_clathrate.kernels.mlp.training import train
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings
from aiida_clathrate.kernels.mlp.validation import force_errors, root_mean_square
from aiida_clathrate.kernels.sscha.sampling import sample

MESH = (2, 2, 2)
crystal = Crystal.from_ase(bulk('Al', cubic=True))
supercell = supercell_crystal(crystal, MESH)
emt = AseEvaluator(EMT(), list(supercell.symbols), stress=False)


def labelled(population):
    """Return a population with its energies and forces."""
    energies, forces, _ = emt.evaluate(population.positions, supercell.cell)
    return replace(population, energies=energies, forces=forces, source='ase.emt')


unknown = DynamicalMatrices(crystal, MESH, np.zeros((8, 12, 12), dtype=complex))
matrices = fit_harmonic(labelled(single_displacements(unknown)))
ensemble = labelled(sample(matrices, 300.0, 48, seed=1))
held_out = from_ensemble(ensemble, np.arange(40, 48), 'population')

# The learning curve: what more labels would bring. `auto` would try a network as well, in minutes.
architecture, settings = Architecture(), TrainingSettings(model='linear')
for number in (10, 20, 40):
    labels = from_ensemble(ensemble, np.arange(number), 'population')
    trained = train([labels], [held_out], architecture, settings)
    errors = trained.validation.parity
    print(f'{number} labels: {errors.energy_rmse:.3f} meV/atom, {errors.force_rmse:.1f} meV/Å')

judged = trained.validation
energies, forces = (judged.energies, judged.predicted_energies), (judged.forces, judged.predicted_forces)
agreement = Agreement(*energies, *forces, judged.force_errors, judged.deviations)
draw_potential(agreement).save(Path('potential.pdf'))

potential_files.save(trained.potential, Path())
potential = PotentialEvaluator(potential_files.load(Path()), supercell.symbols)
for temperature in (300.0, 900.0):
    population = labelled(sample(matrices, temperature, 40, seed=2))
    energies, forces, stresses, deviations = potential.evaluate_scored(population.positions, supercell.cell)
    true, expected = (1e3 * root_mean_square(e) for e in (force_errors(population.forces, forces), deviations))
    print(f'{temperature:.0f} K: expected errors {expected:.1f} meV/Å, true ones {true:.1f} meV/Å')
