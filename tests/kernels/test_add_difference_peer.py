"""The interpolated change by anharmonicity against CellConstructor's ``Interpolate`` with both supports."""

from pathlib import Path

import numpy as np
import pytest

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.fourier import add_difference, interpolate

FIXTURES = Path(__file__).parents[1] / 'fixtures' / 'sscha'


def matrices(crystal):
    """Return harmonic matrices on a fine mesh, anharmonic and harmonic ones on a coarse one, and the peer's result."""
    with np.load(FIXTURES / f'{crystal}_interpolation.npz', allow_pickle=False) as file:
        data = dict(file)
    atoms = Crystal(data['cell'], tuple(data['symbols'].tolist()), data['positions'], data['masses'])
    coarse, fine = (tuple(data[name].tolist()) for name in ('mesh', 'fine_mesh'))
    return (
        DynamicalMatrices(atoms, fine, data['fine_harmonic']),
        DynamicalMatrices(atoms, coarse, data['force_constants'], 'sscha', temperature=300.0),
        DynamicalMatrices(atoms, coarse, data['harmonic']),
        data['interpolated'],
    )


@pytest.mark.parametrize('crystal', ['triclinic', 'hexagonal'])
def test_same_as_cellconstructor(crystal):
    """Quantum ESPRESSO's Wigner–Seitz construction, which CellConstructor has too, shares pairs as ours does.

    The tolerance is 2e-9 Ry/bohr², of which a quarter is used, by phases of CellConstructor that are 1e-8 off.
    """
    fine, anharmonic, harmonic, expected = matrices(crystal)
    found = add_difference(fine, anharmonic, harmonic).force_constants
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert np.abs(found - fine.force_constants).max() > 0.5
    # Interpolating the anharmonic matrices as they are is another thing.
    assert np.abs(interpolate(anharmonic, fine.mesh).force_constants - expected).max() > 1e-3
