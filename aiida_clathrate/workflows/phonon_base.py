"""``quantumespresso.ph.base`` whose restarts work."""

from __future__ import annotations

from aiida.plugins import CalculationFactory, WorkflowFactory

PhBaseWorkChain = WorkflowFactory('quantumespresso.ph.base')
PhononCalculation = CalculationFactory('clathrate.ph')


class PhononBaseWorkChain(PhBaseWorkChain):
    """Run ph.x with error handling and restarts: see :class:`~aiida_clathrate.calculations.ph.PhononCalculation`."""

    _process_class = PhononCalculation

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        # The outputs are looked up by the class of the process that was exposed.
        spec.expose_outputs(PhononCalculation, exclude=('retrieved_folder',))
