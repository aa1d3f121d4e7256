"""Nodes in words: what ``show`` prints of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiida_clathrate.cli import potential_stage, sscha
from aiida_clathrate.cli.potential import potential_rows, species_table

if TYPE_CHECKING:
    from aiida import orm

#: Units of the verdict on stability; other dictionaries bring a key ``units``.
UNITS = {'smallest_frequency': 'meV', 'frequency': 'meV', 'tolerance': 'meV'}


@dataclass(frozen=True)
class Section:
    """One node.

    :param title: what it is.
    :param rows: names and values, units included.
    :param header: heads of the columns of ``table``.
    :param table: more numbers, row by row.
    """

    title: str
    rows: Sequence[tuple[str, str]]
    header: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()


def summarise(node: orm.Node) -> list[Section]:
    """Return the section of a node; of a process, its state and the sections of its outputs.

    :raises ValueError: for a node that is none of ours.
    """
    from aiida import orm

    if isinstance(node, orm.ProcessNode):
        outputs = results(node)
        known = sorted((rank(output), label) for label, output in outputs.items() if rank(output) is not None)
        sections = [process(node), *(describe(outputs[label], label) for _, label in known)]
        if sscha.is_sscha(node) and 'output_parameters' not in outputs and (content := sscha.summary_so_far(node)):
            sections.insert(1, populations(content))
        return sections
    if rank(node) is None:
        raise ValueError(f'{node.pk} is a {type(node).__name__}, of which `verdi node show {node.pk}` tells more')
    return [describe(node)]


def results(node: orm.ProcessNode) -> dict[str, orm.Node]:
    """Return the outputs of a process by label; of an SSCHA inside it, what it found but not its nodes."""
    outputs: dict[str, orm.Node] = {}
    for label in node.outputs:
        value = node.outputs[label]
        if isinstance(value, dict):
            kept = ('output_parameters', 'stability') if label == 'sscha' else tuple(value)
            outputs |= {f'{label}_{name}': value[name] for name in kept if name in value}
        else:
            outputs[label] = value
    return outputs


def rank(node: orm.Node) -> int | None:
    """Return the place of a node in the order of printing, ``None`` if it is none of ours."""
    name = type(node).__name__
    return list(DESCRIPTIONS).index(name) if name in DESCRIPTIONS else None


def describe(node: orm.Node, label: str | None = None) -> Section:
    """Return the section of a data node, its title with the label of the output that it is."""
    section = DESCRIPTIONS[type(node).__name__](node)
    name = (label or '').replace('_', ' ').replace('electron phonon', 'electron-phonon')
    title = section.title if name in ('', section.title) else f'{name} · {section.title}'
    return Section(f'{title} {node.pk}', section.rows, section.header, section.table)


def process(node: orm.ProcessNode) -> Section:
    """Describe a process: how it stands."""
    rows = [('state', node.process_state.value if node.process_state else 'created')]
    if node.exit_status is not None:
        rows.append(('exit code', f'{node.exit_status} {node.exit_message or ""}'.strip()))
    return Section(f'{node.process_label} {node.pk}', [*rows, ('uuid', node.uuid)])


def dictionary(node: orm.Dict) -> Section:
    """Describe a verdict or report, or the parameters of an output: nested ones flat, lists of them as a table."""
    content = node.get_dict()
    if sscha.is_summary(content):
        return populations(content)
    if sscha.is_verdict(content):
        return Section('stability', sscha.verdict_rows(content), *sscha.verdict_table(content))
    if (section := potential_section(content)) is not None:
        return section
    units = UNITS | content.pop('units', {})
    rows: list[tuple[str, str]] = []
    header: list[str] = []
    table: list[list[str]] = []

    def add(key: str, value: Any, prefix: str = '') -> None:
        name = f'{prefix}{key.replace("_", " ")}'
        if isinstance(value, dict):
            for inner, item in value.items():
                add(inner, item, f'{name}: ')
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            header[:] = [with_unit(column.replace('_', ' '), units.get(column)) for column in value[0]]
            table[:] = [[plain(item) for item in entry.values()] for entry in value]
        else:
            rows.append((name, f'{plain(value)} {units.get(key, "")}'.strip()))

    for key, value in content.items():
        add(key, value)
    return Section('stability' if 'smallest_frequency' in content else 'parameters', rows, header, table)


def populations(content: dict[str, Any]) -> Section:
    """Describe the minimisations of an SSCHA."""
    *rows, told = sscha.population_rows(content)
    rows = [*rows, *potential_stage.bias_rows(content), told]
    return Section('populations', rows, *sscha.population_table(content))


def potential_section(content: dict[str, Any]) -> Section | None:
    """Describe what a work chain reports on its potential, ``None`` if it is something else."""
    if potential_stage.is_training(content):
        return Section('training', potential_stage.training_rows(content), *potential_stage.training_table(content))
    if potential_stage.is_check(content):
        return Section('check', potential_stage.check_rows(content))
    if potential_stage.is_report(content):
        return Section('steps', potential_stage.report_rows(content), *potential_stage.report_table(content))
    return None


def potential(node: Any) -> Section:
    """Describe a trained potential."""
    return Section('potential', potential_rows(node), *species_table(node))


def with_unit(name: str, unit: str | None) -> str:
    """Return the head of a column."""
    return name if unit is None else f'{name} ({unit})'


def structure(node: orm.StructureData) -> Section:
    """Describe a crystal."""
    from aiida_clathrate.kernels.crystal import Crystal

    crystal = Crystal.from_ase(node.get_ase())
    rows = [
        ('formula', crystal.formula),
        ('space group', crystal.space_group()),
        ('volume', f'{crystal.volume:.3f} Å³'),
        ('cell', ', '.join(f'{length:.4f}' for length in node.cell_lengths) + ' Å'),
        ('angles', ', '.join(f'{angle:.2f}' for angle in node.cell_angles) + '°'),
    ]
    return Section('crystal', rows)


def dynamical_matrices(node: Any) -> Section:
    """Describe Φ(q)."""
    matrices = node.to_kernel()
    smallest = matrices.smallest_frequency()
    rows = [
        ('formula', matrices.crystal.formula),
        ('level', matrices.level),
        *known(('pressure', matrices.pressure, 'GPa'), ('temperature', matrices.temperature, 'K')),
        ('q mesh', ' × '.join(str(division) for division in matrices.mesh)),
        (
            'smallest frequency',
            'none' if smallest is None else f'{smallest[0]:.3f} meV at q = {plain(smallest[1].tolist())}',
        ),
        ('highest frequency', f'{matrices.modes[0].max():.3f} meV'),
    ]
    return Section('dynamical matrices', rows)


def electron_phonon(node: Any) -> Section:
    """Describe G(q)."""
    kernel = node.to_kernel()
    rows = [('formula', kernel.crystal.formula), ('q mesh', ' × '.join(str(division) for division in kernel.mesh))]
    columns = (kernel.smearings, kernel.densities_of_states, kernel.fermi_energies)
    table = [[f'{value:.4f}' for value in row] for row in zip(*columns, strict=True)]
    header = ('smearing (eV)', 'N(E_F) (states/eV/spin/cell)', 'E_F (eV)')
    return Section('electron-phonon', rows, header, table)


def force_ensemble(node: Any) -> Section:
    """Describe an ensemble: how far the atoms of each element are from the centroids, and what pulls at them."""
    import numpy as np

    ensemble, attributes = node.to_kernel(), node.base.attributes
    number = f'{len(ensemble)}, {"in pairs ±u" if ensemble.antithetic else "without pairs"}'
    rows = [
        ('formula', ensemble.crystal.formula),
        ('supercell', ' × '.join(str(division) for division in ensemble.mesh)),
        ('configurations', f'{number}, {attributes.get("precision")} precision'),
        *known(('temperature', ensemble.temperature, 'K'), ('pressure', ensemble.matrices.pressure, 'GPa')),
        ('source of the forces', (ensemble.source or 'not told') if ensemble.computed else 'not computed'),
        *([] if ensemble.seed is None else [('seed', str(ensemble.seed))]),
    ]
    if ensemble.computed:
        mean, spread = ensemble.energies.mean() / ensemble.atoms, ensemble.energies.std() / ensemble.atoms
        rows.append(('energy', f'{mean:.6f} eV/atom on average, standard deviation {1e3 * spread:.3g} meV/atom'))
    if ensemble.stresses is not None:
        pressures = np.trace(ensemble.stresses, axis1=1, axis2=2) / 3
        rows.append(('stress', f'{pressures.mean():.4g} GPa on average, a third of the trace'))
    names = np.array(ensemble.crystal.symbols * int(np.prod(ensemble.mesh)))
    columns = {'displacement (Å)': ensemble.displacements}
    columns |= {'force (eV/Å)': ensemble.forces} if ensemble.computed else {}
    table = []
    for name in dict.fromkeys(ensemble.crystal.symbols):
        lengths = [np.linalg.norm(vectors[:, names == name], axis=-1) for vectors in columns.values()]
        values = [f'{value:.4g}' for part in lengths for value in (np.sqrt(np.mean(part**2)), part.max())]
        table.append([name, str(np.count_nonzero(names == name)), *values])
    header = ('element', 'atoms', *(f'{kind} {column}' for column in columns for kind in ('rms', 'largest')))
    return Section('ensemble', rows, header, table)


def spectral_function(node: Any) -> Section:
    """Describe α²F."""
    couplings = node.to_modes()
    table = []
    for index, smearing in enumerate(couplings.smearings):
        part = couplings.spectral(index)
        values = (part.coupling, part.omega_log, part.omega_2, part.omega_max)
        table.append([f'{smearing:.4f}', *(f'{value:.4f}' for value in values)])
    names = ('formula', 'level')
    rows = [(name, str(node.base.attributes.get(name))) for name in names if node.base.attributes.get(name, None)]
    header = ('smearing (eV)', 'λ', 'ω_log (meV)', 'ω₂ (meV)', 'ω_max (meV)')
    return Section('spectral function', rows, header, table)


def superconductivity(node: Any) -> Section:
    """Describe T_c, μ* by μ*, and what was found at the μ* of the details."""
    result = node.to_kernel()
    attributes = node.base.attributes
    rows = [(name, str(attributes.get(name))) for name in ('formula', 'level') if attributes.get(name, None)]
    error = '' if result.error is None else f' ± {result.error:.2g} K'
    critical = 'none' if result.critical_temperature is None else f'{result.critical_temperature:.4g} K{error}'
    rows += [
        *known(('pressure', attributes.get('pressure', None), 'GPa')),
        ('λ', f'{result.coupling:.4f}'),
        ('ω_log, ω₂', f'{result.omega_log:.3f} meV, {result.omega_2:.3f} meV'),
        ('smearing', f'{result.smearing:.4f} eV'),
        ('T_c', f'{critical} at μ* = {result.stated_mu_star:g}, rescaled'),
        ('μ* belongs to', f'{result.omega_ref:.2f} meV, cutoff of the sums {result.cutoff:.1f} meV'),
        *known(
            ('spread over smearings', result.smearing_spread, 'K'),
            ('gap edge Δ₀', result.gap_edge, 'meV'),
            ('2Δ₀/k_BT_c', result.gap_ratio, ''),
        ),
    ]
    rows += [('gap edge Δ₀', result.gap_note)] if result.gap_note else []
    rows += [(f'isotope coefficient of {name}', f'{value:.3f}') for name, value in result.isotope_by_species.items()]
    rows.append(('table', 'T_c, dT_c/dμ* and, if modes have errors, σ of T_c in K'))
    columns = {
        'rescaled': result.rescaled,
        'raw': result.raw,
        'Allen–Dynes': result.allen_dynes,
        'McMillan': result.mcmillan,
        'σ': result.errors,
        'dT_c/dμ*': result.mu_star_derivatives,
        'isotope': result.isotope_coefficients,
    }
    columns = {name: values for name, values in columns.items() if values is not None}
    table = [
        [f'{mu_star:.4g}', *('–' if value is None else f'{value:.4g}' for value in values)]
        for mu_star, *values in zip(result.mu_star, *columns.values(), strict=True)
    ]
    header = ('μ*', *columns)
    return Section('superconductivity', rows, header, table)


def known(*quantities: tuple[str, float | None, str]) -> list[tuple[str, str]]:
    """Return rows of names and values with units, without those that have no value."""
    return [(name, f'{value:.4g} {unit}'.strip()) for name, value, unit in quantities if value is not None]


def plain(value: Any) -> str:
    """Return a value in a few characters."""
    if isinstance(value, float):
        return f'{value:.5g}'
    if isinstance(value, list):
        return f'({", ".join(plain(item) for item in value)})'
    return 'none' if value is None else str(value)


#: By the name of the class, in the order of printing.
DESCRIPTIONS: dict[str, Callable[[Any], Section]] = {
    'StructureData': structure,
    'Dict': dictionary,
    'DynamicalMatrixData': dynamical_matrices,
    'ElectronPhononData': electron_phonon,
    'ForceEnsembleData': force_ensemble,
    'PotentialData': potential,
    'SpectralFunctionData': spectral_function,
    'SuperconductivityData': superconductivity,
}
