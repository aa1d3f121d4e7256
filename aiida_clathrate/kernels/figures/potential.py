"""A trained potential against the labels that were held out: errors, whether it knows them, the course of the training.

Parity alone makes every potential look good; so below it stands what is left, in the units of the errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from aiida_clathrate.kernels.figures.plot import (
    BLUE,
    GREY,
    PAGE,
    PALETTE,
    STYLE,
    VERMILION,
    Plot,
    Table,
    legend_above,
    new_figure,
)
from aiida_clathrate.kernels.mlp.validation import MILLI, rank_correlation, root_mean_square

Floats = NDArray[np.float64]
#: So many looks at the validation set make a curve.
FEWEST_LOOKS = 2
#: Smallest error that is drawn on a logarithmic axis [meV/Å].
SMALLEST = 1e-3
#: Name of the points where their elements are not known.
ALL = 'all'


@dataclass(frozen=True)
class Agreement:
    """Labels and predictions of configurations that a potential was not trained on.

    :param energies, predicted_energies: shape (c,) [eV/atom].
    :param forces, predicted_forces: on all atoms, one configuration after the other, shape (n, 3) [eV/Å].
    :param force_errors: root mean square errors of the components in each configuration, shape (c,) [eV/Å].
    :param deviations: the same as the potential expects them, shape (c,) [eV/Å].
    :param symbols: elements of all atoms, shape (n,); empty where they are not known.
    :param history: columns of the course of the training, among them ``epoch``, ``energy_rmse`` [eV/atom] and
        ``force_rmse`` [eV/Å] of these configurations; empty where there was none.
    :raises ValueError: for shapes that disagree, or without configurations.
    """

    energies: Floats
    predicted_energies: Floats
    forces: Floats
    predicted_forces: Floats
    force_errors: Floats
    deviations: Floats
    symbols: tuple[str, ...] = ()
    history: Mapping[str, Floats] | None = None

    def __post_init__(self) -> None:
        count, atoms = len(self.energies), len(self.forces)
        if not count or not atoms:
            raise ValueError('potential figure: there are no configurations that were held out')
        for name in ('predicted_energies', 'force_errors', 'deviations'):
            if getattr(self, name).shape != (count,):
                raise ValueError(f'{name}: need one for each of the {count} configurations')
        if self.forces.shape != (atoms, 3) or self.predicted_forces.shape != (atoms, 3):
            raise ValueError('forces and predicted_forces: need three components for each of the same atoms')
        if len(self.symbols) not in (0, atoms):
            raise ValueError(f'symbols: need one for each of the {atoms} forces, not {len(self.symbols)}')

    @property
    def elements(self) -> dict[str, NDArray[np.bool_]]:
        """Which atoms are of each element, by its name; all of them where elements are not known."""
        names = np.array(self.symbols or [ALL] * len(self.forces))
        return {str(name): names == name for name in np.unique(names)}


@rc_context(STYLE)
def draw_potential(agreement: Agreement) -> Plot:
    """Draw a potential against labels.

    Above: energies, counted from the mean of the labels, and components of the forces, prediction against label; true
    against expected errors of the forces, with lines of agreement and of a factor of two. Below: what is left of
    energies and forces; the course of the training, or, where there was none, how large the errors of the components
    are.
    """
    figure, panels = new_figure(PAGE, 4.4, rows=2, columns=3, height_ratios=(1.25, 1))
    tables = {'energies': energy_table(agreement), 'forces': force_table(agreement), 'errors': error_table(agreement)}
    energy_panels(panels[0], panels[3], tables['energies'])
    force_panels(panels[1], panels[4], agreement)
    calibration_panel(panels[2], tables['errors'])
    if agreement.history is not None and len(agreement.history['epoch']) >= FEWEST_LOOKS:
        tables['history'] = history_table(agreement.history)
        learning_panel(panels[5], tables['history'])
    else:
        distribution_panel(panels[5], agreement)
    legend_above(figure, panels[1])
    return Plot(figure, tables)


def energy_table(agreement: Agreement) -> Table:
    """Return the energies of the configurations."""
    return {'label_eV_per_atom': agreement.energies, 'predicted_eV_per_atom': agreement.predicted_energies}


def force_table(agreement: Agreement) -> Table:
    """Return the components of the forces, a row for each atom."""
    table: dict[str, NDArray[Any]] = {'element': np.array(agreement.symbols or [ALL] * len(agreement.forces))}
    for kind, values in (('label', agreement.forces), ('predicted', agreement.predicted_forces)):
        table |= {f'{kind}_{axis}_eV_per_angstrom': values[:, number] for number, axis in enumerate('xyz')}
    return table


def error_table(agreement: Agreement) -> Table:
    """Return true and expected errors of the configurations."""
    pairs = {'expected': agreement.deviations, 'true': agreement.force_errors}
    return {f'{name}_meV_per_angstrom': MILLI * values for name, values in pairs.items()}


def history_table(history: Mapping[str, Floats]) -> Table:
    """Return the errors of these configurations in the course of the training."""
    return {
        'epoch': history['epoch'],
        'energy_rmse_meV_per_atom': MILLI * history['energy_rmse'],
        'force_rmse_meV_per_angstrom': MILLI * history['force_rmse'],
    }


def energy_panels(above: Axes, below: Axes, table: Table) -> None:
    """Draw the energies and what is left of them [meV/atom]."""
    labels, predicted = table['label_eV_per_atom'], table['predicted_eV_per_atom']
    values, errors = MILLI * (labels - labels.mean()), MILLI * (predicted - labels)
    style: dict[str, Any] = {'linestyle': 'none', 'marker': 'o', 'markersize': 2.5, 'alpha': 0.7, 'color': BLUE}
    above.plot(values, values + errors, **style)
    below.plot(values, errors, **style)
    parity_lines(above, below)
    tell(
        above,
        f'RMSE {digits(root_mean_square(errors))} meV/atom',
        f'RMS of labels {digits(root_mean_square(values))}',
        f'mean error {errors.mean():+.2g}',
    )
    above.set_ylabel('potential (meV/atom)')
    below.set_ylabel('error (meV/atom)')
    below.set_xlabel(r'label $-$ mean (meV/atom)')


def force_panels(above: Axes, below: Axes, agreement: Agreement) -> None:
    """Draw the components of the forces [eV/Å] and what is left of them [meV/Å], an element on top of the other."""
    errors = MILLI * (agreement.predicted_forces - agreement.forces)
    for number, (name, chosen) in enumerate(agreement.elements.items()):
        colour = PALETTE[number % len(PALETTE)]
        style: dict[str, Any] = {
            'linestyle': 'none', 'marker': '.', 'markersize': 2.5, 'alpha': 0.6, 'rasterized': True,
            'markeredgewidth': 0, 'color': colour,
        }  # fmt: skip
        labels = agreement.forces[chosen].ravel()
        above.plot(labels, agreement.predicted_forces[chosen].ravel(), **style)
        below.plot(labels, errors[chosen].ravel(), **style)
        label = f'{name}: RMSE {digits(root_mean_square(errors[chosen]))} meV/Å'
        above.plot([], [], 'o', markersize=4, color=colour, label=label)
    parity_lines(above, below)
    tell(
        above,
        f'RMSE {digits(root_mean_square(errors))} meV/Å',
        f'RMS of labels {digits(MILLI * root_mean_square(agreement.forces))}',
    )
    above.set_ylabel('potential (eV/Å)')
    below.set_ylabel('error (meV/Å)')
    below.set_xlabel('label (eV/Å)')


def parity_lines(above: Axes, below: Axes) -> None:
    """Draw where a perfect potential is; leave the numbers of the abscissa to the lower panel."""
    above.axline((0, 0), slope=1, color='black', linewidth=0.6, zorder=0)
    below.axhline(0, color='black', linewidth=0.6, zorder=0)
    above.margins(0.05)
    below.set_xlim(above.get_xlim())
    for axes in (above, below):
        axes.xaxis.set_major_locator(MaxNLocator(4))
    above.tick_params(labelbottom=False)


def calibration_panel(axes: Axes, table: Table) -> None:
    """Draw true against expected errors [meV/Å], with lines of agreement and of a factor of two."""
    expected, true = (np.maximum(values, SMALLEST) for values in table.values())
    ends = np.array([min(expected.min(), true.min()) / 1.5, max(expected.max(), true.max()) * 1.5])
    axes.fill_between(ends, ends / 2, ends * 2, color=GREY, alpha=0.2, linewidth=0, zorder=0)
    axes.plot(ends, ends, color='black', linewidth=0.6, zorder=0)
    axes.plot(expected, true, linestyle='none', marker='o', markersize=2.5, alpha=0.7, color=BLUE)
    axes.set(xscale='log', yscale='log', xlim=ends, ylim=ends)
    plain_decades(axes.xaxis, axes.yaxis)
    correlation = rank_correlation(true, expected)
    known = () if correlation is None else (f'rank correlation {correlation:.2f}',)
    tell(axes, *known, 'grey: within a factor of 2')
    axes.set_xlabel('expected force error (meV/Å)')
    axes.set_ylabel('true force error (meV/Å)')


def learning_panel(axes: Axes, table: Table) -> None:
    """Draw the errors of the configurations that were held out, over those at the first look."""
    for name, what, unit, colour, height in (
        ('force_rmse_meV_per_angstrom', 'forces', 'meV/Å', BLUE, 0.96),
        ('energy_rmse_meV_per_atom', 'energies', 'meV/atom', VERMILION, 0.86),
    ):
        errors = table[name]
        axes.plot(table['epoch'], errors / errors[0], color=colour)
        text = f'{what}: lowest {digits(float(errors.min()))} {unit}'
        axes.text(0.96, height, text, transform=axes.transAxes, ha='right', va='top', fontsize=7, color=colour)
    low, high = axes.get_ylim()
    if high > 4 * max(low, 0):
        axes.set_yscale('log')
        plain_decades(axes.yaxis)
        low, high = np.log(axes.get_ylim())
        axes.set_ylim(top=float(np.exp(high + 0.3 * (high - low))))
    else:
        axes.set_ylim(top=high + 0.3 * (high - low))
    axes.set_xlabel('epoch')
    axes.set_ylabel('RMSE (first look = 1)')


def distribution_panel(axes: Axes, agreement: Agreement) -> None:
    """Draw the fraction of the components of the forces whose error is larger than a value [meV/Å], by element."""
    errors = MILLI * np.abs(agreement.predicted_forces - agreement.forces)
    for number, chosen in enumerate(agreement.elements.values()):
        sizes = np.sort(np.maximum(errors[chosen].ravel(), SMALLEST))
        fractions = 1 - np.arange(len(sizes)) / len(sizes)
        axes.step(sizes, fractions, where='pre', color=PALETTE[number % len(PALETTE)])
    axes.set(xscale='log', yscale='log')
    axes.set_xlim(left=max(SMALLEST, float(np.quantile(errors, 0.1))))
    plain_decades(axes.xaxis, axes.yaxis)
    axes.set_xlabel('error of a component (meV/Å)')
    axes.set_ylabel('fraction with a larger one')


def plain_decades(*sides: Axis) -> None:
    """Write the numbers of logarithmic axes without powers, more of them where there are few decades."""
    for side in sides:
        low, high = side.get_view_interval()
        steps = (1, 2, 5) if high < 100 * low else (1,)
        side.set_major_locator(LogLocator(subs=steps))
        side.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
        side.set_minor_formatter(NullFormatter())


def tell(axes: Axes, *lines: str) -> None:
    """Write numbers into the upper left corner of a panel."""
    axes.text(0.04, 0.96, '\n'.join(lines), transform=axes.transAxes, ha='left', va='top', fontsize=7)


def digits(value: float) -> str:
    """Return a number in three digits, all of those before the point."""
    return f'{value:.0f}' if abs(value) >= 1000 else f'{value:.3g}'
