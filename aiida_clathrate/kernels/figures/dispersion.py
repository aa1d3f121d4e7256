"""Phonon dispersion, with circles for the coupling λ_qν of the modes or bars for their errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from numpy.typing import NDArray

from aiida_clathrate.kernels.alpha2f import ModeCouplings
from aiida_clathrate.kernels.figures.plot import (
    BLUE,
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
#: Width of a letter of the labels below the axis [inch].
LETTER = 0.075


@dataclass(frozen=True)
class MeasuredModes:
    """Frequencies with their standard deviations, at the wave vectors where they are known.

    :param qpoints: fractional, shape (q, 3).
    :param frequencies: ħω, negative where imaginary, shape (q, 3n) [meV].
    :param errors: standard deviations, zero for the translations, shape (q, 3n) [meV].
    :raises ValueError: if the shapes do not belong together.
    """

    qpoints: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    errors: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.frequencies.shape != self.errors.shape or len(self.qpoints) != len(self.frequencies):
            raise ValueError(
                f'errors of the modes: {self.errors.shape} errors of {self.frequencies.shape} frequencies at '
                f'{len(self.qpoints)} wave vectors'
            )


@rc_context(STYLE)
def draw_dispersion(
    dispersion: Dispersion,
    harmonic: Dispersion | None = None,
    couplings: ModeCouplings | None = None,
    smearing: int = 0,
    measured: MeasuredModes | None = None,
) -> Plot:
    """Draw ħω along the path of ``dispersion``, imaginary frequencies as negative.

    :param harmonic: a second dispersion on the same path, drawn in grey dashes.
    :param couplings: λ_qν of the mesh: a circle, its area proportional to λ_qν, at each wave vector of the mesh that
        lies on the path.
    :param smearing: index of the broadening of ``couplings``.
    :param measured: modes whose standard deviations are drawn as bars where the path passes their wave vectors.
    """
    figure, (axes,) = new_figure(0.62 * PAGE, 3.0)
    tables = dispersion_panel(axes, dispersion, harmonic, couplings, smearing, measured)
    legend_above(figure, axes)
    return Plot(figure, tables)


def dispersion_panel(
    axes: Axes,
    dispersion: Dispersion,
    harmonic: Dispersion | None,
    couplings: ModeCouplings | None,
    smearing: int,
    measured: MeasuredModes | None = None,
) -> dict[str, Table]:
    """Draw what ``draw_dispersion`` draws on given axes, and return its tables."""
    label = '' if harmonic is None else LEVEL_NAMES[dispersion.level]
    tables = {'dispersion': lines(axes, dispersion, dispersion.distances, label, color='black')}
    drawn = [dispersion.frequencies]
    if harmonic is not None:
        drawn.append(harmonic.frequencies)
        places, label = places_on(harmonic, dispersion), LEVEL_NAMES[harmonic.level]
        tables['dispersion-harmonic'] = lines(axes, harmonic, places, label, color=GREY, linestyle='--', zorder=1.5)
    if couplings is not None:
        tables['couplings'] = circles(axes, dispersion, couplings, smearing)
    if measured is not None:
        tables['errors'] = bars(axes, dispersion, measured)
        drawn += [measured.frequencies - measured.errors, measured.frequencies + measured.errors]
    axes.set_xlim(dispersion.distances[0], dispersion.distances[-1])
    axes.set_ylabel(FREQUENCY_LABEL)
    axes.tick_params(axis='y', pad=0.5 * LARGEST_CIRCLE + 2)  # half a circle may stand out at either end
    lowest = 1.08 * min(0.0, *(float(part.min()) for part in drawn))
    axes.set_ylim(lowest, 1.05 * max(float(part.max()) for part in drawn))
    if lowest < 0:
        axes.axhspan(lowest, 0, color=VERMILION, alpha=0.08, linewidth=0)
        axes.axhline(0, color='black', linewidth=0.5)
    mark_points(axes, dispersion)
    return tables


def lines(axes: Axes, dispersion: Dispersion, places: NDArray[np.float64], label: str, **style: Any) -> Table:
    """Draw the branches and return their table; nothing joins two points between which the path jumps.

    :param places: abscissa of each point, shape (p,) [1/Å].
    """
    for number, piece in enumerate(np.split(np.arange(len(places)), dispersion.breaks)):
        drawn = axes.plot(places[piece], dispersion.frequencies[piece], **style)
        if number == 0 and label:
            drawn[0].set_label(label)
    table = {'distance_per_angstrom': places} | {f'q{axis + 1}': dispersion.qpoints[:, axis] for axis in range(3)}
    return table | {f'branch{i + 1}_meV': branch for i, branch in enumerate(dispersion.frequencies.T)}


def places_on(other: Dispersion, dispersion: Dispersion) -> NDArray[np.float64]:
    """Return where the points of ``other`` lie on the axis of ``dispersion``, whose cell may differ in size.

    :return: distances, shape (p,) [1/Å].
    :raises ValueError: if the two paths pass different points.
    """
    names, others = ([name for _, name in part.labels] for part in (dispersion, other))
    if names != others:
        raise ValueError(f'dispersion figure: cannot compare the path {"-".join(others)} with {"-".join(names)}')
    own, marks = ([float(part.distances[index]) for index, _ in part.labels] for part in (other, dispersion))
    return np.interp(other.distances, own, marks)


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
    style: dict[str, Any] = {
        'facecolor': VERMILION,
        'edgecolor': VERMILION,
        'alpha': 0.45,
        'linewidth': 0.5,
        'clip_on': False,
    }
    axes.scatter(places, frequencies, s=area * strengths, zorder=3, **style)
    # One circle of a round size explains the others.
    unit = 10.0 ** np.floor(np.log10(strengths.max()))
    sample = unit * max(step for step in (1, 2, 5) if step * unit <= strengths.max())
    axes.scatter([], [], s=area * sample, label=rf'$\lambda_{{\mathbf{{q}}\nu}}$ = {sample:g}', **style)
    return table


def bars(axes: Axes, dispersion: Dispersion, measured: MeasuredModes) -> Table:
    """Draw the standard deviations of modes at their wave vectors on the path, and return their table."""
    indices, distances = on_path(dispersion, measured.qpoints)
    places = np.repeat(distances, measured.frequencies.shape[1])
    frequencies, errors = measured.frequencies[indices].ravel(), measured.errors[indices].ravel()
    kept = errors > 0  # translations have none
    style: dict[str, Any] = {
        'linestyle': '',
        'color': BLUE,
        'elinewidth': 1.2,
        'capsize': 2.2,
        'capthick': 0.9,
        'zorder': 3,
    }
    if kept.any():
        bar = axes.errorbar(places[kept], frequencies[kept], errors[kept], label='standard deviation', **style)
        for part in (*bar[1], *bar[2]):
            part.set_clip_on(False)
    return {'distance_per_angstrom': places, 'frequency_meV': frequencies, 'error_meV': errors}


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
    axes.set_xticks(list(places), in_two_rows(axes, list(places), ['|'.join(names) for names in places.values()]))
    axes.tick_params(axis='x', length=0)
    for text in axes.get_xticklabels():
        text.set_linespacing(0.8)
    for place in places:
        axes.axvline(place, color='black', linewidth=0.5, zorder=0.5)


def in_two_rows(axes: Axes, places: list[float], names: list[str]) -> list[str]:
    """Return the labels, those that would run into the label before them moved to a second row."""
    inches = axes.bbox.width / axes.figure.dpi / (places[-1] - places[0])
    free, labels = -np.inf, []
    for place, name in zip(places, names, strict=True):
        half = 0.5 * LETTER * len(re.sub(r'[$_{}]', '', name))
        crowded = place * inches - half < free
        labels.append(f'\n{name}' if crowded else name)
        if not crowded:
            free = place * inches + half + 0.5 * LETTER
    return labels


def symbol(name: str) -> str:
    """Return the name of a point as it is printed: ``GAMMA`` as Γ, ``SIGMA_0`` as Σ₀."""
    letter, _, index = name.partition('_')
    greek = {'GAMMA': 'Γ', 'DELTA': 'Δ', 'LAMBDA': 'Λ', 'SIGMA': 'Σ'}
    return greek.get(letter.upper(), letter) + (rf'$_{{{index}}}$' if index else '')
