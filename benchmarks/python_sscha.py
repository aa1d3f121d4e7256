"""python-sscha on data of ours: what our own kernels are compared with and timed against.

    python benchmarks/python_sscha.py TASK INPUT.npz OUTPUT.npz

The only file of the project that imports python-sscha and CellConstructor, which are under the GPL. It runs in a
process of its own, with an interpreter that has them and no AiiDA; callers take its path from the environment variable
``PYTHON_SSCHA``. Tested with version 1.6.2 of both, without Julia.

Arrays of the input, in the units and conventions of the package:

- ``cell`` (3, 3) [Å], ``symbols`` (n,), ``positions`` (n, 3) [fractional], ``masses`` (n,) [amu];
- ``mesh`` (3,), ``force_constants`` (q, 3n, 3n) [eV/Å²]: the matrices Φ that the configurations were drawn from;
- ``temperature`` [K];
- ``displacements`` (N, m, 3) [Å], from ``positions``; ``energies`` (N,) [eV per supercell]; ``forces`` (N, m, 3)
  [eV/Å]; ``stresses`` (N, 3, 3) [GPa], positive under compression. The supercell is in the order of ``Atoms.repeat``;
- ``new_force_constants`` and ``new_positions``, where given: Φ' and R' at which averages are taken, by re-weighting.

Tasks, what they read besides and what they write:

- ``generate``: ``configurations``, ``seed`` → ``displacements``;
- ``evaluate``: the ensemble, Φ', R' → ``weights`` (N,), ``effective`` (Kong and Liu), ``free_energy`` and
  ``free_energy_error`` [eV per cell], ``gradient`` (q, 3n, 3n) [eV/Å²], the preconditioned ⟨Υ u (f − f_sscha)⟩ with
  symmetry and sum rule imposed, with python-sscha's sign: Φ' − gradient is the next Φ'; ``gradient_error`` [eV/Å²], its
  norm; ``mean_forces`` (n, 3) [eV/Å], of f − f_sscha, with symmetry; ``stress``, ``stress_error`` (3, 3) [GPa],
  positive under compression, with symmetry;
- ``minimise``: ``step``, ``meaningful_factor``, ``threshold`` [Ry/bohr²], ``kong_liu_ratio``, ``largest_number`` of
  evaluations (−1: any) → ``force_constants``, ``positions``, ``free_energy``, ``free_energy_error``, ``effective``,
  ``evaluations``, ``accepted``, ``converged``;
- ``hessian``: ``fourth`` (bool), the ensemble, Φ', R' → ``force_constants``;
- ``interpolate``: ``harmonic``, on the same mesh, ``fine_mesh``, ``fine_harmonic`` → ``force_constants``, fine;
- ``save``: ``population`` → folders ``bin`` and ``text`` and files ``extxyz.xyz`` and ``enhanced.xyz`` beside OUTPUT.

Every task also writes ``seconds``, the time of the task with the conversion to python-sscha's objects, and those of its
steps without, ``seconds_STEP``; the same of the processor, of all threads together, which hardly depends on what else
runs, ``processor_seconds…``; ``peak_memory`` of the process [byte]; ``version``. For timings: ``seconds_generate``;
one gradient is ``seconds_weights`` + ``seconds_gradient`` + ``seconds_symmetry`` of ``evaluate``; one evaluation in the
course of a minimisation, with all that python-sscha does beside, ``seconds_run`` / ``evaluations`` of ``minimise``;
``seconds_interpolate``; of ``seconds_hessian`` the step ``seconds_average`` is proportional to N, ``seconds_symmetry``
and ``seconds_correction`` do not depend on it. Set ``OMP_NUM_THREADS`` for the process.

python-sscha 1.6.2 has two Boltzmann constants: the normalisation of the weights, the free energy and the Hessian have
that of CODATA, Υ and the gradient one that is 5·10⁻⁴ larger. At T > 0 its weights therefore are not normalised. Here
both are set to ours, as are the Rydberg, the Bohr radius and the unit of mass: what is left is rounding.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

os.environ['SSCHA_JULIA_BACKEND'] = 'none'
# ``sscha.py`` beside this file is another one than the package.
sys.path.pop(0)
import cellconstructor
import cellconstructor.Phonons
import cellconstructor.Structure
import cellconstructor.symmetries
import cellconstructor.Timer
import cellconstructor.Units
import SCHAModules
import sscha.Ensemble
import sscha.SchaMinimizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from aiida_clathrate.kernels.crystal import Crystal, supercell_indices
from aiida_clathrate.kernels.dynamical_matrix import mesh_index, mesh_points
from aiida_clathrate.kernels.units import (
    AMU_PER_RYDBERG_MASS,
    BOHR,
    FORCE_CONSTANT_PER_RYDBERG,
    GPA_PER_EV_ANGSTROM3,
    KELVIN_PER_MEV,
    MEV_PER_RYDBERG,
    RYDBERG,
)

#: Constants of python-sscha 1.6.2: bohr per Å; Hartree per K in ``w_to_a`` and the Hessian; Rydberg per K in Υ.
THEIR_BOHR_PER_ANGSTROM = 1.889725989
THEIR_HARTREE_PER_KELVIN = 1 / 315774.65221921849
THEIR_RYDBERG_PER_KELVIN_IN_UPSILON = 6.336857346553283e-06
#: Å to the length unit of python-sscha, such that the length in bohr is the same.
LENGTH = 1 / (BOHR * THEIR_BOHR_PER_ANGSTROM)
#: GPa to Ry/bohr³ and eV/Å to Ry per length unit of python-sscha.
STRESS, FORCE = BOHR**3 / RYDBERG / GPA_PER_EV_ANGSTROM3, 1 / (RYDBERG * LENGTH)


class Steps(dict):
    """Times of a task and of its steps, by the clock and of the processor [s]."""

    @contextmanager
    def __call__(self, suffix=''):
        """Record the times of the block."""
        clock, processor = time.perf_counter(), time.process_time()
        yield
        self[f'seconds{suffix}'] = time.perf_counter() - clock
        self[f'processor_seconds{suffix}'] = time.process_time() - processor


def kelvin(temperature):
    """Return the temperature at which python-sscha has our k_B T in the normalisation and the Hessian."""
    return float(temperature) / KELVIN_PER_MEV / MEV_PER_RYDBERG / 2 / THEIR_HARTREE_PER_KELVIN


def one_boltzmann_constant():
    """Make python-sscha use the constant of the Hessian everywhere."""
    upsilon = 2 * THEIR_HARTREE_PER_KELVIN / THEIR_RYDBERG_PER_KELVIN_IN_UPSILON
    harmonic = 2 * THEIR_HARTREE_PER_KELVIN / (cellconstructor.Units.K_B / cellconstructor.Units.RY_TO_EV)

    def scaled(function, position, factor):
        def call(*arguments, **keywords):
            changed = list(arguments)
            changed[position] = changed[position] * factor
            return function(*changed, **keywords)

        return call

    phonons = cellconstructor.Phonons.Phonons
    phonons.GetUpsilonMatrix = scaled(phonons.GetUpsilonMatrix, 1, upsilon)
    phonons.ExtractRandomStructures = scaled(phonons.ExtractRandomStructures, 2, upsilon)
    phonons.GetHarmonicFreeEnergy = scaled(phonons.GetHarmonicFreeEnergy, 1, harmonic)
    SCHAModules.get_gradient_supercell_new = scaled(SCHAModules.get_gradient_supercell_new, 6, upsilon)


def to_phonons(data, force_constants, positions, mesh=None):
    """Return matrices of ours as CellConstructor's, sorted into stars."""
    mesh = tuple(int(x) for x in (data['mesh'] if mesh is None else mesh))
    structure = cellconstructor.Structure.Structure()
    structure.N_atoms, structure.atoms = len(data['symbols']), [str(symbol) for symbol in data['symbols']]
    structure.unit_cell, structure.has_unit_cell = data['cell'] * LENGTH, True
    structure.coords = positions @ structure.unit_cell
    masses = set(zip(structure.atoms, data['masses'] / AMU_PER_RYDBERG_MASS, strict=True))
    structure.masses = dict(masses)
    if len(masses) > len(structure.masses):
        raise ValueError('masses: python-sscha has one for each element; isotopes are beyond it')
    qpoints = mesh_points(mesh)
    cartesian = (qpoints - np.round(qpoints)) @ np.linalg.inv(structure.unit_cell).T
    phonons = cellconstructor.Phonons.Phonons(structure, len(qpoints))
    phonons.dynmats = list(force_constants / FORCE_CONSTANT_PER_RYDBERG)
    phonons.q_tot = list(cartesian)
    phonons.q_stars = [[q] for q in cartesian]
    phonons.AdjustQStar()
    return phonons


def from_phonons(phonons):
    """Return the matrices on the whole mesh in our order [eV/Å²]."""
    return reordered(phonons, np.array(phonons.dynmats) * FORCE_CONSTANT_PER_RYDBERG)


def reordered(phonons, matrices):
    """Return matrices in the order of ``phonons`` in ours."""
    mesh = tuple(int(x) for x in phonons.GetSupercell())
    ours = np.empty(matrices.shape, dtype=complex)
    ours[mesh_index(mesh, np.array(phonons.q_tot) @ phonons.structure.unit_cell.T)] = matrices
    return ours


def order(phonons):
    """Return for each atom of CellConstructor's supercell its number in ours."""
    mesh = tuple(int(x) for x in phonons.GetSupercell())
    supercell, which = phonons.structure.generate_supercell(mesh, get_itau=True)
    offsets = (supercell.coords - phonons.structure.coords[which]) @ np.linalg.inv(phonons.structure.unit_cell)
    cells = np.ravel_multi_index(tuple(np.round(offsets).astype(int).T), mesh)
    assert np.array_equal(supercell_indices(mesh)[cells], np.round(offsets))
    return cells * phonons.structure.N_atoms + which


def to_ensemble(data):
    """Return the ensemble at the matrices that it was drawn from."""
    phonons = to_phonons(data, data['force_constants'], data['positions'])
    ensemble = sscha.Ensemble.Ensemble(phonons, kelvin(data['temperature']))
    ours = order(phonons)
    supercell = ensemble.supercell_structure
    structures = []
    for displacement in data['displacements']:
        structure = supercell.copy()
        structure.coords = supercell.coords + displacement[ours] * LENGTH
        structures.append(structure)
    ensemble.init_from_structures(structures)
    ensemble.energies[:] = data['energies'] / RYDBERG
    ensemble.forces[:] = data['forces'][:, ours] * FORCE
    ensemble.stresses[:] = data['stresses'] * STRESS
    ensemble.force_computed[:] = ensemble.stress_computed[:] = ensemble.has_stress = True
    ensemble.init()
    return ensemble


def reweighted(data, steps):
    """Return the ensemble with the weights of Φ' and R', where they are given."""
    ensemble = to_ensemble(data)
    if 'new_force_constants' in data:
        target = to_phonons(data, data['new_force_constants'], data['new_positions'])
        with steps('_weights'):
            ensemble.update_weights(target, ensemble.T0)
    return ensemble


def generate(data, steps, folder):
    """Draw configurations in pairs u, −u."""
    phonons = to_phonons(data, data['force_constants'], data['positions'])
    ensemble = sscha.Ensemble.Ensemble(phonons, kelvin(data['temperature']))
    np.random.seed(int(data['seed']))  # noqa: NPY002 — the generator that it uses
    with steps('_generate'):
        ensemble.generate(int(data['configurations']))
    displacements = np.empty((ensemble.N, ensemble.supercell_structure.N_atoms, 3))
    displacements[:, order(phonons)] = (ensemble.xats - ensemble.supercell_structure.coords) / LENGTH
    return {'displacements': displacements}


def evaluate(data, steps, folder):
    """Take the averages of one step of the minimisation."""
    ensemble = reweighted(data, steps)
    phonons = ensemble.current_dyn
    cells = len(phonons.q_tot)
    symmetry = cellconstructor.symmetries.QE_Symmetry(phonons.structure)
    with steps('_gradient'):
        gradient, error = ensemble.get_preconditioned_gradient_parallel(True, True, preconditioned=1)
    symmetry.SetupQPoint()
    with steps('_symmetry'):
        gradient = np.array(gradient, dtype=complex)
        symmetry.SymmetrizeFCQ(gradient, phonons.q_stars, asr='custom')
    error = np.linalg.norm(error) / np.sqrt(symmetry.QE_nsym * cells)
    symmetry.SetupQPoint()
    forces = ensemble.get_average_forces(False)
    symmetry.SymmetrizeVector(forces)
    free_energy, free_energy_error = ensemble.get_free_energy(return_error=True)
    stress, stress_error = ensemble.get_stress_tensor()
    return {
        'weights': ensemble.rho,
        'effective': ensemble.get_effective_sample_size(),
        'free_energy': free_energy * RYDBERG / cells,
        'free_energy_error': free_energy_error * RYDBERG / cells,
        'gradient': reordered(phonons, gradient) * FORCE_CONSTANT_PER_RYDBERG,
        'gradient_error': error * FORCE_CONSTANT_PER_RYDBERG,
        'mean_forces': forces / FORCE,
        'stress': stress / STRESS,
        'stress_error': stress_error / STRESS,
    }


def minimise(data, steps, folder):
    """Minimise the free energy on the ensemble as it is."""
    ensemble = to_ensemble(data)
    minimiser = sscha.SchaMinimizer.SSCHA_Minimizer(
        ensemble,
        kong_liu_ratio=float(data['kong_liu_ratio']),
        meaningful_factor=float(data['meaningful_factor']),
        abs_conv_thr=float(data['threshold']),
        max_ka=int(data['largest_number']),
    )
    minimiser.set_minimization_step(float(data['step']))
    with steps('_init'):
        minimiser.init()
    with steps('_run'):
        minimiser.run(verbose=0)
    free_energy, error = minimiser.get_free_energy(True)
    structure = minimiser.dyn.structure
    return {
        'force_constants': from_phonons(minimiser.dyn),
        'positions': structure.coords @ np.linalg.inv(structure.unit_cell),
        'free_energy': free_energy * RYDBERG,
        'free_energy_error': error * RYDBERG,
        'effective': ensemble.get_effective_sample_size(),
        'evaluations': len(minimiser.__gc__),
        'accepted': len(minimiser.__good_kasteps__),
        'converged': minimiser.is_converged(),
    }


def hessian(data, steps, folder):
    """Return the Hessian of the free energy."""
    ensemble = reweighted(data, steps)
    timer = cellconstructor.Timer.Timer(active=True)
    with steps('_hessian'):
        result = ensemble.get_free_energy_hessian(include_v4=bool(data['fourth']), use_symmetries=True, timer=timer)
    # Its timer knows the clock only, and has no name for the correction.
    clock, busy = steps['seconds_hessian'], steps['processor_seconds_hessian'] / steps['seconds_hessian']
    average, symmetry = (
        sum(entry['time'] for name, entry in timer.timed_subroutines.items() if part in name)
        for part in ('get_v', 'ApplySymmetry')
    )
    for part, seconds in (('average', average), ('symmetry', symmetry), ('correction', clock - average - symmetry)):
        steps |= {f'seconds_{part}': seconds, f'processor_seconds_{part}': busy * seconds}
    return {'force_constants': from_phonons(result)}


def interpolate(data, steps, folder):
    """Interpolate Φ minus the harmonic matrices and add the harmonic matrices of the fine mesh."""
    anharmonic = to_phonons(data, data['force_constants'], data['positions'])
    harmonic = to_phonons(data, data['harmonic'], data['positions'])
    fine = to_phonons(data, data['fine_harmonic'], data['positions'], data['fine_mesh'])
    meshes = [[int(x) for x in mesh] for mesh in (data['mesh'], data['fine_mesh'])]
    with steps('_interpolate'):
        result = anharmonic.Interpolate(*meshes, harmonic, fine)
    return {'force_constants': from_phonons(result)}


def save(data, steps, folder):
    """Write the ensemble in the formats of python-sscha, where an Å is an Å."""
    population = int(data['population'])
    scaled = {'cell': data['cell'] / LENGTH, 'displacements': data['displacements'] / LENGTH}
    ensemble = to_ensemble(data | scaled | {'forces': data['forces'] * LENGTH})
    with steps('_save_bin'):
        ensemble.save_bin(str(folder / 'bin'), population)
    ensemble.save(str(folder / 'text'), population)
    # ``save`` leaves the matrices in the working directory.
    for path in Path.cwd().glob('dyn_*'):
        path.rename(folder / 'text' / path.name)
    ensemble.save_enhanced_xyz(str(folder / 'enhanced.xyz'), append_mode=False)
    ensemble.save_extxyz(str(folder / 'extxyz.xyz'), append_mode=False)
    return {}


TASKS: dict[str, Callable] = {
    task.__name__: task for task in (generate, evaluate, minimise, hessian, interpolate, save)
}


def main(task, source, target):
    """Run a task in a directory of its own; what Fortran prints goes to a file there, and is lost."""
    source, target = Path(source).resolve(), Path(target).resolve()
    with np.load(source, allow_pickle=False) as file:
        data = dict(file)
    Crystal(data['cell'], tuple(data['symbols'].tolist()), data['positions'], data['masses'])
    with tempfile.TemporaryDirectory() as scratch, Path(scratch, 'stdout').open('w') as log:
        os.chdir(scratch)
        os.dup2(log.fileno(), 1)
        one_boltzmann_constant()
        steps = Steps()
        with steps():
            results = TASKS[task](data, steps, target.parent)
        os.chdir(target.parent)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    np.savez(target, peak_memory=peak, version=version('python-sscha'), **steps, **results)


if __name__ == '__main__':
    main(*sys.argv[1:])
