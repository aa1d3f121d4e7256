"""N(E_F) from the bands of pw.x, and the summary of a calculation, with provenance."""

from __future__ import annotations

import numpy as np
from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.electron_dos import electron_dos
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3

#: Where the density of states is kept, relative to E_F [eV].
WINDOW, STEP = 5.0, 0.05
UNUSABLE = 311


@calcfunction
def count_states(structure, mesh, bands, parameters):
    """Return the density of states around E_F by linear tetrahedra.

    :param structure: crystal of the calculation.
    :param mesh: k mesh of the bands.
    :param bands: ``BandsData`` of pw.x at the irreducible points [eV].
    :param parameters: output parameters of pw.x, with ``fermi_energy`` [eV].

    Exit codes: 311 if the bands are not enough for N(E_F).
    """
    try:
        dos = electron_dos(
            Crystal.from_ase(structure.get_ase()),
            tuple(mesh.get_kpoints_mesh()[0]),
            bands.get_kpoints(),
            bands.get_bands(),
            parameters['fermi_energy'],
            np.linspace(-WINDOW, WINDOW, round(2 * WINDOW / STEP) + 1),
        )
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))
    node = orm.ArrayData({'energies': dos.energies, 'values': dos.values})
    node.base.attributes.set_many({'at_fermi_energy': dos.at_fermi_energy, 'complete_below': dos.complete_below})
    return node


@calcfunction
def summarise(structure, pressure, scf, violations, **optional):
    """Return the scalars of a calculation of phonons.

    :param structure: relaxed crystal.
    :param pressure: target pressure [GPa].
    :param scf: output parameters of pw.x on the relaxed crystal, with ``energy`` [eV].
    :param violations: of symmetry and sum rule, from ``collect_phonons``.
    :param optional: ``electron_dos`` of ``count_states``.
    """
    crystal = Crystal.from_ase(structure.get_ase())
    summary = {
        'formula': crystal.formula,
        'space_group': crystal.space_group(),
        'pressure': pressure.value,
        'volume': crystal.volume,
        'energy': scf['energy'],
        'enthalpy': scf['energy'] + pressure.value * crystal.volume / GPA_PER_EV_ANGSTROM3,
        'quantum_espresso_version': scf['creator_version'],
        'violations': violations.get_dict(),
    }
    if 'electron_dos' in optional:
        summary['density_of_states_at_fermi_energy'] = optional['electron_dos'].base.attributes.get('at_fermi_energy')
    units = {'pressure': 'GPa', 'volume': 'Å³', 'energy': 'eV', 'enthalpy': 'eV',
             'density_of_states_at_fermi_energy': 'states/eV/cell, both spins'}  # fmt: skip
    return orm.Dict(summary | {'units': units})
