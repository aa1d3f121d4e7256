"""Couplings of the modes: G(q), fixed by the electrons, meets any dynamical matrices Φ(q) of the same crystal.

P. B. Allen, Phys. Rev. B 6, 2577 (1972), in Cartesian coordinates: with x_ν = M^-½ e_ν,

    γ_qν = π x† G x,    λ_qν = x† G x / (2 N_F ω²),    λ_q = Re Tr[G Φ⁻¹]/(2 N_F).

γ is the full width at half maximum; G does not depend on the modes, so that harmonic and anharmonic matrices share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.electron_phonon import ElectronPhonon
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS

GammaPolicy = Literal['zero', 'optical', 'drop']


@dataclass(frozen=True)
class ModeCouplings:
    """λ of every mode, for every broadening.

    :param frequencies: ω_qν, shape (q, m) [meV].
    :param weights: weight of each q, summing to 1, shape (q,).
    :param couplings: λ_qν ≥ 0, shape (s, q, m) [dimensionless]; λ = Σ_q w_q Σ_ν λ_qν.
    :param smearings: broadenings of the double delta, shape (s,) [eV].
    :param densities_of_states: N(E_F) for each broadening, shape (s,) [states/eV/spin/cell]; ``None`` if not known.
    :param qpoints: fractional wave vectors, shape (q, 3); ``None`` for an imported table.
    :param atom_weights: |e_qν,a|² summed over directions, shape (q, m, n); ``None`` for an imported table.
    :param atom_couplings: blocks of λ between pairs of atoms, shape (s, n, n); ``None`` for an imported table.
    :param symbols: chemical symbols of the n atoms, in their order.
    :raises ValueError: for wrong shapes or weights that do not sum to 1.
    """

    frequencies: NDArray[np.float64]
    weights: NDArray[np.float64]
    couplings: NDArray[np.float64]
    smearings: NDArray[np.float64]
    densities_of_states: NDArray[np.float64] | None = None
    qpoints: NDArray[np.float64] | None = None
    atom_weights: NDArray[np.float64] | None = None
    atom_couplings: NDArray[np.float64] | None = None
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        nq, nm, ns = *self.frequencies.shape, len(self.smearings)
        if self.weights.shape != (nq,) or self.couplings.shape != (ns, nq, nm):
            raise ValueError(f'mode couplings: need {nq} weights and couplings of shape {(ns, nq, nm)}')
        if not all(np.isfinite(array).all() for array in (self.frequencies, self.weights, self.couplings)):
            raise ValueError('mode couplings: frequencies, weights and couplings must be finite')
        if abs(self.weights.sum() - 1) > 1e-8:
            raise ValueError(f'mode couplings: the weights of q must sum to 1, not to {self.weights.sum()}')

    @classmethod
    def from_spectral(cls, spectral: SpectralFunction) -> ModeCouplings:
        """Return the lines of one spectral function, as of one wave vector."""
        return cls(spectral.frequencies[None], np.ones(1), spectral.couplings[None, None], np.zeros(1))

    def spectral(self, smearing: int = 0) -> SpectralFunction:
        """Return α²F at one of the broadenings, by its index."""
        weighted = (self.couplings[smearing] * self.weights[:, None]).ravel()
        frequencies = self.frequencies.ravel()
        coupled = weighted > 0
        order = np.argsort(frequencies[coupled], kind='stable')
        return SpectralFunction(frequencies[coupled][order], weighted[coupled][order])


def mode_couplings(
    electron_phonon: ElectronPhonon,
    matrices: DynamicalMatrices,
    gamma: GammaPolicy = 'zero',
    acoustic_limit: float = 2.5,
) -> ModeCouplings:
    """Return the couplings of the modes of ``matrices``.

    :param gamma: what Γ contributes. ``zero``: it keeps its weight and its acoustic modes have λ = 0, as in Quantum
        ESPRESSO; ``optical`` is the same without the check of ``acoustic_limit``; ``drop``: Γ loses its weight.
    :param acoustic_limit: the three acoustic modes of Γ must be below this [meV].
    :raises KernelError: ``ERROR_DIFFERENT_CRYSTALS`` or ``ERROR_DIFFERENT_MESHES`` if G and Φ do not belong together;
        ``ERROR_IMAGINARY_FREQUENCIES`` if a mode is not positive.
    """
