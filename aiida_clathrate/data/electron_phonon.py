"""Node for electron-phonon matrices in Cartesian coordinates."""

from __future__ import annotations

from typing import Any

from aiida_clathrate.data.kernel_arrays import MeshArrayData
from aiida_clathrate.kernels.electron_phonon import ElectronPhonon

FIELDS = ('densities_of_states', 'fermi_energies', 'matrices', 'smearings')


class ElectronPhononData(MeshArrayData):
    """G(q) of a crystal on the whole of a q mesh for several broadenings, with the crystal.

    Arrays: ``matrices`` (s, q, 3n, 3n) [1/Å²], ``smearings`` (s,) [eV], ``densities_of_states`` (s,)
    [states/eV/spin/cell], ``fermi_energies`` (s,) [eV], ``stars`` (q,) the number of the star of each wave vector,
    ``cell`` [Å], ``positions`` [fractional], ``masses`` [amu].
    Attributes: ``formula``, ``symbols``, ``volume`` [Å³], ``mesh``, ``number_of_stars``, and the three lists with one
    value for each broadening.
    """

    _arrays = (*MeshArrayData._crystal_arrays, *FIELDS)

    @classmethod
    def from_kernel(cls, electron_phonon: ElectronPhonon) -> ElectronPhononData:
        """Return an unstored node."""
        node = cls()
        node._fill_with_crystal(electron_phonon, {name: getattr(electron_phonon, name) for name in FIELDS})
        return node

    def to_kernel(self) -> ElectronPhonon:
        """Return the checked kernel object.

        :raises ValueError: if the node holds what no electron-phonon matrices can be.
        """
        arrays, mesh = self._read(self._arrays), tuple(self.base.attributes.get('mesh'))
        return ElectronPhonon(self._stored_crystal(arrays), mesh, **{name: arrays[name] for name in FIELDS})

    def _attributes_of(self, kernel: ElectronPhonon) -> dict[str, Any]:
        return self._crystal_attributes(kernel) | {
            'smearings': kernel.smearings.tolist(),
            'densities_of_states': kernel.densities_of_states.tolist(),
            'fermi_energies': kernel.fermi_energies.tolist(),
        }
