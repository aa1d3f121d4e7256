"""T_c against μ*: both conventions of the Migdal–Eliashberg solution, the closed formulas, and what others found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from aiida_clathrate.kernels.figures.plot import (
    BLUE,
    COLUMN,
    GREEN,
    GREY,
    STYLE,
    VERMILION,
    Plot,
    Table,
    legend_above,
    new_figure,
    numbers,
)

if TYPE_CHECKING:
    from aiida_clathrate.kernels.superconductivity import Superconductivity

CURVES: dict[str, dict[str, Any]] = {
    'rescaled': {'label': r'Eliashberg, $\mu\mathrm{*}$ rescaled', 'color': BLUE, 'linestyle': '-'},
    'raw': {'label': r'Eliashberg, $\mu\mathrm{*}$ at the cutoff', 'color': VERMILION, 'linestyle': '--'},
    'allen_dynes': {'label': 'Allen–Dynes', 'color': GREEN, 'linestyle': '-.'},
    'mcmillan': {'label': 'McMillan', 'color': GREY, 'linestyle': ':'},
}
MARKERS = 'osD^v<>p*'


@dataclass(frozen=True)
class Reference:
    """A value of the literature.

    :param label: its source.
    :param temperature: T_c [K].
    :param mu_star: μ* of a calculation; ``None`` for an experiment.
    """

    label: str
    temperature: float
    mu_star: float | None = None


@rc_context(STYLE)
def draw_critical_temperature(
    result: Superconductivity, references: Sequence[Reference] = (), harmonic: Superconductivity | None = None
) -> Plot:
    """Draw the curves of ``result``; the band is the standard error that the errors of the modes give.

    Where there is no superconductivity a curve has a gap.

    :param references: points at their μ*, and horizontal lines for experiments.
    :param harmonic: T_c to compare with; of it the curve with rescaled μ* is drawn.
    """
    figure, (axes,) = new_figure(COLUMN, 3.0)
    mu_stars = np.array(result.mu_star)
    table = {'mu_star': mu_stars}
    marker = 'o' if len(mu_stars) == 1 else ''
    for name, style in CURVES.items():
        table[f'{name}_K'] = numbers(getattr(result, name))
        axes.plot(mu_stars, table[f'{name}_K'], marker=marker, markersize=4, **style)
    if result.errors is not None:
        errors = numbers(result.errors)
        table['rescaled_error_K'] = errors
        low, high = table['rescaled_K'] - errors, table['rescaled_K'] + errors
        axes.fill_between(mu_stars, low, high, color=BLUE, alpha=0.2, linewidth=0, label='error of the modes')
    tables: dict[str, Table] = {'critical-temperature': table}
    if harmonic is not None:
        beside = {'mu_star': np.array(harmonic.mu_star), 'rescaled_K': numbers(harmonic.rescaled)}
        style = {'color': 'black', 'linestyle': (0, (5, 1.5)), 'label': 'harmonic, rescaled'}
        axes.plot(beside['mu_star'], beside['rescaled_K'], marker=marker, markersize=4, **style)
        tables['critical-temperature-harmonic'] = beside
    if references:
        tables['references'] = draw_references(axes, references)
    axes.set_xlabel(r'$\mu\mathrm{*}$')
    axes.set_ylabel(r'$T_\mathrm{c}$ (K)')
    axes.margins(x=0.02)
    legend_above(figure, axes, columns=2)
    return Plot(figure, tables)


def draw_references(axes: Axes, references: Sequence[Reference]) -> Table:
    """Draw what others found, and return it."""
    for marker, reference in zip(np.resize(list(MARKERS), len(references)), references, strict=True):
        if reference.mu_star is None:
            axes.axhline(reference.temperature, color='black', linewidth=0.8, label=reference.label)
        else:
            style: dict[str, Any] = {
                'marker': str(marker),
                'markerfacecolor': 'white',
                'color': 'black',
                'markersize': 4.5,
            }
            axes.plot(reference.mu_star, reference.temperature, linestyle='', label=reference.label, **style)
    return {
        'source': np.array([reference.label for reference in references]),
        'mu_star': numbers([reference.mu_star for reference in references]),
        'critical_temperature_K': np.array([reference.temperature for reference in references]),
    }
