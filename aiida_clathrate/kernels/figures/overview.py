"""Dispersion, phonon density of states and α²F side by side on one frequency axis: the figure of a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context

from aiida_clathrate.kernels.alpha2f import ModeCouplings
from aiida_clathrate.kernels.figures.dispersion import MeasuredModes, dispersion_panel
from aiida_clathrate.kernels.figures.plot import PAGE, STYLE, Plot, legend_above, new_figure
from aiida_clathrate.kernels.figures.spectral import POINTS, coupling_panel, density_panel, last_frequency

if TYPE_CHECKING:
    from aiida_clathrate.kernels.dispersion import Dispersion
    from aiida_clathrate.kernels.phonon_dos import PhononDos


@rc_context(STYLE)
def draw_overview(
    dispersion: Dispersion,
    dos: PhononDos,
    couplings: ModeCouplings | None = None,
    smearing: int = 0,
    harmonic: Dispersion | None = None,
    width: float | None = None,
    measured: MeasuredModes | None = None,
) -> Plot:
    """Draw the phonons of a crystal and, if they are given, their couplings.

    :param smearing: index of the broadening of ``couplings``.
    :param harmonic: a second dispersion to compare with, in grey dashes.
    :param width: standard deviation of the Gaussians that broaden α²F [meV]; a hundredth of ω_max by default.
    :param measured: modes whose standard deviations are drawn as bars.
    """
    ratios = (2.4, 1) if couplings is None else (2.4, 1, 1)
    inches = PAGE * sum(ratios) / 4.4
    figure, axes = new_figure(inches, 3.1, columns=len(ratios), sharey=True, width_ratios=ratios)
    tables = dispersion_panel(axes[0], dispersion, harmonic, couplings, smearing, measured)
    tables['phonon-dos'] = density_panel(axes[1], dos)
    top = max(axes[0].get_ylim()[1], 1.05 * last_frequency(dos))
    axes[0].set_ylim(top=top)
    if couplings is not None:
        spectral, grid = couplings.spectral(smearing), np.linspace(0, top, POINTS)
        tables |= coupling_panel(axes[2], spectral, None, grid, spectral.omega_max / 100 if width is None else width)
    legend_above(figure, *axes)
    return Plot(figure, tables)
