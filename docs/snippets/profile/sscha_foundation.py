"""Inputs of an SSCHA by a foundation model that pw.x checks: verdi run sscha_foundation.py PHI_PK."""

import sys

from aiida.orm import load_code, load_node
from aiida.plugins import WorkflowFactory

hour = 3600
builder = WorkflowFactory('clathrate.sscha').get_builder_from_protocol(
    python_code='clathrate@cluster',
    pw_code='pw@cluster',
    dynamical_matrices=load_node(sys.argv[1]),
    supercell=(2, 2, 2),
    temperature=300.0,  # K
    overrides={'max_concurrent': 20},
    options={'resources': {'num_machines': 1}, 'max_wallclock_seconds': 2 * hour},
    kernel_options={'resources': {'num_machines': 1, 'num_cores_per_mpiproc': 16}, 'max_wallclock_seconds': 6 * hour},
    potential={
        'calculator_code': load_code('mace@cluster'),
        'populations': [1000, 4000],
        'hessian_configurations': 4000,
        'check_configurations': 20,  # the only ones from first principles
        'largest_energy_error': 2.0,  # meV/atom
        'largest_force_error': 100.0,  # meV/Å
    },
)
