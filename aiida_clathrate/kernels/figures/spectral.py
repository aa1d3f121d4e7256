"""Phonon density of states beside α²F(ω) and λ(ω), on one vertical frequency axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from numpy.typing import NDArray

from aiida_clathrate.kernels.figures.plot import (
    BLUE,
    COLUMN,
    FREQUENCY_LABEL,
    GREY,
    PALETTE,
    STYLE,
    VERMILION,
    Plot,
    Table,
    legend_above,
    new_figure,
)
from aiida_clathrate.kernels.spectral import SpectralFunction

if TYPE_CHECKING:
    from aiida_clathrate.kernels.phonon_dos import PhononDos

POINTS = 1001


@rc_context(STYLE)
def draw_spectral(
    spectral: SpectralFunction,
    dos: PhononDos | None = None,
    harmonic: SpectralFunction | None = None,
    width: float | None = None,
) -> Plot:
    """Draw α²F and λ(ω) of ``spectral``, beside the projected density of states if there is one.

    :param harmonic: a second spectral function to compare with, in grey.
    :param width: standard deviation of the Gaussians that broaden α²F [meV]; a hundredth of ω_max by default. λ(ω) is
        never broadened.
    """
    width = spectral.omega_max / 100 if width is None else width
    top = max(part.omega_max for part in (spectral, harmonic) if part is not None)
    top = 1.05 * max(top, 0.0 if dos is None else last_frequency(dos))
    grid = np.linspace(0, top, POINTS)
    panels = 1 if dos is None else 2
    figure, axes = new_figure(COLUMN if dos is None else 1.25 * COLUMN, 3.2, columns=panels, sharey=True)
    tables: dict[str, Table] = {}
    if dos is not None:
        tables['phonon-dos'] = density_panel(axes[0], dos)
    tables |= coupling_panel(axes[-1], spectral, harmonic, grid, width)
    axes[0].set_ylabel(FREQUENCY_LABEL)
    axes[0].set_ylim(0, top)
    legend_above(figure, *axes)
    return Plot(figure, tables)


def last_frequency(dos: PhononDos) -> float:
    """Return the highest frequency with states [meV], where the density is above a thousandth of its maximum."""
    return float(dos.frequencies[dos.total > 1e-3 * dos.total.max()].max())


def density_panel(axes: Axes, dos: PhononDos) -> Table:
    """Draw the density of states, total and of each element, against a vertical frequency axis."""
    table = {'frequency_meV': dos.frequencies, 'total_per_meV': dos.total}
    elements = sorted(set(dos.symbols), key=dos.symbols.index)
    label = 'total' if len(elements) > 1 else '_'
    axes.fill_betweenx(dos.frequencies, dos.total, color=GREY, alpha=0.25, linewidth=0, label=label)
    axes.plot(dos.total, dos.frequencies, color=GREY, linewidth=0.5)
    for colour, element in zip(np.resize(PALETTE, len(elements)), elements, strict=True):
        values = dos.projected[[symbol == element for symbol in dos.symbols]].sum(axis=0)
        table[f'{element}_per_meV'] = values
        if len(elements) > 1:
            axes.plot(values, dos.frequencies, color=str(colour), label=element)
    axes.set_xlim(0, 1.08 * dos.total.max())
    axes.set_xlabel('DOS (states/meV)')
    return table


def coupling_panel(
    axes: Axes,
    spectral: SpectralFunction,
    harmonic: SpectralFunction | None,
    grid: NDArray[np.float64],
    width: float,
) -> dict[str, Table]:
    """Draw α²F on the lower axis and λ(ω) on an upper one, against a vertical frequency axis; the harmonic dashed."""
    upper = axes.twiny()
    tables: dict[str, Table] = {}
    for name, part in (('alpha2f', spectral), ('alpha2f-harmonic', harmonic)):
        if part is None:
            continue
        values, cumulative = part.broadened(grid, width), part.cumulative(grid)
        tables[name] = {'frequency_meV': grid, 'alpha2f': values, 'cumulative_lambda': cumulative}
        dashed = name != 'alpha2f'
        if not dashed:
            axes.fill_betweenx(grid, values, color=BLUE, alpha=0.25, linewidth=0)
        style: dict[str, Any] = {'color': GREY, 'linestyle': '--', 'label': 'harmonic'} if dashed else {'color': BLUE}
        axes.plot(values, grid, **style)
        upper.plot(cumulative, grid, color=VERMILION, alpha=0.5 if dashed else 1, linestyle='--' if dashed else '-')
    axes.set_xlim(0, 1.08 * max(float(np.max(table['alpha2f'])) for table in tables.values()))
    upper.set_xlim(0, 1.08 * max(float(np.max(table['cumulative_lambda'])) for table in tables.values()))
    axes.set_xlabel(r'$\alpha^2F(\omega)$', color=BLUE)
    upper.set_xlabel(r'$\lambda(\omega)$', color=VERMILION)
    # Each horizontal scale has its ticks on its own side.
    axes.tick_params(axis='x', top=False)
    upper.tick_params(axis='x', bottom=False)
    return tables
