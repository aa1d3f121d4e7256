"""Calculators for the tests of evaluations: springs to the origin that count what they are asked, and spoilt ones."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

STIFFNESS = 2.0  # eV/Å²


class Springs:
    """Every atom on a spring to the origin, several configurations at a time.

    :param log: a file that gets one line for each configuration.
    :param seconds: that each configuration takes.
    :param defect: what is wrong with the results.
    :param startup: seconds until it is ready.
    :param breaks: a file; the second batch of the run that makes it fails.
    """

    def __init__(self, log=None, seconds=0.0, defect=None, startup=0.0, breaks=None):
        time.sleep(startup)
        self.breaks, self.batches = breaks and Path(breaks), 0
        self.log, self.seconds, self.defect = log and Path(log), seconds, defect

    def evaluate(self, positions, cell):
        """Return energies, forces, stresses with the sign of ASE."""
        self.batches += 1
        if self.breaks and self.batches == 2 and not self.breaks.exists():
            self.breaks.touch()
            raise RuntimeError('broken once')
        time.sleep(self.seconds * len(positions))
        if self.log:
            with self.log.open('a') as file:
                file.writelines(f'{configuration[0, 0]:.12f}\n' for configuration in positions)
        energies = 0.5 * STIFFNESS * (positions**2).sum(axis=(1, 2))
        forces = -STIFFNESS * positions
        stresses = np.broadcast_to(-0.01 * np.eye(3), (len(positions), 3, 3))
        if self.defect == 'nan':
            forces[-1, 0, 0] = np.nan
        elif self.defect == 'shape':
            forces = forces[:, :-1]
        elif self.defect == 'no stresses':
            stresses = None
        elif self.defect == 'no forces':
            forces = None
        elif self.defect == 'raises':
            raise MemoryError('the card is full')
        return energies, forces, stresses


class EnergyOnly(Calculator):
    """A calculator of ASE without forces."""

    implemented_properties = ['energy']

    def calculate(self, atoms=None, properties=('energy',), system_changes=all_changes):
        """Give the energy only."""
        self.results = {'energy': 0.0}


class NoStress(EMT):
    """A calculator of ASE without stresses."""

    implemented_properties = ['energy', 'free_energy', 'forces']
