"""What the SSCHA refuses of a potential, before anything is stored or submitted."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from aiida.plugins import WorkflowFactory
from coupled_pairs import CoupledPairs
from small_potential import small_potential

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels.sscha.sampling import sample

MESH, TEMPERATURE = (2, 1, 1), 300.0


@pytest.fixture
def build(aiida_profile, aiida_localhost):
    """Return a function that makes inputs that are right, unless changed."""
    code = orm.InstalledCode(label='python', computer=aiida_localhost, filepath_executable=sys.executable)

    def make(potential=True, protocol='fast', **overrides):
        return WorkflowFactory('clathrate.sscha').get_builder_from_protocol(
            code,
            DynamicalMatrixData.from_kernel(CoupledPairs().matrices((4, 1, 1))),
            MESH,
            TEMPERATURE,
            calculator_code=code,
            protocol=protocol,
            overrides=overrides,
            potential=potential,
        )

    return make


def population(mesh=MESH, computed=True, symbols=None):
    """Return an ensemble of the pairs."""
    drawn = sample(CoupledPairs().matrices(mesh), TEMPERATURE, 8, 1)
    if symbols:
        crystal = replace(drawn.crystal, symbols=symbols)
        drawn = replace(drawn, matrices=replace(drawn.matrices, crystal=crystal))
    if computed:
        drawn = replace(drawn, energies=np.zeros(8), forces=0 * drawn.displacements, source='test')
    return ForceEnsembleData.from_kernel(drawn)


def trained(species=('H', 'Li'), mesh=None):
    """Return a potential with random weights."""
    potential = small_potential(baseline=False)
    baseline = None if mesh is None else CoupledPairs().matrices(mesh)
    return PotentialData.from_kernel(replace(potential, species=species, baseline=baseline))


def refused(builder):
    """Return why the ports refuse a builder, ``None`` if they do not."""
    ports = builder.process_class.spec().inputs
    result = ports.validate(ports.pre_process(builder._inputs(prune=True)))
    return result and str(result)


def changed(builder, **values):
    """Set inputs below ``potential``, with dots written as two underscores."""
    for name, value in values.items():
        *spaces, last = name.split('__')
        place = builder.potential
        for space in spaces:
            place = place[space]
        if value is None:
            place.pop(last)
        else:
            place[last] = value
    return builder


@pytest.mark.parametrize('protocol', ['fast', 'balanced', 'stringent'])
def test_protocols(build, protocol):
    """Each protocol gives inputs that are accepted, and an architecture of its own."""
    builder = build(protocol=protocol)
    assert refused(builder) is None
    preset = builder.potential.train.parameters['architecture']['preset']
    assert preset == ('paper' if protocol == 'stringent' else 'fast')
    assert builder.populations.get_list()[-1] < builder.potential.populations.get_list()[0] + 1
    assert 'calculator' not in builder.potential._inputs(prune=True)


def test_none(build):
    """Without a potential nothing of it is left in the inputs."""
    builder = build(potential=None)
    assert refused(builder) is None
    assert 'potential' not in builder._inputs(prune=True)


def test_values(build):
    """Values replace those of the protocol; parameters are merged with its own."""
    given = {'max_labels': 7, 'populations': [200, 400], 'train': {'training': {'epochs': 5}},
             'ensembles': {'mine': population()}, 'evaluate': {'precision': 'double'}}  # fmt: skip
    builder = build(given)
    assert refused(builder) is None
    namespace = builder.potential
    assert (namespace.max_labels.value, namespace.populations.get_list()) == (7, [200, 400])
    assert namespace.train.parameters.get_dict() == {'architecture': {'preset': 'fast'}, 'training': {'epochs': 5}}
    assert namespace.evaluate.parameters.get_dict() == {'precision': 'double'}
    assert set(namespace.ensembles) == {'mine'}
    with pytest.raises(ValueError, match=r"potential: 'max_label' is no input; there are .*max_labels"):
        build({'max_label': 7})


def test_calculator(build, aiida_localhost):
    """A calculator takes the place of training and evaluation."""
    code = orm.InstalledCode(label='other', computer=aiida_localhost, filepath_executable=sys.executable)
    builder = build({'calculator_code': code})
    assert refused(builder) is None
    given = builder.potential._inputs(prune=True)
    assert given['calculator']['code'].label == 'other'
    assert not {'train', 'evaluate'} & set(given)
    assert 'leave out start' in refused(changed(builder, start=trained()))
    changed(builder, start=None, calculator__parameters={'stress': True})
    assert 'calculator.parameters: stress is an input of the work chain' in refused(builder)


def test_start(build):
    """A potential is given with what it was trained on, or with nothing that would train it again."""
    builder = build({'start': trained()})
    assert 'ensembles: give what `start` was trained on' in refused(builder)
    assert refused(changed(builder, ensembles={'population_1': population()})) is None
    alone = build({'start': trained(mesh=MESH), 'max_rounds': 0, 'check_configurations': 0})
    assert refused(alone) is None
    alone.max_populations = 1  # none of them is from first principles
    assert refused(alone) is None


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: {'train': None}, 'train: missing; give both of train and evaluate, or calculator'),
        (lambda: {'evaluate': None}, 'evaluate: missing; give both of train and evaluate, or calculator'),
        (lambda: {'populations': [1000, 33]}, '[1000, 33] must be even numbers from 4'),
        (lambda: {'populations': [1000, 500]}, '[1000, 500] must not shrink'),
        (lambda: {'hessian_configurations': 98}, 'potential.hessian_configurations: 98 are 49 pairs'),
        (lambda: {'check_configurations': 3000}, 'check_configurations: 3000 are more than the 2500 pairs'),
        (lambda: {'training_configurations': 131}, '131 to train with and 10 to judge by are more than the 140'),
        (lambda: {'largest_energy_error': 0.0}, 'largest_energy_error: 0.0 is not allowed; give more than 0'),
        (lambda: {'largest_force_error': -1.0}, 'largest_force_error: -1.0 is not allowed; give more than 0'),
        (lambda: {'largest_deviation': 0.0}, 'largest_deviation: 0.0 is not allowed; give more than 0'),
        (lambda: {'largest_fraction_beyond': 1.1}, 'largest_fraction_beyond: 1.1 is not a fraction; give 0 to 1'),
        (lambda: {'validation_fraction': 1.0}, 'validation_fraction: 1.0 leaves nothing; give 0 to below 1'),
        (lambda: {'max_labels': 0}, 'max_labels: 0'),
        (lambda: {'max_rounds': -1}, 'max_rounds: -1 is not allowed; give 0 or more'),
        (lambda: {'evaluate__parameters': {'stress': True}}, 'evaluate.parameters: stress is an input of the forces'),
        (lambda: {'baseline': 'mine'}, "baseline: 'mine' is no label of the ensembles"),
        (lambda: {'ensembles': {'mine': population(computed=False)}}, 'mine: its configurations have no forces'),
        (lambda: {'ensembles': {'mine': population(symbols=('He', 'Li'))}}, 'mine: its atoms are He Li, not H Li'),
        (
            lambda: {'ensembles': {'mine': population((4, 1, 1))}, 'harmonic_baseline': True},
            'mine: its supercell is [4, 1, 1], not [2, 1, 1]',
        ),
        (lambda: start(trained(('C', 'Li'))), 'start: knows C, Li, the population has H too'),
        (lambda: start(trained(mesh=(4, 1, 1))), 'start: its harmonic baseline is of the supercell 4×1×1, not 2×1×1'),
    ],
)
def test_refused(build, make, message):
    """The message names the input, the value and the remedy."""
    try:
        found = refused(changed(build(), **make()))
    except ValueError as error:  # a builder may refuse a value itself
        found = str(error)
    assert message in (found or '')


def start(potential):
    """Return a potential with what it was trained on."""
    return {'start': potential, 'ensembles': {'population_1': population()}}


def test_other_inputs(build):
    """The first stage leaves populations to the potential, and a variable cell needs stresses."""
    builder = build()
    builder.max_populations = 2
    assert 'max_populations: 2 are used up by the 2 populations from first principles; allow more' in refused(builder)
    builder = build(stress=False)
    builder.variable_cell, builder.pressure = True, 5.0
    assert 'forces.stress: a variable cell needs the stresses' in refused(builder)


def test_finer_supercell_without_baseline(build):
    """Labels of another supercell are welcome to a potential that is the whole energy."""
    builder = build({'ensembles': {'mine': population((4, 1, 1))}})
    assert refused(builder) is None


def test_inside_another_work_chain(build):
    """A builder of a work chain around this one takes the namespace before its defaults are there."""
    builder = WorkflowFactory('clathrate.critical_temperature').get_builder()
    builder.sscha = build()
    assert builder.sscha.potential.populations.get_list() == [1000, 5000]
    port = builder.process_class.spec().inputs['sscha']
    builder.sscha.max_populations = 2
    found = port.validate(port.pre_process(builder._inputs(prune=True)['sscha']))
    assert 'max_populations: 2 are used up' in str(found)
