"""Inputs of an SSCHA that goes on from where another one ended: verdi run sscha_restart.py SSCHA_PK."""

import sys

from aiida.orm import List, load_node

earlier = load_node(sys.argv[1])
builder = earlier.get_builder_restart()
builder.auxiliary_matrices = earlier.outputs.auxiliary_matrices
builder.populations = List([1000, 2000])
builder.seed = earlier.inputs.seed.value + 100  # other random numbers than before
