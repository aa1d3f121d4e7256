"""Configurations of a population as structures, and their forces from pw.x as an ensemble, with provenance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from aiida import orm
from aiida.engine import ExitCode, calcfunction
from ase.data import atomic_masses, atomic_numbers

from aiida_clathrate.data.force_ensemble import ForceEnsembleData
from aiida_clathrate.kernels.ensemble import supercell_crystal

UNUSABLE = 310
SOURCE = 'quantumespresso.pw'
#: What the parser of pw.x must say about the numbers that are taken.
UNITS = {'energy_units': 'eV'}


def label_of(index):
    """Return the link label of a configuration, such as ``configuration_00012``."""
    return f'configuration_{index:05d}'


@calcfunction
def displaced_structures(population, structure=None):
    """Return each configuration of a population as a structure, ``configuration_00000`` and so on.

    :param population: ``ForceEnsembleData``.
    :param structure: primitive crystal whose kinds the atoms get; without it, a kind for each element.

    Exit codes: 310 if the structure is of another crystal.
    """
    ensemble = population.to_kernel()
    crystal = ensemble.crystal
    if structure is not None and (problem := other_crystal(structure, crystal.symbols)):
        return ExitCode(UNUSABLE, problem)
    if structure is None:
        names = list(crystal.symbols)
        kinds = [element_kind(symbol) for symbol in dict.fromkeys(names)]
    else:
        names = [site.kind_name for site in structure.sites]
        kinds = [kind.get_raw() for kind in structure.kinds]
    supercell = supercell_crystal(crystal, ensemble.mesh)
    names *= len(supercell.symbols) // len(names)
    structures = {}
    for index, positions in enumerate(ensemble.positions.tolist()):
        sites = [{'kind_name': name, 'position': site} for name, site in zip(names, positions, strict=True)]
        structures[label_of(index)] = orm.StructureData(cell=supercell.cell.tolist(), kinds=kinds, sites=sites)
    return structures


def element_kind(symbol):
    """Return the kind of an element, named by its symbol."""
    mass = float(atomic_masses[atomic_numbers[symbol]])
    return {'symbols': [symbol], 'weights': [1.0], 'mass': mass, 'name': symbol}


def other_crystal(structure, symbols):
    """Return why the atoms of a structure are not those of a crystal in its order, ``None`` if they are."""
    found = tuple(structure.get_kind(site.kind_name).symbol for site in structure.sites)
    if found == symbols:
        return None
    return f'structure: its atoms {" ".join(found)} are not those of the population, {" ".join(symbols)}'


def problem_of(parameters, trajectory, stress):
    """Return why the outputs of a run of pw.x cannot be used, ``None`` if they can.

    :param parameters: ``output_parameters`` as a dictionary.
    :param trajectory: ``output_trajectory``.
    :param stress: whether the stress is needed.
    """
    if not parameters.get('convergence_info', {}).get('scf_conv', {}).get('convergence_achieved'):
        return 'the self-consistent cycle did not converge'
    for name, unit in UNITS.items():
        if parameters.get(name) != unit:
            return f'{name} is {parameters.get(name)}, not {unit}'
    names = trajectory.get_arraynames()
    for name, needed in (('forces', True), ('stress', stress)):
        if needed and (name not in names or len(trajectory.get_array(name)) != 1):
            return f'no {name} in the output'
        if needed and not np.isfinite(trajectory.get_array(name)).all():
            return f'{name} not finite'
    return None


@calcfunction
def collect_forces(population, stress, **outputs):
    """Return the ensemble of the configurations that were computed.

    In an antithetic population a configuration whose partner is missing is left out too: half a pair spoils the
    cancellation that pairs are for.

    :param population: ``ForceEnsembleData`` without forces.
    :param stress: whether the stresses are needed.
    :param outputs: ``parameters_00012`` and ``trajectory_00012`` of each run of pw.x that succeeded.

    Exit codes: 310 for outputs that cannot be used.
    """
    ensemble = population.to_kernel()
    computed = sorted(int(name.rpartition('_')[2]) for name in outputs if name.startswith('parameters_'))
    kept = with_partners(computed) if ensemble.antithetic else computed
    if not kept:
        return ExitCode(UNUSABLE, f'none of the {len(ensemble)} configurations is left')
    energies, forces, stresses = [], [], []
    for index in kept:
        parameters, trajectory = outputs[f'parameters_{index:05d}'].get_dict(), outputs[f'trajectory_{index:05d}']
        if problem := problem_of(parameters, trajectory, stress.value):
            return ExitCode(UNUSABLE, f'configuration {index}: {problem}')
        energies.append(parameters['energy'])
        forces.append(trajectory.get_array('forces')[0])
        if stress.value:
            stresses.append(trajectory.get_array('stress')[0])
    try:
        result = replace(
            ensemble.subset(np.array(kept)),
            energies=np.array(energies),
            forces=np.array(forces),
            stresses=np.array(stresses) if stress.value else None,
            source=SOURCE,
        )
    except ValueError as error:
        return ExitCode(UNUSABLE, str(error))
    return ForceEnsembleData.from_kernel(result, population.base.attributes.get('precision'))


def with_partners(indices):
    """Return those configurations whose partner in the pair 2i, 2i+1 is there too."""
    present = set(indices)
    return [index for index in indices if index ^ 1 in present]


@calcfunction
def record_failures(population, reasons):
    """Return which configurations are missing and why.

    :param population: ``ForceEnsembleData``.
    :param reasons: why, by the number of the configuration.
    :return: ``failed`` numbers with their reasons, ``dropped_partners`` the other halves of their pairs, ``number`` of
        configurations, ``used`` ones if the others are computed.
    """
    number = population.base.attributes.get('number')
    failed = sorted(map(int, reasons.get_dict()))
    remaining = [index for index in range(number) if index not in set(failed)]
    used = with_partners(remaining) if population.base.attributes.get('antithetic') else remaining
    return orm.Dict(
        {
            'failed': {str(index): reasons[str(index)] for index in failed},
            'dropped_partners': sorted(set(remaining) - set(used)),
            'number': number,
            'used': len(used),
        }
    )
