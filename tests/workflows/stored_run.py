"""An ``SschaWorkChain`` that has run, as the engine stores it, without running it."""

from dataclasses import replace
from uuid import uuid4

import numpy as np
from aiida import orm
from aiida.common.links import LinkType
from aiida.plugins import WorkflowFactory
from ase.build import bulk

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.workflows.finished_forces import PROCESS_TYPE as FORCES
from aiida_clathrate.workflows.finished_forces import flattened
from aiida_clathrate.workflows.sscha_restart import PROCESS_TYPE

MESH, TEMPERATURE, SEED = (2, 1, 1), 300.0, 7


def matrices(stiffness=5.0, level='sscha'):
    """Return unstored matrices of copper in two cells."""
    constants = np.array([np.zeros((3, 3)), stiffness * np.eye(3)], dtype=complex)
    crystal = Crystal.from_ase(bulk('Cu', 'fcc', a=3.6))
    return DynamicalMatrixData.from_kernel(DynamicalMatrices(crystal, MESH, constants, level))


def population(seed, computed=False):
    """Return an unstored population of four configurations."""
    drawn = sample(matrices().to_kernel(), TEMPERATURE, 4, seed)
    if computed:
        drawn = replace(drawn, energies=np.zeros(4), forces=-5.0 * drawn.displacements)
    return ForceEnsembleData.from_kernel(drawn)


def store(node):
    """Return a node that is stored."""
    return node if node.is_stored else node.store()


class Run:
    """An ``SschaWorkChain`` whose steps are stored one after the other, as the engine stores them."""

    def __init__(self, computer, potential=None, **changes):
        code = orm.InstalledCode(computer, '/bin/true', label=uuid4().hex).store()
        builder = WorkflowFactory('clathrate.sscha').get_builder_from_protocol(
            code, matrices(level='harmonic').store(), MESH, TEMPERATURE, calculator_code=code, seed=SEED,
            overrides={'populations': [4, 6, 8]}, potential=potential,
        )  # fmt: skip
        for name, value in changes.items():
            builder[name] = value
        self.node = orm.WorkChainNode()
        self.node.set_process_type(PROCESS_TYPE)
        self.node.set_process_label('SschaWorkChain')
        for label, value in flattened(builder._inputs(prune=True)).items():
            self.node.base.links.add_incoming(value.store(), LinkType.INPUT_WORK, label)
        options = {'metadata': {'options': {'resources': {'num_machines': 1}}}}
        metadata = {'minimisation': options, 'hessian': options, 'forces': {'calculator': options}}
        metadata |= {'potential': {'train': options, 'evaluate': options}} if potential else {}
        self.node.set_metadata_inputs(metadata)
        self.node.store()

    def call(self, label, inputs=None, state='finished', status=0, process_type=None, caller=None, **outputs):
        """Store a step with its inputs and outputs.

        :param process_type: of a work chain; those of forces have theirs.
        :param caller: the run itself, unless it is a step of one of its steps.
        """
        process_type = process_type or (FORCES if label.endswith('forces') else None)
        work = process_type is not None
        node = orm.WorkChainNode() if work else orm.CalcFunctionNode()
        node.set_process_label('ForcesWorkChain' if process_type == FORCES else label)
        if work:
            node.set_process_type(process_type)
        defaults = {'stress': orm.Bool(True)} if process_type == FORCES else {}
        for name, value in (defaults | (inputs or {})).items():
            link = LinkType.INPUT_WORK if work else LinkType.INPUT_CALC
            node.base.links.add_incoming(store(value), link, name)
        link = LinkType.CALL_WORK if work else LinkType.CALL_CALC
        node.base.links.add_incoming(caller or self.node, link, label)
        node.store()
        for name, value in outputs.items():
            if work:
                store(value)
                value.base.links.add_incoming(node, LinkType.RETURN, name)
            else:
                value.base.links.add_incoming(node, LinkType.CREATE, name)
                value.store()
        self.end(node, state, status)
        return node

    def draw(self, number):
        """Draw a population."""
        return self.call(f'population_{number}_sampling', result=population(SEED + number)).outputs.result

    def compute(self, number, drawn):
        """Compute the forces on a population."""
        ensemble = population(SEED + number, computed=True)
        return self.call(f'population_{number}_forces', {'population': drawn}, ensemble=ensemble).outputs.ensemble

    def minimise(self, number):
        """Draw, compute and minimise a population."""
        ensemble = self.compute(number, self.draw(number))
        label = f'population_{number}_minimisation'
        return self.call(label, {'ensemble': ensemble}, matrices=matrices(5.0 + number)).outputs.matrices

    @staticmethod
    def end(node, state='killed', status=None):
        """Set how a process ended."""
        node.set_process_state(state)
        if status is not None:
            node.set_exit_status(status)

    def stop(self):
        """Return the run, killed."""
        self.end(self.node)
        return self.node
