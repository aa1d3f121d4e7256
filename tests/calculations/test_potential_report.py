"""What is said about a potential in the outputs of a work chain."""

import numpy as np
import pytest
from aiida import orm

from aiida_clathrate.calculations import potential_report as steps

pytestmark = pytest.mark.usefixtures('aiida_profile')
RESULTS = {
    'model': 'network', 'training_configurations': 8, 'validation_configurations': 3, 'energy_rmse': 0.4,
    'energy_max': 0.9, 'energy_mean_error': -0.1, 'force_rmse': 49.0, 'force_max': 200.0,
    'force_rmse_by_species': {'H': 49.0}, 'stress_rmse': None, 'seconds': 3.0,
}  # fmt: skip


def judged(force_errors=(0.01, 0.08, 0.03), energy_errors=(0.0, -5e-4, 1e-3), limits=(0.5, 50.0), ensembles=(0, 1, 1)):
    """Judge a training with three held-out configurations."""
    energies = np.array([-1.0, -2.0, -3.0])
    validation = orm.ArrayData(
        {
            'energies': energies,
            'predicted_energies': energies + energy_errors,
            'force_errors': np.array(force_errors),
            'deviations': np.array([0.02, 0.07, 0.04]),
            'validation_index': np.array([ensembles, [5, 0, 7]]).T,
        }
    )
    split = orm.Dict({label: {'training': [], 'validation': []} for label in ('population_2', 'labels_1')})
    report = steps.judge_training(orm.Dict(RESULTS), validation, split, *map(orm.Float, limits))
    return report.get_dict()


def test_judged():
    """The worst configurations come first, by the label of their ensemble, in the units of the limits."""
    report = judged(limits=(0.8, 61.0))
    assert report['accurate']
    assert report['limits'] == {'energy': 0.8, 'force': 61.0}
    assert 'seconds' not in report
    first, second, third = report['worst_configurations']
    assert (first['ensemble'], first['configuration']) == ('population_2', 0)
    assert (second['ensemble'], second['configuration']) == ('population_2', 7)
    assert (third['ensemble'], third['configuration']) == ('labels_1', 5)
    assert first['force_error'] == pytest.approx(80.0)
    assert first['expected_force_error'] == pytest.approx(70.0)
    assert first['energy_error'] == pytest.approx(-0.5)


def test_errors():
    """Only the fair sample is judged; what was sought is told beside it."""
    report = judged()
    assert report['validation_configurations'] == 2
    assert report['energy_rmse'] == pytest.approx(np.sqrt((0.5**2 + 1) / 2))
    assert report['force_rmse'] == pytest.approx(np.sqrt((80**2 + 30**2) / 2))
    assert (report['sought_energy_rmse'], report['sought_force_rmse']) == pytest.approx((0.0, 10.0))
    assert report['sought_validation_configurations'] == 1
    alone = judged(ensembles=(0, 0, 0))
    assert alone['validation_configurations'] == alone['sought_validation_configurations'] == 3
    without = judged(ensembles=(1, 1, 1))
    assert (without['sought_force_rmse'], without['sought_validation_configurations']) == (None, 0)


@pytest.mark.parametrize(('limits', 'accurate'), [((0.8, 61.0), True), ((0.79, 61.0), False), ((0.8, 60.0), False)])
def test_inaccurate(limits, accurate):
    """Either error above its limit is too large."""
    assert judged(limits=limits)['accurate'] == accurate


def test_bias():
    """The bias stands beside the free energy, which stays what it was."""
    results = orm.Dict({'free_energy': -10.0, 'free_energy_error': 0.003, 'free_energy_bias': 1e-5, 'steps': 7})
    bias = {
        'free_energy_bias': 0.02,
        'free_energy_bias_error': 0.004,
        'pressure_bias': None,
        'pressure_bias_error': None,
    }
    found = steps.add_bias(results, orm.Dict(bias)).get_dict()
    assert found | results.get_dict() == found
    assert (found['potential_free_energy_bias'], found['potential_free_energy_bias_error']) == (0.02, 0.004)
    assert found['potential_pressure_bias'] is None
    assert found['corrected_free_energy'] == pytest.approx(-9.98)
    assert found['corrected_free_energy_error'] == pytest.approx(0.005)
    single = steps.add_bias(results, orm.Dict(bias | {'free_energy_bias_error': None}))
    assert single['corrected_free_energy_error'] is None
