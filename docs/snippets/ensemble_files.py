"""Draw configurations, let an ASE calculator label them as a file, and read the ensemble back."""

from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.files.extxyz_ensembles import read_extxyz, write_extxyz
from aiida_clathrate.kernels.sscha.sampling import sample

# Every atom on a spring of its own, 5 eV/Å²; in earnest the matrices are those of a node.
springs = np.tile(5.0 * np.eye(3, dtype=complex), (8, 1, 1))
matrices = DynamicalMatrices(Crystal.from_ase(bulk('Al')), (2, 2, 2), springs, 'sscha')
Path('drawn.xyz').write_text(write_extxyz(sample(matrices, temperature=300.0, number=10, seed=1)))

configurations = read('drawn.xyz', index=':')
for atoms in configurations:
    atoms.calc = EMT()
    atoms.get_forces()
    atoms.get_stress()
write('labelled.xyz', configurations)

ensemble = read_extxyz(Path('labelled.xyz'), matrices, temperature=300.0, source='ase.emt')
pressure = np.trace(ensemble.stresses, axis1=1, axis2=2).mean() / 3
print(f'{len(ensemble)} configurations, {ensemble.energies.mean():.3f} eV and {pressure:.2f} GPa on average')
