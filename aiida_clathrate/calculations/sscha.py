"""The short steps of an SSCHA between its populations, with provenance."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.fourier import add_difference, restrict
from aiida_clathrate.kernels.sscha.cell import MeasuredCell, next_strain, strained
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.start import SOFTEST, positive_start
from aiida_clathrate.kernels.sscha.verdict import PopulationEvidence, anharmonic_verdict, collapsed
from aiida_clathrate.kernels.stability import stability

UNUSABLE = 210
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
def judge(hessian=None, errors=None, **populations):
    """Return the verdict on a crystal.

    :param hessian: ``DynamicalMatrixData``, where there is one.
    :param errors: ``ArrayData`` of its ``frequencies`` and ``frequency_errors``.
    :param populations: ``population_N``, results of the minimisations by number.

    Exit codes: 210 if the auxiliary matrices are positive and there is no Hessian.
    """
    ordered = [populations[label].get_dict() for label in sorted(populations, key=lambda label: int(label[11:]))]
    evidence = [
        PopulationEvidence(
            each['configurations'], each['smallest_frequency'], each['smallest_frequency_error'], each['reason']
        )
        for each in ordered
    ]
    try:
        curvature = None if hessian is None else stability(hessian.to_kernel())
        error = None if errors is None else smallest_error(curvature, errors)
        return orm.Dict(anharmonic_verdict(evidence, curvature, error).to_dict())
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))


def smallest_error(curvature, errors):
    """Return the error of the frequency that decides, ``None`` where it was interpolated."""
    frequencies = errors.get_array('frequencies')
    distance = np.abs(frequencies - curvature.smallest_frequency)
    where = np.unravel_index(np.argmin(distance), distance.shape)
    return float(errors.get_array('frequency_errors')[where]) if distance[where] < 1e-3 else None


def has_collapsed(parameters):
    """Whether one population alone says that the auxiliary frequencies ran to zero."""
    return collapsed(
        [
            PopulationEvidence(
                parameters['configurations'],
                parameters['smallest_frequency'],
                parameters['smallest_frequency_error'],
                parameters['reason'],
            )
        ]
    )
