"""From α²F to the result: its parts, its JSON, the run folder, and bad input."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.alpha2f import ModeCouplings
from aiida_clathrate.kernels.eliashberg import Extras, ModeErrors, run, solve
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.matsubara.settings import Settings
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.superconductivity import METHODS, Superconductivity

EINSTEIN = SpectralFunction(np.array([20.0]), np.array([1.0]))
FAST = Settings(mu_stars=(0.1,), reduced_temperatures=())


def folder(**changes):
    """Return the arrays of a run folder: 2 broadenings, 4 q, 3 modes."""
    generator = np.random.default_rng(5)
    arrays = {
        'frequencies': generator.uniform(5, 40, (4, 3)),
        'weights': np.array([0.1, 0.2, 0.3, 0.4]),
        'couplings': generator.uniform(0.1, 0.5, (2, 4, 3)),
        'smearings': np.array([0.1, 0.2]),
    }
    return arrays | changes


def test_result():
    """The parts of a result belong together."""
    result = solve(EINSTEIN, [0.1, 0.2])
    assert (result.coupling, result.omega_log, result.omega_2) == pytest.approx((1, 20, 20))
    assert (result.omega_ref, result.cutoff) == pytest.approx((20, 200))
    assert result.raw[0] > result.rescaled[0] > result.rescaled[1]
    assert result.critical_temperature == result.rescaled[0]
    assert result.mu_star_derivatives[0] * 0.1 == pytest.approx(result.rescaled[1] - result.rescaled[0], rel=0.2)
    assert 3.53 < result.gap_ratio < 4.2
    assert result.temperatures[0] == pytest.approx(0.1 * result.rescaled[0])
    assert result.errors is None
    # μ*_N by hand from what is recorded.
    end = 2 * math.pi * result.rescaled[0] / 11.604518 * result.matsubara_numbers[0]
    assert result.mu_star_at_cutoff[0] == pytest.approx(0.1 / (1 + 0.1 * math.log(20 / end)), rel=1e-5)


def test_json():
    """The result survives JSON, and a μ* without superconductivity is null in all columns."""
    weak = SpectralFunction(np.array([20.0]), np.array([0.35]))
    result = solve(weak, [0.05, 0.3])
    scalars, arrays = result.to_results()
    text = json.dumps(scalars, allow_nan=False)
    assert {'lambda', 'omega_log_meV', 'omega_2_meV', 'mu_star', 'critical_temperature'} <= set(scalars)
    assert set(scalars['critical_temperature']) == {'rescaled', 'raw', 'allen_dynes', 'mcmillan'}
    assert [values[1] for values in scalars['critical_temperature'].values()] == [None] * 4
    assert scalars['isotope_coefficients'][1] is None
    again = Superconductivity.from_results(json.loads(text), arrays)
    assert again.to_results()[0] == scalars
    assert again.gaps[2] == pytest.approx(result.gaps[2])


def test_gap_below_the_lowest_temperature():
    """The gap is found at a tenth of T_c, though T_c is the lowest temperature at which it was looked for."""
    lowest = 0.99 * solve(EINSTEIN, settings=FAST).critical_temperature
    result = solve(EINSTEIN, settings=replace(FAST, lowest_temperature=lowest, reduced_temperatures=(0.1,)))
    assert result.temperatures[0] == pytest.approx(0.1 * lowest / 0.99)
    assert solve(EINSTEIN, settings=replace(FAST, lowest_temperature=1.1 * lowest)).rescaled == (None,)


def test_spread():
    """The spread over broadenings exists where all of them superconduct, and where there is more than one."""
    result = replace(solve(EINSTEIN, settings=FAST), smearings=(0.1, 0.2, 0.3), smearing_temperatures=(5.0, 7.0, 6.0))
    assert result.smearing_spread == 2.0
    assert replace(result, smearing_temperatures=(5.0, 7.0, None)).smearing_spread is None
    assert solve(EINSTEIN, settings=FAST).smearing_spread is None


def test_references():
    """ω_ref by name or value: the higher it is, the more of the repulsion has been taken already."""
    spectral = SpectralFunction(np.array([10.0, 30.0]), np.array([0.6, 0.6]))
    found = {
        reference: solve(spectral, settings=replace(FAST, omega_ref=reference))
        for reference in ('max', 'log', 'second', 30.0)
    }
    assert found['max'].omega_ref == 30
    assert found['log'].omega_ref == pytest.approx(math.sqrt(300))
    assert found['second'].omega_ref == pytest.approx(math.sqrt(500))
    assert found['max'].rescaled == found[30.0].rescaled
    assert found['max'].rescaled[0] > found['second'].rescaled[0] > found['log'].rescaled[0]
    assert found['max'].raw == pytest.approx(found['log'].raw, rel=1e-9)


def test_run():
    """The kernel of the run folder is ``solve`` for the chosen broadening, and gives T_c for all of them."""
    scalars, _ = run({'mu_stars': [0.1], 'smearing': 1, 'reduced_temperatures': []}, folder())
    modes = ModeCouplings(*folder().values())
    expected = [solve(modes.spectral(index), settings=FAST).rescaled[0] for index in range(2)]
    assert scalars['critical_temperature']['rescaled'][0] == pytest.approx(expected[1], rel=1e-12)
    assert scalars['smearing_critical_temperatures_K'] == pytest.approx(expected, rel=1e-9)
    assert scalars['smearing_spread_K'] == pytest.approx(abs(expected[0] - expected[1]), rel=1e-6)
    assert scalars['smearing_eV'] == 0.2
    assert 'status' not in scalars


def test_run_errors():
    """Errors of the modes reach their lines, whatever the order: the error bar is that of the sorted lines."""
    arrays = folder()
    arrays['couplings'][0, 1, 1] = 0.0
    errors = np.random.default_rng(6).uniform(0, 1, (2, 4, 3))
    scalars, _ = run(
        {'mu_stars': [0.1], 'reduced_temperatures': []},
        arrays | {'frequency_errors': errors[0], 'coupling_errors': 0.1 * errors[1]},
    )
    weights = np.repeat(arrays['weights'], 3)
    couplings = weights * arrays['couplings'][0].ravel()
    keep = np.argsort(arrays['frequencies'].ravel())
    keep = keep[couplings[keep] > 0]
    lines = SpectralFunction(arrays['frequencies'].ravel()[keep], couplings[keep])
    known = ModeErrors(errors[0].ravel()[keep], (0.1 * weights * errors[1].ravel())[keep])
    assert scalars['stated_error_K'] == pytest.approx(solve(lines, settings=FAST, extras=Extras(known)).error)
    assert scalars['stated_error_K'] > 0


def test_run_species():
    """Shares of the atoms give partial isotope coefficients that add up."""
    shares = np.random.default_rng(8).uniform(0, 1, (4, 3, 1))
    arrays = folder(atom_weights=np.concatenate((shares / 2, shares / 2, 1 - shares), axis=2))
    scalars, _ = run({'mu_stars': [0.1], 'symbols': ['B', 'B', 'C']}, arrays)
    assert set(scalars['isotope_by_species']) == {'B', 'C'}
    assert sum(scalars['isotope_by_species'].values()) == pytest.approx(scalars['isotope_coefficients'][0])


def test_not_superconducting():
    """Nothing to find gives a complete result with the status of its exit code."""
    scalars, arrays = run({'mu_stars': [0.2]}, folder(couplings=np.full((2, 4, 3), 0.01)))
    assert scalars['status'] == 'ERROR_NOT_SUPERCONDUCTING'
    assert scalars['critical_temperature'] == {name: [None] for name in METHODS}
    assert scalars['superconducts'] is False
    assert 'gaps' not in arrays


@pytest.mark.parametrize(
    ('scalars', 'message'),
    [
        ({'mu_stars': []}, 'the list is empty'),
        ({'mu_stars': [0.5]}, r'mu_stars: 0\.5 is not a μ\* in \[0, 0\.5\)'),
        ({'mu_stars': [-0.01]}, r'mu_stars: -0\.01'),
        ({'mu_stars': [math.nan]}, 'mu_stars: nan'),
        ({'mu_stars': ['0.1']}, "mu_stars: '0.1'"),
        ({'mu_stars': [True]}, 'mu_stars: True'),
        ({'mu_stars': 0.1}, 'not a list'),
        ({'stated_mu_star': 0.2}, 'not among mu_stars'),
        ({'omega_ref': -3.0}, 'omega_ref: -3.0'),
        ({'omega_ref': 'top'}, "omega_ref: 'top'"),
        ({'omega_ref': [3]}, 'omega_ref'),
        ({'cutoff_factor': 1}, 'cutoff_factor: 1'),
        ({'boundary': 'last'}, "boundary: 'last'"),
        ({'fewest_frequencies': 0}, 'fewest_frequencies: 0'),
        ({'fewest_frequencies': 32.0}, 'fewest_frequencies: 32.0'),
        ({'lowest_temperature': 0}, 'lowest_temperature: 0'),
        ({'reduced_temperatures': [1.0]}, r'reduced_temperatures: 1\.0'),
        ({'smearing': -1}, 'smearing: -1'),
        ({'smearing': 2}, 'smearing: 2 is not the index of one of 2'),
        ({'temperature': 4}, 'temperature: no such parameter'),
    ],
)
def test_bad_scalars(scalars, message):
    """Each bad parameter is refused with its name and value."""
    with pytest.raises(ValueError, match=message):
        run(scalars, folder())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'couplings': np.full((2, 4, 3), np.nan)}, 'must be finite'),
        ({'couplings': np.zeros((2, 4, 2))}, 'couplings of shape'),
        ({'weights': np.ones(4)}, 'must sum to 1'),
        ({'frequency_errors': np.zeros(12)}, r'frequency_errors: needs the shape \(4, 3\)'),
        ({'coupling_errors': -np.ones((4, 3))}, 'coupling_errors: must be finite and not negative'),
        ({'atom_weights': np.ones((4, 3, 2))}, 'symbols: need 2'),
    ],
)
def test_bad_arrays(changes, message):
    """Arrays that do not fit together are refused."""
    with pytest.raises(ValueError, match=message):
        run({}, folder(**changes))


def test_pole():
    """A pole of the rescaled μ* is a failure with its own label."""
    with pytest.raises(KernelError) as error:
        solve(EINSTEIN, [0.1, 0.45])
    assert error.value.label == 'ERROR_COULOMB_POLE'


@pytest.mark.parametrize(
    'change',
    [{'rescaled': (math.nan,)}, {'raw': (0.0,)}, {'raw': (1.0, 2.0)}, {'stated_mu_star': 0.3}, {'gap_edges': (1.0,)}],
)
def test_bad_result(change):
    """A result with NaN, zero, the wrong length or an unknown μ* cannot be made."""
    with pytest.raises(ValueError, match='superconductivity: '):
        replace(solve(EINSTEIN, settings=FAST), **change)


def kernel(name, path):
    """Run a kernel in a folder, as a calculation does."""
    command = [sys.executable, '-m', 'aiida_clathrate.kernels', *name]
    return subprocess.run(command, cwd=path, capture_output=True, text=True, check=False)


def test_runner(tmp_path):
    """The runner writes results, or the label and message of a failure."""
    io.write(tmp_path, io.INPUTS, {'mu_stars': [0.1], 'reduced_temperatures': []}, folder())
    assert kernel(['eliashberg'], tmp_path).returncode == 0
    assert io.read(tmp_path, io.RESULTS)[0]['critical_temperature']['rescaled'][0] > 0
    for mu_star, label in ((0.7, 'ERROR_INPUT_INVALID'), (0.45, 'ERROR_COULOMB_POLE')):
        io.write(tmp_path, io.INPUTS, {'mu_stars': [mu_star]}, folder())
        assert kernel(['eliashberg'], tmp_path).returncode == 0
        scalars, arrays = io.read(tmp_path, io.RESULTS)
        assert scalars['error'] == label
        assert str(mu_star) in scalars['message']
        assert not arrays


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ([], 'usage'),
        (['elishberg'], "there is no kernel 'elishberg'"),
        (['../eliashberg'], 'there is no kernel'),
        (['units'], 'does not run alone'),
        (['eliashberg'], 'no inputs'),
    ],
)
def test_bad_command(tmp_path, name, message):
    """A wrong name, or a folder without inputs, is one line and no results."""
    found = kernel(name, tmp_path)
    assert found.returncode == 1
    assert message in found.stderr
    assert 'Traceback' not in found.stderr
    assert not list(tmp_path.iterdir())


def test_interrupted(tmp_path):
    """Writing that fails half-way leaves neither results nor half of them."""
    with pytest.raises(ValueError, match='JSON'):
        io.write(tmp_path, io.RESULTS, {'bad': math.nan}, {})
    assert not list(tmp_path.iterdir())


def test_unknown_broadening():
    """The index of a broadening needs the broadenings."""
    with pytest.raises(ValueError, match='smearing: 1 is none of the 1 broadenings'):
        solve(EINSTEIN, settings=replace(FAST, smearing=1))
