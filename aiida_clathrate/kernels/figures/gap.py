"""The superconducting gap: its edge against temperature, and Δ on the imaginary axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes

from aiida_clathrate.kernels.figures.plot import BLUE, PAGE, STYLE, Plot, Table, legend_above, new_figure

if TYPE_CHECKING:
    from aiida_clathrate.kernels.superconductivity import Superconductivity


@rc_context(STYLE)
def draw_gap(result: Superconductivity) -> Plot:
    """Draw the gap edge Δ(T), down to zero at T_c, beside Δ(iω_n) at the temperatures of the solution."""
    figure, (left, right) = new_figure(0.8 * PAGE, 2.6, columns=2)
    tables = {'gap-edge': edge_panel(left, result)}
    tables |= matsubara_panel(right, result)
    legend_above(figure, right)
    return Plot(figure, tables)


def edge_panel(axes: Axes, result: Superconductivity) -> Table:
    """Draw the gap edge against temperature, closed with the square root of the mean field at T_c."""
    critical = result.critical_temperature
    axes.plot(result.temperatures, result.gap_edges, color=BLUE, marker='o', markersize=3)
    axes.axvline(critical, color='black', linewidth=0.6, linestyle=':')
    axes.set_xlim(0, 1.08 * critical)
    axes.set_ylim(0, 1.1 * float(np.max(result.gap_edges)))
    axes.set_xlabel('$T$ (K)')
    axes.set_ylabel(r'$\Delta$ (meV)')
    return {'temperature_K': result.temperatures, 'gap_meV': result.gap_edges}


def matsubara_panel(axes: Axes, result: Superconductivity) -> dict[str, Table]:
    """Draw Δ(iω_n) for a few temperatures, from the coldest to the one next to T_c."""
    chosen = np.unique(np.linspace(0, len(result.temperatures) - 1, 4).astype(int))
    colours = colormaps['viridis'](np.linspace(0, 0.85, len(chosen)))
    tables: dict[str, Table] = {}
    for index, colour in zip(chosen, colours, strict=True):
        frequencies, gaps = result.matsubara_frequencies[index], result.gaps[index]
        name = f'{result.temperatures[index]:.1f} K'
        axes.plot(frequencies, gaps, color=colour, label=f'$T$ = {name}', marker='.', markersize=2.5, linewidth=0.8)
        tables[f'gap-{name.replace(" ", "")}'] = {'frequency_meV': frequencies, 'gap_meV': gaps}
    axes.axhline(0, color='black', linewidth=0.5)
    axes.set_xscale('log')
    axes.set_xlabel(r'$\omega_n$ (meV)')
    axes.set_ylabel(r'$\Delta(\mathrm{i}\omega_n)$ (meV)')
    return tables
