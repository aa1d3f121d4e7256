"""Labels that cannot be right are refused, with the name of the ensemble and the configuration."""

from dataclasses import replace

import numpy as np
import pytest
from coupled_pairs import CoupledPairs

from aiida_clathrate.kernels.ensemble import supercell_crystal
from aiida_clathrate.kernels.mlp.frames import Frames, LabelError, from_ensemble
from aiida_clathrate.kernels.sscha.sampling import sample
from aiida_clathrate.kernels.units import GPA_PER_EV_ANGSTROM3


def ensemble(number=12):
    """Return a labelled population of coupled pairs."""
    model = CoupledPairs()
    population = sample(model.matrices((2, 1, 1)), 300.0, number, 1)
    cell = supercell_crystal(population.crystal, population.mesh).cell
    energies, forces, stresses = model.evaluate(population.positions, cell)
    return replace(population, energies=energies, forces=forces, stresses=-GPA_PER_EV_ANGSTROM3 * stresses)


POPULATION = ensemble()
CHOSEN = np.array([1, 3, 4, 5, 8, 9, 11])
FRAMES = from_ensemble(POPULATION, CHOSEN, 'first')


def changed(name, index, value):
    """Return the array of the frames with another value."""
    array = getattr(FRAMES, name).copy()
    array[index] = value
    return {name: array}


def test_from_ensemble():
    """Positions, labels and cell are those of the supercell."""
    assert FRAMES.symbols == ('H', 'Li') * 2
    np.testing.assert_array_equal(FRAMES.positions, POPULATION.positions[CHOSEN])
    for name in ('energies', 'forces', 'stresses'):
        np.testing.assert_array_equal(getattr(FRAMES, name), getattr(POPULATION, name)[CHOSEN])
    assert FRAMES.volume == pytest.approx(2 * 4.0 * 4.4 * 5.0)
    assert len(FRAMES) == 7


@pytest.mark.parametrize('name', ['positions', 'energies', 'forces', 'stresses'])
@pytest.mark.parametrize('value', [np.nan, -np.inf])
def test_not_finite(name, value):
    """The number is that of the configuration in the ensemble, not in the part of it."""
    index = (2,) * getattr(FRAMES, name).ndim
    with pytest.raises(LabelError, match=f'first, configuration 4: {name} are not finite; compute it again'):
        replace(FRAMES, **changed(name, index, value))
    without = {'indices': None} | changed(name, index, value)
    with pytest.raises(LabelError, match='first, configuration 2: '):
        replace(FRAMES, **without)


def test_several():
    """The first of several is named, with how many others."""
    with pytest.raises(LabelError, match='configuration 3 and 1 others: energies'):
        replace(FRAMES, **changed('energies', [1, 5], np.nan))


def test_net_force():
    """Forces add up to zero, but for what a code leaves; the message has the sum of the configuration that it names."""
    replace(FRAMES, forces=FRAMES.forces + np.array([0.04, 0, 0]))
    forces = FRAMES.forces.copy()
    forces[2] += [0.06, 0, 0]
    forces[4] += [0.0, 0, 0.5]
    with pytest.raises(LabelError, match=r'configuration 4 and 1 others: its forces do not .* zero, 0\.060 eV/Å'):
        replace(FRAMES, forces=forces)


@pytest.mark.parametrize('name', ['energies', 'forces'])
def test_contradiction(name):
    """The same positions cannot have two energies, or two sets of forces."""
    positions, labels = FRAMES.positions.copy(), {
        label: getattr(FRAMES, label).copy() for label in ('energies', 'forces')
    }  # fmt: skip
    # All share the first atom, as displacements of single atoms do: it does not tell them apart.
    positions[:, 0] = positions[0, 0]
    positions[6] = positions[1]
    for array in labels.values():
        array[6] = array[1]
    replace(FRAMES, positions=positions, **labels)
    labels[name][6] += np.array([[0.1, 0, 0], [-0.1, 0, 0], [0, 0, 0], [0, 0, 0]]) if name == 'forces' else 1e-3
    with pytest.raises(LabelError, match='configuration 11: another one has the same positions and other labels'):
        replace(FRAMES, positions=positions, **labels)


def test_wrong_energy():
    """An energy from another electronic state does not go with its forces; those of anharmonic crystals do."""
    energies = POPULATION.energies.copy()
    energies[5] += 20.0
    with pytest.raises(LabelError, match=r'first, configuration 5: its energy is \d+\.\d{3} eV from what its forces'):
        from_ensemble(replace(POPULATION, energies=energies), CHOSEN, 'first')
    from_ensemble(replace(POPULATION, energies=energies), CHOSEN[CHOSEN != 5], 'first')


def test_slightly_wrong_energy():
    """In a harmonic crystal energies are known from forces; what is off by more than an energy itself is seen."""
    model = CoupledPairs(quartic=0.0)
    cell = supercell_crystal(POPULATION.crystal, POPULATION.mesh).cell
    energies, forces, _ = model.evaluate(POPULATION.positions, cell)
    energies[5] += 0.1 - 0.5 * np.sum(forces[5] * POPULATION.displacements[5])
    with pytest.raises(LabelError, match='first, configuration 5: its energy is'):
        from_ensemble(replace(POPULATION, energies=energies, forces=forces), CHOSEN, 'first')


def test_no_forces():
    """A population that was not computed has nothing to learn from."""
    bare = replace(POPULATION, energies=None, forces=None, stresses=None)
    with pytest.raises(LabelError, match='first: its configurations have no forces'):
        from_ensemble(bare, CHOSEN, 'first')


def test_shapes():
    """Arrays of other sizes are named."""
    with pytest.raises(LabelError, match=r'first: forces have the shape \(7, 4, 2\), need \(7, 4, 3\)'):
        replace(FRAMES, forces=FRAMES.forces[..., :2])


def test_digest():
    """Each number counts, the names do not."""
    assert replace(FRAMES, name='second', indices=None).digest() == FRAMES.digest()
    others = [
        replace(FRAMES, **changed(name, index, 0.011 + getattr(FRAMES, name)[index]))
        for name, index in (('positions', (0, 1, 2)), ('energies', 3), ('forces', (2, 2, 2)), ('stresses', (1, 1, 0)))
    ]
    others += [replace(FRAMES, stresses=None), replace(FRAMES, cell=1.1 * FRAMES.cell)]
    others += [Frames(('H', 'B') * 2, FRAMES.cell, FRAMES.positions, FRAMES.energies, FRAMES.forces, FRAMES.stresses)]
    assert len({each.digest() for each in (FRAMES, *others)}) == 8
