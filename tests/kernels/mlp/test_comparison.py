"""A potential with known errors against the labels of a population."""

from dataclasses import replace

import numpy as np
import pytest
from coupled_pairs import CoupledPairs

from aiida_clathrate.kernels.mlp.comparison import compare
from aiida_clathrate.kernels.mlp.selection import Selection, select
from aiida_clathrate.kernels.sscha.sampling import sample

MESH, CELLS, ATOMS = (2, 1, 1), 2, 4
SELECTION = Selection([1, 4, 7, 10], [2, 15], 5)
EXPECTED = np.array([0.05, 0.08, 0.05, 0.05, 0.05, 0.08])  # in the order 1, 2, 4, 7, 10, 15


def population(number=16, seed=1):
    """Return a population with labels."""
    drawn = sample(CoupledPairs().matrices(MESH), 300.0, number, seed)
    generator = np.random.default_rng(seed)
    return replace(
        drawn,
        energies=generator.normal(size=number),
        forces=generator.normal(size=(number, ATOMS, 3)),
        stresses=generator.normal(size=(number, 3, 3)),
        source='labels',
    )


def wrong(true, energies=0.0, forces=0.0, pressures=0.0):
    """Return a population as a potential with these errors has it."""
    tensors = np.multiply.outer(np.broadcast_to(pressures, len(true)), np.eye(3))
    return replace(
        true, energies=true.energies + energies, forces=true.forces + forces, stresses=true.stresses + tensors
    )


def chosen(true, indices=None):
    """Return configurations with their labels, those of the selection by default."""
    return true.subset(np.array(SELECTION.indices if indices is None else indices), antithetic=False)


def test_known_offset():
    """A constant error of the energy is the bias, with the opposite sign, and has no error itself."""
    true = population()
    found = compare(chosen(true), wrong(true, 0.012, 0.06, 0.5), SELECTION, EXPECTED)
    assert (found['random'], found['uncertain'], found['missing']) == (4, 2, [])
    assert found['energy_mean_error'] == pytest.approx(12 / ATOMS)
    assert found['energy_rmse'] == pytest.approx(12 / ATOMS)
    assert found['free_energy_bias'] == pytest.approx(-0.012 / CELLS)
    assert found['pressure_bias'] == pytest.approx(-0.5)
    assert found['force_rmse'] == pytest.approx(60)
    for name in ('energy_mean_error_error', 'free_energy_bias_error', 'pressure_bias_error'):
        assert found[name] == pytest.approx(0.0, abs=1e-12)
    assert found['deviation_ratio'] == pytest.approx(0.06 / 0.05)
    assert found['uncertain_deviation_ratio'] == pytest.approx(0.06 / 0.08)


def test_parts():
    """The bias is that of the random ones alone; the uncertain ones have numbers of their own."""
    true = population()
    errors = np.zeros(16)
    errors[[1, 4, 7, 10]] = 0.01, 0.03, 0.02, 0.04
    errors[[2, 15]] = 1.0, 3.0
    found = compare(chosen(true), wrong(true, errors, errors[:, None, None]), SELECTION, EXPECTED)
    error = np.std([0.01, 0.03, 0.02, 0.04], ddof=1) / 2
    assert found['free_energy_bias'] == pytest.approx(-0.025 / CELLS)
    assert found['free_energy_bias_error'] == pytest.approx(error / CELLS)
    assert found['energy_mean_error'] == pytest.approx(25 / ATOMS)
    assert found['energy_mean_error_error'] == pytest.approx(1e3 * error / ATOMS)
    assert found['uncertain_force_rmse'] == pytest.approx(1e3 * 5**0.5)
    assert found['uncertain_energy_mean_error'] == pytest.approx(2e3 / ATOMS)
    assert 'uncertain_free_energy_bias' not in found
    # Ranks 1 2 3 4 5.5 5.5 expected as 2.5 2.5 2.5 2.5 5.5 5.5, errors 1 3 2 4 5 6.
    assert found['rank_correlation'] == pytest.approx(12 / np.sqrt(17.5 * 12), rel=1e-12)


def test_random_members_estimate_the_bias():
    """Over many choices the bias is that of the whole population, and scatters as its error says."""
    true = population(200)
    generator = np.random.default_rng(3)
    errors = 0.02 + 0.05 * generator.standard_normal(200)
    predicted, seeds = wrong(true, errors), 300
    found = []
    for seed in range(seeds):
        selection = select(np.abs(errors) + 0.01, True, 0.1, 3, 20, seed)
        labels = chosen(true, selection.indices)
        found.append(compare(labels, predicted, selection, np.full(len(selection.indices), 0.1)))
    bias = np.array([each['free_energy_bias'] for each in found])
    error = np.array([each['free_energy_bias_error'] for each in found])
    assert abs(bias.mean() + errors.mean() / CELLS) < 3 * bias.std() / np.sqrt(seeds)
    # Members of one population scatter less than draws of the Gaussian itself, which the error is for.
    assert bias.std() == pytest.approx(np.sqrt((error**2).mean() * (1 - 20 / 200)), rel=0.15)


def test_missing_labels():
    """Configurations that failed are named; the others are known by their displacements, in whatever order."""
    true = population()
    predicted = wrong(true, np.arange(16) * 0.01, 0.04)
    found = compare(chosen(true, [15, 7, 1, 10]), predicted, SELECTION, EXPECTED)
    assert found['missing'] == [2, 4]
    assert (found['random'], found['uncertain']) == (3, 1)
    assert found['free_energy_bias'] == pytest.approx(-0.06 / CELLS)
    assert found['uncertain_energy_mean_error'] == pytest.approx(150 / ATOMS)
    assert found['deviation_ratio'] == pytest.approx(0.04 / 0.05)
    assert found['uncertain_deviation_ratio'] == pytest.approx(0.04 / 0.08)


def test_too_few():
    """Of one random configuration the error is not known, without any there is no bias; no stresses, no pressure."""
    true = population()
    predicted = wrong(true, 0.1)
    one = compare(chosen(true, [4, 2]), replace(predicted, stresses=None), SELECTION, EXPECTED)
    assert one['free_energy_bias'] == pytest.approx(-0.1 / CELLS)
    assert one['free_energy_bias_error'] is None
    assert one['pressure_bias'] is None
    assert one['stress_rmse'] is None
    assert one['rank_correlation'] is None
    none = compare(chosen(true, [2, 15]), predicted, SELECTION, EXPECTED)
    assert none['random'] == 0
    assert 'free_energy_bias' not in none


def test_refused():
    """Configurations that are not those selected, twice the same, of another supercell, or without forces."""
    true = population()
    for labelled, message in (
        (chosen(true, [1, 3]), 'configuration 1 is none of those selected'),
        (chosen(true, [1, 1]), 'is there twice'),
        (replace(chosen(true), energies=None, forces=None, stresses=None), 'both need energies and forces'),
        (sample(CoupledPairs().matrices((4, 1, 1)), 300.0, 2, 1), 'its supercell is not that'),
    ):
        with pytest.raises(ValueError, match=message):
            compare(labelled, true, SELECTION, EXPECTED)
