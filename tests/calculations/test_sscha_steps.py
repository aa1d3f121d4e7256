"""The short steps of an SSCHA: what they give, and their exit code where they cannot."""

from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from coupled_pairs import CoupledPairs
from springs import diamond, spring_matrices

from aiida_clathrate.calculations import sscha as steps
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import mesh_index
from aiida_clathrate.kernels.finite_displacements import single_displacements
from aiida_clathrate.kernels.fourier import interpolate
from aiida_clathrate.kernels.sscha.cell import MeasuredCell, next_strain
from aiida_clathrate.kernels.sscha.start import SOFTEST
from aiida_clathrate.kernels.symmetry import stars

pytestmark = pytest.mark.usefixtures('aiida_profile')
MESH = (2, 1, 1)
SOFT = {'quadratic': (30.0, -1e-3, 20.0)}


def node(mesh=MESH, **model):
    """Return harmonic matrices as a node."""
    return DynamicalMatrixData.from_kernel(CoupledPairs(**model).matrices(mesh))


def results(frequency=10.0, error=1.0, reason='converged', configurations=100):
    """Return the results of a minimisation."""
    values = {
        'smallest_frequency': frequency, 'smallest_frequency_error': error, 'reason': reason,
        'configurations': configurations, 'symbols': ['H'], 'free_energy': 1.0, 'pressure': None, 'warnings': [],
    }  # fmt: skip
    return orm.Dict(values)


def assert_unusable(calculation, message):
    """Assert the exit code of a step, and that it has no outputs."""
    assert calculation.exit_status == 210
    assert message in calculation.exit_message
    assert not list(calculation.outputs)


def test_start():
    """A soft mode starts at the least ħω that was asked for; the supercell must fit."""
    arguments = [node(**SOFT), orm.List([2, 1, 1]), orm.Float(300.0)]
    for settings, least in (({}, SOFTEST), ({'softest': 12.5}, 12.5)):
        found = steps.start_sscha(*arguments, orm.Dict(settings))
        modes = found['changes']['modes']
        assert len(modes) == 2
        assert all(mode['before'] < 0 for mode in modes)
        assert [mode['after'] for mode in modes] == pytest.approx([least] * 2)
        assert found['matrices'].to_kernel().modes[0][0, 3] == pytest.approx(least, rel=1e-6)
    _, calculation = steps.start_sscha.run_get_node(node(), orm.List([3, 1, 1]), orm.Float(300.0), orm.Dict())
    assert_unusable(calculation, 'the supercell 3×1×1 does not divide')


def test_sample():
    """Precision and seed are those asked for; matrices that are not positive have no Gaussian."""
    arguments = [orm.Float(300.0), orm.Int(10), orm.Int(3), orm.Str('single')]
    drawn = steps.sample_population(node(), *arguments)
    assert drawn.base.attributes.get('precision') == 'single'
    assert (drawn.base.attributes.get('number'), drawn.base.attributes.get('seed')) == (10, 3)
    _, calculation = steps.sample_population.run_get_node(node(**SOFT), *arguments)
    assert_unusable(calculation, 'positive')


def test_strain():
    """The strain follows from all cells in their order; a trace without pressure is refused."""
    pressures = [np.diag([1.0, 2.0, 3.0]), np.diag([0.5, 1.0, 1.5])]
    matrices = [node(), DynamicalMatrixData.from_kernel(strained(1.01))]
    measured, history = {}, []
    for number, (held, pressure) in enumerate(zip(matrices, pressures, strict=True), start=1):
        arrays = {'pressure_tensor': pressure, 'pressure_error': 0.01 * np.ones((3, 3))}
        measured |= {f'matrices_{number}': held, f'trace_{number}': orm.ArrayData(arrays)}
        history.append(MeasuredCell(held.to_kernel().crystal.cell, pressure, arrays['pressure_error']))
    target, modulus = orm.Float(0.2), orm.Float(50.0)
    found = steps.strain_cell(target, modulus, **measured).to_kernel()
    expected = strained(1.01).crystal.cell @ (np.eye(3) + next_strain(history, 0.2, 50.0))
    np.testing.assert_allclose(found.crystal.cell, expected, atol=1e-12)
    measured['trace_2'] = orm.ArrayData({'free_energy': np.zeros(1)})
    _, calculation = steps.strain_cell.run_get_node(target, modulus, **measured)
    assert_unusable(calculation, 'pressure_tensor')


def strained(factor):
    """Return matrices in another cell."""
    matrices = CoupledPairs().matrices(MESH)
    crystal = matrices.crystal
    return replace(matrices, crystal=Crystal(factor * crystal.cell, crystal.symbols, crystal.positions, crystal.masses))


def test_reference():
    """Forces on too few displacements, and a supercell that does not fit, are refused."""
    _, calculation = steps.displace_atoms.run_get_node(node(), orm.List([3, 1, 1]))
    assert_unusable(calculation, 'does not divide')
    population = single_displacements(CoupledPairs().matrices(MESH)).subset(slice(2))
    zeros = {'energies': np.zeros(2), 'forces': 0 * population.displacements}
    _, calculation = steps.fit_reference.run_get_node(ForceEnsembleData.from_kernel(replace(population, **zeros)))
    assert_unusable(calculation, 'force constants')


def test_structure():
    """The crystal of the matrices has the kinds that it is given, and else one for each element."""
    kinds = orm.StructureData(cell=(4 * np.eye(3)).tolist())
    kinds.append_atom(position=(0, 0, 0), symbols='H', name='H1')
    kinds.append_atom(position=(2, 0, 0), symbols='Li', name='Li2')
    for given, names in (({}, ['H', 'Li']), ({'kinds': kinds}, ['H1', 'Li2'])):
        structure = steps.structure_of(node(), **given)
        assert [site.kind_name for site in structure.sites] == names
        crystal = CoupledPairs().crystal
        np.testing.assert_allclose(structure.cell, crystal.cell)
        positions = [site.position for site in structure.sites]
        np.testing.assert_allclose(positions, crystal.positions @ crystal.cell, atol=1e-12)


def test_interpolation():
    """The change on the coarse mesh is added on the fine one; foreign crystals are refused."""
    fine, coarse = node((4, 1, 1)), node(quadratic=(31.0, 9.0, 20.0))
    found = steps.interpolate_difference(fine, coarse).to_kernel()
    expected = CoupledPairs(quadratic=(31.0, 9.0, 20.0)).matrices((4, 1, 1))
    np.testing.assert_allclose(found.force_constants, expected.force_constants, atol=1e-9)
    other = DynamicalMatrixData.from_kernel(strained(1.2))
    _, calculation = steps.interpolate_difference.run_get_node(fine, other)
    assert_unusable(calculation, 'belong to different crystals')


def test_deviations():
    """Arrays of another mesh are refused, and so is an array that is not there."""
    fine, coarse = node((4, 1, 1)), node()
    for arrays, message in (
        ({'deviations': np.zeros((3, 4, 6, 6), dtype=complex)}, 'need blocks of shape (2, 6, 6), not (4, 6, 6)'),
        ({'frequencies': np.zeros((2, 6))}, 'deviations'),
    ):
        _, calculation = steps.mode_deviations.run_get_node(fine, coarse, orm.ArrayData(arrays))
        assert_unusable(calculation, message)


def test_summary():
    """The results are those of the last population, in the order of the numbers."""
    populations = {f'population_{number}': results(configurations=number) for number in range(1, 12)}
    summary = steps.summarise_populations(**populations).get_dict()
    assert [row['configurations'] for row in summary['populations']] == list(range(1, 12))
    assert summary['configurations'] == 11
    assert 'symbols' not in summary


def test_verdict():
    """A crystal with positive auxiliary matrices is judged by its Hessian, one without them needs none."""
    _, calculation = steps.judge.run_get_node(population_1=results())
    assert_unusable(calculation, 'hessian: the auxiliary matrices are positive')
    gone = {'population_1': results(1.0, 2.0), 'population_2': results(0.5, 2.0)}
    assert steps.judge(**gone)['class'] == 'collapsed'
    curvature = CoupledPairs(quadratic=(30.0, -3.0, 20.0)).matrices((1, 1, 1))  # nothing to interpolate
    # ω goes with the root of Φ.
    errors = orm.ArrayData({'deviations': np.array([0.06, 0.08])[:, None, None, None] * curvature.force_constants})
    hessian = DynamicalMatrixData.from_kernel(replace(curvature, level='hessian'))
    verdict = steps.judge(hessian=hessian, measured=hessian, errors=errors, population_1=results()).get_dict()
    assert (verdict['class'], verdict['significant']) == ('hessian-imaginary', True)
    assert verdict['smallest_frequency'] == pytest.approx(-119.7, abs=0.1)
    assert verdict['smallest_frequency_error'] == pytest.approx(0.5 * 0.1 * 119.7, rel=1e-3)


def test_modes_between_the_wave_vectors_of_the_supercell():
    """An imaginary mode that only the interpolation has is told, with its error, and decides nothing."""
    coarse = replace(spring_matrices(diamond(), (2, 2, 2)), level='hessian')
    fine = interpolate(coarse, (4, 4, 4))
    force_constants = fine.force_constants.copy()
    other = int(mesh_index(fine.mesh, np.array([0.25, 0.25, 0.25])))
    star = np.flatnonzero(stars(fine.crystal, fine.mesh).star == stars(fine.crystal, fine.mesh).star[other])
    force_constants[star] -= 60 * np.eye(6)
    deviations = orm.ArrayData({'deviations': np.array([0.06, 0.08])[:, None, None, None] * coarse.force_constants})
    nodes = {
        'hessian': DynamicalMatrixData.from_kernel(replace(fine, force_constants=force_constants)),
        'measured': DynamicalMatrixData.from_kernel(coarse),
        'errors': deviations,
    }
    verdict = steps.judge(population_1=results(), **nodes).get_dict()
    assert verdict['class'] == 'stable'
    assert verdict['smallest_frequency'] == pytest.approx(coarse.smallest_frequency()[0])
    # ω goes with the root of Φ: 10 % of Φ are 5 % of ω.
    assert verdict['smallest_frequency_error'] == pytest.approx(0.05 * coarse.smallest_frequency()[0], rel=1e-3)
    between = verdict['interpolated']
    assert between['frequency'] < 0
    assert between['error'] > 0
    assert int(mesh_index(fine.mesh, np.array(between['qpoint']))) in star
