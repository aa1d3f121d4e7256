"""Dynamical matrices, coupling and what follows from them, from the files of ph.x, with provenance."""

from __future__ import annotations

from dataclasses import asdict, replace

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_clathrate.calculations.phonon_files import parse_matrices, read_texts
from aiida_clathrate.data.dispersion import dispersion_to_bands
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.electron_phonon import ElectronPhononData
from aiida_clathrate.data.phonon_dos import dos_to_array
from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dispersion import dispersion
from aiida_clathrate.kernels.files.qe_elph import read_elph_files
from aiida_clathrate.kernels.phonon_dos import phonon_dos
from aiida_clathrate.kernels.stability import stability
from aiida_clathrate.kernels.symmetry import project

UNREADABLE, UNUSABLE = 310, 311


@calcfunction
def collect_phonons(structure, pressure, qpoints, coupled, **retrieved):
    """Return Φ(q) and G(q) with the symmetry of the crystal and the sum rule, and how far they were from them.

    :param structure: crystal of the calculation.
    :param pressure: of the crystal [GPa].
    :param qpoints: mesh that was asked for.
    :param coupled: whether there are files of G(q).
    :param retrieved: folders with the files of ph.x, each with some of the q points.
    """
    crystal = Crystal.from_ase(structure.get_ase())
    texts = read_texts(retrieved.values())
    try:
        files = parse_matrices(texts)
        matrices = files.matrices(pressure=pressure.value)
        coupling = read_elph_files(texts, files) if coupled.value else None
    except ValueError as error:
        return ExitCode(UNREADABLE, str(error))
    if matrices.mesh != tuple(qpoints.get_kpoints_mesh()[0]):
        return ExitCode(UNREADABLE, f'the files are of the q mesh {matrices.mesh}, not of the one asked for')
    if not matrices.crystal.same_lattice(crystal, 1e-4):
        return ExitCode(UNREADABLE, 'the files are of another crystal than the structure')
    # The files print the crystal with fewer digits than the node holds.
    constrained = impose_constraints(replace(matrices, crystal=crystal))
    violations = {'symmetry': asdict(constrained.symmetry), 'sum_rule': asdict(constrained.sum_rule)}
    results = {'dynamical_matrices': DynamicalMatrixData.from_kernel(constrained.matrices)}
    if coupling is not None:
        symmetric = project(crystal, coupling.mesh, coupling.matrices)
        change = abs(symmetric - coupling.matrices).max() / abs(symmetric).max()
        violations['symmetry']['electron_phonon_relative'] = float(change)
        results['electron_phonon'] = ElectronPhononData.from_kernel(
            replace(coupling, crystal=crystal, matrices=symmetric)
        )
    return results | {'violations': orm.Dict(violations)}


@calcfunction
def analyse_phonons(dynamical_matrices, settings):
    """Return dispersion, density of states and stability verdict of dynamical matrices of any level.

    :param dynamical_matrices: ``DynamicalMatrixData``.
    :param settings: ``soft_acoustic_tolerance`` [meV] and ``dos_step`` [meV], both optional.
    """
    matrices, settings = dynamical_matrices.to_kernel(), settings.get_dict()
    tolerance = {'tolerance': settings['soft_acoustic_tolerance']} if 'soft_acoustic_tolerance' in settings else {}
    step = {'step': settings['dos_step']} if 'dos_step' in settings else {}
    try:
        path, dos, verdict = dispersion(matrices), phonon_dos(matrices, **step), stability(matrices, **tolerance)
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))
    return {
        'dispersion': dispersion_to_bands(path, matrices.crystal.cell),
        'phonon_dos': dos_to_array(dos),
        'stability': orm.Dict(verdict.to_dict()),
    }
