"""The free-energy Hessian: dense tensors, python-sscha, a solvable oscillator, invariances, errors, refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from springs import diamond, exponential, hcp, rocksalt, spring_matrices

from aiida_clathrate.kernels.constraints import impose_constraints
from aiida_clathrate.kernels.crystal import Crystal, supercell_indices
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, diagonalise
from aiida_clathrate.kernels.ensemble import ForceEnsemble, supercell_crystal
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.sscha.gaussian import Gaussian
from aiida_clathrate.kernels.sscha.pair_response import variance_slopes
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.units import FORCE_CONSTANT_PER_RYDBERG, HBAR_SQUARED

pytest.importorskip('torch')
from dense_hessian import dense_hessian, real_space

from aiida_clathrate.kernels.sscha.hessian import hessian, run
from aiida_clathrate.kernels.sscha.hessian_settings import HessianSettings

REFERENCES = Path(__file__).parents[2] / 'fixtures' / 'sscha'


def triclinic():
    """Return two atoms without any symmetry."""
    cell = np.array([[3.1, 0, 0], [0.3, 3.4, 0], [0.1, 0.2, 3.7]])
    return Crystal(cell, ('Mg', 'O'), np.array([[0, 0, 0], [0.45, 0.53, 0.4]]), np.array([24.0, 16.0]))


def springs(crystal, mesh):
    """Return auxiliary matrices with the symmetry of the crystal."""
    return impose_constraints(spring_matrices(crystal, mesh, exponential(3.0), exponential(1.0))).matrices


def forces(matrices, displacements, noise=0.02, seed=1):
    """Return forces with quadratic and cubic parts between neighbours in the list, and noise."""
    flat = displacements.reshape(len(displacements), -1)
    other = flat - np.roll(flat, 1, axis=1)
    random = noise * np.random.default_rng(seed).standard_normal(flat.shape)
    return (random - flat @ real_space(matrices) + 4 * other**2 - 8 * other**3).reshape(displacements.shape)


def population(crystal, mesh, temperature=100.0, number=200):
    """Return an ensemble of arbitrary anharmonic forces, which have no symmetry."""
    matrices = springs(crystal, mesh)
    drawn = sample(matrices, temperature, number, seed=1)
    return replace(drawn, forces=forces(matrices, drawn.displacements), energies=np.zeros(number))


@pytest.mark.parametrize('fourth_order', [False, True])
@pytest.mark.parametrize(
    ('crystal', 'mesh', 'temperature'),
    [
        (triclinic(), (1, 1, 1), 0.0),
        (triclinic(), (3, 1, 1), 100.0),
        (triclinic(), (2, 2, 1), 100.0),
        (hcp(), (1, 1, 2), 300.0),
        (hcp(), (1, 1, 3), 0.0),
    ],
)
def test_dense_tensors(crystal, mesh, temperature, fourth_order):
    """All tensors built in the supercell, symmetrised and inverted there, give the same."""
    ensemble = population(crystal, mesh, temperature)
    settings = HessianSettings(fourth_order=fourth_order, tolerance=1e-13)
    result = hessian(ensemble, settings=settings)
    expected = dense_hessian(ensemble, fourth_order=fourth_order)
    np.testing.assert_allclose(result.matrices.force_constants, expected, atol=1e-10)
    np.testing.assert_allclose(result.third_order.force_constants, dense_hessian(ensemble, None, False), atol=1e-10)
    assert np.abs(expected - ensemble.matrices.force_constants).max() > 1e-3
    assert result.matrices.level == 'hessian'
    assert result.matrices.temperature == temperature


def test_single_configurations():
    """Configurations that are no pairs are not merged; they give what the dense tensors give."""
    drawn = population(triclinic(), (3, 1, 1))
    moved = drawn.displacements + 0.003 * np.random.default_rng(2).standard_normal(drawn.displacements.shape)
    ensemble = replace(drawn, displacements=moved, forces=forces(drawn.matrices, moved), antithetic=False)
    result = hessian(ensemble, settings=HessianSettings(tolerance=1e-13))
    np.testing.assert_allclose(result.matrices.force_constants, dense_hessian(ensemble), atol=1e-10)


@pytest.mark.parametrize('order', [3, 4])
@pytest.mark.parametrize('at', ['drawn', 'moved'])
@pytest.mark.parametrize('name', ['clathrate', 'triclinic', 'hexagonal'])
def test_python_sscha(name, at, order):
    """The Hessians of python-sscha 1.6.2, with and without re-weighting, to 1e-8 Ry/bohr²; here to 4e-10."""
    with np.load(REFERENCES / f'{name}.npz') as arrays, np.load(REFERENCES / f'{name}_references.npz') as references:
        expected = references[f'{at}_hessian_v{order}']
        first, second, third = arrays['mesh'].tolist()
        symbols, temperature = tuple(arrays['symbols'].tolist()), float(arrays['temperature'])
        drawn, moved = (
            DynamicalMatrices(
                Crystal(arrays['cell'], symbols, arrays[f'{prefix}positions'], arrays['masses']),
                (first, second, third),
                arrays[f'{prefix}force_constants'],
                'sscha',
                temperature=temperature,
            )
            for prefix in ('', 'new_')
        )
        displacements, pulls = (arrays[key].astype(np.float64) for key in ('displacements', 'forces'))
        ensemble = ForceEnsemble(drawn, temperature, displacements, arrays['energies'], pulls)
    settings = HessianSettings(fourth_order=order == 4, tolerance=1e-11, smallest_kong_liu=0.1)
    result = hessian(ensemble, moved if at == 'moved' else None, settings)
    difference = np.abs(result.matrices.force_constants - expected).max() / FORCE_CONSTANT_PER_RYDBERG
    assert difference < 1e-8
    assert np.abs(expected - drawn.force_constants).max() / FORCE_CONSTANT_PER_RYDBERG > 1e-3


def oscillator(number, seed=0, cubic=-4.0, quartic=25.0, harmonic=2.0, temperature=150.0):
    """Return an ensemble of two atoms bound by ½kr² + gr³ + λr⁴ in each direction, and the exact Hessian of r.

    With the variance σ² of r the averaged derivatives are k + 12λσ², 6g and 24λ; the first is the auxiliary matrix.
    """
    crystal = triclinic()
    reduced = 1 / (1 / crystal.masses).sum()
    link = np.kron([[1, -1], [-1, 1]], np.eye(3)).astype(complex)[None]
    stiffness, variance = harmonic, 0.0
    for _ in range(200):
        gaussian = Gaussian(DynamicalMatrices(crystal, (1, 1, 1), stiffness * link, 'sscha'), temperature)
        variance = float(gaussian.variances[0, -1]) / reduced
        stiffness = 0.5 * stiffness + 0.5 * (harmonic + 12 * quartic * variance)
    energy = 1e3 * np.sqrt(HBAR_SQUARED * stiffness / reduced)
    response = 0.5 * float(variance_slopes(np.array([energy]), temperature)[0]) / reduced**2
    exact = stiffness + (6 * cubic) ** 2 * response / (1 - 24 * quartic * response)
    drawn = sample(replace(gaussian.matrices, force_constants=stiffness * link), temperature, number, seed)
    distance = drawn.displacements[:, 0] - drawn.displacements[:, 1]
    pull = -harmonic * distance - 3 * cubic * distance**2 - 4 * quartic * distance**3
    return replace(drawn, forces=np.stack([pull, -pull], axis=1), energies=np.zeros(number)), exact, reduced


def test_oscillator():
    """Anharmonic oscillators: within four standard errors of the closed form, which are a percent."""
    ensemble, exact, reduced = oscillator(10000)
    result = hessian(ensemble)
    expected = 1e3 * np.sqrt(HBAR_SQUARED * exact / reduced)
    errors = result.frequency_errors[0, 3:]
    assert np.all(np.abs(result.frequencies[0, 3:] - expected) < 4 * errors)
    assert errors.max() < 0.01 * expected
    # Third order alone is off, and the auxiliary frequencies are far off.
    assert np.abs(result.third_order.modes[0][0, 3:] - expected).mean() > 3 * errors.mean()
    assert np.all(np.abs(ensemble.matrices.modes[0][0, 3:] - expected) > 10 * errors)


@pytest.mark.parametrize('fourth_order', [False, True])
def test_errors_are_the_scatter(fourth_order):
    """Over many populations the frequencies scatter by what each of them tells, to the error of a variance."""
    settings = HessianSettings(fourth_order=fourth_order)
    results = [hessian(oscillator(1000, seed)[0], settings=settings) for seed in range(30)]
    scatter = np.sqrt(np.var([r.frequencies[0, 3:] for r in results], axis=0, ddof=1).mean())
    predicted = np.sqrt(np.mean([r.frequency_errors[0, 3:] ** 2 for r in results]))
    # 90 values give a standard deviation to 1/√180 of itself; nearly three of those.
    assert predicted == pytest.approx(scatter, rel=0.2)


@pytest.mark.parametrize(('crystal', 'mesh'), [(triclinic(), (3, 1, 1)), (hcp(), (1, 1, 2))])
@pytest.mark.parametrize('fourth_order', [False, True])
def test_errors_are_those_of_a_jackknife(crystal, mesh, fourth_order):
    """Leaving out one block after the other and solving again gives the same errors, to second order."""
    ensemble, settings = population(crystal, mesh, number=4000), HessianSettings(fourth_order=fourth_order, blocks=20)
    result = hessian(ensemble, settings=settings)
    kept = [np.delete(np.arange(4000), np.arange(200 * b, 200 * (b + 1))) for b in range(20)]
    parts = np.array([hessian(ensemble.subset(part), settings=settings).frequencies for part in kept])
    parts *= np.abs(parts)  # squares are what the errors are linear in
    expected = np.sqrt(19 / 20 * ((parts - parts.mean(axis=0)) ** 2).sum(axis=0))
    errors = result.frequency_errors * 2 * np.abs(result.frequencies)
    assert np.all(errors[0, :3] == 0)
    vibrations = errors > 0
    assert vibrations.sum() == errors.size - 3
    np.testing.assert_allclose(errors[vibrations], expected[vibrations], rtol=0.1)


def test_auxiliary_errors():
    """Those of ⟨∂²V⟩ from two blocks: half the difference of what the halves of the ensemble say."""
    ensemble = population(triclinic(), (1, 1, 1))
    result = hessian(ensemble, settings=HessianSettings(blocks=2, fourth_order=False))
    masses = np.repeat(ensemble.crystal.masses, 3)
    gaussian = Gaussian(ensemble.matrices, ensemble.temperature)
    waves = ensemble.displacements.reshape(-1, 6) @ gaussian.inverse_covariance[0].T
    pulls = (ensemble.forces - ensemble.forces.mean(axis=1, keepdims=True)).reshape(-1, 6)
    products = np.einsum(
        'ca,cb->cab', waves, pulls + ensemble.displacements.reshape(-1, 6) @ real_space(ensemble.matrices)
    )
    difference = -(products[:100].mean(axis=0) - products[100:].mean(axis=0)) / np.sqrt(np.outer(masses, masses))
    frequencies, vectors = ensemble.matrices.modes
    shifts = np.einsum('am,ab,bm->m', vectors[0].conj(), difference, vectors[0]).real
    expected = 1e6 * HBAR_SQUARED * np.abs(shifts[3:]) / 2 / (2 * frequencies[0, 3:])
    np.testing.assert_allclose(result.auxiliary_errors[0, 3:], expected, rtol=1e-6)


def test_folding():
    """A mesh gives what Γ of its supercell gives, which knows nothing of momentum, and the same errors."""
    mesh = (2, 1, 1)
    ensemble = population(triclinic(), mesh)
    crystal = supercell_crystal(ensemble.crystal, mesh)
    whole = real_space(ensemble.matrices)[None].astype(complex)
    folded = replace(ensemble, matrices=DynamicalMatrices(crystal, (1, 1, 1), whole, 'sscha', None, 100.0))
    ours, theirs = hessian(ensemble), hessian(folded)
    assert np.sort(ours.frequencies.ravel()) == pytest.approx(theirs.frequencies.ravel(), abs=1e-6)
    order = np.argsort(ours.frequencies.ravel())
    ours_errors, their_errors = ours.frequency_errors.ravel()[order], theirs.frequency_errors.ravel()
    np.testing.assert_allclose(ours_errors[3:], their_errors[3:], rtol=1e-6)


def test_order_of_configurations():
    """The order of the pairs does not matter."""
    ensemble = population(hcp(), (1, 1, 3))
    order = np.random.default_rng(0).permutation(len(ensemble) // 2)
    shuffled = ensemble.subset((2 * order[:, None] + np.arange(2)).ravel())
    ours, theirs = (hessian(each).matrices.force_constants for each in (ensemble, shuffled))
    np.testing.assert_allclose(ours, theirs, atol=1e-11)


def turned(ensemble, rotation, order):
    """Return the ensemble of the turned crystal with its atoms in another order."""
    crystal, cells = ensemble.crystal, len(supercell_indices(ensemble.mesh))
    other = Crystal(
        crystal.cell @ rotation.T,
        tuple(np.array(crystal.symbols)[order]),
        crystal.positions[order],
        crystal.masses[order],
    )
    atoms = len(order)
    blocks = ensemble.matrices.force_constants.reshape(-1, atoms, 3, atoms, 3)[:, order][:, :, :, order]
    blocks = np.einsum('ij,qajbk,lk->qaibl', rotation, blocks, rotation)
    matrices = replace(ensemble.matrices, crystal=other, force_constants=blocks.reshape(-1, 3 * atoms, 3 * atoms))
    fields = [
        field.reshape(len(ensemble), cells, atoms, 3)[:, :, order].reshape(len(ensemble), -1, 3) @ rotation.T
        for field in (ensemble.displacements, ensemble.forces)
    ]
    return replace(ensemble, matrices=matrices, displacements=fields[0], forces=fields[1])


@pytest.mark.parametrize(('crystal', 'mesh'), [(triclinic(), (3, 1, 1)), (rocksalt(), (2, 2, 2))])
def test_rotation_and_labels(crystal, mesh):
    """Frequencies and errors do not depend on the direction of the axes or on the order of the atoms."""
    ensemble = population(crystal, mesh)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    ours, theirs = hessian(ensemble), hessian(turned(ensemble, rotation, np.array([1, 0])))
    np.testing.assert_allclose(ours.frequencies[:, 3:], theirs.frequencies[:, 3:], atol=1e-7)
    np.testing.assert_allclose(ours.frequency_errors[:, 3:], theirs.frequency_errors[:, 3:], atol=1e-7)


def test_harmonic_crystal():
    """Harmonic forces of the auxiliary matrices give these, without any error."""
    matrices = springs(diamond(), (2, 2, 2))
    drawn = sample(matrices, 300.0, 200, seed=4)
    flat = -drawn.displacements.reshape(200, -1) @ real_space(matrices)
    result = hessian(replace(drawn, forces=flat.reshape(drawn.displacements.shape), energies=np.zeros(200)))
    np.testing.assert_allclose(result.matrices.force_constants, matrices.force_constants, atol=1e-10)
    assert result.frequency_errors.max() < 1e-9
    assert result.auxiliary_errors.max() < 1e-9


def test_run_folder():
    """The run folder gives the numbers of the function, with and without other matrices."""
    from aiida_clathrate.kernels.ensemble_arrays import ensemble_to_arrays, matrices_from_arrays, matrices_to_arrays

    ensemble = population(hcp(), (1, 1, 2))
    softer = replace(ensemble.matrices, force_constants=0.99 * ensemble.matrices.force_constants)
    scalars, arrays = ensemble_to_arrays(ensemble)
    scalars |= {'settings': {'blocks': 20}, 'matrices': matrices_to_arrays(softer)[0]}
    arrays |= {f'matrices_{name}': array for name, array in matrices_to_arrays(softer)[1].items()}
    held, stored = run(scalars, arrays)
    direct = hessian(ensemble, softer, HessianSettings(blocks=20))
    np.testing.assert_array_equal(matrices_from_arrays(held, stored).force_constants, direct.matrices.force_constants)
    np.testing.assert_array_equal(stored['third_order_force_constants'], direct.third_order.force_constants)
    np.testing.assert_array_equal(stored['frequency_errors'], direct.frequency_errors)
    assert held['kong_liu'] == direct.kong_liu < 1
    assert held['warnings'] == []


def test_noise_is_named():
    """Where the fourth order is noise, the eigenvalue that says so becomes a warning."""
    drawn = population(rocksalt(), (2, 2, 2), number=100)
    noisy = replace(drawn, forces=drawn.forces + 40 * np.random.default_rng(0).normal(size=drawn.forces.shape))
    result = hessian(noisy, settings=HessianSettings(most_iterations=200))
    assert result.smallest_eigenvalue < 0
    assert 'draw more configurations' in result.warnings[0]


def test_refusals():
    """What cannot be is refused with a remedy."""
    ensemble = population(triclinic(), (2, 1, 1), number=100)
    drawn = sample(ensemble.matrices, 100.0, 100, seed=0)
    with pytest.raises(ValueError, match='ensemble: has no forces yet'):
        hessian(drawn)
    with pytest.raises(ValueError, match=r'ensemble: 40 independent configurations .* fewer than the 50 blocks'):
        hessian(ensemble.subset(slice(0, 80)))
    with pytest.raises(ValueError, match='is not positive'):
        hessian(ensemble, replace(ensemble.matrices, force_constants=-ensemble.matrices.force_constants))
    with pytest.raises(ValueError, match=r'their mesh \(1, 1, 1\) is not the supercell'):
        hessian(ensemble, springs(triclinic(), (1, 1, 1)))
    cubic = population(rocksalt(), (1, 1, 1), number=100)
    skewed = cubic.matrices.force_constants + np.kron([[1, -1], [-1, 1]], np.diag([0.1, 0, 0]))
    with pytest.raises(ValueError, match='impose the constraints first'):
        hessian(cubic, replace(cubic.matrices, force_constants=skewed))
    with pytest.raises(ValueError, match=r'memory: 0\.001 GB are too few'):
        hessian(ensemble, settings=HessianSettings(memory=0.001))
    with pytest.raises(KernelError, match='draw a new ensemble') as failure:
        hessian(ensemble, replace(ensemble.matrices, force_constants=9 * ensemble.matrices.force_constants))
    assert failure.value.label == 'ERROR_EFFECTIVE_SAMPLE_TOO_SMALL'
    with pytest.raises(KernelError, match='after 1 iterations') as failure:
        hessian(ensemble, settings=HessianSettings(most_iterations=1, tolerance=1e-12))
    assert failure.value.label == 'ERROR_NOT_CONVERGED'


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'fourth_order': 1}, 'fourth_order: 1 is neither true nor false'),
        ({'tolerance': 0}, r'tolerance: 0 is not between'),
        ({'blocks': 1}, 'blocks: 1 is not an integer from 2'),
        ({'threads': 1.5}, r'threads: 1\.5 is not an integer'),
        ({'smallest_kong_liu': 1.2}, r'smallest_kong_liu: 1\.2'),
        ({'device': 'gpu'}, "device: 'gpu' is neither cpu nor cuda"),
        ({'memory': -1}, 'memory: -1 is not a positive'),
        ({'block': 3}, 'block: no such parameter; there are blocks, '),
    ],
)
def test_settings(settings, message):
    """Settings outside their range are refused, with name and value."""
    with pytest.raises(ValueError, match=message):
        HessianSettings.from_scalars(settings)


def test_frequencies_belong_to_the_matrices():
    """Frequencies are those of the Hessian matrices, the translations of Γ at zero."""
    result = hessian(population(hcp(), (1, 1, 2)))
    expected, _ = diagonalise(result.matrices.force_constants, result.matrices.crystal.masses)
    np.testing.assert_array_equal(result.frequencies, expected)
    assert np.sort(np.abs(result.frequencies[0]))[:3].max() < 1e-4
