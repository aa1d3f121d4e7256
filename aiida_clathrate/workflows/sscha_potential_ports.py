"""The namespace ``potential`` of the ``SschaWorkChain``, and what it refuses."""

from __future__ import annotations

from functools import partial

from aiida import orm
from aiida.plugins import WorkflowFactory

from aiida_clathrate.calculations.evaluate_potential import problem_of
from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels.fourier import restrict
from aiida_clathrate.workflows.forces_ports import EvaluateCalculation, check_job
from aiida_clathrate.workflows.port_values import check_populations, define_value, even, not_negative
from aiida_clathrate.workflows.potential_ports import check_baseline, check_evaluation

LabelledForcesWorkChain = WorkflowFactory('clathrate.labelled_forces')

NAMESPACE = 'potential'
#: What the SSCHA gives to the forces of each population itself.
GIVEN = ('metadata', 'population', 'potential', 'forces')
#: Ports with defaults that the checks look at.
CHECKED = {
    'check_configurations', 'harmonic_baseline', 'max_rounds', 'min_validation', 'populations',
    'training_configurations',
}  # fmt: skip
OPTIONAL = {'required': False, 'populate_defaults': False}


def define_potential(spec):
    """Define the namespace."""
    text = 'Left out: all forces are those of `forces`. Else populations grow on with a potential trained on them.'
    spec.expose_inputs(
        LabelledForcesWorkChain, namespace=NAMESPACE, exclude=GIVEN, namespace_options=OPTIONAL | {'help': text}
    )
    for name in ('train', 'evaluate'):  # a calculator may take their place
        port = spec.inputs[NAMESPACE][name]
        port.required, port.populate_defaults = False, False
    spec.expose_inputs(
        EvaluateCalculation, namespace=f'{NAMESPACE}.calculator', exclude=('population', 'parent_folder'),
        namespace_options=OPTIONAL
        | {'help': 'Instead of `train` and `evaluate`: a calculator in place of the potential, for instance a '
           'foundation model. Nothing is trained; only random configurations are compared with `forces`.'},
    )  # fmt: skip
    spec.input(
        f'{NAMESPACE}.start', valid_type=PotentialData, required=False,
        help='A potential that was trained earlier, on `ensembles`: no population is computed from first principles.',
    )  # fmt: skip
    number = partial(define_value, spec)
    number(f'{NAMESPACE}.populations', orm.List, [1000, 4000, 10000, 40000], check_populations,
           'Configurations of each population with the potential, even and growing; the last number is repeated. The '
           'run has converged only with a population of the last size.')  # fmt: skip
    number(f'{NAMESPACE}.hessian_configurations', orm.Int, 40000, even,
           'Configurations of the population of the Hessian, instead of those of the work chain.')  # fmt: skip
    number(f'{NAMESPACE}.check_configurations', orm.Int, 20, not_negative,
           'So many random members of the last population are computed by `forces`: their errors must be within the '
           'limits, and give the bias of the free energy. 0: it is not known.')  # fmt: skip
    number(f'{NAMESPACE}.harmonic_baseline', orm.Bool, False, None,
           'Whether the potential is trained on what is beyond the auxiliary matrices of the last population from '
           'first principles. These matrices are not invariant under rotations, the potential is: it may not be able '
           'to learn what they leave.')  # fmt: skip
    spec.inputs[NAMESPACE].validator = check_potential


def check_potential(inputs, _):
    """Refuse a namespace that gives no forces, or whose potential could not be trained again."""
    if not inputs:
        return None
    if 'calculator' in inputs:
        if other := {'train', 'evaluate', 'start', 'ensembles'} & {name for name in inputs if inputs[name]}:
            return f'calculator: takes the place of a trained potential; leave out {", ".join(sorted(other))}'
        return check_job('calculator', inputs['calculator'])
    if missing := {'train', 'evaluate'} - set(inputs):
        return f'{", ".join(sorted(missing))}: missing; give both of train and evaluate, or calculator'
    if not has_defaults(inputs):
        return None
    ensembles = inputs.get('ensembles') or {}
    if 'start' in inputs and not ensembles and (inputs['max_rounds'].value or inputs['check_configurations'].value):
        return (
            'ensembles: give what `start` was trained on, to train it again where it is uncertain; or 0 as max_rounds '
            'and check_configurations'
        )
    return check_check(inputs) or check_baseline(inputs, ensembles) or check_evaluation(inputs['evaluate'])


def has_defaults(given):
    """Whether ports that were left out have their defaults: a builder asks before, and again when it is submitted."""
    return set(given) >= CHECKED


def check_check(inputs):
    """Refuse to check more configurations than are independent in the last population."""
    pairs = inputs['populations'][-1] // 2
    if inputs['check_configurations'].value > pairs:
        return (
            f'check_configurations: {inputs["check_configurations"].value} are more than the {pairs} pairs of the last '
            'population; give less'
        )
    return None


def check_sizes(inputs):
    """Refuse populations from first principles that leave none for the potential, or nothing to train it with."""
    given = inputs.get(NAMESPACE)
    if not given or not has_defaults(given) or {'start', 'calculator'} & set(given):
        return None
    sizes, most = inputs['populations'].get_list(), inputs['max_populations'].value
    if most <= len(sizes):
        return (
            f'max_populations: {most} are used up by the {len(sizes)} populations from first principles; allow more, '
            'for those with the potential'
        )
    wanted, least, there = given['training_configurations'].value, given['min_validation'].value, sum(sizes[-2:])
    if wanted + least > there and not given.get('ensembles'):
        return (
            f'{NAMESPACE}.training_configurations: {wanted} to train with and {least} to judge by are more than the '
            f'{there} of the last two populations; give less, or larger `populations`'
        )
    return None


def check_crystal(inputs):
    """Refuse a potential, or labels, that are not of the crystal of an SSCHA."""
    given = inputs.get(NAMESPACE)
    if not given or not has_defaults(given):
        return None
    return check_start(inputs, given) or check_ensembles(inputs, given)


def check_start(inputs, given):
    """Refuse a potential that does not know the crystal, or has the baseline of another one."""
    if 'start' not in given:
        return None
    coarse = restrict(inputs['dynamical_matrices'].to_kernel(), tuple(inputs['supercell']))
    problem = problem_of(given['start'], DynamicalMatrixData.from_kernel(coarse))
    return problem and f'{NAMESPACE}.start: {problem.removeprefix("potential: ")}'


def check_ensembles(inputs, given):
    """Refuse labels of another crystal, or of another supercell than the baseline."""
    symbols = inputs['dynamical_matrices'].base.attributes.get('symbols')
    for label, ensemble in (given.get('ensembles') or {}).items():
        held, name = ensemble.base.attributes, f'{NAMESPACE}.ensembles.{label}'
        if held.get('symbols') != symbols:
            return f'{name}: its atoms are {" ".join(held.get("symbols"))}, not {" ".join(symbols)}; leave it out'
        if given['harmonic_baseline'].value and held.get('mesh') != inputs['supercell'].get_list():
            return (
                f'{name}: its supercell is {held.get("mesh")}, not {inputs["supercell"].get_list()}; leave it out, or '
                'give False as harmonic_baseline'
            )
    return None
