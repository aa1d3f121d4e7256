"""Input and output ports of the ``ForcesWorkChain``, and what it refuses."""

from __future__ import annotations

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.plugins import CalculationFactory, WorkflowFactory

from aiida_clathrate.calculations.configurations import other_crystal
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.workflows import finished_forces
from aiida_clathrate.workflows.relax_phonon_ports import at_least_one

EvaluateCalculation = CalculationFactory('clathrate.evaluate')
EvaluatePotentialCalculation = CalculationFactory('clathrate.evaluate_potential')
PwBaseWorkChain = WorkflowFactory('quantumespresso.pw.base')

#: Namespaces of the jobs that compute a whole population.
JOBS = {'calculator': EvaluateCalculation, 'potential': EvaluatePotentialCalculation}
#: Where labels for a potential can come from: names of namespaces, of which one must be given.
LABELS = ('pw', 'calculator')
#: Where forces can come from.
PORTS = (*LABELS, 'potential')


def uuid_of(value):
    """Return a process, or a UUID, as a node with the UUID."""
    if isinstance(value, orm.ProcessNode):
        return orm.Str(value.uuid)
    return orm.Str(value) if isinstance(value, str) else value


def define_inputs(spec):
    """Define the input ports."""
    optional = {'required': False, 'populate_defaults': False}
    spec.input('population', valid_type=ForceEnsembleData, help='Configurations without forces.')
    spec.input(
        'structure', valid_type=orm.StructureData, required=False,
        help='The primitive crystal, for the names of the kinds, by which pseudopotentials go. Left out: a kind for '
        'each element.',
    )  # fmt: skip
    spec.expose_inputs(
        PwBaseWorkChain, namespace='pw',
        exclude=('pw.structure', 'pw.parent_folder', 'kpoints_distance', 'kpoints_force_parity'),
        namespace_options=optional | {'help': 'pw.x on each configuration; the k mesh is that of the supercell.'},
    )  # fmt: skip
    spec.expose_inputs(
        EvaluateCalculation, namespace='calculator', exclude=('population', 'parent_folder'),
        namespace_options=optional | {'help': 'One job for all configurations, with the calculator of its code.'},
    )  # fmt: skip
    spec.expose_inputs(
        EvaluatePotentialCalculation, namespace='potential', exclude=('population', 'parent_folder'),
        namespace_options=optional | {'help': 'One job for all configurations, with a trained potential.'},
    )  # fmt: skip
    spec.input(
        'stress', valid_type=orm.Bool, serializer=orm.to_aiida_type, default=lambda: orm.Bool(False),
        help='Whether the stresses are needed, as where the cell varies.',
    )  # fmt: skip
    spec.input(
        'max_concurrent', valid_type=orm.Int, serializer=orm.to_aiida_type, default=lambda: orm.Int(4),
        validator=at_least_one, help='How many configurations run at the same time.',
    )  # fmt: skip
    spec.input(
        'max_attempts', valid_type=orm.Int, serializer=orm.to_aiida_type, default=lambda: orm.Int(2),
        validator=at_least_one, help='How often a configuration is tried.',
    )  # fmt: skip
    spec.input(
        'largest_failed_fraction', valid_type=orm.Float, serializer=orm.to_aiida_type, default=lambda: orm.Float(0.0),
        validator=check_fraction,
        help='Fraction of the configurations that may fail. They are left out of the ensemble, with their partners ±u, '
        'and recorded in `failures`.',
    )  # fmt: skip
    spec.input(
        'restart_from', valid_type=orm.Str, required=False, serializer=uuid_of,
        help='UUID of an earlier ForcesWorkChain on an equal population: what it has finished is taken over.',
    )  # fmt: skip
    spec.inputs.validator = validate_inputs


def define_outputs(spec):
    """Define the output ports."""
    spec.output('ensemble', valid_type=ForceEnsembleData, required=False, help='Configurations with their forces.')
    spec.output(
        'deviations', valid_type=orm.ArrayData, required=False,
        help='By a potential: `deviations`, the error of the forces that is to be expected (c,) [eV/Å].',
    )  # fmt: skip
    spec.output(
        'failures', valid_type=orm.Dict, required=False,
        help='`failed` configurations with their reasons, `dropped_partners`, `number`, `used`; if any failed.',
    )  # fmt: skip


def define_exit_codes(spec):
    """Define the exit codes."""
    for status, label, message in (
        (401, 'ERROR_TOO_MANY_FAILED',
         '{failed} of {number} configurations failed, more than the {allowed} allowed; the first: {reason}'),
        (402, 'ERROR_SUB_PROCESS_FAILED_EVALUATION', 'The evaluation failed: {reason}'),
        (403, 'ERROR_CONFIGURATIONS', 'The configurations cannot be made: {reason}'),
        (404, 'ERROR_RESULTS', 'The results of pw.x cannot be used: {reason}'),
    ):  # fmt: skip
        spec.exit_code(status, label, message=message)


def check_fraction(fraction, port):
    """Refuse a fraction that is none."""
    return None if 0 <= fraction.value < 1 else f'{port.name}: {fraction.value} is not in [0, 1)'


def validate_inputs(inputs, _):
    """Refuse inputs that cannot work together, before anything is submitted."""
    if not {'population', 'stress'} <= set(inputs):
        return None  # the ports themselves complain
    if inputs['population'].base.attributes.get('computed'):
        return 'population: the configurations have forces already; give one without'
    symbols = tuple(inputs['population'].base.attributes.get('symbols'))
    return check_source(inputs, symbols, PORTS) or check_restart(inputs)


def check_source(inputs, symbols, ports=LABELS):
    """Return why no forces can come out of these inputs, ``None`` if they can.

    :param symbols: of the atoms of the primitive crystal.
    :param ports: where they may come from.
    """
    given = [name for name in ports if inputs.get(name)]
    if len(given) != 1:
        return f'{", ".join(ports)}: give one of them, not {len(given)}'
    if 'structure' in inputs and (problem := other_crystal(inputs['structure'], symbols)):
        return problem
    if given[0] in JOBS:
        return check_job(given[0], inputs[given[0]])
    return check_pw(inputs['pw'], symbols, inputs.get('structure'))


def check_job(name, inputs):
    """Return what is wrong with the inputs of an evaluation, ``None`` if nothing is.

    :param name: of their namespace.
    """
    if 'parameters' in inputs and 'stress' in inputs['parameters'].get_dict():
        return f'{name}.parameters: stress is an input of the work chain; leave it out here'
    return None


def check_pw(inputs, symbols, structure):
    """Return what is wrong with the inputs of pw.x, ``None`` if nothing is."""
    if 'kpoints' not in inputs:
        return 'pw.kpoints: give the k mesh of the supercell'
    parameters = inputs['pw']['parameters'].get_dict()
    if 'ecutwfc' not in parameters.get('SYSTEM', {}):
        return 'pw.pw.parameters: SYSTEM.ecutwfc is missing; give the cutoff of the wave functions in Ry'
    calculation = parameters.get('CONTROL', {}).get('calculation', 'scf')
    if calculation != 'scf':
        return f'pw.pw.parameters: CONTROL.calculation is {calculation!r}; configurations stay where they are: scf'
    kinds = set(symbols if structure is None else structure.get_kind_names())
    pseudos = set(inputs['pw'].get('pseudos', {}))
    if kinds != pseudos:
        return f'pw.pw.pseudos: needs one pseudopotential for each of {sorted(kinds)}, not for {sorted(pseudos)}'
    return None


def check_restart(inputs):
    """Return why nothing can be taken over from an earlier work chain, ``None`` if it can."""
    if 'restart_from' not in inputs:
        return None
    try:
        earlier = orm.load_node(inputs['restart_from'].value)
    except (NotExistent, ValueError):
        return f'restart_from: there is no node {inputs["restart_from"].value}'
    problem = finished_forces.difference(earlier, inputs)
    return problem and f'restart_from: {problem}'
