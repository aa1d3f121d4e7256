"""Base of the calculations that stop by themselves before the wall time, to be continued from their folder."""

from __future__ import annotations

from aiida import orm
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec

from aiida_clathrate.calculations.base import KernelCalculation

#: Share of the wall time after which the kernel stops by itself; the rest is for writing the results.
SHARE_OF_WALLTIME = 0.9


class ResumableCalculation(KernelCalculation):
    """Run a kernel that keeps what it has done in a folder of its own, so that another run can go on with it."""

    #: Where the kernel keeps what it has done.
    _kept_folder: str

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input(
            'parent_folder',
            valid_type=orm.RemoteData,
            required=False,
            help='Folder of an earlier run with the same inputs that was stopped: what it has done is not done again.',
        )
        spec.default_output_node = 'output_parameters'
        for status, label, message in (
            (400, 'ERROR_OUT_OF_WALLTIME', 'Stopped by the wall time, to be continued from the folder: {message}'),
            (401, 'ERROR_WALLTIME_TOO_SHORT', 'Nothing is finished within the wall time, grant more: {message}'),
        ):
            # The wall time is no input that caching knows.
            spec.exit_code(status, label, message=message, invalidates_cache=True)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the run folder, with what the earlier run has done if there is one."""
        calcinfo = super().prepare_for_submission(folder)
        if 'parent_folder' in self.inputs:
            parent = self.inputs.parent_folder
            path = f'{parent.get_remote_path()}/{self._kept_folder}'
            calcinfo.remote_copy_list = [(parent.computer.uuid, path, self._kept_folder)]
        return calcinfo

    @property
    def max_seconds(self) -> float | None:
        """Return the time that the kernel may take [s], ``None`` for as long as it needs."""
        wall = self.options.get('max_wallclock_seconds')
        return SHARE_OF_WALLTIME * wall if wall else None
