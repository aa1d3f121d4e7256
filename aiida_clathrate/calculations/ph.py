"""ph.x in a copy of the folder of an earlier ph.x: the coupling after the phonons."""

from __future__ import annotations

from pathlib import PurePosixPath

from aiida.plugins import CalculationFactory

PhCalculation = CalculationFactory('quantumespresso.ph')

COUPLING_FOLDER = 'elph_dir'


class PhononCalculation(PhCalculation):
    """``quantumespresso.ph`` that can start in the folder of another one.

    aiida-quantumespresso 5.1 raises ``KeyError: 'INPUTPH'`` for a parent of its own class, when it comes to copy the
    dynamical matrices. A parent of this class it takes for a pw.x calculation, so that only ``out`` and the
    pseudopotentials are copied; the rest is added here.
    """

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.inputs['metadata']['options']['parser_name'].default = 'clathrate.ph'

    def prepare_for_submission(self, folder):
        """Write the input and say what to copy."""
        calcinfo = super().prepare_for_submission(folder)
        parent = self.inputs.parent_folder
        creator = parent.creator
        if creator is not None and creator.process_class is PhononCalculation:
            path = PurePosixPath(parent.get_remote_path())
            matrices = self._FOLDER_DYNAMICAL_MATRIX
            # The plugin has just made this folder: only what is in it may be copied.
            calcinfo.remote_copy_list.append((parent.computer.uuid, str(path / matrices / '*'), matrices))
        return calcinfo
