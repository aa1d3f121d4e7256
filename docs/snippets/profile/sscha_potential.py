"""Inputs of an SSCHA whose first populations train a potential: verdi run sscha_potential.py PHI_PK."""

import sys

from aiida.orm import load_node
from aiida.plugins import WorkflowFactory

hour = 3600
builder = WorkflowFactory('clathrate.sscha').get_builder_from_protocol(
    python_code='clathrate@cluster',
    pw_code='pw@cluster',
    dynamical_matrices=load_node(sys.argv[1]),
    supercell=(2, 2, 2),
    temperature=300.0,  # K
    overrides={'populations': [40, 80], 'max_concurrent': 32},  # from first principles
    options={'resources': {'num_machines': 1}, 'max_wallclock_seconds': 2 * hour},
    kernel_options={'resources': {'num_machines': 1, 'num_cores_per_mpiproc': 16}, 'max_wallclock_seconds': 6 * hour},
    potential={
        'populations': [1000, 4000, 10000],
        'hessian_configurations': 10000,
        'largest_energy_error': 0.5,  # meV/atom
        'largest_force_error': 50.0,  # meV/Å
        'largest_deviation': 100.0,  # meV/Å
        'max_labels': 20,
        'check_configurations': 20,
        'train': {'architecture': {'preset': 'fast'}, 'training': {'epochs': 300}},
        'evaluate': {'batch_size': 64},
    },
)
