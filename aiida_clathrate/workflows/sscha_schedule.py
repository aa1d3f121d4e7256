"""How many configurations a population has, and what is said about it: pure functions of the SSCHA work chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiida_clathrate.kernels.uncertainty import with_error


def size(populations: Sequence[int], number: int) -> int:
    """Return how many configurations population ``number``, counted from 1, has: the last size is repeated."""
    return populations[min(number, len(populations)) - 1]


def describe(number: int, results: dict[str, Any]) -> str:
    """Return a line on the end of a population."""
    # Where symmetry forbids a force its error is rounding, and the ratio says nothing.
    gradient = results['gradient'] / results['gradient_error'] if results['gradient_error'] > 0 else 0.0
    free_energy, smallest, pressure = (
        with_error(results[name], results[f'{name}_error'])
        for name in ('free_energy', 'smallest_frequency', 'pressure')
    )
    text = (
        f'population {number}: {results["configurations"]} configurations, {results["reason"]} after '
        f'{results["steps"]} steps, Kong–Liu ratio {results["kong_liu"]:.2f}, gradient {gradient:.1e} of its error, '
        f'free energy {free_energy} eV, smallest frequency {smallest} meV, pressure {pressure} GPa'
    )
    return '; '.join([text, *results['warnings']])


def describe_verdict(verdict: dict[str, Any]) -> str:
    """Return a line on the verdict."""
    smallest = with_error(verdict['smallest_frequency'], verdict['smallest_frequency_error'])
    doubt = '' if verdict['significant'] else ', which its error does not tell from zero'
    text = f'{verdict["class"]}: smallest frequency {smallest} meV{doubt}'
    between = verdict['interpolated']
    if between is not None and between['frequency'] < 0:
        softest = with_error(between['frequency'], between['error'])
        text += f'; {softest} meV interpolated to q = {between["qpoint"]}: a larger supercell has to decide'
    return text
