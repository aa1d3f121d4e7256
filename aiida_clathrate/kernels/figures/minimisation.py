"""The course of an SSCHA: free energy, gradient over error, effective sample and softest modes, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from numpy.typing import NDArray

from aiida_clathrate.kernels.figures.plot import (
    BLUE,
    GREY,
    PAGE,
    STYLE,
    VERMILION,
    Plot,
    Table,
    legend_above,
    new_figure,
)
from aiida_clathrate.kernels.sscha.minimisation import Trace
from aiida_clathrate.kernels.sscha.settings import Settings

#: So many of the lowest frequencies are drawn.
LOWEST = 8
#: A mean force whose error is smaller is forbidden by symmetry, what is left of it is rounding [eV/Å].
ROUNDING = 1e-10
#: Width of a digit of the labels above the panels [inch].
DIGIT = 0.06
MEV_PER_EV = 1e3


@rc_context(STYLE)
def draw_minimisation(
    traces: Sequence[Trace], configurations: Sequence[int] = (), settings: Settings | None = None
) -> Plot:
    """Draw four quantities against the accepted steps of all populations, one after the other.

    Free energies are relative to the last one; their band is the standard deviation, as is that of a whole population:
    from step to step its configurations are the same.

    :param traces: of the populations in their order.
    :param configurations: how many each population has, one for each trace, or empty where not known.
    :param settings: limits of gradient and effective sample are drawn where they are given.
    :raises ValueError: without a trace, or if the numbers of traces and configurations differ.
    """
    if not traces:
        raise ValueError('minimisation figure: there is no trace: no population was minimised')
    if len(configurations) not in (0, len(traces)):
        raise ValueError(f'minimisation figure: {len(configurations)} sizes of {len(traces)} populations')
    figure, panels = new_figure(0.9 * PAGE, 4.0, rows=2, columns=2, sharex=True)
    table = course(traces)
    energy_panel(panels[0], table)
    gradient_panel(panels[1], table, None if settings is None else settings.meaningful_factor)
    sample_panel(panels[2], table, None if settings is None else settings.kong_liu_ratio)
    frequency_panel(panels[3], table)
    for axes in panels[:2]:
        mark_populations(axes, traces, configurations)
    for axes in panels:
        shade_populations(axes, traces)
    for axes in panels[2:]:
        axes.set_xlabel('accepted steps')
    legend_above(figure, *panels[:2])
    return Plot(figure, {'minimisation': table})


def course(traces: Sequence[Trace]) -> Table:
    """Return the table of all populations, one row for each step."""
    table: dict[str, NDArray[Any]] = {
        'population': np.concatenate([np.full(len(trace.kong_liu), 1 + i) for i, trace in enumerate(traces)]),
        'step': np.arange(sum(len(trace.kong_liu) for trace in traces)),
    }
    for name, column in (
        ('evaluations', 'evaluations'),
        ('free_energy', 'free_energy_eV'),
        ('free_energy_error', 'free_energy_error_eV'),
        ('kong_liu', 'kong_liu'),
    ):
        table[column] = np.concatenate([getattr(trace, name) for trace in traces])
    for name in ('gradient', 'force'):
        values, errors = (
            np.concatenate([getattr(trace, part) for trace in traces]) for part in (name, f'{name}_error')
        )
        table[f'{name}_over_error'] = np.divide(
            values, errors, out=np.full(len(values), np.nan), where=errors > ROUNDING
        )
    lowest = np.concatenate([lowest_frequencies(trace) for trace in traces])
    return table | {f'frequency{number + 1}_meV': values for number, values in enumerate(lowest.T)}


def lowest_frequencies(trace: Trace) -> NDArray[np.float64]:
    """Return the lowest ħω of all wave vectors at each step, in ascending order, shape (s, LOWEST or fewer) [meV].

    At Γ, which is first, the first three are the uniform translations.
    """
    steps = len(trace.frequencies)
    modes = trace.frequencies.reshape(steps, -1)[:, 3:]
    return np.asarray(np.sort(modes, axis=1)[:, :LOWEST])


def pieces(table: Table) -> list[NDArray[np.int64]]:
    """Return the rows of each population."""
    return np.split(np.arange(len(table['population'])), np.flatnonzero(np.diff(table['population'])) + 1)


def lines(axes: Axes, table: Table, values: NDArray[np.float64], label: str = '', **style: Any) -> None:
    """Draw one quantity, a line for each population."""
    style = {'marker': 'o', 'markersize': 2.2, **style}
    for number, rows in enumerate(pieces(table)):
        axes.plot(table['step'][rows], values[rows], label=label if number == 0 and label else '_', **style)


def energy_panel(axes: Axes, table: Table) -> None:
    """Draw the free energy of the cell with its standard deviation."""
    energies, errors = MEV_PER_EV * table['free_energy_eV'], MEV_PER_EV * table['free_energy_error_eV']
    energies = energies - energies[-1]
    for number, rows in enumerate(pieces(table)):
        low, high = energies[rows] - errors[rows], energies[rows] + errors[rows]
        label = '_' if number else 'standard deviation'
        axes.fill_between(table['step'][rows], low, high, color=BLUE, alpha=0.2, linewidth=0, label=label)
    lines(axes, table, energies, color=BLUE)
    axes.set_ylabel(r'$F-F_\mathrm{end}$ (meV/cell)')


def gradient_panel(axes: Axes, table: Table, smallest: float | None) -> None:
    """Draw the gradients of the free energy in units of their errors, and where they are small enough."""
    lines(axes, table, table['gradient_over_error'], 'gradient in force constants', color=BLUE)
    if np.isfinite(table['force_over_error']).any():
        lines(axes, table, table['force_over_error'], 'in positions', color=VERMILION, markerfacecolor='white')
    axes.axhline(1, color='black', linewidth=0.5)
    if smallest is not None:
        limit(axes, smallest)
    axes.set_yscale('log')
    axes.set_ylabel('gradient / error')


def sample_panel(axes: Axes, table: Table, smallest: float | None) -> None:
    """Draw the effective over the real size of the sample, and where it is too small."""
    lines(axes, table, table['kong_liu'], color=BLUE)
    lowest = float(table['kong_liu'].min())
    if smallest is not None:
        limit(axes, smallest)
        lowest = min(lowest, smallest)
    axes.set_ylim(max(0.0, lowest - 0.1), 1.03)
    axes.set_ylabel(r'$N_\mathrm{eff}/N$')


def frequency_panel(axes: Axes, table: Table) -> None:
    """Draw the lowest auxiliary frequencies, the lowest of them in black."""
    names = [name for name in table if name.startswith('frequency')]
    for name in reversed(names):
        lines(axes, table, table[name], color='black' if name == names[0] else GREY, markersize=1.5)
    bottom = min(0.0, 1.1 * float(table[names[0]].min()))
    axes.set_ylim(bottom, 1.08 * float(max(table[name].max() for name in names)))
    axes.set_ylabel(r'lowest $\hbar\omega$ (meV)')


def limit(axes: Axes, value: float) -> None:
    """Draw the value at which a minimisation ends."""
    axes.axhline(value, color='black', linewidth=0.8, linestyle='--', label='limit')


def starts(traces: Sequence[Trace]) -> NDArray[np.float64]:
    """Return where each population begins on the axis of the steps, and the end of the last."""
    return np.concatenate([[0], np.cumsum([len(trace.kong_liu) for trace in traces])]) - 0.5


def shade_populations(axes: Axes, traces: Sequence[Trace]) -> None:
    """Lay a grey ground behind every second population."""
    edges = starts(traces)
    axes.set_xlim(edges[0], edges[-1])
    for left, right in zip(edges[1::2], edges[2::2], strict=False):
        axes.axvspan(left, right, color=GREY, alpha=0.15, linewidth=0, zorder=0)


def mark_populations(axes: Axes, traces: Sequence[Trace], configurations: Sequence[int]) -> None:
    """Write number and size of each population above a panel, where there is room."""
    edges = starts(traces)
    inches = axes.bbox.width / axes.figure.dpi / (edges[-1] - edges[0])
    place: dict[str, Any] = {'transform': axes.get_xaxis_transform(), 'fontsize': 7, 'linespacing': 1.1, 'va': 'bottom'}
    axes.text(edges[0], 1.02, 'population    ' + '\nsize    ' * bool(configurations), ha='right', **place)
    free = -np.inf
    for number, (left, right) in enumerate(pairwise(edges)):
        size = f'\n{configurations[number]}' if configurations else ''
        text, centre = f'{number + 1}{size}', 0.5 * (left + right)
        half = 0.5 * DIGIT * max(len(part) for part in text.split('\n'))
        if centre * inches - half > free:
            axes.text(centre, 1.02, text, ha='center', **place)
            free = centre * inches + half + DIGIT
