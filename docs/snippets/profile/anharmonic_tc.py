"""Inputs of one run to the harmonic and to the anharmonic critical temperature."""

from aiida.orm import StructureData
from aiida.plugins import WorkflowFactory

from aiida_clathrate.kernels.structures import structure_from_name

builder = WorkflowFactory('clathrate.critical_temperature').get_builder_from_protocol(
    python_code='clathrate@cluster',
    pw_code='pw@cluster',
    ph_code='ph@cluster',
    structure=StructureData(ase=structure_from_name('SrB3C3').to_ase()),
    pressure=50.0,  # GPa
    qpoints=(4, 4, 4),  # a multiple of the supercell
    kpoints=(16, 16, 16),
    kpoints_dense=(32, 32, 32),
    options={'resources': {'num_machines': 1}, 'max_wallclock_seconds': 12 * 3600},
    sscha={
        'supercell': (2, 2, 2),
        'temperature': 0.0,  # K
        'overrides': {'populations': [200, 400, 1000], 'max_concurrent': 32},
        'kernel_options': {'resources': {'num_machines': 1, 'num_cores_per_mpiproc': 16}},
    },
)
builder.anharmonic_modes = 'hessian'
