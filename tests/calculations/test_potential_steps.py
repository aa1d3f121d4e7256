"""The short steps between training a potential and using it: nodes, seeds and exit codes."""

from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from coupled_pairs import CoupledPairs

from aiida_clathrate.calculations import potentials as steps
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.sscha.sampling import sample

pytestmark = pytest.mark.usefixtures('aiida_profile')
MODEL = CoupledPairs()


def ensemble(number=20, seed=1, computed=True):
    """Return a population, with the forces of the model or without."""
    drawn = sample(MODEL.matrices((2, 1, 1)), 300.0, number, seed)
    if not computed:
        return drawn
    energies, forces, _ = MODEL.evaluate(drawn.positions, drawn.crystal.cell * [[2], [1], [1]])
    return replace(drawn, energies=energies, forces=forces, source='model')


def node(kernel, precision='single'):
    """Return an ensemble as a node."""
    return ForceEnsembleData.from_kernel(kernel, precision)


def assert_unusable(calculation, message):
    """Assert the exit code of a step, and that it has no outputs."""
    assert calculation.exit_status == 210
    assert message in calculation.exit_message
    assert not list(calculation.outputs)


def divided(number=8, seed=1, fraction=0.1, least=4, **ensembles):
    """Divide ensembles."""
    numbers = orm.Int(number), orm.Int(seed), orm.Float(fraction), orm.Int(least)
    return steps.split_ensembles.run_get_node(*numbers, **ensembles)


def test_split():
    """Pairs stay together, what was sought trains, one seed gives one split."""
    sought = replace(ensemble(10, 2), antithetic=False)
    ensembles = {'population_1': node(ensemble()), 'labels_1': node(sought)}
    found, _ = divided(**ensembles)
    split = found.get_dict()
    assert {label: (len(parts['training']), len(parts['validation'])) for label, parts in split.items()} == {
        'population_1': (8, 12),
        'labels_1': (9, 1),
    }
    assert set(np.array(split['population_1']['training']).reshape(-1, 2) @ [1, -1]) == {-1}
    assert divided(**ensembles)[0].get_dict() == split
    assert divided(seed=2, **ensembles)[0].get_dict() != split
    assert len(divided(number=0, **ensembles)[0]['population_1']['training']) == 16


def test_split_refused():
    """Ensembles without forces and validations without configurations end with 210."""
    _, calculation = divided(population_1=node(ensemble(computed=False)))
    assert_unusable(calculation, 'population_1: its configurations have no forces')
    _, calculation = divided(least=30, population_1=node(ensemble()))
    assert_unusable(calculation, 'nothing is left for training of 20 configurations')


def chosen(population, deviations, limit=0.05, labels=3, random=4, seed=1):
    """Choose configurations of a population."""
    numbers = orm.Float(limit), orm.Int(labels), orm.Int(random), orm.Int(seed)
    expected = orm.ArrayData({'deviations': deviations})
    return steps.select_configurations.run_get_node(population, *numbers, expected)


def test_select():
    """The chosen configurations have no forces and no pairs, and the precision of the population."""
    deviations = np.linspace(0.0, 0.1, 20)
    for precision in ('single', 'double'):
        population = node(ensemble(), precision)
        found, _ = chosen(population, deviations)
        selection = found['selection'].get_dict()
        assert (selection['number'], selection['beyond'], selection['limit']) == (20, 10, 0.05)
        assert (len(selection['random']), len(selection['uncertain'])) == (4, 3)
        assert selection['indices'] == sorted({*selection['random'], *selection['uncertain']})
        assert selection['largest_deviation'] == pytest.approx(0.1)
        assert selection['deviations'] == pytest.approx(deviations[selection['indices']])
        drawn = found['population']
        attributes = drawn.base.attributes
        assert (attributes.get('antithetic'), attributes.get('computed')) == (False, False)
        assert (attributes.get('precision'), attributes.get('source')) == (precision, '')
        displacements = population.get_array('displacements')[selection['indices']]
        np.testing.assert_array_equal(drawn.get_array('displacements'), displacements)
    assert chosen(population, deviations)[0]['selection'].get_dict() == selection
    assert chosen(population, deviations, seed=2)[0]['selection'].get_dict() != selection


def test_nothing_to_select():
    """A population that is certain gives no other one."""
    found, calculation = chosen(node(ensemble()), np.zeros(20), random=0)
    assert calculation.is_finished_ok
    assert set(found) == {'selection'}
    assert found['selection']['indices'] == []


def test_random_only():
    """A calculator that expects no errors is checked by random configurations."""
    population = node(ensemble())
    numbers = orm.Float(0.05), orm.Int(3), orm.Int(4), orm.Int(1)
    found, calculation = steps.select_configurations.run_get_node(population, *numbers)
    assert calculation.is_finished_ok
    selection = found['selection'].get_dict()
    assert (len(selection['random']), selection['uncertain'], selection['beyond']) == (4, [], 0)
    assert found['population'].base.attributes.get('number') == 4


def test_select_refused():
    """Deviations of another population, and numbers that mean nothing, end with 210."""
    population = node(ensemble())
    for deviations, numbers, message in (
        (np.zeros(19), {}, 'there are 19 for 20 configurations'),
        (np.zeros(20), {'random': 11}, 'random: 11 is more than the 10 independent'),
        (np.zeros(20), {'limit': -1.0}, 'need a limit above 0'),
    ):
        assert_unusable(chosen(population, deviations, **numbers)[1], message)


def test_compare():
    """A known offset of the energies is found from the labels of the chosen ones, and what failed is named."""
    true = ensemble()
    predicted = node(replace(true, energies=true.energies + 0.02, source='potential'))
    found, _ = chosen(predicted, np.linspace(0.0, 0.1, 20))
    indices = found['selection']['indices']
    labelled = node(true.subset(np.array(indices), antithetic=False))
    result = steps.compare_with_labels(labelled, predicted, found['selection'])
    assert result['free_energy_bias'] == pytest.approx(-0.01)
    assert result['energy_mean_error'] == pytest.approx(5.0)
    assert (result['random'], result['uncertain'], result['missing']) == (4, 3, [])
    some = node(true.subset(np.array(indices[1:]), antithetic=False))
    assert steps.compare_with_labels(some, predicted, found['selection'])['missing'] == indices[:1]


def test_compare_refused():
    """Other configurations, or a part of the population, end with 210."""
    true = ensemble()
    found, _ = chosen(node(true), np.linspace(0.0, 0.1, 20))
    labelled = node(true.subset(np.array(found['selection']['indices']), antithetic=False))
    for ours, theirs, message in (
        (labelled, labelled, 'predicted: need all 20 configurations, not 7'),
        (node(true), node(true), 'is none of those selected'),
        (labelled, node(ensemble(computed=False)), 'both need energies and forces'),
    ):
        assert_unusable(steps.compare_with_labels.run_get_node(ours, theirs, found['selection'])[1], message)
