"""Averages over an ensemble: direct formulas, invariances, and the numbers of python-sscha."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bound_pairs import BoundPairs
from scipy.spatial.transform import Rotation
from springs import rocksalt, spring_matrices

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble, supercell_crystal
from aiida_clathrate.kernels.invariants import invariant_vectors
from aiida_clathrate.kernels.sscha.averages import WaveEnsemble, newton_shift
from aiida_clathrate.kernels.sscha.gaussian import Gaussian
from aiida_clathrate.kernels.sscha.minimisation import minimise
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.settings import Settings
from aiida_clathrate.kernels.sscha.waves import from_waves, to_waves, wave_vectors
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

FIXTURES = Path(__file__).parents[2] / 'fixtures' / 'sscha'
CUBIC = (-8.0, 15.0, 30.0)
DRAWN, MOVED = (6.0, 15.0, 33.0), (7.0, 14.0, 35.0)
CENTROIDS = (0.03, -0.02, 0.01)


def population(mesh, number=200, temperature=300.0, seed=0):
    """Return pairs on a mesh, drawn at other matrices and centroids than those of ``moved``."""
    model = BoundPairs(cubic=CUBIC, mesh=mesh)
    return model.evaluate(sample(model.matrices(DRAWN), temperature, number, seed))


def moved(mesh):
    """Return matrices near those of the population."""
    return BoundPairs(cubic=CUBIC, mesh=mesh).matrices(MOVED, CENTROIDS)


def unfolded(matrices):
    """Return Φ of the whole supercell at its Γ, shape (3s, 3s), of matrices on a mesh."""
    size = 3 * int(np.prod(matrices.mesh)) * len(matrices.crystal.symbols)
    waves = to_waves(np.eye(size).reshape(size, -1, 3), matrices.mesh)
    kept = wave_vectors(matrices.mesh).restrict(matrices.force_constants)
    return from_waves(waves @ np.swapaxes(kept, -1, -2), matrices.mesh).reshape(size, size)


def dense(matrices):
    """Return the matrices of the supercell as the cell."""
    crystal = supercell_crystal(matrices.crystal, matrices.mesh)
    return DynamicalMatrices(crystal, (1, 1, 1), unfolded(matrices)[None].astype(complex))


def folded(ensemble):
    """Return the ensemble with its supercell as the cell."""
    return replace(ensemble, matrices=dense(ensemble.matrices))


@pytest.mark.parametrize('mesh', [(2, 1, 1), (3, 1, 1)])
def test_supercell_invariance(mesh):
    """A mesh says the same as Γ of the supercell."""
    ensemble, matrices = population(mesh), moved(mesh)
    small, large = WaveEnsemble(ensemble), WaveEnsemble(folded(ensemble))
    one = small.at(matrices)
    all_cells = large.at(dense(matrices))
    cells = mesh[0]
    np.testing.assert_allclose(all_cells.weights, one.weights, rtol=1e-9)
    assert float(all_cells.free_energy.value) == pytest.approx(cells * float(one.free_energy.value), rel=1e-10)
    assert float(all_cells.free_energy.error) == pytest.approx(cells * float(one.free_energy.error), rel=1e-8)
    np.testing.assert_allclose(all_cells.force.value, np.tile(one.force.value, (cells, 1)), atol=1e-12)
    np.testing.assert_allclose(all_cells.force.error, np.tile(one.force.error, (cells, 1)), atol=1e-12)
    pressures = small.pressure(one), large.pressure(all_cells)
    np.testing.assert_allclose(pressures[0].value, pressures[1].value, atol=1e-8)
    np.testing.assert_allclose(pressures[0].error, pressures[1].error, atol=1e-8)
    gradient = replace(matrices, force_constants=small.invariants.matrices(one.gradient.value))
    expected = large.invariants.matrices(all_cells.gradient.value)[0]
    np.testing.assert_allclose(unfolded(gradient), expected, atol=1e-10)


@pytest.mark.parametrize('temperature', [0.0, 300.0])
def test_direct_formulas(temperature):
    """Weights with their norm, free energy, gradient and pressure by the dense formulas of the supercell."""
    mesh = (3, 1, 1)
    ensemble, matrices = population(mesh, temperature=temperature), moved(mesh)
    averages, waves = WaveEnsemble(ensemble).at(matrices), WaveEnsemble(ensemble)
    crystal = supercell_crystal(matrices.crystal, mesh)
    old = Gaussian(folded(ensemble).matrices, temperature)
    new = Gaussian(dense(matrices), temperature)
    shift = np.tile((matrices.crystal.positions - ensemble.crystal.positions) @ crystal.cell / [3, 1, 1], (3, 1))
    u = ensemble.displacements.reshape(len(ensemble), -1)
    v = u - shift.ravel()
    scaled = v @ new.inverse_covariance[0]
    exponents = [(u @ old.inverse_covariance[0] * u).sum(axis=1), (scaled * v).sum(axis=1)]
    # Densities with their norm: the mean of the weights is one up to noise.
    norms = [np.log(g.variances[0, 3:]).sum() for g in (old, new)]
    densities = np.exp(-0.5 * (exponents[1] - exponents[0]) - 0.5 * (norms[1] - norms[0]))
    assert densities.mean() == pytest.approx(1, abs=5 * densities.std() / np.sqrt(len(ensemble) / 2))
    rho = densities / densities.mean()
    np.testing.assert_allclose(averages.weights, rho, rtol=1e-9)
    harmonic = v @ new.force_constants[0].real
    free_energy = new.free_energy + (rho * (ensemble.energies - 0.5 * (harmonic * v).sum(axis=1))).mean()
    assert float(averages.free_energy.value) == pytest.approx(free_energy / 3, rel=1e-10)
    residual = ensemble.forces.reshape(len(u), -1) + harmonic
    products = (rho[:, None] * scaled).T @ residual / len(u)
    # Connected: of the mean displacement and force only what a translation of the lattice leaves, that is Γ.
    cells = np.tile(np.eye(6), (3, 3)) / 3
    products -= np.outer(cells @ (rho @ scaled / len(u)), cells @ (rho @ residual / len(u)))
    expected = large_projection(folded(ensemble), products)
    found = unfolded(replace(matrices, force_constants=waves.invariants.matrices(averages.gradient.value)))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    virials = np.einsum('c,cai,caj->ij', rho, ensemble.forces, v.reshape(len(u), -1, 3)) / len(u)
    stress = np.einsum('c,cij->ij', rho, ensemble.stresses) / len(u)
    pressure = stress - GPA_PER_EV_ANGSTROM3 / crystal.volume * 0.5 * (virials + virials.T)
    np.testing.assert_allclose(waves.pressure(averages).value, pressure, atol=1e-9)


def large_projection(ensemble, products):
    """Return symmetric matrices free of translations nearest to the given ones."""
    invariants, size = WaveEnsemble(ensemble).invariants, len(products)
    translations = np.kron(np.full((size // 3, 1), (size // 3) ** -0.5), np.eye(3))
    free = np.eye(size) - translations @ translations.T
    return invariants.matrices(invariants.coefficients((free @ products @ free)[None]))[0].real


def everything(ensemble, matrices):
    """Return numbers that no choice of axes, order or zero of energy may change."""
    waves = WaveEnsemble(ensemble)
    averages = waves.at(matrices)
    pressure = waves.pressure(averages)
    return np.array(
        [
            float(averages.free_energy.value),
            float(averages.free_energy.error),
            *averages.gradient.norm,
            *averages.force.norm,
            averages.kong_liu,
            np.trace(pressure.value),
            np.linalg.norm(pressure.deviations),
            np.linalg.norm(newton_shift(averages)),
        ]
    )


def test_rotated_crystal():
    """The averages turn with the crystal."""
    mesh = (3, 1, 1)
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    ensemble, matrices = population(mesh), moved(mesh)
    blocks = np.kron(np.eye(2), turn)

    def turned(one):
        crystal = replace(one.crystal, cell=one.crystal.cell @ turn.T)
        return replace(one, crystal=crystal, force_constants=blocks @ one.force_constants @ blocks.T)

    rotated = replace(
        ensemble,
        matrices=turned(ensemble.matrices),
        displacements=ensemble.displacements @ turn.T,
        forces=ensemble.forces @ turn.T,
        stresses=turn @ ensemble.stresses @ turn.T,
    )
    np.testing.assert_allclose(everything(rotated, turned(matrices)), everything(ensemble, matrices), rtol=1e-7)


def test_relabelled_atoms_and_energy_zero():
    """The order of the atoms does not matter, and a constant in the energies is one in the free energy."""
    mesh = (3, 1, 1)
    ensemble, matrices = population(mesh), moved(mesh)

    def swapped(one):
        crystal = one.crystal
        order = [3, 4, 5, 0, 1, 2]
        other = Crystal(crystal.cell, crystal.symbols[::-1], crystal.positions[::-1], crystal.masses[::-1])
        return replace(one, crystal=other, force_constants=one.force_constants[:, order][:, :, order])

    order = np.arange(6).reshape(3, 2)[:, ::-1].ravel()
    relabelled = replace(
        ensemble,
        matrices=swapped(ensemble.matrices),
        displacements=ensemble.displacements[:, order],
        forces=ensemble.forces[:, order],
        energies=ensemble.energies + 1234.5,
    )
    found, expected = everything(relabelled, swapped(matrices)), everything(ensemble, matrices)
    assert found[0] - expected[0] == pytest.approx(1234.5 / 3, abs=1e-9)
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-7)


def test_newton_shift_leaves_the_crystal_where_it_is():
    """The shift makes the force vanish to first order, and has no uniform part."""
    averages = WaveEnsemble(population((1, 1, 1))).at(moved((1, 1, 1)))
    shift = newton_shift(averages)
    assert np.abs(shift.mean(axis=0)).max() < 1e-15
    back = averages.gaussian.force_constants[0].real @ shift.ravel()
    np.testing.assert_allclose(back, averages.force.value.ravel(), atol=1e-12)


@pytest.mark.parametrize('number', [2, 7, 33, 40])
def test_error_of_a_mean(number):
    """With equal weights the error is that of the mean of independent pairs, whatever number the blocks have."""
    ensemble = population((1, 1, 1), number=2 * number)
    averages = WaveEnsemble(ensemble).at(ensemble.matrices)
    potential = ensemble.energies - 0.5 * np.einsum(
        'ci,ij,cj->c', *(x := ensemble.displacements.reshape(2 * number, -1), averages.gaussian.force_constants[0], x)
    )
    pairs = potential.reshape(-1, 2).mean(axis=1)
    expected = pairs.std(ddof=1) / np.sqrt(number)
    found = float(averages.free_energy.error)
    # At most 32 blocks: with as many pairs the same number, otherwise an estimate of it from 31 differences.
    assert found == pytest.approx(expected, rel=1e-9 if number <= 32 else 0.4)


@pytest.fixture(params=['triclinic', 'hexagonal', 'clathrate'])
def case(request):
    """Return an ensemble, the matrices to average under, what python-sscha finds, and the name."""
    with np.load(FIXTURES / f'{request.param}.npz', allow_pickle=False) as file:
        data = dict(file)
    with np.load(FIXTURES / f'{request.param}_references.npz', allow_pickle=False) as file:
        references = dict(file)
    first, second, third = (int(division) for division in data['mesh'])
    symbols = tuple(data['symbols'].tolist())

    def matrices(force_constants, positions):
        crystal = Crystal(data['cell'], symbols, positions, data['masses'])
        return DynamicalMatrices(crystal, (first, second, third), force_constants)

    arrays = {name: data[name].astype(float) for name in ('displacements', 'energies', 'forces', 'stresses')}
    drawn = matrices(data['force_constants'], data['positions'])
    ensemble = ForceEnsemble(drawn, float(data['temperature']), **arrays)
    places = {
        'drawn': ensemble.matrices,
        'moved': matrices(data['new_force_constants'], data['new_positions']),
    }
    return ensemble, places, references


@pytest.mark.parametrize('place', ['drawn', 'moved'])
def test_averages_of_python_sscha(case, place):
    """Weights, effective size, free energy, gradient, forces and stress; theirs are rounded at 1e-11."""
    ensemble, places, references = case
    waves = WaveEnsemble(ensemble)
    averages = waves.at(places[place])
    theirs = {name.removeprefix(f'{place}_'): value for name, value in references.items()}
    weights = theirs['weights'] / theirs['weights'].mean()
    np.testing.assert_allclose(averages.weights, weights, atol=1e-9)
    assert averages.kong_liu * len(ensemble) == pytest.approx(float(theirs['effective']), rel=1e-9)
    assert float(averages.free_energy.value) == pytest.approx(float(theirs['free_energy']), abs=1e-10)
    np.testing.assert_allclose(averages.force.value, theirs['mean_forces'], atol=1e-8)
    # Theirs keeps ⟨Υu⟩ ⊗ ⟨δf⟩, which vanishes with the force.
    scaled = averages.weights @ waves.terms(averages.gaussian).scaled[0].real / len(ensemble)
    scaled = invariant_vectors(waves.invariants.group, scaled.reshape(-1, 3))
    products = np.zeros_like(theirs['gradient'])
    products[0] = np.outer(scaled, averages.force.value) * np.sqrt(averages.gaussian.vectors.cells)
    noise = waves.invariants.matrices(waves.invariants.coefficients(products))
    gradient = waves.invariants.matrices(averages.gradient.value) + noise
    # Their symmetry of hexagonal crystals has seven digits.
    np.testing.assert_allclose(gradient, theirs['gradient'], atol=2e-7)
    pressure = waves.pressure(averages)
    np.testing.assert_allclose(pressure.value, 0.5 * (theirs['stress'] + theirs['stress'].T), atol=1e-6)


def test_minimum_of_python_sscha(case):
    """The same ensemble has the same minimum; theirs ends at a gradient of 1e-10 Ry/bohr²."""
    ensemble, _, references = case
    minimum = minimise(ensemble, Settings(meaningful_factor=1e-9, kong_liu_ratio=0.1))
    assert minimum.reason == 'converged'
    scale = np.abs(references['minimum_force_constants']).max()
    np.testing.assert_allclose(
        minimum.matrices.force_constants, references['minimum_force_constants'], atol=1e-7 * scale
    )
    drift = (minimum.matrices.crystal.positions - references['minimum_positions']) @ ensemble.crystal.cell
    np.testing.assert_allclose(drift, drift.mean(axis=0) * np.ones_like(drift), atol=1e-7)
    free_energy, error = (float(references[f'minimum_free_energy{suffix}']) for suffix in ('', '_error'))
    assert float(minimum.averages.free_energy.value) == pytest.approx(free_energy, abs=1e-6 * error)
    assert minimum.averages.kong_liu * len(ensemble) == pytest.approx(float(references['minimum_effective']), rel=1e-6)
    assert minimum.trace.evaluations[-1] <= 1.5 * (len(minimum.trace.kong_liu) - 1) + 1


def test_bad_input():
    """Every kind of input that cannot be averaged is named with the remedy."""
    ensemble = population((1, 1, 1), number=4)
    averages = WaveEnsemble(ensemble).at(ensemble.matrices)
    with pytest.raises(ValueError, match='has no forces yet; compute them first'):
        WaveEnsemble(replace(ensemble, energies=None, forces=None, stresses=None))
    with pytest.raises(ValueError, match='has no stresses; the pressure needs them'):
        WaveEnsemble(replace(ensemble, stresses=None)).pressure(averages)
    with pytest.raises(ValueError, match='at least two independent configurations, not 1'):
        WaveEnsemble(ensemble.subset(slice(0, 2))).at(ensemble.matrices)
    with pytest.raises(ValueError, match='belong to another crystal or cell'):
        WaveEnsemble(ensemble).at(spring_matrices(rocksalt(), (1, 1, 1)))
