"""The verdict on crystals whose stability is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from springs import diamond, exponential, fcc, spring_matrices

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_points
from aiida_clathrate.kernels.stability import first_zone, stability
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS


def chain(nearest, next_nearest, divisions):
    """Return atoms in a row with springs along it to first and second neighbours, and weak ones to other rows.

    M ω² = 4 k1 sin²(πq) + 4 k2 sin²(2πq) along the row.
    """
    crystal = Crystal(np.diag([2.0, 2.5, 2.6]), ('C',), np.zeros((1, 3)), np.full(1, 12.0))
    mesh = (divisions, 2, 2)
    q = mesh_points(mesh)
    waves = 4 * np.sin(np.pi * q) ** 2
    across = 0.3 * waves[:, 1] + 0.4 * waves[:, 2]
    along = nearest * waves[:, 0] + next_nearest * 4 * np.sin(2 * np.pi * q[:, 0]) ** 2
    force_constants = np.zeros((len(q), 3, 3), dtype=complex)
    for axis, stiffness in enumerate((along, 0.5 * waves[:, 0], 0.6 * waves[:, 0])):
        force_constants[:, axis, axis] = stiffness + across
    return DynamicalMatrices(crystal, mesh, force_constants)


def pair(together, against, cells=0):
    """Return two atoms side by side that move together as in one chain and against each other as in another.

    :param cells: along the row, in which the second atom is listed: Φ_12 then has the phase exp(−i q n).
    """
    positions = np.array([[0, 0, 0], [cells, 0.5, 0]])
    crystal = Crystal(np.diag([2.0, 5.0, 2.6]), ('B', 'C'), positions, np.full(2, 12.0))
    signs = np.array([[1, 1], [1, -1]])
    blocks = [0.5 * np.kron(np.outer(sign, sign), np.ones((3, 3))) for sign in signs]
    force_constants = sum(
        block * np.tile(part, (1, 2, 2)) for block, part in zip(blocks, (together, against), strict=True)
    )
    phases = np.exp(2j * np.pi * cells * mesh_points((8, 2, 2))[:, 0])[:, None, None]
    force_constants[:, :3, 3:] *= phases.conj()
    force_constants[:, 3:, :3] *= phases
    return DynamicalMatrices(crystal, (8, 2, 2), force_constants)


def test_stable():
    """Springs that pull back are stable; the smallest frequency is that of the mesh."""
    matrices = spring_matrices(diamond(), (3, 3, 3), cutoff=3.0)
    found = stability(matrices)
    assert found.verdict == 'stable'
    assert found.imaginary_modes == ()
    assert found.smallest_frequency == pytest.approx(matrices.modes[0][1:].min())
    assert found.mesh == (12, 12, 12)


def test_unstable_at_the_boundary():
    """A chain with k1 < 0 < k2 doubles its period: the mode at q = ½ is imaginary, with the closed-form frequency."""
    found = stability(chain(-0.1, 0.5, 4))
    assert found.verdict == 'unstable'
    assert found.smallest_frequency == pytest.approx(-MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS * np.sqrt(0.4 / 12.0))
    np.testing.assert_allclose(found.qpoint, [0.5, 0, 0])
    lowest = found.imaginary_modes[0]
    assert (lowest.degeneracy, lowest.interpolated) == (1, False)
    assert lowest.irrep == found.irrep == 'B3u (mmm)'


def test_unstable_optical_mode():
    """A soft optical mode of Γ is named by its irreducible representation, and its degeneracy counted."""
    matrices = spring_matrices(diamond(), (1, 1, 1), cutoff=3.0)
    optical = np.kron([[1, -1], [-1, 1]], np.eye(3))
    force_constants = matrices.force_constants - 100 * optical
    found = stability(replace(matrices, force_constants=force_constants))
    assert found.verdict == 'unstable'
    assert found.irrep == 'T2g (m-3m)'
    assert found.qpoint == (0, 0, 0)
    assert found.imaginary_modes[0].degeneracy == 3


def test_barely_unstable():
    """The tolerance is for acoustic modes that are interpolated: an optical mode of Γ at −0.5 meV is unstable."""
    matrices = spring_matrices(diamond(), (1, 1, 1), cutoff=3.0)
    optical = np.kron([[1, -1], [-1, 1]], np.eye(3))
    stiffness = matrices.force_constants[0, 0, 0] - matrices.force_constants[0, 0, 3]
    soft = -matrices.crystal.masses[0] * (0.5 / MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS) ** 2
    found = stability(
        replace(matrices, force_constants=matrices.force_constants + 0.5 * (soft - stiffness) * optical), tolerance=1.0
    )
    assert found.smallest_frequency == pytest.approx(-0.5)
    assert found.verdict == 'unstable'


def test_optical_between_the_points():
    """An optical branch that is imaginary only beside Γ is not taken for an acoustic one.

    Two atoms move together in the branch k1 = 0.3 and against each other in that of ``test_soft_acoustic``, raised a
    little so that Γ is stable.
    """
    matrices = pair(
        chain(0.3, 0.0, 8).force_constants,
        chain(0.3, 0.25 * (-0.006 - 0.3), 8).force_constants + 3e-5 * np.eye(3),
    )
    found = stability(matrices)
    assert found.verdict == 'unstable'
    assert all(mode.interpolated and mode.frequency > -0.5 for mode in found.imaginary_modes)


@pytest.mark.parametrize(
    ('slope', 'tolerance', 'verdict'),
    [
        pytest.param(0.02, 1.0, 'stable', id='real sound velocity'),
        pytest.param(-0.006, 1.0, 'soft-acoustic', id='imaginary before the first point'),
        pytest.param(-0.006, 0.1, 'unstable', id='beyond the tolerance'),
        pytest.param(-0.02, 1.0, 'unstable', id='imaginary too far out'),
    ],
)
def test_soft_acoustic(slope, tolerance, verdict):
    """An acoustic branch that is slightly imaginary between Γ and the first point of the mesh is told apart.

    With k1 + 4 k2 = s, M ω² = 4 sin²(πq) (s + (k1 − s) sin²(πq)) is negative for sin²(πq) < −s/(k1 − s): for k1 = 0.3
    up to q = 0.044 and 0.080, while the first point of the mesh is 0.125.
    """
    nearest = 0.3
    matrices = chain(nearest, 0.25 * (slope - nearest), 8)
    assert matrices.modes[0][1:].min() > 0
    found = stability(matrices, tolerance)
    assert found.verdict == verdict
    assert all(mode.interpolated for mode in found.imaginary_modes)


@pytest.mark.parametrize('cells', [0, 8])
def test_distant_label(cells):
    """Acoustic waves are recognised wherever the crystal lists its atoms."""
    soft, stiff = chain(0.3, 0.25 * (-0.006 - 0.3), 8), chain(0.3, 0.0, 8)
    matrices = pair(soft.force_constants, stiff.force_constants + np.eye(3), cells)
    assert stability(matrices).verdict == 'soft-acoustic'


def test_first_zone():
    """Folded wave vectors are equivalent to the others and not longer than any other equivalent one."""
    crystal = replace(fcc(), cell=np.array([[1, 3, 0], [0, 1, 0], [-2, 0, 1]]) @ fcc().cell)
    qpoints = np.random.default_rng(0).uniform(-2, 2, size=(50, 3))
    folded = first_zone(crystal, qpoints)
    np.testing.assert_allclose(folded - qpoints, np.round(folded - qpoints), atol=1e-9)
    others = folded[:, None] + 7 * mesh_points((7, 7, 7)) - 3
    lengths = np.linalg.norm(others @ crystal.reciprocal_cell, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(folded @ crystal.reciprocal_cell, axis=1), lengths.min(axis=1))


def test_rounding():
    """What the digits of the files leave of a mode without restoring force is no imaginary mode."""
    matrices = chain(0.0, 0.0, 2)
    force_constants = matrices.force_constants - 1e-8 * np.eye(3)
    found = stability(replace(matrices, force_constants=force_constants))
    assert (found.verdict, found.imaginary_modes) == ('stable', ())
    assert -0.05 < found.smallest_frequency < 0


def test_gamma_only():
    """With Γ alone nothing is interpolated."""
    found = stability(spring_matrices(diamond(), (1, 1, 1), exponential(), exponential(-0.2), cutoff=3.0))
    assert found.mesh == (1, 1, 1)
    assert found.qpoint == (0, 0, 0)


def test_dictionary():
    """The dictionary is JSON and has the verdict as ``class``."""
    values = json.loads(json.dumps(stability(chain(-0.1, 0.5, 4)).to_dict()))
    assert values['class'] == 'unstable'
    assert values['imaginary_modes'][0]['irrep'] == 'B3u (mmm)'
    assert values['smallest_frequency'] < 0


def test_no_vibrations():
    """One atom at Γ has nothing to judge."""
    with pytest.raises(ValueError, match='q mesh'):
        stability(spring_matrices(fcc(), (1, 1, 1), cutoff=3.0))


def test_tolerance():
    """A negative tolerance is refused."""
    with pytest.raises(ValueError, match='tolerance'):
        stability(chain(1.0, 0.0, 2), tolerance=-1.0)
