"""A trained potential in words, and what there is to draw of it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from aiida_clathrate.kernels.scalars import is_number

if TYPE_CHECKING:
    from aiida import orm

    from aiida_clathrate.kernels.figures.potential import Agreement
    from aiida_clathrate.kernels.mlp.potential import Potential

TRAINING = 'aiida.calculations:clathrate.train'
#: Arrays of the configurations that were held out, by the names that ``Agreement`` has for them.
ARRAYS = ('energies', 'predicted_energies', 'forces', 'predicted_forces', 'force_errors', 'deviations')
#: What the models are that a training chooses from.
MODELS = {'linear': 'linear in its features', 'network': 'network', 'both': 'linear part, and a network for the rest'}
PLURALS = {'energy': 'energies', 'force': 'forces', 'stress': 'stresses'}
NOT_TOLD = 'not told'
#: Of an eV/Å.
MILLI = 1e3

Rows = list[tuple[str, str]]
Table = tuple[list[str], list[list[str]]]


def training_of(node: orm.Data) -> orm.CalcJobNode | None:
    """Return the training that a node comes from, ``None`` for one that comes from elsewhere."""
    return node.creator if node.creator is not None and node.creator.process_type == TRAINING else None


def is_validation(node: orm.ArrayData) -> bool:
    """Whether arrays are labels and predictions of the configurations that a training held out."""
    return {*ARRAYS, 'validation_index'} <= set(node.get_arraynames())


def agreement(node: orm.ArrayData) -> Agreement:
    """Return what a training held out; elements and the course of the training where its calculation is known."""
    from aiida_clathrate.kernels.figures.potential import Agreement

    training = training_of(node)
    more: dict[str, Any] = {}
    if training is not None:
        more['symbols'] = symbols_of(node, training)
        if 'history' in training.outputs:
            history = training.outputs.history
            more['history'] = {name: history.get_array(name) for name in history.get_arraynames()}
    return Agreement(**{name: node.get_array(name) for name in ARRAYS}, **more)


def symbols_of(node: orm.ArrayData, training: orm.CalcJobNode) -> tuple[str, ...]:
    """Return the elements of all atoms that were held out."""
    ensembles = training.inputs.ensembles
    attributes = [ensembles[label].base.attributes for label in sorted(ensembles)]
    symbols = [held.get('symbols') * prod(held.get('mesh')) for held in attributes]
    return tuple(name for number, _ in node.get_array('validation_index') for name in symbols[number])


def content(node: orm.Data) -> dict[str, Any]:
    """Return what there is to draw of a potential, by the names of the fields of ``Content``."""
    training = training_of(node)
    known = training is not None and 'validation' in training.outputs
    return {'agreement': agreement(training.outputs.validation)} if known else {}


def potential_rows(node: Any) -> Rows:
    """Return what a potential is, and how good on the configurations that were held out.

    Its record may have been written by anybody: what is no number is not told.
    """
    potential, attributes = node.to_kernel(), node.base.attributes
    architecture = potential.architecture
    return [
        ('elements', ', '.join(potential.species)),
        ('model', MODELS.get(attributes.get('model'), NOT_TOLD)),
        ('radial basis', f'up to {architecture.radial_cutoff:g} Å, order {architecture.radial_order}'),
        (
            'angular basis',
            f'up to {architecture.angular_cutoff:g} Å, order {architecture.angular_order}, '
            f'l ≤ {architecture.largest_l}',
        ),
        ('weights', f'{attributes.get("number_of_weights"):,}'),
        ('harmonic baseline', baseline(attributes)),
        ('trained on', configurations(attributes.get('training_configurations'))),
        ('held out', configurations(attributes.get('validation_configurations'))),
        *error_rows(potential.record),
        *candidate_rows(potential.record.get('candidates')),
        *expectation_rows(potential),
        ('from', origin(node)),
    ]


def baseline(attributes: Any) -> str:
    """Return what the energy is added to."""
    mesh = attributes.get('mesh')
    return 'none' if mesh is None else f'of {attributes.get("formula")} in {" × ".join(map(str, mesh))} cells'


def configurations(number: int | None) -> str:
    """Return how many configurations there were."""
    return NOT_TOLD if number is None else f'{number} configuration{"s" * (number != 1)}'


def error_rows(record: Mapping[str, Any]) -> Rows:
    """Return the errors of the configurations that were held out."""
    rows = []
    for name, unit in (('energy', 'meV/atom'), ('force', 'meV/Å'), ('stress', 'GPa')):
        rmse = number(record, f'{name}_rmse')
        if rmse is None:
            continue
        words = [f'RMSE {rmse:.3g} {unit}']
        for part, text in (('max', 'largest {:.3g}'), ('mean_error', 'mean {:+.2g}'), ('deviation', 'labels {:.4g}')):
            value = number(record, f'{name}_{part}')
            words += [] if value is None else [text.format(value)]
        rows.append((f'errors of the {PLURALS[name]}', ', '.join(words)))
    return rows


def candidate_rows(candidates: Any) -> Rows:
    """Return the errors of each model that was tried."""
    rows = []
    for name in MODELS if isinstance(candidates, dict) and len(candidates) > 1 else ():
        found = candidates.get(name)
        values = [number(found, f'{kind}_rmse') for kind in ('energy', 'force')] if isinstance(found, dict) else [None]
        if None not in values:
            rows.append((f'candidate {name}', '{:.3g} meV/atom, {:.3g} meV/Å'.format(*values)))
    return rows


def expectation_rows(potential: Potential) -> Rows:
    """Return how errors are expected from the distance to the training set, and how well that did."""
    import numpy as np

    factor, exponent = potential.weights['calibration']
    with np.errstate(over='ignore'):  # of a potential from anybody; infinity says enough
        words = [f'{MILLI * np.exp(factor):.3g} meV/Å × score^{exponent:.2f}']
    correlation = number(potential.record, 'rank_correlation')
    words += [] if correlation is None else [f'rank correlation with the true one {correlation:.2f}']
    return [('expected force error', ', '.join(words))]


def origin(node: orm.Data) -> str:
    """Return where a potential comes from."""
    training = training_of(node)
    if training is None:
        return 'no training in this profile'
    ensembles = ', '.join(f'{label} ({ensemble.pk})' for label, ensemble in sorted(training.inputs.ensembles.items()))
    return f'training {training.pk} on {ensembles}'


def species_table(node: Any) -> Table:
    """Return the errors of the forces on each element, beside them those on the training set where it is known."""
    held, training = node.to_kernel().record.get('force_rmse_by_species'), training_of(node)
    held = held if isinstance(held, dict) else {}
    # An archive may bring a potential without what else its training gave.
    told = training is not None and 'output_parameters' in training.outputs
    learnt = training.outputs.output_parameters['training_force_rmse_by_species'] if told else {}
    names = [name for name in node.base.attributes.get('species') if number(held, name) is not None]
    header = ['element', 'held out (meV/Å)', *(['trained on (meV/Å)'] if learnt else [])]
    table = [[name, f'{held[name]:.3g}', *([f'{learnt[name]:.3g}'] if learnt else [])] for name in names]
    return (header, table) if table else ([], [])


def number(held: Mapping[str, Any], name: str) -> float | None:
    """Return a number that somebody wrote down, ``None`` where it is none."""
    value = held.get(name)
    return value if is_number(value) else None
