"""Electron-phonon matrices in Cartesian coordinates, free of any choice of phonon modes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.crystal import Crystal


@dataclass(frozen=True)
class ElectronPhonon:
    """G(q) of one crystal on the whole of a q mesh, for several broadenings of the double delta.

    G_ab(q) = (2/N_k) Σ_k,ij ⟨k+q,i|∂V/∂u_a|k,j⟩* ⟨k+q,i|∂V/∂u_b|k,j⟩ δ(ε_k) δ(ε_k+q) without any mass factor, in the
    phase convention and the q order of ``DynamicalMatrices``. Then λ(q) = Re Tr[G Φ⁻¹]/(2 N).

    :param crystal: the crystal.
    :param mesh: divisions of the q mesh.
    :param smearings: broadening of the double delta, shape (s,) [eV]; 0 for tetrahedra.
    :param matrices: G(q), hermitian, shape (s, q, 3n, 3n) [eV/Å² × states/eV/spin = 1/Å²].
    :param densities_of_states: N(E_F) at each broadening, shape (s,) [states/eV/spin/cell].
    :param fermi_energies: E_F at each broadening, shape (s,) [eV].
    :raises ValueError: for wrong shapes, numbers that are not finite, or matrices that are not hermitian.
    """

    crystal: Crystal
    mesh: tuple[int, int, int]
    smearings: NDArray[np.float64]
    matrices: NDArray[np.complex128]
    densities_of_states: NDArray[np.float64]
    fermi_energies: NDArray[np.float64]

    def __post_init__(self) -> None:
        size = 3 * len(self.crystal.symbols)
        expected = (len(self.smearings), int(np.prod(self.mesh)), size, size)
        if self.matrices.shape != expected:
            raise ValueError(f'need G of shape {expected}, not {self.matrices.shape}')
        for name in ('smearings', 'matrices', 'densities_of_states', 'fermi_energies'):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f'electron-phonon {name} must be finite')
        for name in ('densities_of_states', 'fermi_energies'):
            if getattr(self, name).shape != self.smearings.shape:
                raise ValueError(f'need one value of {name} for each smearing')
        if np.any(self.densities_of_states <= 0):
            raise ValueError('N(E_F) must be positive: an insulator has no electron-phonon coupling at E_F')
        error = np.abs(self.matrices - np.swapaxes(self.matrices, -1, -2).conj()).max()
        if error > 1e-5 * np.abs(self.matrices).max():
            raise ValueError(f'G must be hermitian, largest deviation {error:.2e} 1/Å²')
