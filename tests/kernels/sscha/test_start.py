"""Auxiliary matrices to start from."""

from dataclasses import replace

import numpy as np
import pytest
from springs import diamond, rocksalt, spring_matrices

from aiida_clathrate.kernels.fourier import restrict
from aiida_clathrate.kernels.invariants import Invariants
from aiida_clathrate.kernels.sscha.gaussian import Gaussian, LatticeModes
from aiida_clathrate.kernels.sscha.start import SOFTEST, positive_start
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS


def unstable(shift):
    """Return rock salt with all ω² lowered by the square of an energy [meV], translations apart."""
    matrices = spring_matrices(rocksalt(), (4, 4, 4))
    modes = LatticeModes(matrices)
    frequencies, vectors = modes.modes
    squares = np.where(modes.active, frequencies**2 - shift**2, 0.0) / MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS**2
    mass = np.repeat(np.sqrt(matrices.crystal.masses), 3)
    dynamical = (vectors * squares[:, None]) @ np.swapaxes(vectors, -1, -2).conj()
    return replace(matrices, force_constants=modes.vectors.extend(dynamical * np.outer(mass, mass)))


def test_stable_matrices_stay():
    """Of a stable crystal only the wave vectors of the supercell are kept, and what they are is said."""
    fine = spring_matrices(rocksalt(), (4, 4, 4))
    start = positive_start(fine, (2, 2, 2), 150.0)
    assert start.changes == ()
    np.testing.assert_allclose(start.matrices.force_constants, restrict(fine, (2, 2, 2)).force_constants, atol=1e-10)
    assert (start.matrices.level, start.matrices.temperature) == ('sscha', 150.0)


def test_imaginary_modes_turn_positive():
    """Several imaginary modes at several q, degenerate ones among them: |ω| or the softest; the others are kept."""
    matrices = unstable(45.0)
    start = positive_start(matrices, (2, 2, 2), 0.0)
    before, after = LatticeModes(restrict(matrices, (2, 2, 2))), LatticeModes(start.matrices)
    wrong = before.active & (before.frequencies < 0)
    assert len(start.changes) == wrong.sum() > 6
    assert len({change.qpoint for change in start.changes}) > 1
    for change in start.changes:
        assert change.after == pytest.approx(max(-change.before, SOFTEST))
    expected = np.where(wrong, np.maximum(-before.frequencies, SOFTEST), before.frequencies)
    np.testing.assert_allclose(np.sort(after.frequencies, axis=1), np.sort(expected, axis=1), atol=1e-6)
    Gaussian(start.matrices, 0.0)
    # What was done to the modes keeps the symmetry.
    invariants = Invariants(rocksalt(), (2, 2, 2))
    again = invariants.matrices(invariants.coefficients(start.matrices.force_constants))
    np.testing.assert_allclose(start.matrices.force_constants, again, atol=1e-9)


def test_softest_mode_is_raised():
    """A mode of almost no energy is raised to the one that is asked for."""
    lowest = np.sort(LatticeModes(restrict(unstable(0.0), (2, 2, 2))).frequencies.ravel())[3]
    start = positive_start(unstable(lowest + 1e-6), (2, 2, 2), 0.0, softest=7.0)
    assert start.changes
    assert all(change.after == pytest.approx(7.0) for change in start.changes)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (((3, 3, 3), 0.0), 'the supercell 3×3×3 does not divide the q mesh 4×4×4'),
        (((2, 2, 2), -1.0), 'temperature: must be 0 K or above, not -1.0 K'),
        (((2, 2, 2), float('nan')), 'temperature: must be 0 K or above'),
        (((2, 2, 2), 0.0, 0.0), 'softest: must be a positive'),
    ],
)
def test_bad_input(arguments, message):
    """What cannot be is named."""
    with pytest.raises(ValueError, match=message):
        positive_start(spring_matrices(diamond(), (4, 4, 4)), *arguments)
