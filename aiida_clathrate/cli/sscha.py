"""What an SSCHA left in its nodes: the course of its populations, its phonons with their errors, and both in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiida_clathrate.cli.potential import agreement
from aiida_clathrate.kernels.uncertainty import with_error

if TYPE_CHECKING:
    from aiida import orm

    from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
    from aiida_clathrate.kernels.figures.dispersion import MeasuredModes
    from aiida_clathrate.kernels.sscha.minimisation import Trace
    from aiida_clathrate.kernels.sscha.settings import Settings

WORKCHAIN = 'aiida.workflows:clathrate.sscha'
MINIMISATION = 'aiida.calculations:clathrate.sscha_minimisation'
#: Output with the errors of the modes at the wave vectors of the supercell.
ERRORS = {'hessian': 'frequency_errors', 'auxiliary': 'trace'}

Table = tuple[list[str], list[list[str]]]


@dataclass(frozen=True)
class Course:
    """The minimisations on several populations.

    :param traces: what happened in each.
    :param configurations: how many each had; empty where not known.
    :param settings: of the last one; ``None`` where not known.
    """

    traces: Sequence[Trace]
    configurations: Sequence[int] = ()
    settings: Settings | None = None


def is_sscha(node: orm.Node) -> bool:
    """Whether a node is an ``SschaWorkChain``."""
    return node.process_type == WORKCHAIN


def called(node: orm.ProcessNode) -> orm.ProcessNode | None:
    """Return the ``SschaWorkChain`` that a work chain has called last."""
    found = [child for child in node.called if is_sscha(child)]
    return max(found, key=lambda child: child.pk) if found else None


def content(node: orm.ProcessNode, levels: Sequence[str] = ('hessian', 'auxiliary')) -> dict[str, Any]:
    """Return what an ``SschaWorkChain`` has to draw, finished or not, by the names of the fields of ``Content``.

    :param levels: of the phonons, the first that there is.
    """
    found: dict[str, Any] = {}
    if minimisations := finished_minimisations(node):
        found['course'] = course(minimisations)
    if 'potential_validation' in node.outputs:
        found['agreement'] = agreement(node.outputs.potential_validation)
    labels = [label for level in levels for label in (f'interpolated_{level}', f'{level}_matrices')]
    present = [label for label in labels if label in node.outputs]
    return found | phonons(node, present[0]) if present else found


def finished_minimisations(node: orm.ProcessNode) -> list[orm.CalcJobNode]:
    """Return the minimisations of a work chain that have a trace, in the order of the populations."""
    from aiida.common.links import LinkType

    links = node.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all()
    found = [
        (number_of(link.link_label), link.node)
        for link in links
        if link.node.process_type == MINIMISATION and 'trace' in link.node.outputs
    ]
    return [calculation for _, calculation in sorted(found, key=lambda pair: (pair[0], pair[1].pk))]


def number_of(label: str) -> int:
    """Return the number in ``population_N_minimisation``, 0 where there is none."""
    return next((int(part) for part in label.split('_') if part.isdigit()), 0)


def course(minimisations: Sequence[orm.CalcJobNode]) -> Course:
    """Return the course of minimisations that have a trace."""
    from aiida_clathrate.data.minimisation_trace import trace_from_array
    from aiida_clathrate.kernels.sscha.settings import Settings

    last = minimisations[-1].inputs
    parameters = last.parameters.get_dict() if 'parameters' in last else {}
    return Course(
        [trace_from_array(node.outputs.trace) for node in minimisations],
        [node.inputs.ensemble.base.attributes.get('number') for node in minimisations],
        Settings.from_scalars(parameters),
    )


def course_of(trace: orm.ArrayData) -> Course:
    """Return the course of one trace; what its calculation tells is added where it is known."""
    from aiida_clathrate.data.minimisation_trace import trace_from_array

    if trace.creator is not None and trace.creator.process_type == MINIMISATION:
        return course([trace.creator])
    return Course([trace_from_array(trace)])


def phonons(node: orm.ProcessNode, label: str) -> dict[str, Any]:
    """Return dispersion and density of states of an output, the dispersion of the harmonic input, and the errors."""
    from aiida_clathrate.kernels.dispersion import band_path, dispersion
    from aiida_clathrate.kernels.phonon_dos import phonon_dos

    matrices = node.outputs[label].to_kernel()
    path = band_path(matrices.crystal)
    found: dict[str, Any] = {'dispersion': dispersion(matrices, path=path), 'dos': phonon_dos(matrices)}
    if 'dynamical_matrices' in node.inputs:
        found['harmonic'] = dispersion(node.inputs.dynamical_matrices.to_kernel(), path=path)
    level = 'hessian' if matrices.level == 'hessian' else 'auxiliary'
    errors = ERRORS[level]
    if errors in node.outputs:
        coarse = node.outputs[f'{level}_matrices'].to_kernel()
        found['measured'] = measured_modes(matrices, coarse, node.outputs[errors].get_array('frequency_errors'))
    return found


def measured_modes(matrices: DynamicalMatrices, coarse: DynamicalMatrices, errors: Any) -> MeasuredModes:
    """Return the modes at the wave vectors of the supercell with their standard deviations.

    :param coarse: matrices of the supercell, whose errors are known.
    """
    from aiida_clathrate.kernels.dynamical_matrix import mesh_points
    from aiida_clathrate.kernels.figures.dispersion import MeasuredModes
    from aiida_clathrate.kernels.fourier import restrict
    from aiida_clathrate.kernels.sscha.mode_errors import carried_errors

    restricted = restrict(matrices, coarse.mesh)
    carried = carried_errors(restricted, coarse, errors)
    return MeasuredModes(mesh_points(coarse.mesh), restricted.modes[0], carried)


def summary_so_far(node: orm.ProcessNode) -> dict[str, Any] | None:
    """Return the results of the populations of a work chain that has not collected them itself."""
    rows = [
        calculation.outputs.output_parameters.get_dict()
        for calculation in finished_minimisations(node)
        if 'output_parameters' in calculation.outputs
    ]
    return {**rows[-1], 'populations': rows} if rows else None


def is_summary(content: Mapping[str, Any]) -> bool:
    """Whether a dictionary holds the results of the populations of a work chain."""
    return {'populations', 'free_energy'} <= set(content)


def is_verdict(content: Mapping[str, Any]) -> bool:
    """Whether a dictionary holds the verdict on a crystal by its Hessian."""
    return {'populations', 'class', 'hessian'} <= set(content)


def population_rows(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the last population gave in words."""
    populations = content['populations']
    evaluations = sum(row['evaluations'] for row in populations)
    rows = [
        ('free energy', f'{with_error(content["free_energy"], content["free_energy_error"])} eV per primitive cell'),
        ('configurations', f'{sum(row["configurations"] for row in populations)} in {len(populations)} populations'),
        ('evaluations', f'{evaluations} for {sum(row["steps"] for row in populations)} steps'),
    ]
    if content.get('free_energy_bias') is not None:
        rows.append(('expected bias of the fit', f'{1e3 * content["free_energy_bias"]:.2g} meV, not taken off'))
    if content.get('pressure_error') is not None:
        rows.append(('pressure', f'{with_error(content["pressure"], content["pressure_error"])} GPa'))
    notes = [(f'population {number}', note) for number, row in enumerate(populations, 1) for note in row['warnings']]
    told = 'in brackets the errors of the last digits; the larger gradient in units of its error'
    return [*rows, *notes, ('table', told)]


def population_table(content: Mapping[str, Any]) -> Table:
    """Return one row for each population, narrow enough for 80 columns.

    The larger of the two gradients, of Φ and of the positions, is given in units of its error. Without stresses the
    pressure is not known.
    """
    header = ['', 'N', 'N_eff', 'ended', 'F (eV)', 'gradient', 'lowest ħω (meV)', 'P (GPa)']
    table = []
    for number, row in enumerate(content['populations'], 1):
        error = row.get('pressure_error')
        table.append(
            [
                str(number),
                str(row['configurations']),
                f'{row["effective_configurations"]:.0f}',
                row['reason'],
                in_brackets(row['free_energy'], row['free_energy_error']),
                largest_ratio((row['gradient'], row['gradient_error']), (row['force'], row['force_error'])),
                in_brackets(row['smallest_frequency'], row['smallest_frequency_error']),
                in_brackets(None if error is None else row['pressure'], error),
            ]
        )
    return header, table


def verdict_rows(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the verdict and what it rests on."""
    curvature, gone = content['hessian'], content['class'] == 'collapsed'
    doubt = '' if content['significant'] or gone else ', which its error does not tell from zero'
    kind = 'auxiliary' if gone else 'of the Hessian'
    smallest = with_error(content['smallest_frequency'], content['smallest_frequency_error'])
    rows = [('verdict', content['class']), (f'smallest frequency {kind}', f'{smallest} meV{doubt}')]
    course = ' → '.join(
        f'{with_error(row["frequency"], row["error"])} ({row["configurations"]})' for row in content['populations']
    )
    rows.append(('smallest auxiliary one as the ensemble grew', f'{course} meV (configurations)'))
    if gone:
        rows.append(('last populations ended', ', '.join(row['reason'] for row in content['populations'][-3:])))
    if curvature is not None:
        place = ', '.join(f'{value:g}' for value in curvature['qpoint'])
        rows.append(('where', f'q = ({place}), {curvature["irrep"]}'))
    between = content.get('interpolated')
    if between is not None:
        place = ', '.join(f'{value:g}' for value in between['qpoint'])
        note = '; a larger supercell has to decide' if between['frequency'] < 0 else ''
        rows.append(
            ('softest interpolated', f'{with_error(between["frequency"], between["error"])} meV, q = ({place}){note}')
        )
    return rows


def verdict_table(content: Mapping[str, Any]) -> Table:
    """Return one row for each imaginary mode of the Hessian."""
    modes = () if content['hessian'] is None else content['hessian']['imaginary_modes']
    header = ['imaginary (meV)', 'q', 'irrep', 'modes', 'interpolated']
    table = []
    for mode in modes:
        place = ', '.join(f'{value:g}' for value in mode['qpoint'])
        told = 'yes' if mode['interpolated'] else 'no'
        table.append([f'{mode["frequency"]:.2f}', f'({place})', mode['irrep'], str(mode['degeneracy']), told])
    return (header, table) if table else ([], [])


def in_brackets(value: float | None, error: float | None) -> str:
    """Return a value with the error of its last two digits, such as 1.84287(21); –, where there is no value."""
    number, _, uncertainty = with_error(value, error).partition(' ± ')
    digits = uncertainty.lstrip('0.').replace('.', '') if float(uncertainty or 1) < 1 else uncertainty
    return f'{number}({digits})' if uncertainty else number


def largest_ratio(*pairs: tuple[float, float]) -> str:
    """Return the largest gradient in units of its error; –, where symmetry forbids all and they are rounding."""
    from aiida_clathrate.kernels.figures.minimisation import ROUNDING

    ratios = [value / error for value, error in pairs if error > ROUNDING]
    return f'{max(ratios):.2g}' if ratios else '–'
