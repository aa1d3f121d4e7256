"""A potential on a population through the engine: its nodes, its exit codes, what is refused before submission."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory
from small_potential import small_potential
from springs import diamond, rocksalt, spring_matrices

from aiida_clathrate.calculations.evaluate_potential import problem_of
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels import evaluate, evaluation_parts
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.mlp import evaluator
from aiida_clathrate.kernels.mlp.evaluator import PotentialEvaluator
from aiida_clathrate.kernels.sscha.sampling import sample

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')
MESH = (2, 1, 3)
POTENTIAL = small_potential()


@pytest.fixture
def code(aiida_localhost):
    """Return the code of the kernels."""
    aiida_localhost.set_minimum_job_poll_interval(0.1)
    return orm.InstalledCode(label='kernels', computer=aiida_localhost, filepath_executable=sys.executable).store()


def builder(code, matrices=POTENTIAL.baseline, potential=POTENTIAL, stored='double', **parameters):
    """Return the inputs of a calculation on pairs drawn from matrices."""
    result = CalculationFactory('clathrate.evaluate_potential').get_builder()
    result.code = code
    result.population = ForceEnsembleData.from_kernel(sample(matrices, 300.0, 6, 1), stored)
    result.potential = PotentialData.from_kernel(potential)
    result.parameters = parameters
    return result


def test_numbers(code):
    """The ensemble is the population with the numbers of the potential; nothing is kept twice."""
    inputs = builder(code, stored='single', stress=True)
    inputs.metadata.options.resources = {'num_machines': 1, 'num_mpiprocs_per_machine': 1, 'num_cores_per_mpiproc': 2}
    outputs, calculation = run_get_node(inputs)
    assert calculation.is_finished_ok, calculation.exit_message
    node, population = outputs['ensemble'], inputs.population.to_kernel()
    supercell = supercell_crystal(population.crystal, population.mesh)
    expected = PotentialEvaluator(POTENTIAL, supercell.symbols).evaluate_scored(population.positions, supercell.cell)
    found = node.to_kernel()
    np.testing.assert_array_equal(found.displacements, population.displacements)
    np.testing.assert_allclose(found.energies, expected[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.forces, expected[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs['deviations'].get_array('deviations'), expected[3], rtol=1e-5)
    assert found.stresses.shape == (6, 3, 3)
    assert node.base.attributes.get('precision') == 'single'
    assert node.base.attributes.get('source') == outputs['output_parameters']['source']
    assert outputs['output_parameters']['largest_deviation'] == pytest.approx(expected[3].max(), rel=1e-5)
    for repository in (calculation.base.repository, outputs['retrieved'].base.repository):
        names = repository.list_object_names()
        assert not [name for name in names if name.endswith(('.npz', '.safetensors')) or name == 'potential.json']
    assert '"threads": 2' in calculation.base.repository.get_object_content('inputs.json')


def test_walltime(code):
    """A job that is short of time ends with 400; one from its folder goes on, but not with another potential."""
    inputs = builder(code, batch_size=1)
    inputs.metadata.options.max_wallclock_seconds = 1
    inputs.population = ForceEnsembleData.from_kernel(sample(POTENTIAL.baseline, 300.0, 3000, 1))
    _, stopped = run_get_node(inputs)
    assert stopped.exit_status == 400, stopped.exit_message
    assert 'of 3000 configurations' in stopped.exit_message
    inputs.parent_folder = stopped.outputs.remote_folder
    inputs.parameters = {}
    del inputs.metadata.options['max_wallclock_seconds']
    outputs, calculation = run_get_node(inputs)
    assert calculation.is_finished_ok, calculation.exit_message
    assert 0 < outputs['output_parameters']['reused'] < 3000
    inputs.potential = PotentialData.from_kernel(small_potential(seed=2))
    _, foreign = run_get_node(inputs)
    assert foreign.exit_status == 211
    assert 'ensemble' not in foreign.outputs


def shifted(crystal, shift):
    """Return a crystal whose first atom is somewhere else [fractional]."""
    positions = crystal.positions.copy()
    positions[0] += shift
    return Crystal(crystal.cell, crystal.symbols, positions, crystal.masses)


def matrices(crystal=None, mesh=MESH):
    """Return the matrices of the potential for another crystal."""
    return replace(spring_matrices(rocksalt(), mesh), **({} if crystal is None else {'crystal': crystal}))


def other_cases():
    """Return matrices of populations that the potential does not know, and what is said."""
    crystal = rocksalt()
    strained = Crystal(1.3 * crystal.cell, crystal.symbols, crystal.positions, crystal.masses)
    reverse = Crystal(crystal.cell, crystal.symbols[::-1], crystal.positions[::-1], crystal.masses[::-1])
    return [
        (spring_matrices(diamond(), MESH), 'potential: knows'),
        (matrices(mesh=(3, 1, 2)), 'of the supercell 2×1×3, not'),
        (matrices(mesh=(2, 1, 2)), 'not 2×1×2; train'),
        (matrices(reverse), 'in its own order of atoms'),
        (matrices(strained), 'more than a fifth'),
        (matrices(shifted(crystal, [1, 0, 0])), 'do not wrap atoms'),
    ]


@pytest.mark.parametrize(('other', 'message'), other_cases(), ids=lambda value: value if isinstance(value, str) else '')
def test_refused(code, other, message):
    """A population of other elements, supercell, order, cell or places is refused before submission."""
    with pytest.raises(ValueError, match=message):
        run_get_node(builder(code, other))
    assert orm.QueryBuilder().append(orm.CalcJobNode).count() == 0


def test_near():
    """A strained cell with moved centroids is that of the baseline; without one, any supercell will do."""
    crystal = rocksalt()
    near = Crystal(1.02 * crystal.cell, crystal.symbols, shifted(crystal, [0.02, 0, 0]).positions, crystal.masses)
    for other, potential in (
        (matrices(near), POTENTIAL),
        (matrices(mesh=(3, 1, 2)), replace(POTENTIAL, baseline=None)),
    ):
        population = ForceEnsembleData.from_kernel(sample(other, 300.0, 6, 1))
        assert problem_of(PotentialData.from_kernel(potential), population) is None


def test_bad_parameters(code):
    """What the kernel would refuse is refused before submission."""
    with pytest.raises(ValueError, match='precision: 1 is none of single, double'):
        run_get_node(builder(code, precision=1))


def test_labels():
    """Each label that the kernel may give is that of an exit code."""
    exit_codes = CalculationFactory('clathrate.evaluate_potential').exit_codes
    sources = (Path(module.__file__).read_text() for module in (evaluate, evaluation_parts, evaluator))
    labels = {label for source in sources for label in re.findall(r"'(ERROR_\w+)'", source)}
    assert labels <= set(exit_codes)
