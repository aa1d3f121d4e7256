"""From nodes to figures: which figures a node has the data for, and how each is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from aiida_clathrate.cli import potential, sscha

if TYPE_CHECKING:
    from aiida import orm

    from aiida_clathrate.kernels.alpha2f import ModeCouplings
    from aiida_clathrate.kernels.dispersion import Dispersion
    from aiida_clathrate.kernels.figures.critical_temperature import Reference
    from aiida_clathrate.kernels.figures.dispersion import MeasuredModes
    from aiida_clathrate.kernels.figures.plot import Plot
    from aiida_clathrate.kernels.figures.potential import Agreement
    from aiida_clathrate.kernels.phonon_dos import PhononDos
    from aiida_clathrate.kernels.superconductivity import Superconductivity

#: What each figure cannot do without; the first that a node has all for is its default.
NEEDS = {
    'overview': ('dispersion', 'dos'),
    'dispersion': ('dispersion',),
    'critical-temperature': ('superconductivity',),
    'gap': ('superconductivity',),
    'sensitivity': ('superconductivity', 'couplings'),
    'spectral': ('couplings',),
    'minimisation': ('course',),
    'potential': ('agreement',),
}


@dataclass(frozen=True)
class Content:
    """What a node, or the outputs and inputs of a process, have to draw.

    :param harmonic: what is drawn in grey to compare with, unless something else is asked for.
    """

    dispersion: Dispersion | None = None
    dos: PhononDos | None = None
    couplings: ModeCouplings | None = None
    superconductivity: Superconductivity | None = None
    course: sscha.Course | None = None
    measured: MeasuredModes | None = None
    agreement: Agreement | None = None
    harmonic: Content | None = None

    @classmethod
    def gather(cls, node: orm.Node) -> Content:
        """Return the content of a node; a process gives that of its outputs, and what they lack from its inputs."""
        from aiida import orm

        if not isinstance(node, orm.ProcessNode):
            content = cls(**(kernels(node) or matrices(node)))
            # T_c as a functional derivative is drawn with the α²F from which it was calculated.
            creator = node.creator if content.superconductivity is not None else None
            return content if creator is None else content.completed(creator.inputs)
        if sscha.is_sscha(node):
            return cls.anharmonic(sscha.content(node))
        content = cls().completed(node.outputs).completed(node.inputs)
        chain = sscha.called(node)
        return content if chain is None else cls.with_anharmonic(content, node, chain)

    @classmethod
    def anharmonic(cls, found: dict[str, Any]) -> Content:
        """Return the content of an ``SschaWorkChain``."""
        harmonic = found.pop('harmonic', None)
        return cls(**found, harmonic=None if harmonic is None else cls(dispersion=harmonic))

    @classmethod
    def with_anharmonic(cls, content: Content, node: orm.ProcessNode, chain: orm.ProcessNode) -> Content:
        """Return the anharmonic content of a work chain with T_c, the harmonic one beside it to compare with.

        :param content: harmonic.
        :param chain: the ``SschaWorkChain`` that it has called.
        """
        levels = [node.inputs.anharmonic_modes.value] if 'anharmonic_modes' in node.inputs else []
        found = cls.anharmonic(sscha.content(chain, levels or ('hessian', 'auxiliary')))
        if 'anharmonic' not in node.outputs:
            return replace(content, course=found.course)
        harmonic = replace(content, dispersion=found.harmonic.dispersion if found.harmonic else content.dispersion)
        return replace(found.completed(node.outputs.anharmonic), harmonic=harmonic)

    def completed(self, nodes: Any) -> Content:
        """Return this content with what it lacks taken from inputs or outputs."""
        found: dict[str, Any] = {}
        for label in nodes:
            found = kernels(nodes[label]) | found
        missing = {field.name for field in fields(self) if getattr(self, field.name) is None}
        return replace(self, **{name: value for name, value in found.items() if name in missing})

    def kinds(self) -> list[str]:
        """Return the figures that can be drawn."""
        kinds = [kind for kind, names in NEEDS.items() if all(getattr(self, name) is not None for name in names)]
        result = self.superconductivity
        empty = (
            () if result is None else (not result.solutions and 'gap', not len(result.sensitivity) and 'sensitivity')
        )
        return [kind for kind in kinds if kind not in empty]


def kernels(node: orm.Node) -> dict[str, Any]:
    """Return what of ours a data node holds, by the names of the fields of ``Content``."""
    from aiida_clathrate.data.dispersion import dispersion_from_bands
    from aiida_clathrate.data.minimisation_trace import is_trace
    from aiida_clathrate.data.phonon_dos import dos_from_array, is_dos

    match type(node).__name__:
        case 'SpectralFunctionData':
            return {'couplings': node.to_modes()}
        case 'SuperconductivityData':
            return {'superconductivity': node.to_kernel()}
        case 'BandsData' if node.units == 'meV':
            return {'dispersion': dispersion_from_bands(node)}
        case 'ArrayData' if is_dos(node):
            return {'dos': dos_from_array(node)}
        case 'ArrayData' if is_trace(node):
            return {'course': sscha.course_of(node)}
        case 'ArrayData' if potential.is_validation(node):
            return {'agreement': potential.agreement(node)}
        case 'PotentialData':
            return potential.content(node)
    return {}


def matrices(node: orm.Node) -> dict[str, Any]:
    """Return the dispersion of dynamical matrices that somebody asks for by name."""
    from aiida_clathrate.kernels.dispersion import dispersion

    is_matrices = type(node).__name__ == 'DynamicalMatrixData'
    return {'dispersion': dispersion(node.to_kernel())} if is_matrices else {}


def draw(
    kind: str,
    content: Content,
    compared: Content | None,
    smearing: int | None,
    width: float | None,
    references: Sequence[Reference],
) -> Plot:
    """Return a figure.

    :param compared: phonons drawn in grey dashes; the harmonic ones of ``content`` by default.
    :param smearing: index of the broadening of the couplings; by default the one from which T_c was calculated.
    :param width: of the lines of α²F [meV]; that of the figure by default.
    :param references: T_c found by others.
    :raises ValueError: if ``content`` lacks what the figure needs, or there is no such broadening.
    """
    from aiida_clathrate.kernels.figures import critical_temperature, dispersion, gap, overview, sensitivity, spectral
    from aiida_clathrate.kernels.figures.minimisation import draw_minimisation
    from aiida_clathrate.kernels.figures.potential import draw_potential

    missing = [name for name in NEEDS[kind] if getattr(content, name) is None]
    if missing:
        raise ValueError(f'{kind}: the node has no {" and no ".join(missing)}; it has the data of: {content.kinds()}')
    compared = compared or content.harmonic or Content()
    couplings, index = content.couplings, smearing_index(content, smearing)
    alpha2f = None if couplings is None else couplings.spectral(index)
    match kind:
        case 'overview':
            args = (content.dispersion, content.dos, couplings, index, compared.dispersion, width, content.measured)
            return overview.draw_overview(*args)
        case 'dispersion':
            args = (content.dispersion, compared.dispersion, couplings, index, content.measured)
            return dispersion.draw_dispersion(*args)
        case 'minimisation':
            course = content.course
            return draw_minimisation(course.traces, course.configurations, course.settings)
        case 'potential':
            return draw_potential(content.agreement)
        case 'spectral':
            harmonic = None if compared.couplings is None else compared.couplings.spectral(index)
            return spectral.draw_spectral(alpha2f, content.dos, harmonic, width)
        case 'critical-temperature':
            result = content.superconductivity
            return critical_temperature.draw_critical_temperature(result, references, compared.superconductivity)
        case 'gap':
            return gap.draw_gap(content.superconductivity)
    return sensitivity.draw_sensitivity(content.superconductivity, alpha2f, width)


def smearing_index(content: Content, smearing: int | None) -> int:
    """Return which broadening to draw."""
    import numpy as np

    if content.couplings is None:
        return 0
    known, used = content.couplings.smearings, content.superconductivity
    if smearing is None:
        # An attribute keeps fifteen digits.
        same = [] if used is None else np.flatnonzero(np.isclose(known, used.smearing, rtol=1e-9))
        return int(same[0]) if len(same) else 0
    if smearing >= len(known):
        raise ValueError(f'smearing: there is no number {smearing}; give 0 to {len(known) - 1}')
    return smearing


def read_reference(text: str) -> Reference:
    """Return the reference of ``LABEL=TC`` or ``LABEL=TC@MU`` [K].

    :raises ValueError: for anything else.
    """
    from aiida_clathrate.kernels.figures.critical_temperature import Reference

    label, _, numbers = text.rpartition('=')
    temperature, _, mu_star = numbers.partition('@')
    try:
        return Reference(label, float(temperature), float(mu_star) if mu_star else None)
    except ValueError:
        raise ValueError(f'reference: {text!r} is not LABEL=TC or LABEL=TC@MU, for instance "Experiment=39"') from None
