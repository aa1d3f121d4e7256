"""The superconducting gap: against temperature, and on the imaginary axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes

from aiida_clathrate.kernels.figures.plot import (
    BLUE,
    PAGE,
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


#: At most so many temperatures have a curve of their own on the Matsubara axis.
CURVES = 4


@rc_context(STYLE)
def draw_gap(result: Superconductivity) -> Plot:
    """Draw Δ(iω₀) against T, and Δ(iω_n) at some of the temperatures.

    :raises ValueError: if the gap equations were not solved.
    """
    if not result.details.gaps:
        raise ValueError('gap figure: the result has no Δ(iω_n): nothing superconducts, or no temperatures were given')
    figure, (left, right) = new_figure(0.8 * PAGE, 2.7, columns=2)
    tables = {'gap-temperature': temperature_panel(left, result)} | matsubara_panel(right, result)
    legend_above(figure, left, right, columns=3)
    return Plot(figure, tables)


def temperature_panel(axes: Axes, result: Superconductivity) -> Table:
    """Draw Δ at the lowest Matsubara frequency against temperature, T_c and the gap edge."""
    temperatures = np.array([solution.temperature for solution in result.details.gaps])
    gaps = np.array([solution.gaps[0] for solution in result.details.gaps])
    edges = [result.details.gap_edge, *[None] * (len(gaps) - 1)]
    axes.plot(temperatures, gaps, color=BLUE, marker='o', markersize=3, label=r'$\Delta(\mathrm{i}\omega_0)$')
    if result.details.gap_edge is not None:
        style: dict[str, Any] = {'color': VERMILION, 'marker': 'D', 'markersize': 4.5, 'markerfacecolor': 'none'}
        axes.plot(temperatures[0], result.details.gap_edge, linestyle='', label=r'gap edge $\Delta_0$', **style)
    critical = result.critical_temperature
    if critical is not None:
        axes.axvline(critical, color='black', linewidth=0.8, linestyle=':', label=r'$T_\mathrm{c}$')
    axes.set_xlim(0, 1.05 * float(max(temperatures[-1], critical or 0)))
    axes.set_ylim(0, 1.1 * float(np.nanmax([*gaps, *numbers(edges)])))
    axes.set_xlabel('$T$ (K)')
    axes.set_ylabel(r'$\Delta$ (meV)')
    return {'temperature_K': temperatures, 'gap_meV': gaps, 'gap_edge_meV': numbers(edges)}


def matsubara_panel(axes: Axes, result: Superconductivity) -> dict[str, Table]:
    """Draw Δ(iω_n) for a few temperatures, from the coldest to the one next to T_c."""
    solutions = result.details.gaps
    chosen = np.unique(np.linspace(0, len(solutions) - 1, CURVES).astype(int))
    colours = colormaps['viridis'](np.linspace(0, 0.85, len(chosen)))
    for index, colour in zip(chosen, colours, strict=True):
        label = f'{solutions[index].temperature:.3g} K'
        style: dict[str, Any] = {'color': colour, 'marker': '.', 'markersize': 2.5, 'linewidth': 0.8}
        axes.plot(solutions[index].frequencies, solutions[index].gaps, label=label, **style)
    axes.axhline(0, color='black', linewidth=0.5)
    axes.set_xscale('log')
    axes.set_xlabel(r'$\omega_n$ (meV)')
    axes.set_ylabel(r'$\Delta(\mathrm{i}\omega_n)$ (meV)')
    return {
        f'gap-{solution.temperature:.4g}K': {
            'frequency_meV': solution.frequencies,
            'gap_meV': solution.gaps,
            'renormalisation': solution.renormalisation,
        }
        for solution in solutions
    }
