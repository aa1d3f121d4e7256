"""A spectrum for all tests."""

import numpy as np
import pytest

from aiida_clathrate.kernels.spectral import SpectralFunction


@pytest.fixture
def spectral():
    """Return sixty lines between 3 and 80 meV, λ = 1.1."""
    generator = np.random.default_rng(7)
    couplings = generator.uniform(0, 1, 60)
    return SpectralFunction(np.sort(generator.uniform(3, 80, 60)), 1.1 * couplings / couplings.sum())
