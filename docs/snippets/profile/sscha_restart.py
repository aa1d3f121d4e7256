"""Inputs of an SSCHA that goes on from where another one ended: verdi run sscha_restart.py SSCHA_PK."""

import sys

from aiida.orm import List, load_node

from aiida_clathrate.workflows.sscha_restart import restart_builder

builder = restart_builder(load_node(sys.argv[1]))
builder.populations = List([1000, 2000])
