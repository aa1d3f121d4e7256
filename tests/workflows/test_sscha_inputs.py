"""What the SSCHA refuses, before anything is stored or submitted."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from aiida.plugins import WorkflowFactory
from coupled_pairs import CoupledPairs

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.sscha.start import positive_start

MESH, TEMPERATURE = (2, 1, 1), 300.0


@pytest.fixture
def builder(aiida_profile, aiida_localhost):
    """Return inputs that are right."""
    code = orm.InstalledCode(label='python', computer=aiida_localhost, filepath_executable=sys.executable)
    return WorkflowFactory('clathrate.sscha').get_builder_from_protocol(
        code,
        DynamicalMatrixData.from_kernel(CoupledPairs().matrices((4, 1, 1))),
        MESH,
        TEMPERATURE,
        calculator_code=code,
        overrides={'populations': [100], 'hessian_configurations': 400},
    )


def population(mesh=MESH, temperature=TEMPERATURE, cell=1.0, symbols=None, stresses=None):
    """Return a population with forces of nothing."""
    start = positive_start(CoupledPairs().matrices(mesh), mesh, temperature).matrices
    crystal = start.crystal
    crystal = Crystal(cell * crystal.cell, symbols or crystal.symbols, crystal.positions, crystal.masses)
    drawn = replace(sample(start, temperature, 4, 0), matrices=replace(start, crystal=crystal))
    zeros = np.zeros(len(drawn))
    stresses = None if stresses is None else np.zeros((4, 3, 3))
    return ForceEnsembleData.from_kernel(
        replace(drawn, energies=zeros, forces=0 * drawn.displacements, stresses=stresses, source='test')
    )


def not_a_number():
    """Return a population whose node was spoilt."""
    node = population()
    forces = node.get_array('forces')
    forces[2, 1, 0] = np.nan
    node.set_array('forces', forces)
    return node


def changes(builder, **values):
    """Set inputs, with dots for namespaces written as two underscores."""
    for name, value in values.items():
        *spaces, last = name.split('__')
        place = builder
        for space in spaces:
            place = place[space]
        if value is None:
            place.pop(last)
        else:
            place[last] = value


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: {'supercell': [3, 1, 1]}, 'the supercell 3×1×1 does not divide the q mesh 4×1×1 .* give a supercell'),
        (lambda: {'supercell': [2, 1]}, r'supercell: \[2, 1\] are not three whole numbers'),
        (lambda: {'temperature': -1.0}, r'temperature: -1\.0 is not allowed; give 0 or more'),
        (lambda: {'ensemble': population(symbols=('D', 'Li'))}, 'ensemble: is of DLi, the matrices are of HLi'),
        (lambda: {'ensemble': population(cell=1.2)}, r'ensemble: its crystal differs .* by more than 0\.3 Å'),
        (lambda: {'ensemble': population((4, 1, 1))}, r'ensemble: its supercell is \[4, 1, 1\], not \[2, 1, 1\]'),
        (lambda: {'ensemble': population(temperature=10.0)}, r'ensemble: was drawn at 10\.0 K, not at 300\.0 K'),
        (lambda: {'ensemble': not_a_number()}, 'ensemble: forces: not finite in configuration 2'),
        (lambda: {'variable_cell': True}, r'pressure: a variable cell needs a target pressure \[GPa\]'),
        (
            lambda: {'variable_cell': True, 'pressure': 1.0, 'ensemble': population()},
            'ensemble: has no stresses, which a variable cell needs',
        ),
        (
            lambda: {'variable_cell': True, 'pressure': 1.0, 'forces__stress': False},
            r'forces\.stress: a variable cell needs the stresses; give True',
        ),
        (lambda: {'pressure': float('inf')}, 'pressure: inf is not finite'),
        (lambda: {'populations': [100, 33]}, r'populations: \[100, 33\] must be even numbers from 4'),
        (lambda: {'populations': []}, r'populations: \[\] must be even numbers from 4'),
        (lambda: {'populations': [200, 100]}, r'populations: \[200, 100\] must not shrink'),
        (lambda: {'hessian_configurations': 7}, 'hessian_configurations: 7 is not an even number'),
        (lambda: {'hessian_configurations': 98}, '98 are 49 pairs, fewer than the 50 blocks .* give at least 100'),
        (lambda: {'forces__calculator': None}, r'forces\.pw, calculator: give one of them, not 0'),
        (lambda: {'forces__restart_from': 'nothing'}, r'forces\.restart_from: there is no node nothing'),
        (lambda: {'settings': {'soft': 1.0}}, "settings: 'soft' is no setting; there is only `softest`"),
        (lambda: {'settings': {'softest': -1.0}}, r'settings: softest -1\.0 is not a positive'),
        (lambda: {'minimisation__parameters': {'kong_liu_ratio': 2.0}}, r'kong_liu_ratio: 2\.0 is not between'),
        (lambda: {'max_populations': 0}, 'max_populations: 0 is not allowed; give more than 0'),
        (lambda: {'auxiliary_matrices': strained(1.2)}, 'auxiliary_matrices: its crystal differs'),
    ],
)
def test_refused(builder, assert_refused, make, message):
    """The message names the input, the value and the remedy."""
    assert_refused(builder, lambda inputs: changes(inputs, **make()), message)


def strained(factor):
    """Return the matrices in another cell."""
    matrices = CoupledPairs().matrices(MESH)
    crystal = matrices.crystal
    return DynamicalMatrixData.from_kernel(
        replace(matrices, crystal=Crystal(factor * crystal.cell, crystal.symbols, crystal.positions, crystal.masses))
    )


def test_two_sources(builder, assert_refused):
    """Forces come from one place; the structure that names the kinds has the atoms of the matrices."""
    structure = orm.StructureData(cell=np.eye(3).tolist())
    structure.append_atom(position=(0, 0, 0), symbols='Al')

    def both(inputs):
        inputs.forces.pop('structure')
        pw = {'code': inputs.minimisation.code, 'parameters': orm.Dict({'SYSTEM': {}})}
        inputs.forces.pw = {'pw': pw | {'metadata': {'options': {'resources': {'num_machines': 1}}}}}

    changes(builder, forces__structure=structure)
    assert_refused(builder, lambda inputs: None, r'forces\.structure: its atoms Al are not those .*, H Li')
    assert_refused(builder, both, r'forces\.pw, calculator: give one of them, not 2')


def test_builder(builder):
    """One source of forces, too, where a protocol fills in the rest."""
    get_builder = WorkflowFactory('clathrate.sscha').get_builder_from_protocol
    code = builder.minimisation.code
    for sources in ({}, {'pw_code': code, 'calculator_code': code}):
        with pytest.raises(ValueError, match='pw_code and calculator_code: give one of them'):
            get_builder(code, builder.dynamical_matrices, MESH, TEMPERATURE, **sources)
