"""What work chains report on their potential, in words: trainings, what was labelled, checks and bias."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aiida_clathrate.cli.potential import MILLI, Rows, Table
from aiida_clathrate.kernels.uncertainty import with_error

#: Order of what happens after a population is there.
STEPS = ('population', 'selection', 'check', 'training')
HEADER = ['', 'N', 'beyond', 'labels', 'expected', 'energy', 'force', 'accurate']
TOLD = (
    'N: configurations, of a training + held out; beyond: expected error of the forces above the limit; expected: the '
    'largest, in meV/Å; energy and force: true RMSE at random in meV/atom and meV/Å'
)
#: Steps inside those of a population, whose first selection has the name of the population.
AGAIN = {'training': '– trained', 'selection': '– again'}


def is_training(content: Mapping[str, Any]) -> bool:
    """Whether a dictionary is the verdict on a training."""
    return {'accurate', 'limits', 'worst_configurations'} <= set(content)


def is_selection(content: Mapping[str, Any]) -> bool:
    """Whether a dictionary tells which configurations of a population were labelled."""
    return {'beyond', 'limit', 'uncertain', 'largest_deviation'} <= set(content)


def is_check(content: Mapping[str, Any]) -> bool:
    """Whether a dictionary compares random configurations of a population with labels."""
    return {'free_energy_bias', 'random', 'missing'} <= set(content)


def is_report(content: Mapping[str, Any]) -> bool:
    """Whether a dictionary joins such dictionaries."""
    return any(steps(content))


def steps(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the steps of a report with their names, in the order of time."""
    for label in sorted(content, key=place):
        step = content[label]
        if not isinstance(step, Mapping):
            continue
        if is_training(step) or is_selection(step) or is_check(step):
            yield label.replace('_', ' '), step
        else:
            for number, (name, inner) in enumerate(steps(step)):
                yield (AGAIN[name.split()[0]] if number else label.replace('_', ' ')), inner


def place(label: str) -> tuple[float, int]:
    """Return where a step comes; the Hessian is last."""
    kind, _, number = label.rpartition('_')
    if not number.isdigit() or kind not in STEPS:
        return float('inf'), 0
    return int(number), STEPS.index(kind)


def report_table(content: Mapping[str, Any]) -> Table:
    """Return one row for each training, population and check."""
    return HEADER, [[name, *cells(step)] for name, step in steps(content)]


def cells(step: Mapping[str, Any]) -> list[str]:
    """Return the cells of one step."""
    if is_selection(step):
        numbers = (step['number'], step['beyond'], len(step['uncertain']))
        return [*map(str, numbers), f'{MILLI * step["largest_deviation"]:.3g}', '', '', '']
    errors = [shown(step['energy_rmse']), shown(step['force_rmse'])]
    if is_training(step):
        numbers = f'{step["training_configurations"]} + {step["validation_configurations"]}'
        return [numbers, '', '', '', *errors, 'yes' if step['accurate'] else 'no']
    return [str(step['random']), '', str(step['random']), '', *errors, '']


def report_rows(content: Mapping[str, Any]) -> Rows:
    """Return how many labels the potential had, and what the columns are."""
    labelled = sum(len(step['uncertain']) for _, step in steps(content) if is_selection(step))
    checked = sum(step['random'] for _, step in steps(content) if is_check(step))
    return [('labels', f'{labelled} where it was uncertain, {checked} at random'), ('table', TOLD)]


def training_rows(content: Mapping[str, Any]) -> Rows:
    """Return the verdict on a training."""
    limits = content['limits']
    numbers = f'{content["training_configurations"]} configurations, {content["validation_configurations"]} held out'
    rows = [
        ('verdict', 'accurate' if content['accurate'] else 'not accurate'),
        ('configurations', numbers),
        ('energies', f'RMSE {shown(content["energy_rmse"])} meV/atom, limit {limits["energy"]:g}'),
        ('forces', f'RMSE {shown(content["force_rmse"])} meV/Å, limit {limits["force"]:g}'),
    ]
    if content['sought_validation_configurations']:
        errors = f'{shown(content["sought_energy_rmse"])} meV/atom, {shown(content["sought_force_rmse"])} meV/Å'
        rows.append(('where one was uncertain', f'{errors}, {content["sought_validation_configurations"]} held out'))
    return [*rows, ('table', 'where the forces are worst; errors are those of this training')]


def training_table(content: Mapping[str, Any]) -> Table:
    """Return the configurations that a potential is worst on."""
    header = ['ensemble', 'configuration', 'force (meV/Å)', 'expected (meV/Å)', 'energy (meV/atom)']
    names = ('force_error', 'expected_force_error', 'energy_error')
    return header, [
        [row['ensemble'], str(row['configuration']), *(f'{row[name]:.3g}' for name in names)]
        for row in content['worst_configurations']
    ]


def check_rows(content: Mapping[str, Any]) -> Rows:
    """Return what labels of random configurations say about a potential, and about averages by it."""
    rows = [('random configurations', str(content['random']))]
    if content['missing']:
        rows.append(('without a label', str(len(content['missing']))))
    mean = with_error(content['energy_mean_error'], content['energy_mean_error_error'])
    bias = with_error(content['free_energy_bias'], content['free_energy_bias_error'])
    rows += [
        ('energies', f'RMSE {shown(content["energy_rmse"])} meV/atom, mean {mean}'),
        ('forces', f'RMSE {shown(content["force_rmse"])} meV/Å, labels {content["force_deviation"]:.4g}'),
        ('bias of the free energy', f'{bias} eV per primitive cell, label minus potential'),
    ]
    if content.get('pressure_bias') is not None:
        pressure = with_error(content['pressure_bias'], content['pressure_bias_error'])
        rows.append(('bias of the pressure', f'{pressure} GPa'))
    by_species = content['force_rmse_by_species'].items()
    return [*rows, *((f'forces on {name}', f'RMSE {value:.3g} meV/Å') for name, value in by_species)]


def bias_rows(content: Mapping[str, Any]) -> Rows:
    """Return what the errors of a potential do to the results of an SSCHA, where that is known."""
    if content.get('corrected_free_energy') is None:
        return []
    bias = with_error(content['potential_free_energy_bias'], content['potential_free_energy_bias_error'])
    corrected = with_error(content['corrected_free_energy'], content['corrected_free_energy_error'])
    rows = [
        ('bias of the potential', f'{bias} eV, label minus potential'),
        ('corrected free energy', f'{corrected} eV per primitive cell'),
    ]
    if content.get('potential_pressure_bias') is not None:
        pressure = with_error(content['potential_pressure_bias'], content['potential_pressure_bias_error'])
        rows.append(('bias of its pressure', f'{pressure} GPa, not taken off'))
    return rows


def shown(value: float | None) -> str:
    """Return an error in three digits; –, where there is none."""
    return '–' if value is None else f'{value:.3g}'
