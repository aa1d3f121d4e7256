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
from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dispersion import dispersion
from aiida_clathrate.kernels.files.qe_elph import read_elph_files
from aiida_clathrate.kernels.files.qe_linewidths import check_linewidths, read_linewidths
from aiida_clathrate.kernels.io import KernelError
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
    :param retrieved: folders with the files of ph.x, each with some of the q points; its label ends with the number of
        the first one.

    Exit codes: 310 if the files cannot be used.
    """
    # A run that died may have left half of the files of a q point that another run has finished.
    texts = read_texts(retrieved[label] for label in sorted(retrieved, key=first_qpoint))
    mesh = tuple(qpoints.get_kpoints_mesh()[0])
    try:
        return read_phonons(texts, Crystal.from_ase(structure.get_ase()), mesh, pressure.value, coupled.value)
    except (ValueError, KernelError) as error:
        return ExitCode(UNREADABLE, str(error))


def read_phonons(texts, crystal, mesh, pressure, coupled):
    """Return the nodes of ``collect_phonons`` from the contents of the files by name."""
    files = parse_matrices(texts)
    matrices = files.matrices(pressure=pressure)
    if matrices.mesh != mesh:
        raise ValueError(f'the files are of the q mesh {matrices.mesh}, not of the one asked for, {mesh}')
    if not matrices.crystal.same_lattice(crystal, 1e-4):
        raise ValueError('the files are of another crystal than the structure')
    # The files print the crystal with fewer digits than the node holds.
    constrained = impose_constraints(replace(matrices, crystal=crystal))
    violations = {'symmetry': asdict(constrained.symmetry), 'sum_rule': asdict(constrained.sum_rule)}
    results = {'dynamical_matrices': DynamicalMatrixData.from_kernel(constrained.matrices)}
    if coupled:
        coupling = read_elph_files(texts, files)
        symmetric = project(crystal, mesh, coupling.matrices)
        change = abs(symmetric - coupling.matrices).max() / abs(symmetric).max()
        violations['symmetry']['electron_phonon_relative'] = float(change)
        violations['linewidths'] = compare_linewidths(texts, files, coupling, constrained.matrices)
        coupling = replace(coupling, crystal=crystal, matrices=symmetric)
        results['electron_phonon'] = ElectronPhononData.from_kernel(coupling)
    return results | {'violations': orm.Dict(violations)}


def first_qpoint(label):
    """Return the number at the end of a label such as ``qpoints_3``."""
    return int(label.rpartition('_')[2])


def compare_linewidths(texts, files, coupling, matrices):
    """Compare γ from G and Φ with the tables of ph.x, where both exist.

    :return: ``largest_deviation`` [meV], or ``None`` where nothing could be compared; ``compared`` files; ``skipped``
        ones, with stars for numbers too large for the table.
    :raises KernelError: if they deviate by more than the digits of the table.
    """
    printed, skipped = [], []
    for name, text in texts.items():
        if name.startswith('elph.inp_lambda.'):
            try:
                printed.append(read_linewidths(text, name))
            except ValueError:
                skipped.append(name)
    try:
        couplings = mode_couplings(coupling, matrices)
    except KernelError as error:
        if error.label != 'ERROR_IMAGINARY_FREQUENCIES':
            raise
        printed, skipped = [], skipped + [one.name for one in printed]  # an unstable crystal has no linewidths
    deviation = check_linewidths(couplings, printed, files) if printed else None
    return {'largest_deviation': deviation, 'compared': len(printed), 'skipped': sorted(skipped)}


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
