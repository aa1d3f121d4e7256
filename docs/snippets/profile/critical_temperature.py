"""Inputs of a run on the cluster."""

from aiida.orm import StructureData
from aiida.plugins import WorkflowFactory

from aiida_clathrate.kernels.structures import structure_from_name

builder = WorkflowFactory('clathrate.critical_temperature').get_builder_from_protocol(
    python_code='clathrate@cluster',
    pw_code='pw@cluster',
    ph_code='ph@cluster',
    structure=StructureData(ase=structure_from_name('SrB3C3').to_ase()),
    pressure=50.0,  # GPa
    protocol='balanced',
    overrides={'parallelize_qpoints': True, 'max_concurrent': 8},
    options={'resources': {'num_machines': 1}, 'max_wallclock_seconds': 12 * 3600},
)
