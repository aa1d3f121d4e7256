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
    new_figure,
    numbers,
)

if TYPE_CHECKING:
    from aiida_clathrate.kernels.superconductivity import Superconductivity


#: At most so many temperatures have a curve of their own on the Matsubara axis.
CURVES = 4


@rc_context(STYLE)
def draw_gap(result: Superconductivity) -> Plot:
    """Draw the gap against T, and Δ(iω_n) at some of the temperatures, at the stated μ*.

    :raises ValueError: if the gap equations were not solved.
    """
    if not result.solutions:
        raise ValueError('gap figure: the result has no Δ(iω_n): nothing superconducts, or no temperatures were given')
    figure, (left, right) = new_figure(0.8 * PAGE, 2.5, columns=2)
    tables = {'gap-temperature': temperature_panel(left, result)} | matsubara_panel(right, result)
    # The gap falls with T and with ω_n: these corners are always empty.
    left.legend(loc='lower left')
    right.legend(loc='upper right')
    return Plot(figure, tables)


def temperature_panel(axes: Axes, result: Superconductivity) -> Table:
    """Draw the gap edge and Δ at the lowest Matsubara frequency against temperature, and T_c."""
    edges, lowest = numbers(result.gap_edges), np.array([gaps[0] for gaps in result.gaps])
    style: dict[str, Any] = {'color': BLUE, 'marker': 'o', 'markersize': 3}
    axes.plot(result.temperatures, edges, label=r'gap edge $\Delta_0$', **style)
    style |= {'color': VERMILION, 'linestyle': '--', 'markerfacecolor': 'white'}
    axes.plot(result.temperatures, lowest, label=r'$\Delta(\mathrm{i}\omega_0)$', **style)
    critical = result.critical_temperature
    if critical is not None:
        axes.axvline(critical, color='black', linewidth=0.8, linestyle=':', label=r'$T_\mathrm{c}$')
    axes.set_xlim(0, 1.05 * float(max(result.temperatures[-1], critical or 0)))
    axes.set_ylim(0, 1.1 * float(np.nanmax([*edges, *lowest])))
    axes.set_xlabel('$T$ (K)')
    axes.set_ylabel(r'$\Delta$ (meV)')
    return {'temperature_K': result.temperatures, 'gap_edge_meV': edges, 'gap_at_first_frequency_meV': lowest}


def matsubara_panel(axes: Axes, result: Superconductivity) -> dict[str, Table]:
    """Draw Δ(iω_n) for a few temperatures, from the coldest to the one next to T_c."""
    solutions = result.solutions
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
