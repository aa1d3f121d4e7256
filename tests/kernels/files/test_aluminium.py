"""λ and ω_log of fcc aluminium: the programs of Quantum ESPRESSO and we, from the same run, to the printed digits."""

import re
from dataclasses import replace

import numpy as np
import pytest

from aiida_clathrate.kernels.alpha2f import (
    ModeCouplings,
    between_modes,
    check_strengths,
    half_inverse_squares,
    mode_couplings,
)
from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.dynamical_matrix import diagonalise
from aiida_clathrate.kernels.files.coupling_summaries import read_summary
from aiida_clathrate.kernels.files.qe_dyn import parse_dyn, parse_dyn_files
from aiida_clathrate.kernels.files.qe_elph import parse_elph, read_elph_files
from aiida_clathrate.kernels.files.qe_linewidths import read_linewidths
from aiida_clathrate.kernels.units import KELVIN_PER_MEV, RYDBERG


@pytest.fixture(scope='module')
def couplings(interpolated):
    """Return the couplings on the 4×4×4 mesh for broadenings of 0.005, 0.015, 0.025 and 0.05 Ry."""
    dyn = parse_dyn_files(interpolated)
    return mode_couplings(read_elph_files(interpolated, dyn), impose_constraints(dyn.matrices()).matrices)


def rows(summary, couplings):
    """Return the rows of a summary for the broadenings of the couplings."""
    return [int(np.argmin(np.abs(summary.smearings - smearing))) for smearing in couplings.smearings]


def test_matdyn_x(interpolated, couplings):
    """All digits of the file ``lambda`` of matdyn.x on the mesh of ph.x, with Γ in the mean as it has it."""
    summary = read_summary(interpolated['lambda'], 'lambda')
    assert len(couplings.smearings) == 4
    for index, row in enumerate(rows(summary, couplings)):
        spectral = couplings.spectral(index)
        assert spectral.coupling == pytest.approx(summary.couplings[row], abs=0.51e-4)
        assert (spectral.omega_log - summary.omegas_log[row]) * KELVIN_PER_MEV == pytest.approx(0, abs=1e-4)
        density = couplings.densities_of_states[index] - summary.densities_of_states[row]
        assert density * RYDBERG == pytest.approx(0, abs=0.51e-4)


def test_lambda_x(interpolated, couplings):
    """lambda.x sums λ_qν of four decimals, and takes ω_log from its broadened table: less than 0.1 % smaller."""
    summary = read_summary(interpolated['lambda.dat'], 'lambda.dat')
    for index, row in enumerate(rows(summary, couplings)):
        spectral = couplings.spectral(index)
        assert spectral.coupling == pytest.approx(summary.couplings[row], abs=0.5e-4)
        assert summary.omegas_log[row] == pytest.approx(spectral.omega_log, rel=1e-3)


def test_alpha2f_x(shifted):
    """λ of each mode, λ and ω_log are those of alpha2f.x, which reads λ_qν with the four decimals of ph.x.

    Debian's alpha2f.x 6.7 gives the last star the whole weight, whatever the mesh: changing λ of the others changes
    nothing. Its own weights are therefore compared with, and the right ones beside them.
    """
    frequencies, couplings, weights = [], [], []
    for star in (1, 2):
        dyn, line = (
            parse_dyn(shifted[f'sdyn{star}'], 'sdyn'),
            read_linewidths(shifted[f'sdyn{star}.elph.{star}'], 'elph'),
        )
        elph = parse_elph(shifted[f'elph_dir/a2Fq2r.51.{star}'], 'a2Fq2r', 1)
        own, vectors = diagonalise(dyn.force_constants, dyn.crystal.masses)
        qpoints = elph.qpoints @ dyn.crystal.cell.T / dyn.alat
        order = [int(np.flatnonzero(np.abs(qpoints - q).max(axis=1) < 1e-6)[0]) for q in dyn.qpoints]
        strengths = check_strengths(between_modes(elph.matrices[None, order], vectors, dyn.crystal.masses), own)
        found = strengths[0] * half_inverse_squares(own) / elph.density_of_states
        # Each member of the star has the same λ; half a unit of the last decimal is what rounding may do.
        assert np.abs(found - line.couplings).max() < 0.51e-4
        frequencies.append(own[0])
        couplings.append(np.round(found[0], 4))
        halves = 2 * dyn.qpoints - 0.5
        weights.append(np.sum(np.abs(halves - np.round(halves)).max(axis=1) < 1e-6) / 8)
    modes = ModeCouplings(np.array(frequencies), np.array([0.0, 1.0]), np.array([couplings]), np.zeros(1))
    theirs = dict(re.findall(r'(lambda|omega_ln \[K\]) :\s+(\S+)', shifted['alpha2f.out'].partition('directly')[2]))
    assert modes.spectral().coupling == pytest.approx(float(theirs['lambda']), abs=1e-12)
    # ω² is printed with six digits.
    omega_log = modes.spectral().omega_log * KELVIN_PER_MEV
    assert omega_log == pytest.approx(float(theirs['omega_ln [K]']), rel=1e-6)
    assert weights == [0.25, 0.75]
    assert replace(modes, weights=np.array(weights)).spectral().coupling == pytest.approx(0.34355)
