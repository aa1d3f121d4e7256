"""The SSCHA through the engine, with real kernels on crystals whose forces are cheap."""

from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.plugins import WorkflowFactory
from coupled_pairs import CoupledPairs
from hexagonal_bonds import HexagonalBonds, packing

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.finite_displacements import fit_harmonic, single_displacements
from aiida_clathrate.kernels.fourier import restrict
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.start import positive_start

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')
MESH, TEMPERATURE = (2, 1, 1), 300.0
SschaWorkChain = WorkflowFactory('clathrate.sscha')
#: The bond bends in a double well, which the fourth order closes.
STABILISED = {'quadratic': (30.0, -3.0, 20.0), 'cubic': 20.0, 'quartic': 20.0}
#: With more of the third order its auxiliary matrices are positive still, the Hessian is not.
DISTORTED = STABILISED | {'cubic': 30.0}
#: Without fourth order nothing holds the bond.
COLLAPSED = {'quadratic': (30.0, -0.02, 20.0), 'cubic': 0.0, 'quartic': 0.0}


@pytest.fixture
def build(code):
    """Return a function that makes a builder for pairs of atoms."""

    def make(model=STABILISED, harmonic_mesh=MESH, populations=(200,), log=None, broken=None, **changes):
        options = model | {'mesh': MESH, 'log': log and str(log), 'broken': broken and str(broken)}
        overrides = {'populations': list(populations), 'hessian_configurations': 400, 'hessian': {'blocks': 20}}
        return SschaWorkChain.get_builder_from_protocol(
            code(),
            DynamicalMatrixData.from_kernel(CoupledPairs(**model).matrices(harmonic_mesh)),
            MESH,
            TEMPERATURE,
            calculator_code=code('coupled_pairs:CoupledPairs', **options),
            overrides=overrides | changes,
        )

    return make


@pytest.fixture
def stabilised(build, tmp_path):
    """Return the results of a run with all that there is, and the same run once more from the cache."""
    with enable_caching():
        builder = build(harmonic_mesh=(4, 1, 1), populations=(200, 400), log=tmp_path / 'log', reference=True)
        first, again = run_get_node(builder), run_get_node(builder)
    return first, again, tmp_path / 'log'


def calls(node):
    """Return the processes that a work chain called, by their labels."""
    links = node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all()
    return {link.link_label: link.node for link in links}


def reports(node):
    """Return what a work chain reported."""
    return '\n'.join(entry.message for entry in orm.Log.collection.get_logs_for(node))


def matrices(node, label):
    """Return an output as matrices."""
    return node.outputs[label].to_kernel()


def test_stabilised(stabilised):
    """A crystal that is imaginary in the harmonic approximation, to its Hessian, and the same from the cache."""
    (outputs, node), (_, again), log = stabilised
    assert node.is_finished_ok, node.exit_message
    assert outputs['stability']['class'] == 'stable'
    assert outputs['stability']['significant']
    assert '2 modes to start from are imaginary, down to -119.7 meV: made positive' in reports(node)
    assert [mode['after'] for mode in calls(node)['start'].outputs.changes['modes']] == pytest.approx([119.7] * 2, 1e-3)
    check_nodes(node, outputs)
    check_interpolation(node)
    evaluated = log.read_text().splitlines()
    assert len(evaluated) == 12 + sum(row['configurations'] for row in rows(outputs)) + 400
    assert again.is_finished_ok, again.exit_message
    jobs = [child for child in again.called_descendants if isinstance(child, orm.CalcJobNode)]
    assert len(jobs) == 2 * len(rows(outputs)) + 3
    assert all(job.base.caching.is_created_from_cache for job in jobs)
    for label in ('hessian_matrices', 'interpolated_auxiliary'):
        np.testing.assert_array_equal(matrices(again, label).force_constants, matrices(node, label).force_constants)


def rows(outputs):
    """Return a row for each population."""
    return outputs['output_parameters']['populations']


def check_nodes(node, outputs):
    """Every population, trace and verdict is a node, and linked to what it came from."""
    found = calls(node)
    assert len(found) == len(node.called)  # a step that runs twice finds what it has submitted by its label
    for number, row in enumerate(rows(outputs), start=1):
        forces, minimisation = found[f'population_{number}_forces'], found[f'population_{number}_minimisation']
        sampled = found[f'population_{number}_sampling'].outputs.result
        assert forces.inputs.population.uuid == sampled.uuid
        assert sampled.base.attributes.get('seed') == number
        assert minimisation.inputs.ensemble.uuid == forces.outputs.ensemble.uuid
        assert row['configurations'] == sampled.base.attributes.get('number')
    last = found[f'population_{len(rows(outputs))}_minimisation']
    assert rows(outputs)[-1]['reason'] == 'converged'
    assert outputs['ensemble'].uuid == last.inputs.ensemble.uuid
    assert outputs['trace'].uuid == last.outputs.trace.uuid
    assert outputs['hessian_ensemble'].uuid == found['hessian'].inputs.ensemble.uuid
    drawn_from = outputs['hessian_ensemble'].to_kernel().matrices.force_constants
    np.testing.assert_array_equal(drawn_from, matrices(node, 'auxiliary_matrices').force_constants)
    assert outputs['stability'].creator.uuid == found['verdict'].uuid
    assert len(outputs['stability']['populations']) == len(rows(outputs))
    sites = outputs['structure'].get_ase()
    np.testing.assert_allclose(sites.positions[1] - sites.positions[0], [sites.get_distance(0, 1), 0, 0], atol=1e-8)
    assert 1.3 < sites.get_distance(0, 1) < 1.5  # ⟨y²⟩ pulls the atoms of a pair together


def check_interpolation(node):
    """On the fine mesh stands the harmonic matrix plus the change, which at coarse wave vectors is nothing else."""
    fine = CoupledPairs(**STABILISED).matrices((4, 1, 1))
    reference = matrices(node, 'reference_matrices')
    # Differences of the fourth order: displacements of 0.01 Å.
    np.testing.assert_allclose(reference.force_constants, restrict(fine, MESH).force_constants, atol=0.02)
    for level in ('auxiliary', 'hessian'):
        coarse, total = matrices(node, f'{level}_matrices'), matrices(node, f'interpolated_{level}')
        assert (total.mesh, total.level, total.temperature) == ((4, 1, 1), coarse.level, TEMPERATURE)
        change = coarse.force_constants - reference.force_constants
        expected = restrict(fine, MESH).force_constants + change
        np.testing.assert_allclose(restrict(total, MESH).force_constants, expected, atol=1e-9)
        translations = np.kron(np.ones((2, 1)), np.eye(3))
        np.testing.assert_allclose(total.force_constants[0] @ translations, 0, atol=1e-9)
    smallest = restrict(matrices(node, 'interpolated_auxiliary'), MESH).modes[0][0, 3]
    assert smallest == pytest.approx(matrices(node, 'auxiliary_matrices').modes[0][0, 3], abs=0.5)


def test_distorted(build):
    """A Hessian that is imaginary though the auxiliary matrices are positive is a result."""
    outputs, node = run_get_node(build(DISTORTED, populations=(400,)))
    assert node.is_finished_ok, node.exit_message
    verdict = outputs['stability'].get_dict()
    assert (verdict['class'], verdict['significant']) == ('hessian-imaginary', True)
    assert verdict['smallest_frequency'] < -2 * verdict['smallest_frequency_error'] < 0
    assert verdict['hessian']['imaginary_modes'][0]['irrep'].startswith('B')
    assert 'hessian-imaginary: smallest frequency -' in reports(node)
    assert 'interpolated_hessian' not in outputs  # the meshes are the same


@pytest.mark.slow
def test_collapsed(build):
    """A crystal without positive auxiliary matrices ends with its evidence and with what there is."""
    # The lower the ratio, the fewer populations it takes.
    outputs, node = run_get_node(build(COLLAPSED, minimisation={'kong_liu_ratio': 0.2}))
    assert node.exit_status == 420, node.exit_message
    assert 'not stable' in node.exit_message
    verdict = outputs['stability'].get_dict()
    assert verdict['class'] == 'collapsed'
    frequencies = [row['frequency'] for row in verdict['populations']]
    assert len(frequencies) == len(rows(outputs)) == 3
    assert sorted(frequencies, reverse=True) == frequencies
    assert verdict['hessian'] is None
    for label in ('auxiliary_matrices', 'ensemble', 'structure', 'trace'):
        assert label in outputs
    assert 'hessian_ensemble' not in outputs


def test_not_converged(build):
    """Too few populations end with what is needed to go on; too few configurations are said to be too few."""
    builder = build(populations=(10, 400), max_populations=1)
    outputs, node = run_get_node(builder)
    assert (node.exit_status, 'Not converged in 1 populations' in node.exit_message) == (410, True)
    warning = '10 configurations for 18 independent force constants: noise decides; draw more'
    assert outputs['output_parameters']['warnings'] == [warning]
    assert rows(outputs)[0]['warnings'] == [warning]
    assert warning in reports(node)
    assert 'stability' not in outputs
    builder = build(populations=(400,), max_populations=1)
    builder.auxiliary_matrices = outputs['auxiliary_matrices']
    _, node = run_get_node(builder)
    start, sampled = calls(node)['start'], calls(node)['population_1_sampling']
    assert start.inputs.matrices.uuid == outputs['auxiliary_matrices'].uuid
    assert sampled.inputs.matrices.uuid == start.outputs.matrices.uuid


def test_restart(build, tmp_path):
    """Where forces fail nothing is lost: the next run begins with the population that lacks them."""
    log, broken = tmp_path / 'log', tmp_path / 'broken'
    drawn = positive_start(CoupledPairs(**STABILISED).matrices(MESH), MESH, TEMPERATURE).matrices
    population = evaluated(sample(drawn, TEMPERATURE, 100, 7))
    broken.touch()
    inputs = {'populations': (100, 400), 'log': log, 'broken': broken}
    builder = build(**inputs)
    builder.ensemble = ForceEnsembleData.from_kernel(population)
    builder.forces.max_attempts = 1
    outputs, failed = run_get_node(builder)
    assert failed.exit_status == 402
    forces = calls(failed)['population_2_forces']
    assert f'No forces for population 2; to go on, give {forces.uuid}' in failed.exit_message
    assert 'population_1_forces' not in calls(failed)  # it had them
    assert outputs['ensemble'].uuid == forces.inputs.population.uuid
    assert outputs['auxiliary_matrices'].creator.inputs.ensemble.uuid == builder.ensemble.uuid
    assert len(rows(outputs)) == 1
    broken.unlink()
    log.unlink()
    builder = build(**inputs)
    builder.pop('hessian')
    builder.ensemble = outputs['ensemble']
    builder.forces.restart_from = forces
    results, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert calls(node)['population_1_forces'].inputs.restart_from.value == forces.uuid
    assert len(log.read_text().splitlines()) == sum(row['configurations'] for row in rows(results))
    if len(rows(results)) > 1:
        assert 'nothing is taken over, for the work chain' in reports(node)


def evaluated(population):
    """Return a population with the forces of the pairs."""
    cell = supercell_crystal(population.crystal, population.mesh).cell
    energies, forces, _ = CoupledPairs(**STABILISED).evaluate(population.positions, cell)
    return replace(population, energies=energies, forces=forces, source='pairs')


@pytest.mark.slow
def test_variable_cell(code):
    """A hexagonal crystal goes to the pressure, and stays hexagonal."""
    mesh, crystal = (2, 2, 1), Crystal.from_ase(packing())
    calculator = HexagonalBonds(mesh)
    population = single_displacements(DynamicalMatrices(crystal, mesh, np.zeros((4, 6, 6), dtype=complex)))
    energies, forces, _ = calculator.evaluate(population.positions, calculator.reference.cell.array)
    harmonic = fit_harmonic(replace(population, energies=energies, forces=forces))
    builder = SschaWorkChain.get_builder_from_protocol(
        code(), DynamicalMatrixData.from_kernel(harmonic), mesh, TEMPERATURE,
        calculator_code=code('hexagonal_bonds:HexagonalBonds', cells=mesh),
        pressure=2.0, variable_cell=True, overrides={'populations': [400]},
    )  # fmt: skip
    builder.pop('hessian')
    builder.pressure_tolerance, builder.bulk_modulus = 0.1, 50.0
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    results, trace = outputs['output_parameters'].get_dict(), outputs['trace']
    tolerance = np.maximum(trace.get_array('pressure_error'), 0.1)
    assert np.all(np.abs(trace.get_array('pressure_tensor') - 2 * np.eye(3)) <= tolerance)
    assert abs(rows(outputs)[0]['pressure'] - 2.0) > 0.5
    assert results['pressure'] == pytest.approx(2.0, abs=0.1)
    assert 'stability' not in outputs  # there is no Hessian to judge
    assert 'strain_1' in calls(node)
    cell = outputs['structure'].get_ase().cell
    assert cell.angles() == pytest.approx([90, 90, 120])
    assert cell.lengths()[0] == pytest.approx(cell.lengths()[1])
    first, last = rows(outputs)[0]['volume'], results['volume']
    assert last == pytest.approx(cell.volume) != first
    assert cell.lengths()[2] / cell.lengths()[0] != pytest.approx(5.2 / 3.2, rel=1e-5)
