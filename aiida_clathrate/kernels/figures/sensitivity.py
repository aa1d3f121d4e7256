"""Which phonons make T_c: the functional derivative δT_c/δα²F(ω), with α²F behind it.

G. Bergmann and D. Rainer, Z. Phys. 263, 59 (1973): δT_c = ∫ δT_c/δα²F(ω) δα²F(ω) dω.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context

from aiida_clathrate.kernels.figures.plot import BLUE, COLUMN, FREQUENCY_LABEL, GREY, STYLE, Plot, new_figure
from aiida_clathrate.kernels.spectral import SpectralFunction

if TYPE_CHECKING:
    from aiida_clathrate.kernels.superconductivity import Superconductivity


@rc_context(STYLE)
def draw_sensitivity(result: Superconductivity, spectral: SpectralFunction, width: float | None = None) -> Plot:
    """Draw δT_c/δα²F(ω) [K/meV] against ω, at the stated μ*.

    :param width: standard deviation of the Gaussians that broaden α²F [meV]; a hundredth of ω_max by default.
    :raises ValueError: if nothing superconducts.
    """
    grid, response = result.sensitivity_frequencies, result.sensitivity
    if not len(grid):
        raise ValueError('sensitivity figure: the result has no δT_c/δα²F: nothing superconducts')
    values = spectral.broadened(grid, spectral.omega_max / 100 if width is None else width)
    figure, (axes,) = new_figure(COLUMN, 2.6)
    behind = axes.twinx()
    # Axes that are made later are drawn later: without this α²F would cover the derivative.
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)
    behind.fill_between(grid, values, color=GREY, alpha=0.3, linewidth=0)
    axes.plot(grid, response, color=BLUE)
    axes.set_xlim(0, float(grid[-1]))
    axes.set_ylim(min(0.0, 1.1 * float(response.min())), 1.1 * float(response.max()))
    behind.set_ylim(0, 1.1 * float(np.max(values)))
    axes.set_xlabel(FREQUENCY_LABEL)
    axes.set_ylabel(r'$\delta T_\mathrm{c}/\delta\alpha^2F(\omega)$ (K/meV)', color=BLUE)
    behind.set_ylabel(r'$\alpha^2F(\omega)$', color=GREY)
    for part, side in ((axes, 'right'), (behind, 'left')):
        part.tick_params(axis='y', **{side: False})
    table = {'frequency_meV': grid, 'sensitivity_K_per_meV': response, 'alpha2f': values}
    return Plot(figure, {'sensitivity': table})
