"""What every figure is: a drawing, and the numbers in it as tables, so that they can be cited."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

#: Widths of one and two columns of a journal page [inch]: 86 mm and 178 mm.
COLUMN, PAGE = 86 / 25.4, 178 / 25.4

#: Colours that all kinds of colour vision tell apart: M. Okabe and K. Ito, "Color universal design" (2008).
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = '#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9'
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
GREY = '#8C8C8C'

#: Width of a letter of a legend, and of the sample of a line with the space around it [inch].
LETTER, SYMBOL = 0.048, 0.5

#: What a reader calls the levels of the theory of the phonons.
LEVEL_NAMES = {'harmonic': 'harmonic', 'sscha': 'SSCHA', 'hessian': 'free-energy Hessian'}

FREQUENCY_LABEL = r'$\hbar\omega$ (meV)'

#: The STIX fonts come with matplotlib, so that a figure looks the same on every machine.
STYLE: Any = {
    'font.family': 'STIXGeneral',
    'mathtext.fontset': 'stix',
    'font.size': 9,
    'axes.labelsize': 9,
    'xtick.labelsize': 8,
    'ytick.labelsize': 8,
    'legend.fontsize': 8,
    'legend.frameon': False,
    'legend.handlelength': 1.8,
    'axes.linewidth': 0.6,
    'lines.linewidth': 1.1,
    'xtick.direction': 'in',
    'ytick.direction': 'in',
    'xtick.top': True,
    'ytick.right': True,
    'xtick.major.width': 0.6,
    'ytick.major.width': 0.6,
    'pdf.fonttype': 42,
    'svg.fonttype': 'none',
    'savefig.dpi': 300,
}

Table = Mapping[str, 'NDArray[Any]']


@dataclass(frozen=True)
class Plot:
    """A figure and its numbers.

    :param figure: the drawing.
    :param tables: columns of equal length by name, the unit at the end of the name (``frequency_meV``); one table for
        each set of points that share an abscissa.
    :raises ValueError: if the columns of a table differ in length.
    """

    figure: Figure
    tables: Mapping[str, Table]

    def __post_init__(self) -> None:
        for name, table in self.tables.items():
            lengths = {column: len(values) for column, values in table.items()}
            if len(set(lengths.values())) != 1:
                raise ValueError(f'table {name}: the columns must have one length, not {lengths}')

    def save(self, path: Path) -> list[Path]:
        """Write the figure to ``path`` and its numbers beside it, as one JSON and a CSV for each table.

        The suffix of ``path`` (pdf, png, svg, eps) chooses the format.

        :return: the files written, the figure first.
        """
        formats = self.figure.canvas.get_supported_filetypes()
        if path.suffix[1:] not in formats:
            raise ValueError(f'cannot write {path.name}: end the name with one of .{", .".join(sorted(formats))}')
        with rc_context(STYLE):
            self.figure.savefig(path)
        document = {name: {key: _plain(values) for key, values in table.items()} for name, table in self.tables.items()}
        files = [path, path.with_suffix('.json')]
        files[1].write_text(json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + '\n')
        for name, columns in document.items():
            files.append(path.with_name(f'{path.stem}-{name}.csv'))
            with files[-1].open('w', newline='') as handle:
                writer = csv.writer(handle, lineterminator='\n')
                writer.writerow(columns)
                writer.writerows(zip(*columns.values(), strict=True))
        return files


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any) -> tuple[Figure, list[Axes]]:
    """Return an empty figure [inch] and its axes, row by row; ``grid`` goes to ``Figure.subplots``."""
    figure = Figure(figsize=(width, height), layout='constrained')
    return figure, list(np.ravel(figure.subplots(rows, columns, squeeze=False, **grid)))


def legend_above(figure: Figure, *axes: Axes, columns: int = 9) -> None:
    """Put the legends of ``axes``, if they have any, in rows above the figure, where they hide nothing."""
    entries = dict[str, Any]()
    for part in axes:
        entries |= {label: handle for handle, label in zip(*part.get_legend_handles_labels(), strict=True)}
    if entries:
        columns = fitting_columns(list(entries), figure.get_figwidth(), min(columns, len(entries)))
        figure.legend(list(entries.values()), list(entries), loc='outside upper center', ncols=columns)


def fitting_columns(labels: Sequence[str], width: float, most: int) -> int:
    """Return the largest number of columns in which a legend fits into a width [inch]."""
    letters = [len(re.sub(r'\\[a-z]+|[$_^{}\\]', '', label)) for label in labels]
    for columns in range(most, 1, -1):
        # matplotlib fills column after column.
        parts = np.array_split(letters, columns)
        if sum(SYMBOL + LETTER * part.max() for part in parts) <= width:
            return columns
    return 1


def numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Return values as an array that can be drawn: NaN, which leaves a gap, where one is missing."""
    return np.array([np.nan if value is None else value for value in values])


def _plain(values: NDArray[Any]) -> list[Any]:
    """Return a list of Python values, ``None`` where a number is missing."""
    return [
        None if isinstance(value, float) and not np.isfinite(value) else value for value in np.asarray(values).tolist()
    ]
