"""What is labelled next, and what is said about it: pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from aiida_clathrate.kernels.mlp.limits import Limits
from aiida_clathrate.kernels.uncertainty import with_error

#: Of an eV/Å.
MILLI = 1e3
Action = Literal['accept', 'label', 'refuse']


def next_action(beyond: int, number: int, labelled: int, max_rounds: int, largest_fraction: float) -> Action:
    """Return what to do with a population that a potential was evaluated on.

    :param beyond: its configurations whose expected error is beyond the limit.
    :param number: of all its configurations.
    :param labelled: rounds of labels that it has had.
    :param max_rounds: rounds at most.
    :param largest_fraction: that may stay beyond the limit after them: a Gaussian has tails.
    """
    if beyond == 0:
        return 'accept'
    if labelled < max_rounds:
        return 'label'
    return 'accept' if beyond <= largest_fraction * number else 'refuse'


def next_label(kind: str, labels: Iterable[str], number: int = 1) -> str:
    """Return ``kind_N`` with N from ``number`` on, and above all that there are of this kind."""
    return f'{kind}_{max([number, *(number_of(label, kind) + 1 for label in labels)])}'


def baseline_of(labels: Iterable[str]) -> str | None:
    """Return the label of the ensemble whose matrices are the baseline: the last that is a whole population."""
    populations = [label for label in labels if not number_of(label, 'labels')]
    return max(populations, key=lambda label: (number_of(label, 'population'), label), default=None)


def number_of(label: str, kind: str) -> int:
    """Return N of ``kind_N``, 0 for another label."""
    found = re.fullmatch(rf'{kind}_(\d+)', label)
    return int(found[1]) if found else 0


def describe_training(report: Mapping[str, Any]) -> str:
    """Return a line on a trained potential."""
    verdict, limits = 'accurate' if report['accurate'] else 'not accurate', report['limits']
    return (
        f'potential ({report["model"]}) of {report["training_configurations"]} configurations: errors of the '
        f'{report["validation_configurations"]} others {report["energy_rmse"]:.2f} meV/atom and '
        f'{report["force_rmse"]:.0f} meV/Å, {verdict} (limits {limits["energy"]:g} and {limits["force"]:g})'
    )


def describe_selection(selection: Mapping[str, Any], action: Action) -> str:
    """Return a line on the deviations in a population."""
    then = {'accept': 'accepted', 'label': 'the most uncertain are labelled', 'refuse': 'too many'}[action]
    limit, largest = (f'{MILLI * selection[name]:.0f} meV/Å' for name in ('limit', 'largest_deviation'))
    return (
        f'{selection["beyond"]} of {selection["number"]} configurations with an expected error of the forces beyond '
        f'{limit}, {then}; the largest {largest}'
    )


def describe_check(comparison: Mapping[str, Any], limits: Limits, accurate: bool) -> str:
    """Return a line on random configurations that were labelled."""
    bias = with_error(comparison['free_energy_bias'], comparison['free_energy_bias_error'])
    verdict = 'compatible with' if accurate else 'beyond'
    return (
        f'check: errors of {comparison["configurations"]} random configurations {comparison["energy_rmse"]:.2f} '
        f'meV/atom and {comparison["force_rmse"]:.0f} meV/Å, {verdict} the limits {limits.energy:g} and '
        f'{limits.force:g}; bias of the free energy {bias} eV per primitive cell'
    )
