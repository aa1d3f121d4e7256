"""Tables of α²F(ω) as other programs write them.

``qe-matdyn``: ``a2F.dosN`` of matdyn.x, ω [Ry], the total, then each mode. ``qe-lambda``: ``alpha2F.dat`` of lambda.x,
ω [THz], one column for each broadening. ``qe-alpha2f``: ``PREFIX.a2F.dat`` of alpha2f.x, ω [Ry], α²F, then densities of
states. ``epw``: ``PREFIX.a2f`` of EPW, ω [meV], one column for each phonon smearing, then as many of the integrated λ;
``epw-modes``: ``PREFIX.a2f_proj``, the total, then each mode. ``columns``: two or more columns of any other program.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.files.text import Lines
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import MEV_PER_INVERSE_CM, MEV_PER_RYDBERG, MEV_PER_THZ, RYDBERG

Units = Literal['meV', 'THz', 'cm-1', 'Ry', 'Ha']
UNITS = get_args(Units)
MEV_PER: dict[str, float] = {
    'meV': 1.0,
    'THz': MEV_PER_THZ,
    'cm-1': MEV_PER_INVERSE_CM,
    'Ry': MEV_PER_RYDBERG,
    'Ha': 2 * MEV_PER_RYDBERG,
}

#: Format, what its heading contains in lower case, unit of ω.
FORMATS: tuple[tuple[str, str, Units], ...] = (
    ('qe-matdyn', 'frequencies in rydberg', 'Ry'),
    ('qe-lambda', '# e(thz)', 'THz'),
    ('qe-alpha2f', 'frequency[ry], a2f', 'Ry'),
    ('epw-modes', 'w[mev] a2f a2f_modeproj', 'meV'),
    ('epw', 'w[mev] a2f', 'meV'),
)
#: What the tail of a broadened line may leave at ω ≤ 0, relative to the largest α²F.
TAIL = 1e-8
_EPW_COLUMNS = re.compile(r'for\s+(\d{1,4})\s+smearing', re.ASCII)
_TAIL = re.compile(r'\s*(integrated|phonon smearing|electron smearing|fermi window|summed|lambda|#|$)', re.IGNORECASE)


@dataclass(frozen=True)
class Alpha2FTable:
    """α²F(ω) on a grid.

    :param name: name of the file.
    :param format: one of those above.
    :param units: the unit of ω in the file.
    :param frequencies: ω, shape (n,) [meV].
    :param values: α²F(ω), shape (c, n) [dimensionless].
    :param columns: what each of the c columns is.
    :param smearings: broadening of the double delta of each column, shape (c,) [eV]; ``None`` where the file does not
        tell.
    :param modes: parts of the modes in the first column, shape (m, n); ``None`` where the file has none.
    """

    name: str
    format: str
    units: Units
    frequencies: NDArray[np.float64]
    values: NDArray[np.float64]
    columns: tuple[str, ...]
    smearings: NDArray[np.float64] | None = None
    modes: NDArray[np.float64] | None = None

    def spectral(self, column: int = 0) -> SpectralFunction:
        """Return α²F of a column.

        :raises ValueError: if there is no such column, or it is no spectral function: negative, not ascending, or not
            zero at ω ≤ 0.
        """
        if not 0 <= column < len(self.values):
            raise ValueError(f'{self.name}: column must be 0 to {len(self.values) - 1}, not {column}')
        frequencies, values = self.frequencies, self.values[column]
        below = frequencies <= 0
        wrong = np.flatnonzero(below & (np.abs(values) > TAIL * np.abs(values).max()))
        if len(wrong):
            raise ValueError(
                f'{self.name}: α²F is not zero at ω = {frequencies[wrong[0]]:.4g} meV; the crystal is unstable, or the '
                'lines were broadened too much: λ = 2∫α²F/ω is not defined'
            )
        # Programs start their grids below zero when a mode is imaginary by a little; α²F(0) = 0 closes the integral.
        start = max(int(below.sum()) - 1, 0) if np.any(frequencies == 0) else int(below.sum())
        values = np.where(below, 0.0, values)
        try:
            return SpectralFunction.from_table(frequencies[start:], values[start:])
        except ValueError as error:
            raise ValueError(f'{self.name}, column {column} ({self.columns[column]}): {error}') from error


def recognise(text: str, name: str) -> tuple[str, Units | None]:
    """Return the format of a table and the unit of ω that it implies, ``None`` for plain columns."""
    head = '\n'.join(text.splitlines()[:8]).lower()
    kind, own = next(((kind, unit) for kind, mark, unit in FORMATS if mark in head), ('columns', None))
    if kind == 'columns' and re.search(r'\.a2f(\.\d+\.[\d.]+)?$', name, re.ASCII):
        return 'epw', 'meV'
    return kind, own


def read_alpha2f(text: str, name: str, units: Units | None = None) -> Alpha2FTable:
    """Return a table; its format is recognised by what it contains.

    :param units: unit of ω; needed for plain columns, and must be that of the format where it has one.
    :raises ValueError: if the unit is not known or another one, or for anything but a complete table of numbers.
    """
    if units is not None and units not in UNITS:
        raise ValueError(f'units must be one of {", ".join(UNITS)}, not {units!r}')
    kind, own = recognise(text, name)
    if own and units not in (None, own):
        raise ValueError(f'{name} is a file of the format {kind} with ω in {own}: units must not be {units}')
    unit = own or units
    if unit is None:
        raise ValueError(f'{name} does not tell the unit of ω: give units, one of {", ".join(UNITS)}')
    rows, lines = _read_rows(text, name, kind)
    table = np.array(rows)
    if table.ndim != 2 or len(table) < 2 or table.shape[1] < 2:
        raise lines.error('need at least two rows of ω and α²F')
    frequencies, columns = MEV_PER[unit] * table[:, 0], table[:, 1:].T
    if np.abs(table).max() > 1e12:
        raise lines.error('numbers above 10¹² cannot be right')
    if len(falls := np.flatnonzero(np.diff(table[:, 0]) <= 0)):
        before, after = table[falls[0] : falls[0] + 2, 0]
        raise ValueError(
            f'{name}: frequencies must ascend, not go from {before:g} to {after:g} {unit}: sort the rows by ω'
        )
    return _FORMS[kind](text, Alpha2FTable(name, kind, unit, frequencies, columns, ()))


def write_columns(spectral_table: Alpha2FTable, units: Units = 'meV') -> str:
    """Return plain columns with a heading that names the unit."""
    heading = f'# omega [{units}]  ' + '  '.join(label.replace(' ', '_') for label in spectral_table.columns)
    grid = spectral_table.frequencies / MEV_PER[units]
    rows = np.column_stack([grid, spectral_table.values.T])
    return heading + '\n' + ''.join(''.join(f'{value:25.16e}' for value in row) + '\n' for row in rows)


def write_epw(spectral_table: Alpha2FTable) -> str:
    """Return the table as EPW writes it, with the integrated λ, so that programs that read EPW's files read it.

    EPW keeps seven decimals, and integrates by summing rectangles.
    """
    grid, values = spectral_table.frequencies, spectral_table.values
    kept = grid > 0
    grid, values = grid[kept], values[:, kept]
    integrated = np.cumsum(2 * values / grid * np.gradient(grid), axis=1)
    count = len(values)
    lines = [f' w[meV] a2f and integrated 2*a2f/w for {count:4d} smearing values']
    lines += [''.join(f'{value:12.7f}' for value in row) for row in np.vstack([grid, values, integrated]).T]
    lines += [' Integrated el-ph coupling', '  #         ' + ''.join(f'{row[-1]:12.7f}' for row in integrated)]
    return '\n'.join(lines) + '\n'


def _read_rows(text: str, name: str, kind: str) -> tuple[list[list[float]], Lines]:
    lines = Lines(text, name)
    rows: list[list[float]] = []
    while not lines.done:
        line = lines.read_filled()
        if _is_heading(line, kind):
            continue
        if kind != 'columns' and rows and _TAIL.match(line):
            break
        row = lines.parse(line)
        if kind != 'qe-matdyn' and rows and len(row) != len(rows[0]):
            raise lines.error(f'need {len(rows[0])} numbers as in the rows before, not {len(row)}')
        rows.append(row)
    if kind == 'qe-matdyn':
        if not re.match(r'\s*lambda\s*=', line):
            raise lines.error('the last line "lambda = …" is missing: the file is incomplete')
        rows = _joined(rows, lines)
    return rows, lines


def _joined(rows: list[list[float]], lines: Lines) -> list[list[float]]:
    """Return the rows of a table in which each may stand on several lines.

    matdyn.x before version 6 wrote ω and the total on one line and the modes on others, six on each: the numbers of
    the lines repeat with the rows.
    """
    lengths = [len(row) for row in rows]
    for count in range(1, max(len(rows) // 2, 1) + 1):
        if len(rows) % count == 0 and lengths == lengths[:count] * (len(rows) // count):
            return [list(chain(*rows[start : start + count])) for start in range(0, len(rows), count)]
    raise lines.error('the rows of this table do not have equal numbers of columns: the file is damaged')


def _is_heading(line: str, kind: str) -> bool:
    return line.lstrip()[0] in '#!%@' or (kind in ('epw', 'epw-modes') and 'w[meV]' in line)


def _with_modes(_: str, table: Alpha2FTable) -> Alpha2FTable:
    return _take(table, 1, ('total',), modes=table.values[1:] if len(table.values) > 1 else None)


def _of_lambda(text: str, table: Alpha2FTable) -> Alpha2FTable:
    lines = Lines(text, table.name)
    while 'E(THz)' not in (line := lines.read_filled()):
        pass
    smearings = lines.parse(line.partition('E(THz)')[2])
    if len(smearings) != len(table.values):
        raise lines.error(f'need one broadening for each of the {len(table.values)} columns')
    labels = tuple(f'broadening {value:g} Ry' for value in smearings)
    return _take(table, len(smearings), labels, smearings=np.array(smearings) * RYDBERG)


def _of_epw(text: str, table: Alpha2FTable) -> Alpha2FTable:
    match = _EPW_COLUMNS.search(text[:400])
    count = int(match[1]) if match else (len(table.values) + 1) // 2
    if not 1 <= count <= len(table.values) or (match and len(table.values) != 2 * count):
        raise ValueError(f'{table.name}: {count} smearings need {2 * count} columns beside ω, not {len(table.values)}')
    return _take(table, count, tuple(f'phonon smearing {index + 1}' for index in range(count)))


def _of_columns(_: str, table: Alpha2FTable) -> Alpha2FTable:
    return _take(table, len(table.values), tuple(f'column {index + 2}' for index in range(len(table.values))))


def _take(
    table: Alpha2FTable,
    count: int,
    labels: tuple[str, ...],
    smearings: NDArray[np.float64] | None = None,
    modes: NDArray[np.float64] | None = None,
) -> Alpha2FTable:
    kept = table.values[:count]
    return Alpha2FTable(table.name, table.format, table.units, table.frequencies, kept, labels, smearings, modes)


_FORMS: dict[str, Callable[[str, Alpha2FTable], Alpha2FTable]] = {
    'qe-matdyn': _with_modes,
    'qe-lambda': _of_lambda,
    'qe-alpha2f': lambda text, table: _take(table, 1, ('total',)),
    'epw-modes': _with_modes,
    'epw': _of_epw,
    'columns': _of_columns,
}
