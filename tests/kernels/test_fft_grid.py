"""FFT grids that ph.x accepts."""

import numpy as np
import pytest
from springs import clathrate, diamond, fcc, hcp, hydrogen

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.fft_grid import compatible_fft_grid, maps_grid, minimal_fft_grid
from aiida_clathrate.kernels.space_group import space_group
from aiida_clathrate.kernels.units import BOHR


def test_hydrogen():
    """Quantum ESPRESSO 6.7 takes 20, 20, 18 for I4₁/amd at 250 Ry, where ph.x stops; with 20, 20, 20 it runs."""
    crystal = hydrogen()
    assert compatible_fft_grid(crystal, 250.0) == (20, 20, 20)
    rotations = space_group(crystal).rotations
    assert not maps_grid(rotations, (20, 20, 18))
    assert maps_grid(rotations, (20, 20, 20))


@pytest.mark.parametrize('crystal', [fcc(), diamond(), hcp(), hydrogen(), clathrate()])
@pytest.mark.parametrize('cutoff', [60.0, 163.0, 320.0])
def test_every_operation(crystal, cutoff):
    """Every operation maps each point of the grid onto a point of the grid, tried point by point."""
    grid = np.array(compatible_fft_grid(crystal, cutoff))
    assert np.all(grid >= minimal_fft_grid(crystal, cutoff))
    points = np.random.default_rng(0).integers(0, grid, size=(50, 3)) / grid
    group = space_group(crystal)
    images = np.einsum('gij,pj->gpi', group.rotations, points) + group.translations[:, None]
    np.testing.assert_allclose(images * grid, np.round(images * grid), atol=1e-6)
    for size in grid:
        assert {factor for factor in (7, 11, 13, 17, 19, 23, 29, 31) if size % factor == 0} == set()


def test_minimum():
    """The cutoff fills a box of 2 m + 1 points: for a cubic cell m = ⌊a √E / 2π⌋ in atomic units."""
    crystal = Crystal(5.0 * np.eye(3), ('C',), np.zeros((1, 3)), np.full(1, 12.0))
    limit = int(5.0 / BOHR * np.sqrt(200.0) / (2 * np.pi))
    assert minimal_fft_grid(crystal, 200.0) == (2 * limit + 1,) * 3


def test_independent_axes():
    """Axes that symmetry does not exchange keep their own divisions; a screw of two needs an even one."""
    first, second, third = compatible_fft_grid(hcp(), 200.0)
    assert first == second < third
    assert third % 2 == 0


def test_refused():
    """A cutoff that is not positive, and a glide about no simple point, are named."""
    with pytest.raises(ValueError, match='ecutrho'):
        compatible_fft_grid(fcc(), 0.0)
    positions = diamond().positions + np.array([0.0123, 0.0371, 0.0219])
    shifted = Crystal(diamond().cell, ('C', 'C'), positions, diamond().masses)
    with pytest.raises(ValueError, match='shift the origin'):
        compatible_fft_grid(shifted, 100.0)
