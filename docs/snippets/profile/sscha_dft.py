"""Inputs of an SSCHA with forces from first principles: verdi run sscha_dft.py PHI_PK."""

import sys

from aiida.orm import load_node
from aiida.plugins import WorkflowFactory

hour = 3600
builder = WorkflowFactory('clathrate.sscha').get_builder_from_protocol(
    python_code='clathrate@cluster',
    pw_code='pw@cluster',
    dynamical_matrices=load_node(sys.argv[1]),  # harmonic, on a mesh that 2×2×2 divides
    supercell=(2, 2, 2),
    temperature=300.0,  # K
    pressure=50.0,  # GPa
    variable_cell=True,
    protocol='balanced',
    overrides={'populations': [200, 400, 1000], 'max_concurrent': 32, 'largest_failed_fraction': 0.02},
    options={'resources': {'num_machines': 1}, 'max_wallclock_seconds': 2 * hour},
    kernel_options={'resources': {'num_machines': 1, 'num_cores_per_mpiproc': 16}, 'max_wallclock_seconds': 6 * hour},
)
