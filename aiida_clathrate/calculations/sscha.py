"""The short steps of an SSCHA between its populations, with provenance."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.dynamical_matrix import mesh_index
from aiida_clathrate.kernels.finite_displacements import fit_harmonic, single_displacements
from aiida_clathrate.kernels.fourier import add_difference, restrict
from aiida_clathrate.kernels.sscha.cell import MeasuredCell, next_strain, strained
from aiida_clathrate.kernels.sscha.mode_errors import frequency_deviations
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.start import SOFTEST, positive_start
from aiida_clathrate.kernels.sscha.verdict import (
    InterpolatedMode,
    PopulationEvidence,
    anharmonic_verdict,
    collapsed,
    vanished,
)
from aiida_clathrate.kernels.stability import stability

UNUSABLE = 210
#: What a row of the table of populations holds.
SUMMARY = (
    'configurations', 'effective_configurations', 'reason', 'steps', 'evaluations', 'kong_liu', 'free_energy',
    'free_energy_error', 'gradient', 'gradient_error', 'force', 'force_error', 'smallest_frequency',
    'smallest_frequency_error', 'pressure', 'pressure_error', 'volume', 'warnings',
)  # fmt: skip
#: Results that describe the matrices, which are nodes of their own.
MATRIX_LABELS = {'symbols', 'mesh', 'level', 'matrices_temperature', 'status'}
UNITS = {
    'free_energy': 'eV per primitive cell', 'gradient': 'eV/Å²', 'force': 'eV/Å', 'smallest_frequency': 'meV',
    'pressure': 'GPa', 'volume': 'Å³',
}  # fmt: skip
#: Harmonic matrices from other settings than the forces may differ at wave vectors that both have.
ANY_MISMATCH = np.inf


@calcfunction
def start_sscha(matrices, supercell, temperature, settings):
    """Return auxiliary matrices to start from, and which modes were made positive.

    :param matrices: harmonic ``DynamicalMatrixData``, or auxiliary ones of an earlier run.
    :param supercell: ``List`` of its divisions.
    :param temperature: [K].
    :param settings: ``Dict``; ``softest`` is the least ħω of a mode that was imaginary [meV].

    Exit codes: 210 if the inputs cannot work together.
    """
    try:
        softest = settings.get_dict().get('softest', SOFTEST)
        start = positive_start(matrices.to_kernel(), tuple(supercell), temperature.value, softest)
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))
    changes = [asdict(change) | {'qpoint': list(change.qpoint)} for change in start.changes]
    return {'matrices': DynamicalMatrixData.from_kernel(start.matrices), 'changes': orm.Dict({'modes': changes})}


@calcfunction
def sample_population(matrices, temperature, number, seed, precision):
    """Return configurations drawn from auxiliary matrices.

    :param matrices: ``DynamicalMatrixData`` on the mesh of the supercell.
    :param temperature: [K].
    :param number: of configurations, even.
    :param seed: of the random numbers.
    :param precision: ``double`` or ``single``, of the node.

    Exit codes: 210 if the matrices are not positive.
    """
    try:
        population = sample(matrices.to_kernel(), temperature.value, number.value, seed.value)
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))
    return ForceEnsembleData.from_kernel(population, precision.value)


@calcfunction
def strain_cell(pressure, bulk_modulus, **measured):
    """Return the last matrices in the next cell on the way to a pressure.

    :param pressure: target [GPa].
    :param bulk_modulus: to begin with [GPa].
    :param measured: ``matrices_N`` and ``trace_N`` of the minimisations in the cells so far, by number.

    Exit codes: 210 if the pressure is not known.
    """
    numbers = sorted(int(label.rpartition('_')[2]) for label in measured if label.startswith('matrices'))
    try:
        history = [measured_cell(measured[f'matrices_{n}'], measured[f'trace_{n}']) for n in numbers]
        strain = next_strain(history, pressure.value, bulk_modulus.value)
    except (KeyError, ValueError) as error:
        return ExitCode(UNUSABLE, str(error))
    last = measured[f'matrices_{numbers[-1]}'].to_kernel()
    return DynamicalMatrixData.from_kernel(strained(last, strain))


def measured_cell(matrices, trace):
    """Return a cell with the pressure that a minimisation found in it."""
    return MeasuredCell(
        matrices.to_kernel().crystal.cell, trace.get_array('pressure_tensor'), trace.get_array('pressure_error')
    )


@calcfunction
def displace_atoms(matrices, supercell):
    """Return pairs of displacements of single atoms that fix the harmonic matrices of a supercell.

    :param matrices: ``DynamicalMatrixData`` of the crystal on the mesh of the supercell or a multiple of it.
    :param supercell: ``List`` of its divisions.

    Exit codes: 210 if the supercell does not fit.
    """
    try:
        coarse = restrict(matrices.to_kernel(), tuple(supercell))
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))
    return ForceEnsembleData.from_kernel(single_displacements(coarse))


@calcfunction
def fit_reference(ensemble):
    """Return the harmonic matrices that fit the forces on single displaced atoms.

    Exit codes: 210 if they do not fix all force constants.
    """
    try:
        return DynamicalMatrixData.from_kernel(fit_harmonic(ensemble.to_kernel()))
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))


@calcfunction
def structure_of(matrices, kinds=None):
    """Return the crystal of matrices.

    :param kinds: ``StructureData`` whose atoms, in the same order, have the kinds that these get; one for each element
        by default.
    """
    crystal = matrices.to_kernel().crystal
    if kinds is None:
        return orm.StructureData(ase=crystal.to_ase())
    names = [site.kind_name for site in kinds.sites]
    places = (crystal.positions @ crystal.cell).tolist()
    sites = [{'kind_name': name, 'position': place} for name, place in zip(names, places, strict=True)]
    return orm.StructureData(cell=crystal.cell.tolist(), kinds=[kind.get_raw() for kind in kinds.kinds], sites=sites)


@calcfunction
def summarise_populations(**populations):
    """Return the results of the last minimisation, and a row for each.

    :param populations: ``population_N``, results of the minimisations by number.
    """
    ordered = in_order(populations)
    rows = [{name: row.get(name) for name in SUMMARY} for row in ordered]
    last = {name: value for name, value in ordered[-1].items() if name not in MATRIX_LABELS}
    return orm.Dict(last | {'populations': rows, 'units': UNITS})


def in_order(populations):
    """Return the contents of nodes labelled ``population_N`` by number."""
    labels = sorted(populations, key=lambda label: int(label.rpartition('_')[2]))
    return [populations[label].get_dict() for label in labels]


@calcfunction
def interpolate_difference(fine, anharmonic, harmonic=None):
    """Return fine harmonic matrices plus the interpolated change by anharmonicity.

    :param fine: harmonic matrices on the fine mesh.
    :param anharmonic: auxiliary matrices or Hessian on the mesh of the supercell.
    :param harmonic: what to subtract, harmonic matrices on that mesh from the same forces as the anharmonic ones; by
        default the fine ones at the wave vectors of that mesh.

    Exit codes: 210 if meshes or crystals do not belong together.
    """
    try:
        dense, coarse = fine.to_kernel(), anharmonic.to_kernel()
        if harmonic is None:
            total = add_difference(dense, coarse, restrict(dense, coarse.mesh))
        else:
            total = add_difference(dense, coarse, harmonic.to_kernel(), mismatch=ANY_MISMATCH)
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))
    return DynamicalMatrixData.from_kernel(total)


@calcfunction
def mode_deviations(interpolated, matrices, errors):
    """Return by how much each block of an ensemble moves the modes of interpolated matrices: the errors of T_c.

    :param interpolated: ``DynamicalMatrixData`` on the fine mesh.
    :param matrices: those that were interpolated, on the mesh of the supercell.
    :param errors: ``ArrayData`` with their ``deviations``: trace of the minimisation, or errors of the Hessian.

    Exit codes: 210 if they do not belong together.
    """
    try:
        deviations = frequency_deviations(
            interpolated.to_kernel(), matrices.to_kernel(), errors.get_array('deviations')
        )
    except (KeyError, ValueError) as error:
        return ExitCode(UNUSABLE, str(error))
    return orm.ArrayData({'frequency_deviations': deviations})


@calcfunction
def judge(hessian=None, measured=None, errors=None, **populations):
    """Return the verdict on a crystal.

    :param hessian: ``DynamicalMatrixData`` to judge, at the wave vectors of the supercell; on the mesh of the harmonic
        matrices where the Hessian was interpolated.
    :param measured: the Hessian on the mesh of the supercell.
    :param errors: ``ArrayData`` with the ``deviations`` of that.
    :param populations: ``population_N``, results of the minimisations by number.

    Exit codes: 210 if the auxiliary matrices are positive and there is no Hessian.
    """
    ordered = [evidence(each) for each in in_order(populations)]
    try:
        if hessian is None:
            return orm.Dict(anharmonic_verdict(ordered, None, None).to_dict())
        matrices, coarse = hessian.to_kernel(), measured.to_kernel()
        deviations = frequency_deviations(matrices, coarse, errors.get_array('deviations'))
        own = mesh_index(matrices.mesh, coarse.qpoints)
        curvature = stability(restrict(matrices, coarse.mesh), refinement=1)
        error = error_of(curvature.smallest_frequency, curvature.qpoint, matrices, deviations)
        between = softest_between(matrices, deviations, own)
        return orm.Dict(anharmonic_verdict(ordered, curvature, error, between).to_dict())
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))


def error_of(frequency, qpoint, matrices, deviations):
    """Return the error of a mode at a wave vector of the mesh [meV]."""
    index = int(mesh_index(matrices.mesh, np.array(qpoint)))
    mode = np.argmin(np.abs(matrices.modes[0][index] - frequency))
    return float(np.linalg.norm(deviations[:, index, mode]))


def softest_between(matrices, deviations, own):
    """Return the softest mode at the wave vectors that the supercell does not have, ``None`` if it has all."""
    others = np.setdiff1d(np.arange(len(matrices.qpoints)), own)
    if not len(others):
        return None
    frequencies = matrices.modes[0][others]
    index, mode = np.unravel_index(np.argmin(frequencies), frequencies.shape)
    error = float(np.linalg.norm(deviations[:, others[index], mode]))
    return InterpolatedMode(float(frequencies[index, mode]), error, tuple(matrices.qpoints[others[index]].tolist()))


def has_vanished(results):
    """Whether the smallest auxiliary frequency ran to zero in one population."""
    return vanished(evidence(results))


def have_collapsed(results):
    """Whether the auxiliary frequencies ran to zero in populations, in their order."""
    return collapsed([evidence(each) for each in results])


def evidence(results):
    """Return what the results of a minimisation say about the smallest auxiliary frequency."""
    names = ('configurations', 'smallest_frequency', 'smallest_frequency_error', 'reason')
    return PopulationEvidence(*(results[name] for name in names))
