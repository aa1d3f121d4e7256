"""``query``: the screening table, from what the nodes themselves can be asked."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import click
from aiida.cmdline.utils import decorators, echo

#: Columns of the printed tables and their heads; JSON and CSV have the names of the attributes, and the uuid.
RESULTS = {
    'pk': 'pk',
    'formula': 'formula',
    'pressure': 'P\n(GPa)',
    'level': 'level',
    'coupling': 'λ',
    'omega_log': 'ω_log\n(meV)',
    'mu_star': 'μ*',
    'critical_temperature': 'T_c\n(K)',
    'error': '±\n(K)',
    'raw': 'raw\n(K)',
    'allen_dynes': 'Allen–\nDynes',
    'smearing_spread': 'spread\n(K)',
}
VERDICTS = {
    'pk': 'pk',
    'formula': 'formula',
    'pressure': 'P\n(GPa)',
    'level': 'level',
    'class': 'verdict',
    'smallest_frequency': 'lowest ħω\n(meV)',
    'qpoint': 'at q',
    'irrep': 'irrep',
}
POTENTIALS = {
    'pk': 'pk',
    'species': 'elements',
    'model': 'model',
    'training_configurations': 'trained\non',
    'validation_configurations': 'held\nout',
    'energy_rmse': 'energy RMSE\n(meV/atom)',
    'force_rmse': 'force RMSE\n(meV/Å)',
    'stress_rmse': 'stress RMSE\n(GPa)',
    'radial_cutoff': 'cutoff\n(Å)',
    'number_of_weights': 'weights',
    'mesh': 'baseline\nmesh',
}

EXAMPLE = """\b
Example:
  aiida-clathrate query --pressure-max 20 --min-tc 40
  aiida-clathrate query --formula KRbB6C6 --csv > KRbB6C6.csv
  aiida-clathrate query --stability
  aiida-clathrate query --potentials --formula KRbB6C6
"""


@click.command('query', epilog=EXAMPLE)
@click.option('--formula', help='Only this compound, in any order and any multiple of its formula.')
@click.option('--pressure-max', type=float, metavar='GPA', help='Only up to this pressure, where it is known.')
@click.option('--level', type=click.Choice(['harmonic', 'sscha', 'hessian']), help='Only from phonons of this level.')
@click.option('--min-tc', type=float, metavar='K', help='Only with at least this T_c.')
@click.option('--mu-star', type=float, help='T_c at this μ* instead of the one that each result states.')
@click.option('--stability', is_flag=True, help='List the verdicts on dynamical stability instead.')
@click.option('--potentials', is_flag=True, help='List trained potentials instead; of --formula, with its elements.')
@click.option('--json', 'output', flag_value='json', help='Print JSON.')
@click.option('--csv', 'output', flag_value='csv', help='Print CSV.')
@decorators.with_dbenv()
def cmd_query(formula, pressure_max, level, min_tc, mu_star, stability, potentials, output):
    """List T_c of all compounds, highest first, or the verdicts on their stability, or potentials."""
    if stability and (min_tc is not None or mu_star is not None):
        echo.echo_critical('query: --min-tc and --mu-star do not go with --stability, which lists no T_c')
    others = {'min-tc': min_tc, 'mu-star': mu_star, 'stability': stability or None, 'level': level,
              'pressure-max': pressure_max}  # fmt: skip
    if potentials and (given := [name for name, value in others.items() if value is not None]):
        echo.echo_critical(f'query: --{given[0]} does not go with --potentials')
    filters: dict[str, Any] = {}
    if pressure_max is not None:
        filters['attributes.pressure'] = {'<=': pressure_max}
    if level is not None:
        filters['attributes.level'] = level
    rows = find_potentials() if potentials else find_verdicts(filters) if stability else find_results(filters, mu_star)
    if formula is not None:
        try:
            wanted = composition(formula)
        except ValueError:
            echo.echo_critical(f'query: --formula {formula!r} is not a chemical formula such as KRbB6C6')
        rows = [row for row in rows if belongs(row, wanted)]
    if min_tc is not None:
        rows = [row for row in rows if (row['critical_temperature'] or 0) >= min_tc]
    if output == 'json':
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    elif output == 'csv':
        click.echo(as_csv(rows), nl=False)
    else:
        print_table(rows, POTENTIALS if potentials else VERDICTS if stability else RESULTS)


def belongs(row: dict[str, Any], wanted: dict[str, int]) -> bool:
    """Whether a row is of a compound, or of a potential that knows its elements."""
    if 'species' in row:
        return set(wanted) <= set(row['species'])
    return bool(row['formula']) and composition(row['formula']) == wanted


def find_results(filters: dict[str, Any], mu_star: float | None) -> list[dict[str, Any]]:
    """Return one row for each result of the Eliashberg equations, highest T_c first.

    :param mu_star: μ* of T_c, by default the one that each result states; results that lack it are left out.
    """
    from aiida.orm import QueryBuilder

    from aiida_clathrate.data.superconductivity import SuperconductivityData

    plain = ('formula', 'pressure', 'level', 'coupling', 'omega_log', 'smearing_spread')
    columns = ('rescaled', 'errors', 'raw', 'allen_dynes', 'mcmillan')
    names = (*plain, 'stated_mu_star', 'mu_star', *columns)
    builder = QueryBuilder().append(SuperconductivityData, filters=filters, project=projections(names))
    rows = []
    for pk, uuid, *found in builder.iterall():
        value = dict(zip(names, found, strict=True))
        chosen = value['stated_mu_star'] if mu_star is None else mu_star
        places = [place for place, other in enumerate(value['mu_star']) if abs(other - chosen) < 1e-9]
        if not places:
            continue
        row = {'pk': pk, 'uuid': uuid} | {name: value[name] for name in plain} | {'mu_star': chosen}
        row |= {name: value[name][places[0]] if value[name] else None for name in columns}
        row |= {'critical_temperature': row.pop('rescaled'), 'error': row.pop('errors')}
        if chosen != value['stated_mu_star']:
            row['smearing_spread'] = None  # it was calculated for the stated μ* only
        rows.append(row)
    return sorted(rows, key=lambda row: -(row['critical_temperature'] or 0))


def find_verdicts(filters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each verdict, newest first, with what is known of the dynamical matrices it was made from."""
    from aiida.orm import CalcFunctionNode, Dict, QueryBuilder

    from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData

    labels, names = ('formula', 'pressure', 'level'), ('class', 'smallest_frequency', 'qpoint', 'irrep')
    builder = QueryBuilder()
    builder.append(
        DynamicalMatrixData, filters=filters, project=[f'attributes.{name}' for name in labels], tag='matrices'
    )
    builder.append(CalcFunctionNode, with_incoming='matrices', tag='analysis')
    edge = {'label': 'stability'}
    builder.append(Dict, with_incoming='analysis', edge_filters=edge, project=projections(names), tag='verdict')
    builder.order_by({'verdict': {'ctime': 'desc'}})
    keys = (*labels, 'pk', 'uuid', *names)
    return [dict(zip(keys, row, strict=True)) for row in builder.iterall()]


def find_potentials() -> list[dict[str, Any]]:
    """Return one row for each trained potential, newest first."""
    from aiida.orm import QueryBuilder

    from aiida_clathrate.data.potential import PotentialData

    names = tuple(POTENTIALS)[1:]
    builder = QueryBuilder().append(PotentialData, project=projections(names), tag='potential')
    builder.order_by({'potential': [{'ctime': 'desc'}, {'id': 'desc'}]})
    return [dict(zip(('pk', 'uuid', *names), row, strict=True)) for row in builder.iterall()]


def projections(names: tuple[str, ...]) -> list[str]:
    """Return what to project: pk, uuid and attributes."""
    return ['id', 'uuid', *(f'attributes.{name}' for name in names)]


def composition(formula: str) -> dict[str, int]:
    """Return the atoms of the smallest formula of a compound.

    :raises ValueError: if the text is no formula.
    """
    from ase.data import atomic_numbers
    from ase.formula import Formula

    counts = Formula(formula).reduce()[0].count()
    if unknown := set(counts) - set(atomic_numbers):
        raise ValueError(f'{", ".join(sorted(unknown))} is no element')
    return counts


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return rows as CSV, an empty field where a value is missing."""
    stream = io.StringIO()
    if rows:
        writer = csv.DictWriter(stream, rows[0], lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    return stream.getvalue()


def print_table(rows: list[dict[str, Any]], heads: dict[str, str]) -> None:
    """Print rows as a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not rows:
        echo.echo_report('nothing found: no result fits, or none has been calculated in this profile')
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    heads = {name: head for name, head in heads.items() if any(row[name] is not None for row in rows)}
    for name, head in heads.items():
        words = name in ('formula', 'level', 'class', 'qpoint', 'irrep', 'species', 'model')
        # A number that is cut would be another number.
        table.add_column(head, justify='left' if words else 'right', no_wrap=not words, overflow='fold')
    for row in rows:
        table.add_row(*(shown(row[name]) for name in heads))
    Console().print(table)


def shown(value: Any) -> str:
    """Return a value in at most four digits."""
    from aiida_clathrate.cli.summary import plain

    if isinstance(value, float):
        return f'{value:.4g}'
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ', '.join(value)
    return '–' if value is None else plain(value)
