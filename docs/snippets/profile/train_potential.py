"""Inputs of a potential from two ensembles with forces: verdi run train_potential.py ENSEMBLE_PK ENSEMBLE_PK."""

import sys

from aiida.orm import Dict, load_code, load_node
from aiida.plugins import WorkflowFactory

builder = WorkflowFactory('clathrate.potential').get_builder()
builder.ensembles = {f'population_{number}': load_node(pk) for number, pk in enumerate(sys.argv[1:], start=1)}
builder.train.code = load_code('clathrate@cluster')
builder.train.parameters = Dict({'architecture': {'preset': 'fast'}, 'training': {'epochs': 300}})
builder.train.metadata.options = {
    'resources': {'num_machines': 1, 'num_cores_per_mpiproc': 16},
    'max_wallclock_seconds': 3600,
}
builder.validation_fraction = 0.2
builder.largest_energy_error = 0.5  # meV/atom
builder.largest_force_error = 50.0  # meV/Å
