"""The node of T_c: what goes in comes out, after storing and after export, and nonsense does not get in."""

import numpy as np
import pytest
from aiida.common.exceptions import ValidationError
from aiida.orm import load_node

from aiida_clathrate.data.superconductivity import SuperconductivityData
from aiida_clathrate.kernels.eliashberg import Extras, ModeErrors, solve
from aiida_clathrate.kernels.spectral import SpectralFunction

pytestmark = pytest.mark.usefixtures('aiida_profile')


@pytest.fixture(scope='module')
def result():
    """Return a result with all of its parts, and a μ* that does not superconduct."""
    spectral = SpectralFunction(np.array([12.0, 30.0]), np.array([0.2, 0.25]))
    extras = Extras(
        errors=ModeErrors(frequencies=np.array([0.1, 0.2])),
        shares=np.array([[0.8, 0.2], [0.1, 0.9]]),
        species=('Sr', 'C'),
        smearings=(0.1, 0.2),
        others=(spectral, SpectralFunction(spectral.frequencies, 0.9 * spectral.couplings)),
    )
    return solve(spectral, [0.1, 0.3], extras=extras)


def test_round_trip(result):
    """A stored node gives back the result, to the 14 digits that AiiDA keeps of attributes, and its labels."""
    node = load_node(SuperconductivityData.from_kernel(result, formula='SrB3C3', pressure=40.0).store().pk)
    again = node.to_kernel()
    assert set(node.base.attributes.all) == set(SuperconductivityData.from_kernel(result).base.attributes.all) | {
        'formula',
        'pressure',
    }
    for name in ('raw', 'mu_star', 'isotope_coefficients', 'errors', 'gap_edges', 'smearing_temperatures'):
        pairs = zip(getattr(again, name), getattr(result, name), strict=True)
        assert all(one is other is None or one == pytest.approx(other, rel=1e-13) for one, other in pairs)
    assert again.isotope_by_species == pytest.approx(result.isotope_by_species)
    for name, array in result.to_arrays().items():
        assert np.array_equal(again.to_arrays()[name], array)
    assert again.rescaled[1] is None
    assert node.base.attributes.get('formula') == 'SrB3C3'
    assert node.base.attributes.get('critical_temperature') == pytest.approx(result.rescaled[0], rel=1e-13)
    assert node.base.attributes.get('smearing_spread') > 0


def test_hash(result):
    """Equal results have equal hashes."""
    first, second = (SuperconductivityData.from_kernel(result).store() for _ in range(2))
    assert first.base.caching.get_hash() == second.base.caching.get_hash()


def test_labels(result):
    """A label cannot replace an attribute."""
    with pytest.raises(ValueError, match='critical_temperature'):
        SuperconductivityData.from_kernel(result, critical_temperature=300.0)


@pytest.mark.parametrize(
    ('name', 'value'),
    [('critical_temperature', 300.0), ('rescaled', [0.0, None]), ('raw', [1.0]), ('mu_star', [0.2, 0.3])],
)
def test_tampered(result, name, value):
    """Attributes that do not belong together cannot be stored."""
    node = SuperconductivityData.from_kernel(result)
    node.base.attributes.set(name, value)
    with pytest.raises(ValidationError):
        node.store()


def test_missing_attribute(result):
    """A node without one of its attributes cannot be stored."""
    node = SuperconductivityData.from_kernel(result)
    node.base.attributes.delete('coupling')
    with pytest.raises(ValidationError):
        node.store()


def test_missing_values(result):
    """A gap that is shorter than it says cannot be stored."""
    node = SuperconductivityData.from_kernel(result)
    node.set_array('gaps', node.get_array('gaps')[:-1])
    with pytest.raises(ValidationError, match='gap_numbers'):
        node.store()
