"""The minimum of the free energy against exactly solvable models, its errors in σ, and every way in which it ends."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from bound_pairs import BoundPairs
from morse_clathrate import MorseClathrate, clathrate_atoms
from springs import rocksalt, spring_matrices

from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.crystal import Crystal, supercell_indices
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, mesh_points
from aiida_clathrate.kernels.ensemble_arrays import ensemble_to_arrays, matrices_from_arrays
from aiida_clathrate.kernels.sscha.averages import WaveEnsemble
from aiida_clathrate.kernels.sscha.gaussian import without_translations
from aiida_clathrate.kernels.sscha.minimisation import minimise, run
from aiida_clathrate.kernels.sscha.response import Response
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.search import Search
from aiida_clathrate.kernels.sscha.settings import Settings
from aiida_clathrate.kernels.sscha.waves import from_waves, to_waves, wave_vectors

CUBIC = (-8.0, 15.0, 30.0)
#: Oscillators: quartic at 0 K, quartic and cubic, the same on a mesh, held up by zero-point motion alone, softened.
EXACT = {
    'quartic': (BoundPairs(), 0.0),
    'cubic': (BoundPairs(cubic=CUBIC), 300.0),
    'mesh': (BoundPairs(cubic=CUBIC, mesh=(2, 1, 1)), 300.0),
    'double well': (BoundPairs(quadratic=(-2.0, -4.0, -10.0)), 0.0),
    'softened': (BoundPairs(cubic=(-14.8, 15.0, 30.0)), 1000.0),
}


def start_of(model, temperature):
    """Return the matrices of the exact solution."""
    solution = model.oscillators(temperature)
    return model.matrices([each.stiffness for each in solution], [each.centroid for each in solution])


def bonds(crystal):
    """Return the vector between the two atoms [Å]."""
    return (crystal.positions[1] - crystal.positions[0]) @ crystal.cell


def statistics(model, temperature, drawn, populations, number):
    """Return differences from the exact solution and errors, of frequencies, bond and free energy, and its bias."""
    exact = start_of(model, temperature)
    differences, errors, biases = [], [], []
    for seed in range(populations):
        ensemble = model.evaluate(sample(drawn, temperature, number, seed))
        minimum = minimise(replace(ensemble, stresses=None))
        assert minimum.reason == 'converged'
        free_energy = minimum.averages.free_energy
        bond = bonds(minimum.matrices.crystal) - bonds(exact.crystal)
        modes = (minimum.frequencies - exact.modes[0]).ravel()[3:]
        differences.append([*modes, *bond, float(free_energy.value) - model.free_energy(temperature)])
        # The two atoms move by the same in opposite directions.
        bond_errors = 2 * minimum.position_errors[0]
        errors.append([*minimum.frequency_errors.ravel()[3:], *bond_errors, float(free_energy.error)])
        biases.append(minimum.free_energy_bias)
    return np.array(differences), np.array(errors), np.array(biases)


@pytest.mark.parametrize('name', [*EXACT, 'weighted'])
def test_exact_solutions(name):
    """The scatter of populations about the exact solution is what the error bars say, re-weighted ones too.

    The variance of P populations has the relative standard deviation √(2/P), a quarter. Biases of order 1/N are a
    fraction of σ here; that of the free energy is known.
    """
    populations, number = 32, 2000
    model, temperature = EXACT['cubic' if name == 'weighted' else name]
    drawn = model.matrices((5.0, 12.0, 30.0)) if name == 'weighted' else start_of(model, temperature)
    differences, errors, bias = statistics(model, temperature, drawn, populations, number)
    tested = errors.max(axis=0) > 1e-9  # where symmetry fixes the centroid nothing is left to test
    differences, errors = differences[:, tested], errors[:, tested]
    expected = (errors**2).mean(axis=0)
    scatter = differences.var(axis=0, ddof=1) / expected
    assert np.all((scatter > 0.4) & (scatter < 2.0)), scatter
    assert np.median(scatter) == pytest.approx(1, abs=0.4)
    assert np.all((differences**2).mean(axis=0) / expected < 2.6)
    differences[:, -1] -= bias
    assert np.all(np.abs(differences.mean(axis=0)) < np.sqrt(expected))
    assert abs(differences[:, -1].mean()) < 3.5 * np.sqrt(expected[-1] / populations)


@pytest.mark.parametrize('name', ['quartic', 'cubic'])
def test_bias_of_the_free_energy(name):
    """By how much fitting Φ lowers it: from the exact solution, where the average has no bias, to the minimum."""
    model, temperature = EXACT[name]
    drops, biases = [], []
    for seed in range(40):
        ensemble = model.evaluate(sample(start_of(model, temperature), temperature, 1000, seed))
        minimum = minimise(replace(ensemble, stresses=None))
        drops.append(minimum.trace.free_energy[-1] - minimum.trace.free_energy[0])
        biases.append(minimum.free_energy_bias)
    difference = np.mean(drops) - np.mean(biases)
    assert np.mean(drops) < -3 * np.std(drops) / np.sqrt(40)
    assert abs(difference) < 3.5 * np.std(drops) / np.sqrt(40) + 0.15 * abs(np.mean(drops))


@pytest.mark.parametrize('relaxed', [False, True])
def test_pressure_errors(relaxed):
    """They count that Φ and the centroids answer to the noise.

    Where centroids relax, the noise of the force on a bond cancels: errors at given centroids are many times too large.
    Springs and bonds are at their natural length in the cell of the model, so that its pressure is zero.
    """
    model = BoundPairs(cubic=CUBIC)
    values, errors, fixed = [], [], []
    for seed in range(32):
        ensemble = model.evaluate(sample(start_of(model, 300.0), 300.0, 2000, seed))
        minimum = minimise(ensemble, Settings(relax_positions=relaxed))
        values.append(minimum.pressure.value)
        errors.append(minimum.pressure.error)
        fixed.append(WaveEnsemble(ensemble).pressure(minimum.averages).error)
    expected, without = (np.mean(np.square(each), axis=0) for each in (errors, fixed))
    scatter = np.var(values, axis=0, ddof=1) / expected
    # What cancels to first order leaves differences of second order in values and errors.
    assert np.all((scatter > (0.2 if relaxed else 0.4)) & (scatter < 2.0)), scatter
    assert expected[0, 0] < (0.05 if relaxed else 0.8) * without[0, 0]
    assert np.all(np.abs(np.mean(values, axis=0)) < 4 * np.sqrt(expected / 32))


@pytest.mark.parametrize(('mesh', 'relaxed'), [((1, 1, 1), True), ((3, 1, 1), False)])
def test_response(mesh, relaxed):
    """Derivatives of the averages are those by differences, at the minimum and away from it."""
    model = BoundPairs(cubic=CUBIC, mesh=mesh)
    drawn = start_of(model, 300.0) if relaxed else model.matrices((7.0, 18.0, 40.0))
    ensemble = model.evaluate(sample(drawn, 300.0, 20000, seed=1))
    waves = WaveEnsemble(ensemble)
    search = Search(waves, Settings())
    point = search.point(ensemble.matrices)
    response, size = Response(waves, point.averages), len(waves.invariants)
    moves = np.zeros((size + response.frame.shape[1], len(point.variables)))
    moves[:size, :size], moves[size:, size:] = np.eye(size), response.frame.T

    def gradient(move):
        averages = waves.at(search.matrices(point, point.variables + 1e-4 * move))
        return np.concatenate([averages.gradient.value, averages.force.value.ravel() @ response.frame])

    expected = np.array([(gradient(move) - gradient(-move)) / 2e-4 for move in moves]).T
    matrices = waves.invariants.matrices(np.eye(size))
    free = without_translations(2)
    matrices[:, 0] = free @ matrices[:, 0] @ free
    projector = np.eye(len(moves))
    projector[:size, :size] = waves.invariants.coefficients(matrices)
    found, expected = (projector @ each @ projector for each in (response.jacobian, expected))
    # Υ⟨uu⟩ is one only up to noise.
    for rows in (slice(0, size), slice(size, None)):
        for columns in (slice(0, size), slice(size, None)):
            largest = np.abs(expected[rows, columns]).max()
            np.testing.assert_allclose(found[rows, columns], expected[rows, columns], atol=0.05 * largest)


def harmonic_ensemble(mesh=(2, 2, 2), number=20, energy=3.0):
    """Return configurations drawn from soft springs, and forces of stiff ones."""
    stiff = spring_matrices(rocksalt(), mesh)
    soft = replace(stiff, force_constants=0.8 * stiff.force_constants)
    ensemble = sample(soft, 300.0, number, seed=0)
    waves = to_waves(ensemble.displacements, mesh)
    forces = from_waves(-waves @ np.swapaxes(wave_vectors(mesh).restrict(stiff.force_constants), -1, -2), mesh)
    energies = energy - 0.5 * (forces * ensemble.displacements).sum(axis=(1, 2))
    return stiff, replace(ensemble, energies=energies, forces=forces)


@pytest.mark.parametrize('mesh', [(2, 2, 2), (3, 3, 3)])
def test_harmonic_limit(mesh):
    """Harmonic forces give their Φ exactly, without error, whatever the ensemble."""
    stiff, ensemble = harmonic_ensemble(mesh, 2000)
    minimum = minimise(ensemble, Settings(kong_liu_ratio=0.1, meaningful_factor=1e-6))
    scale = np.abs(stiff.force_constants).max()
    np.testing.assert_allclose(minimum.matrices.force_constants, stiff.force_constants, atol=1e-6 * scale)
    assert minimum.frequency_errors.max() < 1e-4
    exact = WaveEnsemble(ensemble).at(stiff)
    cells = int(np.prod(mesh))
    assert float(exact.free_energy.value) == pytest.approx(exact.gaussian.free_energy / cells + 3.0 / cells)
    assert float(exact.free_energy.error) < 1e-12


def test_drawn_from_the_minimum():
    """An ensemble of the right harmonic matrices converges where it starts."""
    stiff, _ = harmonic_ensemble()
    ensemble = sample(stiff, 300.0, 20, seed=0)
    kept = wave_vectors(stiff.mesh).restrict(stiff.force_constants)
    forces = from_waves(-to_waves(ensemble.displacements, stiff.mesh) @ np.swapaxes(kept, -1, -2), stiff.mesh)
    minimum = minimise(replace(ensemble, energies=np.zeros(20), forces=forces))
    assert (minimum.reason, len(minimum.trace.kong_liu)) == ('converged', 1)


def test_centroids_without_error():
    """A force that is the same in all configurations has no error, and is still not zero."""
    model = BoundPairs(quadratic=(4.0, 12.0, 30.0), quartic=(0.0, 0.0, 0.0))
    matrices = model.matrices((4.0, 12.0, 30.0), (0.05, 0.0, 0.0))
    minimum = minimise(model.evaluate(sample(matrices, 0.0, 40, seed=0)))
    assert minimum.reason == 'converged'
    np.testing.assert_allclose(bonds(minimum.matrices.crystal), bonds(model.crystal), atol=1e-9)


def test_trace():
    """A row for each step; ends agree with the rest; few evaluations for each step; positions stay if told so."""
    model = BoundPairs(cubic=CUBIC, mesh=(2, 1, 1))
    ensemble = model.evaluate(sample(model.matrices((5.4, 14.2, 31.4), (0.05, -0.02, -0.02)), 300.0, 4000, seed=0))
    seen = []
    minimum = minimise(ensemble, progress=seen.append)
    trace, steps = minimum.trace, len(minimum.trace.kong_liu) - 1
    assert minimum.reason == 'converged'
    assert len(seen) == steps + 1
    assert {len(getattr(trace, name)) for name in vars(trace)} == {steps + 1}
    assert trace.evaluations[0] == 1
    assert trace.evaluations[-1] - 1 <= 1.5 * steps
    assert trace.gradient[-1] < 1e-6 * trace.gradient_error[-1]
    assert trace.kong_liu[0] == pytest.approx(1)
    np.testing.assert_allclose(trace.frequencies[-1], minimum.frequencies[minimum.averages.gaussian.vectors.kept])
    assert minimum.matrices.level == 'sscha'
    assert minimum.matrices.temperature == 300.0
    fixed = minimise(ensemble, Settings(relax_positions=False))
    np.testing.assert_allclose(fixed.matrices.crystal.positions, ensemble.crystal.positions, atol=1e-14)
    assert np.all(fixed.position_errors == 0)


def collapse(populations=12):
    """Return minima of an inverted parabola: nothing holds its atoms."""
    model = BoundPairs(quadratic=(-1.0, 3.0, 4.0), quartic=(0.0, 0.0, 0.0))
    matrices, minima = model.matrices((3.0, 3.0, 4.0)), []
    for seed in range(populations):
        minima.append(minimise(model.evaluate(sample(matrices, 0.0, 1000, seed))))
        matrices = minima[-1].matrices
        if minima[-1].reason != 'kong-liu':
            break
    return minima


def test_collapse():
    """The softest mode runs to zero until no step keeps it positive; every ensemble on the way is used up."""
    minima = collapse()
    softest = [minimum.frequencies[0, 3] for minimum in minima]
    assert minima[-1].reason == 'not positive'
    assert all(minimum.reason == 'kong-liu' for minimum in minima[:-1])
    assert all(0.6 <= minimum.averages.kong_liu < 0.9 for minimum in minima[:-1])
    assert np.all(np.diff(softest[:-1]) < 0)
    assert softest[-1] < 0.05 * softest[0]


def test_stabilised_by_its_own_amplitude():
    """A double well whose harmonic matrices are imaginary converges over a few populations."""
    model, _ = EXACT['double well']
    matrices = model.matrices((1.0, 1.0, 1.0))
    for seed in range(5):
        minimum = minimise(model.evaluate(sample(matrices, 0.0, 2000, seed)))
        matrices = minimum.matrices
        if minimum.reason == 'converged':
            break
    exact = start_of(model, 0.0).modes[0][0, 3:]
    assert minimum.reason == 'converged'
    assert np.all(np.abs(minimum.frequencies[0, 3:] - exact) < 4 * minimum.frequency_errors[0, 3:])


def test_step_that_lets_atoms_overlap():
    """It is shortened like one that leads to matrices that are not positive."""
    model = BoundPairs(cubic=CUBIC)
    ensemble = model.evaluate(sample(start_of(model, 300.0), 300.0, 400, seed=0))
    search = Search(WaveEnsemble(ensemble), Settings(kong_liu_ratio=0.1))
    point = search.point(ensemble.matrices)
    step = np.zeros_like(point.step)
    step[-3:] = -bonds(ensemble.crystal)
    with pytest.raises(ValueError, match='overlap'):
        search.matrices(point, point.variables + step)
    assert search.next([replace(point, step=0.02 * step)])[1:] == (1, None)
    _, evaluations, reason = search.next([replace(point, step=step)])
    assert reason == 'kong-liu'
    assert evaluations >= 1


def test_maximum_steps():
    """The last step is kept with the reason; the kernel gives it a label."""
    model = BoundPairs(cubic=CUBIC)
    ensemble = model.evaluate(sample(model.matrices((5.5, 14.0, 31.0)), 300.0, 400, seed=0))
    minimum = minimise(ensemble, Settings(maximum_steps=2))
    assert (minimum.reason, len(minimum.trace.kong_liu)) == ('maximum steps', 3)
    scalars, arrays = ensemble_to_arrays(ensemble)
    results, _ = run(scalars | {'settings': {'maximum_steps': 2}}, arrays)
    assert results['status'] == 'ERROR_NOT_CONVERGED'


def test_not_positive_start():
    """Matrices that have no Gaussian are refused with the label of imaginary frequencies."""
    _, ensemble = harmonic_ensemble()
    scalars, arrays = ensemble_to_arrays(ensemble)
    arrays['force_constants'] = arrays['force_constants'] - 40 * np.eye(6)
    with pytest.raises(io.KernelError, match='is not positive') as caught:
        run(scalars | {'settings': {}}, arrays)
    assert caught.value.label == 'ERROR_IMAGINARY_FREQUENCIES'


def test_run_folder(tmp_path):
    """The kernel in a folder of its own gives the numbers of the library, and says how little the data are."""
    model = BoundPairs(cubic=CUBIC)
    ensemble = model.evaluate(sample(model.matrices((5.5, 14.0, 31.0)), 300.0, 16, seed=0))
    scalars, arrays = ensemble_to_arrays(ensemble)
    settings = {'meaningful_factor': 0.01, 'kong_liu_ratio': 0.3}
    io.write(tmp_path, io.INPUTS, scalars | {'settings': settings}, arrays)
    subprocess.run([sys.executable, '-m', 'aiida_clathrate.kernels', 'sscha.minimisation'], cwd=tmp_path, check=True)
    results, held = io.read(tmp_path, io.RESULTS)
    minimum = minimise(ensemble, Settings(**settings))
    found = matrices_from_arrays(results, held)
    np.testing.assert_allclose(found.force_constants, minimum.matrices.force_constants, atol=1e-9)
    np.testing.assert_allclose(held['trace_free_energy'], minimum.trace.free_energy, rtol=1e-9)
    np.testing.assert_allclose(held['pressure_tensor'], minimum.pressure.value, atol=1e-9)
    assert found.pressure == pytest.approx(np.trace(minimum.pressure.value) / 3)
    assert results['reason'] == minimum.reason
    assert results['steps'] == len(held['trace_evaluations']) - 1
    assert results['free_energy_bias'] == pytest.approx(minimum.free_energy_bias)
    assert results['warnings'] == ['16 configurations for 21 independent force constants: noise decides; draw more']
    assert results['smallest_frequency'] == pytest.approx(minimum.frequencies[0, 3])
    assert set(held) >= {'frequencies', 'frequency_errors', 'position_errors', 'deviations', 'pressure_error'}


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'meaningful_factor': 0.0}, 'meaningful_factor: 0.0 is not between 1e-10 and 10'),
        ({'kong_liu_ratio': 1.0}, 'kong_liu_ratio: 1.0 is not between 0.1 and 0.95'),
        ({'step': 2}, 'step: 2 is not between 0.001 and 1'),
        ({'step': float('nan')}, 'step: nan is not between'),
        ({'maximum_steps': 1.5}, 'maximum_steps: 1.5 is not an integer'),
        ({'relax_positions': 'yes'}, "relax_positions: 'yes' is neither true nor false"),
        ({'max_ka': 3}, 'max_ka: no such parameter; there are kong_liu_ratio'),
    ],
)
def test_bad_settings(settings, message):
    """Each value out of its range is named."""
    with pytest.raises(ValueError, match=message.replace('(', r'\(')):
        Settings.from_scalars(settings)


def test_ensemble_without_forces():
    """There is nothing to average."""
    model = BoundPairs()
    with pytest.raises(ValueError, match='has no forces yet'):
        minimise(sample(model.matrices((5.0, 14.0, 31.0)), 0.0, 4, seed=0))


def test_two_configurations_are_too_few():
    """A single pair has no error."""
    model = BoundPairs()
    ensemble = model.evaluate(sample(model.matrices((5.0, 14.0, 31.0)), 0.0, 2, seed=0))
    with pytest.raises(ValueError, match='at least two independent configurations'):
        minimise(ensemble)


@pytest.mark.slow
def test_clathrate_with_ten_thousand():
    """112 atoms: from the harmonic matrices in a few populations, with at most 1.5 evaluations for each step."""
    mesh = (2, 2, 2)
    atoms, calculator, cells = clathrate_atoms(), MorseClathrate(mesh), supercell_indices(mesh)
    rows = calculator.hessian()[:42].reshape(42, len(cells), 42)
    force_constants = np.einsum('qr,arb->qab', np.exp(2j * np.pi * mesh_points(mesh) @ cells.T), rows)
    matrices = impose_constraints(DynamicalMatrices(Crystal.from_ase(atoms), mesh, force_constants)).matrices
    for seed in range(8):
        ensemble = sample(matrices, 300.0, 10000, seed)
        energies, forces, _ = calculator.evaluate(ensemble.positions, matrices.crystal.cell * 2)
        minimum = minimise(replace(ensemble, energies=energies, forces=forces))
        matrices = minimum.matrices
        if minimum.reason == 'converged':
            break
    steps, evaluations = len(minimum.trace.kong_liu) - 1, minimum.trace.evaluations[-1]
    assert minimum.reason == 'converged'
    assert evaluations - 1 <= 1.5 * steps
    again = sample(matrices, 300.0, 10000, 99)
    energies, forces, _ = calculator.evaluate(again.positions, matrices.crystal.cell * 2)
    fresh = WaveEnsemble(replace(again, energies=energies, forces=forces)).at(matrices)
    # The gradient of another population is noise: the sum over p parameters of their variances.
    norm, error = fresh.gradient.norm
    assert norm < 1.6 * error
    difference = float(fresh.free_energy.value) - float(minimum.averages.free_energy.value) + minimum.free_energy_bias
    assert abs(difference) < 4 * np.hypot(float(fresh.free_energy.error), float(minimum.averages.free_energy.error))
