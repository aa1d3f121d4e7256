"""The error bar of T_c against T_c of moved matrices, each solved for itself."""

from dataclasses import replace

import numpy as np
import pytest
from springs import exponential, fcc, spring_matrices

from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.electron_phonon import ElectronPhonon
from aiida_clathrate.kernels.eliashberg import Extras, mode_errors, solve
from aiida_clathrate.kernels.fourier import interpolate
from aiida_clathrate.kernels.matsubara.settings import Settings
from aiida_clathrate.kernels.sscha.mode_errors import frequency_deviations

COARSE, FINE = (2, 2, 2), (4, 4, 4)
SETTINGS = Settings(mu_stars=(0.0,), reduced_temperatures=())


def springs(strength=5.0, transverse=0.5, decay=3.0):
    """Return the matrices of a crystal of springs on the mesh of the supercell."""
    return spring_matrices(fcc(2.8), COARSE, exponential(strength, decay=decay), exponential(transverse, decay=decay))


def couplings(coarse):
    """Return the couplings of modes, with the same G(q) whatever the modes."""
    fine = interpolate(coarse, FINE)
    one = np.ones(1)
    strengths = np.tile(20.0 * np.eye(3, dtype=complex), (1, len(fine.force_constants), 1, 1))
    electrons = ElectronPhonon(fine.crystal, FINE, one, strengths, one, one)
    return fine, mode_couplings(electrons, fine)


def test_brute_force():
    """σ² of T_c is the sum over blocks of what each does to T_c, when it moves all modes together."""
    coarse = springs()
    # Three independent causes: the first moves all modes alike, the others some against others.
    moved = [springs(strength=5.1), springs(transverse=0.53), springs(decay=3.05)]
    deviations = np.array([each.force_constants - coarse.force_constants for each in moved])
    fine, modes = couplings(coarse)
    carried = frequency_deviations(fine, coarse, deviations)
    errors = mode_errors(modes, {'frequency_deviations': carried}, 0)
    result = solve(modes.spectral(0), settings=SETTINGS, extras=Extras(errors=errors))
    changes = []
    for block in deviations:
        temperatures = []
        for sign in (1, -1):
            shifted = replace(coarse, force_constants=coarse.force_constants + 0.1 * sign * block)
            spectral = couplings(shifted)[1].spectral(0)
            temperatures.append(solve(spectral, settings=SETTINGS).rescaled[0])
        changes.append((temperatures[0] - temperatures[1]) / 0.2)
    assert result.errors[0] == pytest.approx(np.linalg.norm(changes), rel=2e-3)
    assert result.critical_temperature > 5 * result.errors[0] > 0.01
    # Errors of the modes alone, each on its own, would miss that they move together.
    alone = mode_errors(modes, {'frequency_errors': np.linalg.norm(carried, axis=0)}, 0)
    independent = solve(modes.spectral(0), settings=SETTINGS, extras=Extras(errors=alone)).errors[0]
    assert independent < 0.5 * result.errors[0]


@pytest.mark.parametrize(
    ('arrays', 'message'),
    [
        ({'frequency_deviations': (3, 8, 3)}, r'of the shape \(b, q, m\) with \(64, 3\) modes, not \(3, 8, 3\)'),
        ({'frequency_deviations': (3, 64, 3), 'frequency_errors': (64, 3)}, 'give one of the two'),
    ],
)
def test_refused(arrays, message):
    """Deviations of other modes, and errors beside deviations that have them in them."""
    modes = couplings(springs())[1]
    with pytest.raises(ValueError, match=message):
        mode_errors(modes, {name: np.ones(shape) for name, shape in arrays.items()}, 0)


def test_not_finite():
    """A deviation that is no number is refused."""
    modes = couplings(springs())[1]
    with pytest.raises(ValueError, match='frequency_deviations: needs finite numbers'):
        mode_errors(modes, {'frequency_deviations': np.full((1, 64, 3), np.nan)}, 0)
