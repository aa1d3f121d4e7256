"""How many configurations a population has, and what is said about it: pure functions of the SSCHA work chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def size(populations: Sequence[int], number: int) -> int:
    """Return how many configurations population ``number``, counted from 1, has: the last size is repeated."""
    return populations[min(number, len(populations)) - 1]


def describe(number: int, results: dict[str, Any]) -> str:
    """Return a line on the end of a population."""
    # Where symmetry forbids a force its error is rounding, and the ratio says nothing.
    gradient = results['gradient'] / results['gradient_error'] if results['gradient_error'] > 0 else 0.0
    pressure = '' if results['pressure'] is None else f', pressure {results["pressure"]:.2f} GPa'
    text = (
        f'population {number}: {results["configurations"]} configurations, {results["reason"]} after '
        f'{results["steps"]} steps, Kong–Liu ratio {results["kong_liu"]:.2f}, gradient {gradient:.1e} of its error, '
        f'free energy {results["free_energy"]:.5f} ± {results["free_energy_error"]:.5f} eV, smallest frequency '
        f'{results["smallest_frequency"]:.1f} ± {results["smallest_frequency_error"]:.1f} meV{pressure}'
    )
    return '; '.join([text, *results['warnings']])


def describe_verdict(verdict: dict[str, Any]) -> str:
    """Return a line on the verdict."""
    error = verdict['smallest_frequency_error']
    suffix = '' if error is None else f' ± {error:.1f}'
    doubt = '' if verdict['significant'] else ', which its error does not tell from zero'
    return f'{verdict["class"]}: smallest frequency {verdict["smallest_frequency"]:.1f}{suffix} meV{doubt}'
