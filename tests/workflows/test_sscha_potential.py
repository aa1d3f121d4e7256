"""The SSCHA with a potential through the engine: real trainings on a crystal whose forces are cheap."""

from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from hexagonal_bonds import HexagonalBonds, packing

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.finite_displacements import fit_harmonic, single_displacements
from aiida_clathrate.kernels.sscha.sampling import sample

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')
MESH, TEMPERATURE = (2, 2, 1), 300.0
SschaWorkChain = WorkflowFactory('clathrate.sscha')
#: Of bonds that are a third stiffer than those of the crystal [1/Å].
STIFFER = 1.5
#: An expected error that every configuration is beyond [meV/Å].
LEAST = 0.01
#: Trained in a second; to a few meV/Å where forces are of the order of 300.
TRAIN = {
    'architecture': {
        'radial_order': 6, 'angular_order': 3, 'largest_l': 2, 'channels': 4, 'attention_heads': 0, 'hidden': [16]
    },
    'training': {'epochs': 20},
}  # fmt: skip


def harmonic():
    """Return the harmonic matrices of the bonds."""
    crystal = Crystal.from_ase(packing())
    cells = int(np.prod(MESH))
    return fit_harmonic(computed(single_displacements(
        DynamicalMatrices(crystal, MESH, np.zeros((cells, 6, 6), dtype=complex))
    )))  # fmt: skip


def computed(population, **changes):
    """Return a population with the forces of the bonds, or of others."""
    cell = supercell_crystal(population.crystal, MESH).cell
    energies, forces, _ = HexagonalBonds(MESH, **changes).evaluate(population.positions, cell)
    return replace(population, energies=energies, forces=forces, source='bonds')


@pytest.fixture
def build(code):
    """Return a function that makes a builder whose first stage is one population."""

    def make(potential, populations=(40,), **changes):
        values = {'populations': [60, 80], 'hessian_configurations': 80, 'check_configurations': 8, 'train': TRAIN}
        return SschaWorkChain.get_builder_from_protocol(
            code(),
            DynamicalMatrixData.from_kernel(harmonic()),
            MESH,
            TEMPERATURE,
            calculator_code=code('hexagonal_bonds:HexagonalBonds', cells=MESH),
            overrides={'populations': list(populations), 'hessian': {'blocks': 20}} | changes,
            potential=values | potential,
        )

    return make


def calls(node):
    """Return the processes that a work chain called, by their labels."""
    links = node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all()
    return {link.link_label: link.node for link in links}


def reports(node):
    """Return what a work chain reported."""
    return '\n'.join(entry.message for entry in orm.Log.collection.get_logs_for(node))


def test_to_the_hessian(build):
    """From the first population to the Hessian: trained, labelled where it is uncertain, trained again, checked."""
    builder = build({'populations': [80], 'min_validation': 8, 'largest_deviation': LEAST, 'max_labels': 4,
                     'max_rounds': 1, 'largest_fraction_beyond': 1.0})  # fmt: skip
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    found = calls(node)
    assert len(found) == len(node.called)  # a step that runs twice finds what it has submitted by its label
    check_trainings(outputs, found)
    check_bias(outputs, found)
    assert [row['configurations'] for row in outputs['output_parameters']['populations']] == [40, 80]
    assert found['population_2_sampling'].outputs.result.base.attributes.get('seed') == 2
    hessian = found['hessian_forces']
    assert outputs['hessian_ensemble'].uuid == hessian.outputs.ensemble.uuid
    assert outputs['hessian_ensemble'].base.attributes.get('source').startswith('potential:')
    assert 'labels' not in hessian.outputs
    assert outputs['stability']['class'] == 'stable'
    by_potential = outputs['auxiliary_matrices'].to_kernel().modes[0][1:].min()
    by_bonds = found['population_1_minimisation'].outputs.matrices.to_kernel().modes[0][1:].min()
    assert by_potential == pytest.approx(by_bonds, rel=0.05)


def check_trainings(outputs, found):
    """Each potential is linked to what it was trained on, and the report tells how it came about."""
    first, population = found['training_1'], found['population_2_forces']
    ensemble = found['population_1_minimisation'].inputs.ensemble
    assert first.inputs.ensembles.population_1.uuid == ensemble.uuid
    assert 'baseline' not in first.inputs
    assert population.inputs.potential.uuid == first.outputs.potential.uuid
    labels, again = calls(population)['labels_1'], calls(population)['training_1']
    assert set(again.inputs.ensembles) == {'population_1', 'labels_1'}
    assert again.inputs.ensembles.labels_1.uuid == labels.outputs.ensemble.uuid
    assert population.outputs.labels.labels_1.uuid == labels.outputs.ensemble.uuid
    assert outputs['potential'].uuid == again.outputs.potential.uuid
    assert outputs['potential_validation'].uuid == again.outputs.validation.uuid
    report = outputs['potential_report'].get_dict()
    assert set(report) == {'training_1', 'population_2', 'check_2', 'hessian'}
    assert set(report['population_2']) == {'selection_1', 'training_1', 'selection_2'}
    selected = report['population_2']['selection_1']
    assert (len(selected['uncertain']), selected['beyond']) == (4, 80)
    assert selected['limit'] == pytest.approx(LEAST / 1e3)
    assert report['population_2']['training_1']['sought_validation_configurations'] == 1
    assert report['hessian']['selection_1']['number'] == 80


def check_bias(outputs, found):
    """Labels of random configurations, which no potential was trained on, give the bias."""
    predicted, labelled = found['population_2_minimisation'].inputs.ensemble, found['check_2_forces'].outputs.ensemble
    members = found['check_2_selection'].outputs.selection['random']
    exact = labelled.to_kernel().energies - predicted.to_kernel().energies[members]
    bias, results = outputs['potential_bias'].get_dict(), outputs['output_parameters'].get_dict()
    assert bias['free_energy_bias'] == pytest.approx(exact.mean() / 4, rel=1e-6)
    assert results['potential_free_energy_bias'] == bias['free_energy_bias']
    assert results['corrected_free_energy'] - results['free_energy'] == pytest.approx(bias['free_energy_bias'])
    assert results['corrected_free_energy_error'] > results['free_energy_error']
    np.testing.assert_allclose(computed(labelled.to_kernel()).energies, labelled.to_kernel().energies, atol=1e-9)


@pytest.mark.slow
def test_inaccurate(build):
    """A potential that cannot meet the limits ends the run with the best one, and where it is worst."""
    outputs, node = run_get_node(build({'largest_energy_error': 1e-4, 'harmonic_baseline': True}, max_populations=2))
    assert node.exit_status == 440, node.exit_message
    assert 'not accurate (limits 0.0001 and 50)' in node.exit_message
    found = calls(node)
    assert set(found['training_2'].inputs.ensembles) == {'population_1', 'population_2'}
    assert found['training_2'].inputs.baseline == 'population_2'
    assert found['training_2'].outputs.potential.base.attributes.get('mesh') == list(MESH)
    trained = {name: found[name].outputs.report['energy_rmse'] for name in ('training_1', 'training_2')}
    assert outputs['potential'].uuid == found[min(trained, key=trained.get)].outputs.potential.uuid
    report = outputs['potential_report']['training_2']
    assert report['worst_configurations'][0]['ensemble'] in ('population_1', 'population_2')
    assert 'potential_validation' in outputs
    assert [row['configurations'] for row in outputs['output_parameters']['populations']] == [40, 40]
    assert outputs['ensemble'].uuid == found['population_2_minimisation'].inputs.ensemble.uuid
    assert 'hessian_ensemble' not in outputs
    assert 'potential_bias' not in outputs


@pytest.mark.slow
@pytest.mark.parametrize('decay', [1.3, STIFFER])
def test_calculator(build, code, decay):
    """A calculator takes the place of the potential: nothing is trained, and its bias is found; too large, it ends."""
    other = {'calculator_code': code('hexagonal_bonds:HexagonalBonds', cells=MESH, decay=decay)}
    builder = build({'populations': [40]} | other)
    builder.pop('hessian')
    outputs, node = run_get_node(builder)
    assert set(calls(node)) >= {'population_1_forces', 'check_1_forces'}
    assert 'potential' not in outputs
    bias = outputs['potential_bias']['free_energy_bias']
    if decay == STIFFER:
        assert node.exit_status == 440
        assert 'check: errors of 8 random configurations' in node.exit_message
        assert bias < -1e-3
    else:
        assert node.is_finished_ok, node.exit_message
        assert bias == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_wrong_start(build):
    """A potential of another crystal fails its check; it is trained with those labels too, as often as allowed."""
    drawn = sample(harmonic(), TEMPERATURE, 40, 1)
    wrong = ForceEnsembleData.from_kernel(computed(drawn, decay=STIFFER)).store()
    training = WorkflowFactory('clathrate.potential').get_builder()
    # Labels that contradict one another cannot be learnt as well as others.
    limits = {'largest_energy_error': 1.2, 'largest_force_error': 60.0, 'largest_deviation': 1e6}
    builder = build({'populations': [40], 'max_rounds': 1} | limits)
    training.ensembles = {'wrong': wrong}
    training.train.code, training.train.parameters = builder.potential.train.code, orm.Dict(TRAIN)
    trained, node = run_get_node(training)
    assert node.is_finished_ok, node.exit_message
    builder.potential.start, builder.potential.ensembles = trained['potential'], {'wrong': wrong}
    outputs, node = run_get_node(builder)
    assert node.exit_status == 440, node.exit_message
    assert 'check: errors of 8 random configurations' in node.exit_message
    found = calls(node)
    assert {'check_1', 'check_2', 'training_1'} <= set(found)
    assert not {'training_2', 'population_3_sampling'} & set(found)
    again = found['training_1']
    assert again.inputs.ensembles.labels_1.uuid == found['check_1_forces'].outputs.ensemble.uuid
    assert found['population_2_forces'].inputs.potential.uuid == again.outputs.potential.uuid
    assert outputs['potential'].uuid == again.outputs.potential.uuid
    assert outputs['potential_bias'].uuid == found['check_2'].outputs.result.uuid
