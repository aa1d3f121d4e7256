"""Node for a trained potential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.repository.common import FileType

from aiida_clathrate.data.kernel_arrays import check_attributes
from aiida_clathrate.kernels.mlp.potential import Potential
from aiida_clathrate.kernels.mlp.potential_files import FILES, read, to_bytes
from aiida_clathrate.kernels.scalars import is_number

#: Attributes from the record of the training, with whether a value is one; each may be unknown.
RECORDED = {
    'model': lambda value: isinstance(value, str) and value.isidentifier(),
    'energy_rmse': is_number,
    'force_rmse': is_number,
    'stress_rmse': is_number,
    'training_configurations': lambda value: type(value) is int,
    'validation_configurations': lambda value: type(value) is int,
    'seed': lambda value: type(value) is int,
}
ARCHITECTURE = ('radial_cutoff', 'angular_cutoff', 'angular_order', 'largest_l', 'channels')


class PotentialData(orm.Data):
    """A trained potential: what ``kernels.mlp.potential.Potential`` holds.

    The repository holds the two files of ``kernels.mlp.potential_files`` and nothing else; whenever they are read, all
    that they hold is checked.

    Attributes: ``species``, ``number_of_weights``; of the architecture ``radial_cutoff``, ``angular_cutoff`` [Å],
    ``angular_order``, ``largest_l``, ``channels``; of the baseline ``formula`` and ``mesh``, ``None`` without one; of
    the training, ``None`` where the record does not tell, ``model``, ``seed``, ``training_configurations``,
    ``validation_configurations``, and root mean square errors of the validation set: ``energy_rmse`` [meV/atom],
    ``force_rmse`` [meV/Å], ``stress_rmse`` [GPa].
    """

    @classmethod
    def from_kernel(cls, potential: Potential) -> PotentialData:
        """Return an unstored node.

        :raises ValueError: for a potential that cannot be written, or a record with values that are none.
        """
        node = cls()
        node.base.attributes.set_many(_attributes_of(potential))
        for name, content in to_bytes(potential).items():
            node.base.repository.put_object_from_bytes(content, name)
        return node

    def to_kernel(self) -> Potential:
        """Return the checked potential.

        :raises ValueError: if the node holds anything but the two files of a potential.
        """
        repository = self.base.repository
        found = sorted((entry.name, entry.file_type) for entry in repository.list_objects())
        if found != [(name, FileType.FILE) for name in sorted(FILES)]:
            raise ValueError(f'the files must be {" and ".join(FILES)}, not {[name for name, _ in found]}')
        return read(lambda name: repository.open(name, 'rb'))

    def _validate(self):
        super()._validate()
        check_attributes(self, lambda: _attributes_of(self.to_kernel()))


def _attributes_of(potential: Potential) -> dict[str, Any]:
    crystal = None if potential.baseline is None else potential.baseline.crystal
    return {
        **{name: getattr(potential.architecture, name) for name in ARCHITECTURE},
        **_recorded(potential.record),
        'species': list(potential.species),
        'number_of_weights': sum(array.size for array in potential.weights.values()),
        'formula': None if crystal is None else crystal.formula,
        'mesh': None if potential.baseline is None else [int(division) for division in potential.baseline.mesh],
    }


def _recorded(record: Mapping[str, Any]) -> dict[str, Any]:
    for name, is_one in RECORDED.items():
        if record.get(name) is not None and not is_one(record[name]):
            raise ValueError(f'record: {name} cannot be {str(record[name])[:40]!r}')
    return {name: record.get(name) for name in RECORDED}
