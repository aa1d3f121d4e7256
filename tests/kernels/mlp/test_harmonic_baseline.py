"""The harmonic baseline against differences of its energy and against the force constants in real space."""

from dataclasses import replace

import numpy as np
import pytest
from springs import rocksalt, spring_matrices

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.mlp.baseline import Baseline

MATRICES = spring_matrices(rocksalt(), (2, 1, 3))
SUPERCELL = supercell_crystal(MATRICES.crystal, MATRICES.mesh)
REST = SUPERCELL.positions @ SUPERCELL.cell
BASELINE = Baseline(MATRICES)
ATOMS = len(REST)


def displaced(count=2, seed=0):
    """Return configurations."""
    return REST + np.random.default_rng(seed).normal(0, 0.1, (count, ATOMS, 3))


def test_energies_and_forces():
    """One atom moved at a time gives Φ; forces are Φ u and energies ½ uᵀΦu."""
    step = 1.0
    rows = -BASELINE(REST + step * np.eye(3 * ATOMS).reshape(-1, ATOMS, 3), SUPERCELL.cell)[1].reshape(3 * ATOMS, -1)
    np.testing.assert_allclose(rows, rows.T, atol=1e-12)
    # Frequencies at Γ of the supercell are those at all points of the mesh.
    found = np.linalg.eigvalsh(rows)
    expected = np.sort(np.concatenate([np.linalg.eigvalsh(block) for block in MATRICES.force_constants]))
    np.testing.assert_allclose(found, expected, atol=1e-10)
    configurations = displaced()
    moves = (configurations - REST).reshape(2, -1)
    energies, forces, _ = BASELINE(configurations, SUPERCELL.cell)
    np.testing.assert_allclose(energies, 0.5 * np.einsum('ci,ij,cj->c', moves, rows, moves), rtol=1e-12)
    np.testing.assert_allclose(forces.reshape(2, -1), -moves @ rows, atol=1e-12)


def test_derivatives():
    """Forces and virial are minus the derivatives with respect to positions and to a symmetric strain."""
    configuration, step = displaced(1), 1e-5
    _, forces, virials = BASELINE(configuration, SUPERCELL.cell)
    for index in ((0, 1, 2), (0, 7, 0)):
        ends = []
        for sign in (1, -1):
            moved = configuration.copy()
            moved[index] += sign * step
            ends.append(BASELINE(moved, SUPERCELL.cell)[0][0])
        assert forces[index] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=1e-8)
    for row, column in ((0, 0), (1, 2), (0, 2)):
        strain = np.zeros((3, 3))
        strain[row, column] += 0.5 * step
        strain[column, row] += 0.5 * step
        ends = [
            BASELINE(configuration @ (np.eye(3) + sign * strain), SUPERCELL.cell @ (np.eye(3) + sign * strain))[0][0]
            for sign in (1, -1)
        ]
        assert virials[0, row, column] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=1e-7)


def test_translation():
    """The crystal may be moved as a whole."""
    configurations = displaced()
    for one, other in zip(
        BASELINE(configurations, SUPERCELL.cell),
        BASELINE(configurations + np.array([3.0, -1.0, 0.2]), SUPERCELL.cell),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_digest():
    """The digest is that of the numbers: each of them counts."""
    other = DynamicalMatrices(MATRICES.crystal, MATRICES.mesh, 1.0001 * MATRICES.force_constants)
    moved = replace(MATRICES.crystal, positions=MATRICES.crystal.positions + 0.01)
    found = {
        Baseline(each).digest()
        for each in (MATRICES, other, DynamicalMatrices(moved, MATRICES.mesh, MATRICES.force_constants))
    }
    assert len(found) == 3
    assert Baseline(DynamicalMatrices(MATRICES.crystal, MATRICES.mesh, MATRICES.force_constants)).digest() in found


def test_refused():
    """Another supercell, another order of the atoms, or a cell that is much strained is refused."""
    BASELINE.check(SUPERCELL.symbols, 1.1 * SUPERCELL.cell)
    with pytest.raises(ValueError, match='2×1×3 of MgO in its own order'):
        BASELINE.check(SUPERCELL.symbols[::-1], SUPERCELL.cell)
    with pytest.raises(ValueError, match='and cannot be used for another one'):
        BASELINE.check(SUPERCELL.symbols * 2, SUPERCELL.cell)
    with pytest.raises(ValueError, match='by more than a fifth'):
        BASELINE.check(SUPERCELL.symbols, 1.21 * SUPERCELL.cell)
