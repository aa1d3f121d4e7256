"""Parser of the ``PhononCalculation``: a run that was cut off ends with an exit code."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode
from aiida.plugins import ParserFactory

PhParser = ParserFactory('quantumespresso.ph')


class PhononParser(PhParser):
    """``quantumespresso.ph`` that also reads what a run leaves behind that was stopped while it wrote.

    aiida-quantumespresso 5.1 raises when the output ends between the frequencies of one wave vector and the next, or
    when a file of a dynamical matrix is half written. The calculation then excepts, and nobody learns any more that it
    ran out of time. It also replaces the scheduler's word on that by "incomplete".
    """

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse the retrieved folder.

        :raises Exception: of aiida-quantumespresso, if the run came to its end: then the output is not what is wrong.
        """
        if self.node.exit_status == self.exit_codes.ERROR_SCHEDULER_OUT_OF_WALLTIME.status:
            return None  # keeps the status
        try:
            return super().parse(**kwargs)
        except Exception as error:
            exit_code = self.interruption()
            if exit_code is None:
                raise
            self.logger.error(f'{exit_code.message} Where the output ends: {type(error).__name__}: {error}')
            return exit_code

    def interruption(self) -> ExitCode | None:
        """Return why the run stopped before its end, ``None`` if it did not."""
        stdout = self.retrieved.base.repository.get_object_content(self.node.get_option('output_filename'))
        for message, label in self.get_error_map().items():
            if message in stdout:  # ph.x writes "JOB DONE" also when its time is over
                return self.exit_codes[label]
        return None if self.success_string in stdout else self.exit_codes.ERROR_OUTPUT_STDOUT_INCOMPLETE
