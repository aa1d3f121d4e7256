"""``quantumespresso.ph.base`` whose restarts work."""

from __future__ import annotations

from aiida.plugins import CalculationFactory, WorkflowFactory

PhBaseWorkChain = WorkflowFactory('quantumespresso.ph.base')


class PhononBaseWorkChain(PhBaseWorkChain):
    """Run ph.x with error handling and restarts: see :class:`~aiida_clathrate.calculations.ph.PhononCalculation`."""

    _process_class = CalculationFactory('clathrate.ph')
