"""Parser of the ``TrainPotentialCalculation``."""

from __future__ import annotations

from pathlib import Path

from aiida import orm

from aiida_clathrate.data.potential import PotentialData
from aiida_clathrate.kernels import io
from aiida_clathrate.kernels.mlp import potential_files
from aiida_clathrate.parsers.base import KernelParser


class TrainPotentialParser(KernelParser):
    """Make nodes of the potential, of its validation and of the course of its training."""

    def parse_arrays(self, scalars: io.Scalars, arrays: io.Arrays) -> None:
        """Attach ``validation`` and ``history``."""
        columns = zip(scalars['history_columns'], arrays['history'].T, strict=True)
        self.out('history', orm.ArrayData(dict(columns)))
        self.out('validation', orm.ArrayData({name: arrays[name] for name in sorted(arrays) if name != 'history'}))

    def parse_files(self, folder: Path) -> None:
        """Attach the ``potential``."""
        self.out('potential', PotentialData.from_kernel(potential_files.load(folder)))
