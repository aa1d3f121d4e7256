"""``quantumespresso.ph.base`` that never goes on in the middle of a wave vector."""

from __future__ import annotations

from aiida.plugins import CalculationFactory, WorkflowFactory

PhBaseWorkChain = WorkflowFactory('quantumespresso.ph.base')
PhononCalculation = CalculationFactory('clathrate.ph')


class PhononBaseWorkChain(PhBaseWorkChain):
    """Run ph.x, and stop where the plugin would restart with ``recover``.

    ph.x 6.7 that is stopped by ``max_seconds`` and recovers gives wrong frequencies without a word: aluminium at L has
    12.2 instead of 4.6 THz after a stop in the linear response, and is 0.5 % off after a stop among the bands. What a
    run has finished is kept; the ``RelaxPhononWorkChain`` runs the other wave vectors anew.
    """

    _process_class = PhononCalculation

    handle_convergence_not_reached = None
    handle_out_of_walltime = None
    handle_scheduler_out_of_walltime = None

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        # For the default of the parser.
        spec.expose_inputs(PhononCalculation, namespace='ph', exclude=('qpoints',))
        # The outputs are looked up by the class of the process that was exposed.
        spec.expose_outputs(PhononCalculation, exclude=('retrieved_folder',))
