"""Inputs of the ``SschaWorkChain`` from a protocol."""

from __future__ import annotations

from aiida import orm
from aiida.plugins import CalculationFactory, WorkflowFactory
from aiida_quantumespresso.common.types import ElectronicType
from aiida_quantumespresso.workflows.protocols.utils import recursive_merge

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.meshes import mesh_from_distance
from aiida_clathrate.kernels.sscha.hessian_settings import HessianSettings
from aiida_clathrate.workflows.potential_builder import fill_potential
from aiida_clathrate.workflows.relax_phonon_builder import mesh_node

PwBaseWorkChain = WorkflowFactory('quantumespresso.pw.base')
SschaMinimisationCalculation = CalculationFactory('clathrate.sscha_minimisation')

#: Values of the protocol that are ports of the same name.
PORTS = {
    'populations': orm.List, 'hessian_configurations': orm.Int, 'max_populations': orm.Int, 'reference': orm.Bool,
}  # fmt: skip
FORCES_PORTS = {
    'max_concurrent': orm.Int, 'max_attempts': orm.Int, 'largest_failed_fraction': orm.Float, 'stress': orm.Bool,
}  # fmt: skip


def get_builder(
    process_class,
    python_code,
    dynamical_matrices,
    supercell,
    temperature,
    pw_code=None,
    calculator_code=None,
    structure=None,
    pressure=None,
    variable_cell=False,
    seed=0,
    protocol=None,
    overrides=None,
    options=None,
    kernel_options=None,
    pseudo_family=None,
    kpoints=None,
    electronic_type=ElectronicType.METAL,
    pools=None,
    potential=None,
):
    """Return a builder of ``process_class``.

    :param process_class: the work chain.
    :param python_code: Python with this package, for minimisation and Hessian, or its label.
    :param dynamical_matrices: harmonic ``DynamicalMatrixData``; ``None`` if a work chain around this one has them.
    :param supercell: its divisions, for instance (2, 2, 2).
    :param temperature: [K].
    :param pw_code: code of ``quantumespresso.pw`` for the forces, or its label.
    :param calculator_code: code whose prepend text names a calculator, or its label; instead of ``pw_code``.
    :param structure: ``StructureData`` whose kinds the pseudopotentials belong to; made of the matrices if left out.
    :param pressure: target of a variable cell [GPa].
    :param variable_cell: whether the cell goes to the pressure.
    :param seed: of the populations.
    :param protocol: ``fast``, ``balanced`` or ``stringent``.
    :param overrides: nested values that replace those of the protocol.
    :param options: ``metadata.options`` of the calculations of forces.
    :param kernel_options: ``metadata.options`` of minimisation and Hessian.
    :param pseudo_family: label of an installed family, instead of the protocol's.
    :param kpoints: divisions of the k mesh of the supercell; from the protocol's distance if left out.
    :param electronic_type: metal or insulator.
    :param pools: number of groups of MPI processes that share the k points.
    :param potential: whether the populations go on with a potential that the first of them train: ``True``, or values
        that replace those of the protocol, see ``potential_builder.fill_potential``. ``None``: they do not.
    :raises ValueError: with the name of the input, the value and the remedy.
    """
    if (pw_code is None) == (calculator_code is None):
        raise ValueError('pw_code and calculator_code: give one of them; forces come from one place')
    inputs = process_class.get_protocol_inputs(protocol, overrides)
    if calculator_code is not None and not potential:
        for name in ('populations', 'hessian_configurations'):
            inputs[name] = inputs.get(f'calculator_{name}', inputs[name])
    python_code, pw_code, calculator_code = map(loaded, (python_code, pw_code, calculator_code))

    builder = process_class.get_builder()
    if dynamical_matrices is not None:
        builder.dynamical_matrices = dynamical_matrices
    builder.supercell = orm.List([int(division) for division in supercell])
    builder.temperature, builder.seed = orm.Float(temperature), orm.Int(seed)
    builder.variable_cell = orm.Bool(variable_cell)
    if pressure is not None:
        builder.pressure = orm.Float(pressure)
    for name, node in PORTS.items():
        builder[name] = node(inputs[name])
    for name, node in FORCES_PORTS.items():
        builder.forces[name] = node(inputs[name])
    blocks = {'blocks': min(HessianSettings.blocks, inputs['hessian_configurations'] // 2)}
    for name, defaults in (('minimisation', {}), ('hessian', blocks)):
        builder[name].code = python_code
        builder[name].parameters = orm.Dict(defaults | inputs[name])
        builder[name].metadata.options = usual_resources() | (kernel_options or {})
    if potential:
        values = recursive_merge(inputs['potential'], potential if isinstance(potential, dict) else {})
        fill_potential(builder.potential, values, python_code, usual_resources() | (kernel_options or {}))
    else:
        builder.pop('potential', None)
    if calculator_code is not None:
        builder.forces.pop('pw', None)
        builder.forces.calculator.code = calculator_code
        builder.forces.calculator.metadata.options = usual_resources() | (options or {})
        return builder
    builder.forces.pop('calculator', None)
    structure = structure or orm.StructureData(ase=dynamical_matrices.to_kernel().crystal.to_ase())
    builder.forces.structure = structure
    larger = supercell_crystal(Crystal.from_ase(structure.get_ase()), tuple(supercell))
    mesh = kpoints or mesh_from_distance(larger, inputs['kpoints_distance'])
    common = {'protocol': protocol, 'options': options, 'electronic_type': electronic_type}
    builder.forces.pw = pw_inputs(pw_code, structure, inputs, pseudo_family, pools, mesh, common)
    return builder


def usual_resources():
    """Return the option that a namespace must have to be set in a builder, as our calculations have it."""
    return {'resources': SschaMinimisationCalculation.spec().inputs['metadata']['options']['resources'].default()}


def loaded(code):
    """Return a code from its label, or as it is."""
    return orm.load_code(code) if isinstance(code, str) else code


def pw_inputs(code, structure, inputs, pseudo_family, pools, mesh, common):
    """Return the inputs of pw.x for the configurations of a supercell."""
    parallelization = {'pw': {'parallelization': {'npool': pools}}} if pools else {}
    family = pseudo_family or inputs['pseudo_family']
    overrides = recursive_merge({'pseudo_family': family, **parallelization}, inputs['pw'])
    builder = PwBaseWorkChain.get_builder_from_protocol(code, structure, overrides=overrides, **common)
    for name in ('kpoints', 'kpoints_distance'):
        builder.pop(name, None)
    builder.pw.pop('structure', None)
    builder.clean_workdir = orm.Bool(inputs['clean_workdir'])
    builder.kpoints = mesh_node(mesh)
    return builder
