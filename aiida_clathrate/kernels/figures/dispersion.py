"""Phonon dispersion, with circles for the coupling λ_qν of the modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from numpy.typing import NDArray

from aiida_clathrate.kernels.alpha2f import ModeCouplings
from aiida_clathrate.kernels.figures.plot import (
    FREQUENCY_LABEL,
    GREY,
    LEVEL_NAMES,
    PAGE,
    STYLE,
    VERMILION,
    Plot,
    Table,
    legend_above,
    new_figure,
)

if TYPE_CHECKING:
    from aiida_clathrate.kernels.dispersion import Dispersion

#: Diameter of the circle of the largest λ_qν [points].
LARGEST_CIRCLE = 11.0


@rc_context(STYLE)
def draw_dispersion(
    dispersion: Dispersion,
    harmonic: Dispersion | None = None,
    couplings: ModeCouplings | None = None,
    smearing: int = 0,
) -> Plot:
    """Draw ħω along the path of ``dispersion``, imaginary frequencies as negative.

    :param harmonic: a second dispersion on the same path, drawn in grey dashes.
    :param couplings: λ_qν of the mesh: a circle, its area proportional to λ_qν, at each wave vector of the mesh that
        lies on the path.
    :param smearing: index of the broadening of ``couplings``.
    """
    figure, (axes,) = new_figure(0.62 * PAGE, 3.0)
    tables = dispersion_panel(axes, dispersion, harmonic, couplings, smearing)
    legend_above(figure, axes)
    return Plot(figure, tables)


def dispersion_panel(
    axes: Axes,
    dispersion: Dispersion,
    harmonic: Dispersion | None,
    couplings: ModeCouplings | None,
    smearing: int,
) -> dict[str, Table]:
    """Draw what ``draw_dispersion`` draws on given axes, and return its tables."""
    tables = {
        'dispersion': lines(
            axes, dispersion, color='black', label='' if harmonic is None else LEVEL_NAMES[dispersion.level]
        )
    }
    if harmonic is not None:
        tables['dispersion-harmonic'] = lines(
            axes, harmonic, color=GREY, linestyle='--', zorder=1.5, label=LEVEL_NAMES[harmonic.level]
        )
    if couplings is not None:
        tables['couplings'] = circles(axes, dispersion, couplings, smearing)
    axes.set_xlim(dispersion.distances[0], dispersion.distances[-1])
    axes.set_ylabel(FREQUENCY_LABEL)
    lowest = min(float(part.frequencies.min()) for part in (dispersion, harmonic) if part is not None)
    highest = max(float(part.frequencies.max()) for part in (dispersion, harmonic) if part is not None)
    # Acoustic modes at Γ are zero within the noise of the sum rule, which is not worth an axis below zero.
    imaginary = lowest < -0.02 * highest
    axes.set_ylim(1.08 * lowest if imaginary else 0, 1.05 * highest)
    if imaginary:
        axes.axhspan(1.08 * lowest, 0, color=VERMILION, alpha=0.08, linewidth=0)
        axes.axhline(0, color='black', linewidth=0.5)
    mark_points(axes, dispersion)
    return tables


def lines(axes: Axes, dispersion: Dispersion, label: str, **style: Any) -> Table:
    """Draw the branches and return their table; nothing joins two points between which the path jumps."""
    jumps = np.flatnonzero(np.diff(dispersion.distances) <= 0) + 1
    pieces = np.split(np.arange(len(dispersion.distances)), jumps)
    for number, piece in enumerate(pieces):
        drawn = axes.plot(dispersion.distances[piece], dispersion.frequencies[piece], **style)
        if number == 0 and label:
            drawn[0].set_label(label)
    table = {'distance_per_angstrom': dispersion.distances}
    table |= {f'q{axis + 1}': dispersion.qpoints[:, axis] for axis in range(3)}
    return table | {f'branch{i + 1}_meV': branch for i, branch in enumerate(dispersion.frequencies.T)}


def circles(axes: Axes, dispersion: Dispersion, couplings: ModeCouplings, smearing: int) -> Table:
    """Draw λ_qν as circles at the points of the mesh that the path passes, and return their table."""
    if couplings.qpoints is None:
        raise ValueError('dispersion figure: these couplings are an imported table without wave vectors')
    indices, distances = on_path(dispersion, couplings.qpoints)
    modes = couplings.frequencies.shape[1]
    places, frequencies = np.repeat(distances, modes), couplings.frequencies[indices].ravel()
    strengths = couplings.couplings[smearing][indices].ravel()
    table = {'distance_per_angstrom': places, 'frequency_meV': frequencies, 'lambda': strengths}
    if not len(strengths) or strengths.max() <= 0:
        return table
    area = LARGEST_CIRCLE**2 / strengths.max()
    style = {'facecolor': VERMILION, 'edgecolor': VERMILION, 'alpha': 0.45, 'linewidth': 0.5, 'clip_on': False}
    axes.scatter(places, frequencies, s=area * strengths, zorder=3, **style)
    # One circle of a round size explains the others.
    unit = 10.0 ** np.floor(np.log10(strengths.max()))
    sample = unit * max(step for step in (1, 2, 5) if step * unit <= strengths.max())
    axes.scatter([], [], s=area * sample, label=rf'$\lambda_{{\mathbf{{q}}\nu}}$ = {sample:g}', **style)
    return table


def on_path(dispersion: Dispersion, qpoints: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which of ``qpoints`` lie on the path, modulo reciprocal lattice vectors, and at which distances.

    :param qpoints: fractional wave vectors, shape (q, 3).
    :return: indices into ``qpoints`` and distances along the path, both of shape (hits,), ordered by distance; a point
        that the path passes twice comes twice.
    """
    steps = np.diff(dispersion.distances)
    along = np.flatnonzero(steps > 0)
    start, vector = dispersion.qpoints[along], np.diff(dispersion.qpoints, axis=0)[along]
    low, high = np.floor(dispersion.qpoints.min(axis=0)), np.ceil(dispersion.qpoints.max(axis=0))
    shifts = np.array(list(np.ndindex(*(high - low + 1).astype(int)))) + low
    found = set()
    for index, qpoint in enumerate(qpoints % 1.0):
        offset = (qpoint + shifts)[:, None] - start
        fraction = (offset * vector).sum(axis=-1) / (vector**2).sum(axis=-1)
        miss = np.abs(offset - fraction[..., None] * vector).max(axis=-1)
        for _, step in np.argwhere((miss < 1e-4) & (fraction > -1e-4) & (fraction < 1 + 1e-4)):
            place = dispersion.distances[along[step]] + fraction[_, step] * steps[along[step]]
            found.add((round(float(place), 6), index))
    ordered = sorted(found)
    return np.array([index for _, index in ordered], dtype=np.int64), np.array([place for place, _ in ordered])


def mark_points(axes: Axes, dispersion: Dispersion) -> None:
    """Write the labels of the high-symmetry points below the axis and draw a line at each."""
    places: dict[float, list[str]] = {}
    for index, name in dispersion.labels:
        names = places.setdefault(round(float(dispersion.distances[index]), 6), [])
        if symbol(name) not in names:
            names.append(symbol(name))
    axes.set_xticks(list(places), ['|'.join(names) for names in places.values()])
    axes.tick_params(axis='x', length=0)
    for place in places:
        axes.axvline(place, color='black', linewidth=0.5, zorder=0.5)


def symbol(name: str) -> str:
    """Return the name of a point as it is printed: ``GAMMA`` as Γ, ``SIGMA_0`` as Σ₀."""
    letter, _, index = name.partition('_')
    greek = {'GAMMA': 'Γ', 'G': 'Γ', 'DELTA': 'Δ', 'LAMBDA': 'Λ', 'SIGMA': 'Σ'}
    return greek.get(letter.upper(), letter) + (rf'$_{{{index}}}$' if index else '')
