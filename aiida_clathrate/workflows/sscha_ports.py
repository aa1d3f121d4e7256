"""Input and output ports of the ``SschaWorkChain``, and what it refuses."""

from __future__ import annotations

from functools import partial

from aiida import orm
from aiida.plugins import CalculationFactory, WorkflowFactory

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels.fourier import restrict
from aiida_clathrate.kernels.sscha.hessian_settings import HessianSettings
from aiida_clathrate.kernels.sscha.start import SOFTEST
from aiida_clathrate.workflows.forces_ports import check_restart, check_source
from aiida_clathrate.workflows.port_values import (
    check_populations,
    define_value,
    even,
    finite,
    not_negative,
    positive,
)
from aiida_clathrate.workflows.sscha_potential_ports import check_crystal, check_sizes, define_potential

ForcesWorkChain = WorkflowFactory('clathrate.forces')
SschaMinimisationCalculation = CalculationFactory('clathrate.sscha_minimisation')
SschaHessianCalculation = CalculationFactory('clathrate.sscha_hessian')
#: How far cell and atoms may be from those of the harmonic matrices [Å]: further, no difference can be interpolated.
LARGEST_DISPLACEMENT = 0.3


def define_inputs(spec):
    """Define the input ports."""
    spec.input(
        'dynamical_matrices', valid_type=DynamicalMatrixData,
        help='Harmonic matrices, on the mesh of the supercell or a multiple of it; their crystal is where to start.',
    )  # fmt: skip
    spec.input(
        'supercell', valid_type=orm.List, serializer=orm.to_aiida_type, validator=check_supercell,
        help='Its divisions, such as [2, 2, 2].',
    )  # fmt: skip
    spec.input('temperature', valid_type=orm.Float, serializer=orm.to_aiida_type, validator=not_negative, help='[K].')
    spec.input(
        'auxiliary_matrices', valid_type=DynamicalMatrixData, required=False,
        help='Start from these instead of the harmonic ones: the last ones of an earlier run, or of another pressure.',
    )  # fmt: skip
    spec.input(
        'ensemble', valid_type=ForceEnsembleData, required=False,
        help='The first population, with or without forces: go on with an earlier or an imported run.',
    )  # fmt: skip
    spec.expose_inputs(ForcesWorkChain, namespace='forces', exclude=('population', 'potential'))
    spec.expose_inputs(SschaMinimisationCalculation, namespace='minimisation', exclude=('ensemble',))
    spec.expose_inputs(
        SschaHessianCalculation, namespace='hessian', exclude=('ensemble', 'matrices'),
        namespace_options={'required': False, 'populate_defaults': False, 'help': 'Left out: no Hessian.'},
    )  # fmt: skip
    define_numbers(spec)
    define_potential(spec)
    spec.inputs.validator = validate_inputs


def define_numbers(spec):
    """Define the input ports that are single values."""
    number = partial(define_value, spec)
    number('populations', orm.List, [100, 200, 400, 1000], check_populations,
           'Configurations of each population, even and growing; the last number is repeated. The run has converged '
           'only with a population of the last size.')  # fmt: skip
    number('max_populations', orm.Int, 20, positive, 'Populations at most.')
    number('hessian_configurations', orm.Int, 2000, even, 'Configurations of the fresh population of the Hessian.')
    number(
        'seed',
        orm.Int,
        0,
        not_negative,
        'Population N is drawn with seed + N, that of the Hessian with seed; for independent repeats take seeds '
        'further apart than there are populations.',
    )
    number('variable_cell', orm.Bool, False, None, 'Whether the cell goes to `pressure`.')
    number('pressure_tolerance', orm.Float, 0.5, positive,
           'How far each element of the pressure tensor may be off, if its error is not larger [GPa].')  # fmt: skip
    number('bulk_modulus', orm.Float, 100.0, positive, 'For the first step of the cell [GPa].')
    number('reference', orm.Bool, False, None,
           'Whether to subtract harmonic matrices from finite displacements with the same forces, instead of '
           '`dynamical_matrices`: removes what the two have in common, such as a coarser k mesh.')  # fmt: skip
    number('single_precision_above', orm.Int, 4000, positive,
           'Populations with more configurations are stored in single precision.')  # fmt: skip
    number('settings', orm.Dict, {}, check_settings,
           f'`softest`: least ħω that an imaginary harmonic mode starts with, {SOFTEST} by default [meV].')  # fmt: skip
    spec.input(
        'pressure', valid_type=orm.Float, required=False, serializer=orm.to_aiida_type, validator=finite,
        help='Target of a variable cell [GPa].',
    )  # fmt: skip


def define_outputs(spec):
    """Define the output ports."""
    optional = {'required': False}
    spec.output('structure', valid_type=orm.StructureData, help='Crystal at the centroids.', **optional)
    spec.output('auxiliary_matrices', valid_type=DynamicalMatrixData, help='Φ on the supercell.', **optional)
    spec.output('trace', valid_type=orm.ArrayData, help='Course of the last minimisation.', **optional)
    spec.output('ensemble', valid_type=ForceEnsembleData, help='Last population.', **optional)
    spec.output('hessian_ensemble', valid_type=ForceEnsembleData, help='Population of the Hessian.', **optional)
    spec.output('hessian_matrices', valid_type=DynamicalMatrixData, help='Curvature of the free energy.', **optional)
    spec.output(
        'third_order_hessian', valid_type=DynamicalMatrixData, help='The same without fourth order.', **optional
    )
    spec.output(
        'frequency_errors', valid_type=orm.ArrayData, help='Of the Hessian: frequencies, frequency_errors [meV].',
        **optional,
    )  # fmt: skip
    spec.output('reference_matrices', valid_type=DynamicalMatrixData, help='Harmonic, same forces.', **optional)
    for name in ('auxiliary', 'hessian'):
        spec.output(
            f'interpolated_{name}', valid_type=DynamicalMatrixData,
            help='The same on the mesh of the harmonic matrices: change by anharmonicity added to them.', **optional,
        )  # fmt: skip
    spec.output('stability', valid_type=orm.Dict, help='Verdict and its evidence [meV].', **optional)
    spec.output(
        'output_parameters', valid_type=orm.Dict, **optional,
        help='Free energy, pressure …; populations. With a potential, its bias of them and `corrected_free_energy`.',
    )  # fmt: skip
    spec.output('potential', valid_type=PotentialData, help='The last one that was trained.', **optional)
    spec.output(
        'potential_validation', valid_type=orm.ArrayData, help='Its held-out labels and predictions.', **optional
    )
    spec.output(
        'potential_bias', valid_type=orm.Dict, help='Random configurations of the last population against labels.',
        **optional,
    )  # fmt: skip
    spec.output(
        'potential_report', valid_type=orm.Dict, help='Trainings, expected errors in the populations, checks.',
        **optional,
    )  # fmt: skip


def define_exit_codes(spec):
    """Define the exit codes."""
    for status, label, message in (
        (401, 'ERROR_SUB_PROCESS_FAILED_START', 'No matrices or configurations to go on with: {reason}'),
        (402, 'ERROR_SUB_PROCESS_FAILED_FORCES',
         'No forces for {step}; to go on, give {uuid} as `forces.restart_from`.'),
        (403, 'ERROR_SUB_PROCESS_FAILED_MINIMISATION', 'The minimisation failed: {reason}'),
        (404, 'ERROR_SUB_PROCESS_FAILED_HESSIAN', 'No Hessian: {reason}'),
        (405, 'ERROR_SUB_PROCESS_FAILED_INTERPOLATION', 'The change by anharmonicity cannot be added: {reason}'),
        (406, 'ERROR_SUB_PROCESS_FAILED_POTENTIAL',
         'No forces by the potential for {step}: {reason}; go on with a restart.'),
        (407, 'ERROR_SUB_PROCESS_FAILED_TRAINING', 'No potential: {reason}'),
        (408, 'ERROR_CHECK', 'The potential cannot be compared with labels: {reason}'),
        (410, 'ERROR_NOT_CONVERGED',
         'Not converged in {number} populations: go on from `auxiliary_matrices` with larger ones.'),
        (420, 'ERROR_COLLAPSED',
         'The auxiliary frequencies ran to zero: the crystal is not stable at this temperature and pressure.'),
        (440, 'ERROR_POTENTIAL_INACCURATE', '{reason}'),
        (441, 'ERROR_POTENTIAL_OUTSIDE_RANGE', '{reason}'),
    ):  # fmt: skip
        spec.exit_code(status, label, message=message)


def validate_inputs(inputs, _):
    """Refuse inputs that cannot work together, before anything is submitted."""
    # A work chain around this one has the matrices later; what does not need them is refused at once.
    problem = check_cell(inputs) or check_blocks(inputs) or check_sizes(inputs)
    if problem or not {'dynamical_matrices', 'supercell', 'temperature'} <= set(inputs):
        return problem  # the ports themselves complain about what is missing
    return check_matrices(inputs) or check_forces(inputs) or check_ensemble(inputs) or check_crystal(inputs)


def check_matrices(inputs):
    """Refuse matrices whose mesh the supercell does not divide, and those of two crystals."""
    kernels = {}
    for name in ('dynamical_matrices', 'auxiliary_matrices'):
        if name in inputs:
            try:
                kernels[name] = restrict(inputs[name].to_kernel(), tuple(inputs['supercell']))
            except ValueError as error:
                return f'supercell and {name}: {error}'
    return other_crystal('auxiliary_matrices', *(matrices.crystal for matrices in kernels.values()))


def other_crystal(name, own, other=None):
    """Return why an input is of another crystal than the harmonic matrices, ``None`` if it is not."""
    if other is None:
        return None
    if own.symbols != other.symbols:
        return f'{name}: is of {other.formula}, the matrices are of {own.formula}'
    # A crystal under pressure is strained, not another one.
    if not own.same_lattice(other, LARGEST_DISPLACEMENT):
        return f'{name}: its crystal differs from that of the matrices by more than {LARGEST_DISPLACEMENT} Å'
    return None


def check_forces(inputs):
    """Refuse what cannot give forces, and what nothing can be taken over from."""
    forces = inputs['forces']
    problem = check_source(forces, tuple(inputs['dynamical_matrices'].base.attributes.get('symbols')))
    if problem is None and 'restart_from' in forces and not is_computed(inputs.get('ensemble')):
        # Without an ensemble only the run itself can tell whether it draws the population that was computed; of a
        # potential it tells which configurations are labelled.
        known = 'ensemble' in inputs and not inputs.get('potential')
        population = {'population': inputs['ensemble']} if known else {}
        problem = check_restart({**forces, **population})
    return problem and f'forces.{problem}'


def is_computed(ensemble):
    """Whether there is an ensemble that has forces."""
    return ensemble is not None and ensemble.base.attributes.get('computed')


def check_cell(inputs):
    """Refuse a variable cell without pressure or stresses."""
    if not {'variable_cell', 'forces'} <= set(inputs) or not inputs['variable_cell'].value:
        return None
    if 'pressure' not in inputs:
        return 'pressure: a variable cell needs a target pressure [GPa]'
    ensemble = inputs.get('ensemble')
    if is_computed(ensemble) and not ensemble.base.attributes.get('has_stresses'):
        return 'ensemble: has no stresses, which a variable cell needs; give one with stresses, or a fixed cell'
    if not inputs['forces']['stress'].value:
        return 'forces.stress: a variable cell needs the stresses; give True'
    return None


def check_ensemble(inputs):
    """Refuse a population of another crystal, supercell or temperature, or whose numbers cannot be used."""
    if 'ensemble' not in inputs:
        return None
    try:
        crystal = inputs['ensemble'].to_kernel().crystal
    except ValueError as error:
        return f'ensemble: {error}'
    if problem := other_crystal('ensemble', inputs['dynamical_matrices'].to_kernel().crystal, crystal):
        return problem
    held = inputs['ensemble'].base.attributes
    if held.get('mesh') != inputs['supercell'].get_list():
        return f'ensemble: its supercell is {held.get("mesh")}, not {inputs["supercell"].get_list()}'
    if held.get('temperature') != inputs['temperature'].value:
        return f'ensemble: was drawn at {held.get("temperature")} K, not at {inputs["temperature"].value} K'
    return None


def check_blocks(inputs):
    """Refuse a Hessian whose population is too small for the blocks of its errors, before it has cost anything."""
    given, name = (inputs['potential'], 'potential.') if inputs.get('potential') else (inputs, '')
    if 'parameters' not in inputs.get('hessian', {}) or 'hessian_configurations' not in given:
        return None
    blocks = HessianSettings.from_scalars(inputs['hessian']['parameters'].get_dict()).blocks
    pairs = given['hessian_configurations'].value // 2
    if pairs < blocks:
        return (
            f'{name}hessian_configurations: {2 * pairs} are {pairs} pairs, fewer than the {blocks} blocks for the '
            f'errors; give at least {2 * blocks}, or fewer `blocks` in hessian.parameters'
        )
    return None


def check_supercell(supercell, port):
    """Refuse what are no three divisions."""
    values = supercell.get_list()
    if len(values) != 3 or not all(type(value) is int and value >= 1 for value in values):
        return f'{port.name}: {values} are not three whole numbers from 1; give for instance [2, 2, 2]'
    return None


def check_settings(settings, port):
    """Refuse settings that are not known or out of range."""
    for name, value in settings.get_dict().items():
        if name != 'softest':
            return f'{port.name}: {name!r} is no setting; there is only `softest`'
        if type(value) not in (int, float) or not 0 < value < 1000:
            return f'{port.name}: softest {value!r} is not a positive ħω [meV]'
    return None
