"""Options of an SSCHA whose populations go on with a potential, and what they become in its inputs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.params import options, types

from aiida_clathrate.cli.launch_options import decorated, whole_numbers
from aiida_clathrate.cli.potential import training_of

if TYPE_CHECKING:
    from aiida import orm

ENSEMBLE = 'aiida.data:clathrate.ensemble'
POTENTIAL = 'aiida.data:clathrate.potential'
#: Ports of the namespace ``potential`` by the names of the options.
PORTS = {
    'potential_populations': 'populations',
    'max_energy_error': 'largest_energy_error',
    'max_force_error': 'largest_force_error',
    'max_labels': 'max_labels',
}

MAX_ENERGY_ERROR = options.OverridableOption(
    '--max-energy-error',
    type=click.FloatRange(min=0, min_open=True),
    metavar='MEV',
    help='Largest RMSE of the energies that were held out, in meV/atom  [0.5].',
)
MAX_FORCE_ERROR = options.OverridableOption(
    '--max-force-error',
    type=click.FloatRange(min=0, min_open=True),
    metavar='MEV',
    help='Largest RMSE of the force components that were held out, in meV/Å  [50].',
)


def potential_options(command):
    """Add the options of the potential to a command."""
    return decorated(
        command,
        [
            click.option(
                '--potential', is_flag=True, help='Populations go on with a potential that the first of them train.'
            ),
            click.option(
                '--potential-populations',
                metavar='N,N,…',
                callback=whole_numbers,
                help="Configurations of each population with the potential, instead of the protocol's.",
            ),
            MAX_ENERGY_ERROR(),
            MAX_FORCE_ERROR(),
            click.option(
                '--max-labels',
                type=click.IntRange(min=1),
                help='So many configurations that the potential is uncertain of are computed in a round  [20].',
            ),
            click.option(
                '--start-potential',
                type=types.DataParamType(sub_classes=(POTENTIAL,)),
                metavar='NODE',
                help='A potential that was trained earlier: no population is computed from first principles.',
            ),
            click.option(
                '--training-set',
                'training_sets',
                type=types.DataParamType(sub_classes=(ENSEMBLE,)),
                metavar='NODE',
                multiple=True,
                help='Ensemble with forces to train with too  [what --start-potential was trained on].',
            ),
            click.option(
                '--potential-cores', type=click.IntRange(min=1), help='Cores to train and evaluate with  [1].'
            ),
        ],
    )


@dataclass(frozen=True)
class PotentialOptions:
    """What was given of these options, by their names."""

    potential: bool = False
    potential_populations: list[int] | None = None
    max_energy_error: float | None = None
    max_force_error: float | None = None
    max_labels: int | None = None
    start_potential: orm.Data | None = None
    training_sets: tuple[orm.Data, ...] = ()
    potential_cores: int | None = None

    @classmethod
    def taken_from(cls, arguments: dict[str, Any]) -> PotentialOptions:
        """Return the options among the arguments of a command, which lose them."""
        return cls(**{field.name: arguments.pop(field.name) for field in fields(cls)})

    def given(self) -> list[str]:
        """Return the options that were given, as the user wrote them."""
        names = [field.name for field in fields(self) if getattr(self, field.name) not in (None, False, ())]
        return [f'--{name.replace("_", "-").replace("-sets", "-set")}' for name in names]

    def values(self) -> dict[str, Any] | None:
        """Return values for ``get_builder_from_protocol``, ``None`` if there is to be no potential.

        :raises ValueError: for options that belong to a potential where none is asked for, and for a potential of
            unknown training.
        """
        if not self.potential and self.start_potential is None:
            if given := self.given():
                raise ValueError(f'{given[0]}: belongs to a run with a potential; add --potential')
            return None
        values: dict[str, Any] = {}
        if self.start_potential is not None:
            values['start'] = self.start_potential
        ensembles = labelled(self.training_sets) or trained_on(self.start_potential)
        if ensembles:
            values['ensembles'] = ensembles
        elif self.start_potential is not None:
            raise ValueError(
                '--start-potential: what it was trained on is not known here; give the ensembles with --training-set, '
                'to train it again where it is uncertain'
            )
        # An empty mapping would be no potential.
        return values or {'train': {}}

    def set_on(self, namespace: Any, hessian_configurations: int | None) -> None:
        """Set the numbers that were given on the namespace of a builder.

        :param hessian_configurations: of ``--hessian-configurations``: in such a run, the Hessian is the potential's.
        :raises ValueError: for numbers that are refused.
        """
        for option, port in PORTS.items():
            set_value(namespace, port, getattr(self, option), option)
        set_value(namespace, 'hessian_configurations', hessian_configurations)
        for job in ('train', 'evaluate') if self.potential_cores else ():
            namespace[job].metadata.options.resources = with_cores(self.potential_cores)


def set_value(namespace: Any, port: str, value: Any, option: str | None = None) -> None:
    """Set a value, unless it is ``None``, on a namespace of a builder.

    :param option: that it comes from, by default of the name of the port.
    :raises ValueError: with the name of the option, for a value that is refused.
    """
    if value is None:
        return
    try:
        namespace[port] = value
    except ValueError as error:
        reason = str(error).rpartition(f'{port}: ')[2]
        raise ValueError(f'--{(option or port).replace("_", "-")}: {reason}') from None


def with_cores(cores: int) -> dict[str, int]:
    """Return the resources of a job with threads."""
    return {'num_machines': 1, 'num_mpiprocs_per_machine': 1, 'num_cores_per_mpiproc': cores}


def labelled(ensembles: tuple[orm.Data, ...], kind: str = 'population') -> dict[str, orm.Data]:
    """Return ensembles by the labels that a training has for them."""
    return {f'{kind}_{number}': ensemble for number, ensemble in enumerate(ensembles, 1)}


def trained_on(potential: orm.Data | None) -> dict[str, orm.Data]:
    """Return the ensembles that a potential was trained on, none where it is not known."""
    training = None if potential is None else training_of(potential)
    return {} if training is None else dict(training.inputs.ensembles)
