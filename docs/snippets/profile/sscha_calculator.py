"""Inputs of an SSCHA with a foundation model, its Hessian on a GPU: verdi run sscha_calculator.py PHI_PK."""

import sys

from aiida.orm import Dict, load_node
from aiida.plugins import WorkflowFactory

gpu = {
    'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1},
    'queue_name': 'gpu',
    'custom_scheduler_commands': '#SBATCH --gres=gpu:1',
    'max_wallclock_seconds': 4 * 3600,
}
builder = WorkflowFactory('clathrate.sscha').get_builder_from_protocol(
    python_code='clathrate@cluster',
    calculator_code='mace@cluster',
    dynamical_matrices=load_node(sys.argv[1]),
    supercell=(2, 2, 2),
    temperature=300.0,  # K
    protocol='stringent',  # to 40,000 configurations
    overrides={'reference': True},
    options=gpu,
)
builder.hessian.parameters = Dict({'fourth_order': True, 'device': 'cuda', 'memory': 60.0})  # GB
builder.hessian.metadata.options = gpu
