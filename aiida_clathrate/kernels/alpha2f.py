"""Couplings of the modes: G(q), fixed by the electrons, meets any dynamical matrices Φ(q) of the same crystal.

P. B. Allen, Phys. Rev. B 6, 2577 (1972), in Cartesian coordinates: with x_ν = M^-½ e_ν,

    γ_qν = (π/2) x† G x,    λ_qν = x† G x / (2 N_F ω²),    λ_q = Re Tr[G Φ⁻¹]/(2 N_F).

γ is what Quantum ESPRESSO prints as the linewidth. G does not depend on the modes: harmonic and anharmonic matrices
share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices, acoustic_modes
from aiida_clathrate.kernels.electron_phonon import ElectronPhonon
from aiida_clathrate.kernels.io import KernelError
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.units import MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS

GammaPolicy = Literal['zero', 'drop']
POLICIES = get_args(GammaPolicy)

#: Relative to the largest x†Gx: what rounding in the files may do, and what a violation of symmetry may not.
NEGATIVE_TOLERANCE = 1e-4
DEGENERATE_TOLERANCE = 0.02
#: Modes closer than this are degenerate by symmetry [meV]: symmetrised matrices repeat them to rounding.
DEGENERACY = 1e-6
#: Acoustic modes of Γ above this fraction of the highest mode are no rounding: the sum rule was not imposed.
ACOUSTIC_TOLERANCE = 0.1


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
    :raises ValueError: for wrong shapes, negative couplings or weights, or weights that do not sum to 1.
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
        for name in ('weights', 'couplings'):
            if (lowest := getattr(self, name).min()) < 0:
                raise ValueError(f'mode couplings: {name} must not be negative, as {lowest:.4g} is')
        if abs(self.weights.sum() - 1) > 1e-8:
            raise ValueError(f'mode couplings: the weights of q must sum to 1, not to {self.weights.sum()}')

    @property
    def linewidths(self) -> NDArray[np.float64]:
        """Return γ_qν = π N_F λ_qν ω_qν², shape (s, q, m) [meV]; needs N(E_F)."""
        if self.densities_of_states is None:
            raise ValueError('mode couplings: linewidths need N(E_F), which an imported table does not have')
        return np.pi * self.densities_of_states[:, None, None] * self.couplings * self.frequencies**2 * 1e-3

    @classmethod
    def from_spectral(cls, spectral: SpectralFunction) -> ModeCouplings:
        """Return the lines of one spectral function, as of one wave vector."""
        return cls(spectral.frequencies[None], np.ones(1), spectral.couplings[None, None], np.zeros(1))

    def line_order(self, smearing: int = 0) -> NDArray[np.int64]:
        """Return the flat indices of the modes that couple, by ascending frequency: the lines of ``spectral``."""
        coupled = np.flatnonzero((self.couplings[smearing] * self.weights[:, None]).ravel() > 0)
        return coupled[np.argsort(self.frequencies.ravel()[coupled], kind='stable')]

    def spectral(self, smearing: int = 0) -> SpectralFunction:
        """Return α²F at one of the broadenings, by its index."""
        order = self.line_order(smearing)
        weighted = (self.couplings[smearing] * self.weights[:, None]).ravel()
        return SpectralFunction(self.frequencies.ravel()[order], weighted[order])


def mode_couplings(
    electron_phonon: ElectronPhonon,
    matrices: DynamicalMatrices,
    gamma: GammaPolicy = 'zero',
    displacement: float = 0.3,
) -> ModeCouplings:
    """Return the couplings of the modes of ``matrices``.

    :param gamma: what Γ contributes. ``zero``: it keeps its weight, with λ = 0 for its three acoustic modes, as in
        Quantum ESPRESSO; ``drop``: it loses its weight to the other wave vectors.
    :param displacement: by how much the cells and the positions of the atoms of the two crystals may differ [Å]:
        anharmonic matrices belong to slightly other ones.
    :raises KernelError: ``ERROR_DIFFERENT_CRYSTALS`` or ``ERROR_DIFFERENT_MESHES`` if G and Φ do not belong together,
        ``ERROR_IMAGINARY_FREQUENCIES`` if a mode is not positive, ``ERROR_INCONSISTENT_MATRICES`` if γ is negative or
        not the same for degenerate modes, which is what a wrong q, phase or order of atoms gives.
    :raises ValueError: for another policy, or one that leaves no wave vector.
    """
    check_same_crystal(electron_phonon, matrices, displacement)
    crystal, densities = matrices.crystal, electron_phonon.densities_of_states
    frequencies, vectors = matrices.modes
    frequencies = frequencies.copy()
    acoustic = acoustic_modes(vectors[0], crystal.masses)
    check_positive(matrices, frequencies, acoustic)
    frequencies[0, acoustic] = 0.0
    weights = mesh_weights(len(frequencies), gamma)
    projected = between_modes(electron_phonon.matrices, vectors, crystal.masses)
    strengths = check_strengths(projected, frequencies)
    shares = (np.abs(vectors.reshape(len(vectors), len(crystal.symbols), 3, -1)) ** 2).sum(axis=2)
    return ModeCouplings(
        frequencies=frequencies,
        weights=weights,
        couplings=strengths * half_inverse_squares(frequencies) / densities[:, None, None],
        smearings=electron_phonon.smearings,
        densities_of_states=densities,
        qpoints=matrices.qpoints,
        atom_weights=np.swapaxes(shares, 1, 2),
        atom_couplings=between_atoms(electron_phonon, frequencies, vectors, weights),
        symbols=crystal.symbols,
    )


def mesh_weights(number: int, gamma: GammaPolicy) -> NDArray[np.float64]:
    """Return the weights of the wave vectors of a mesh, of which Γ is the first, shape (q,)."""
    if gamma not in POLICIES:
        raise ValueError(f'gamma: {gamma!r} is none of {", ".join(POLICIES)}')
    if gamma == 'drop' and number == 1:
        raise ValueError('gamma: drop leaves no wave vector of a mesh that is Γ alone; compute a finer q mesh')
    weights = np.ones(number)
    weights[0] = 0.0 if gamma == 'drop' else 1.0
    return np.asarray(weights / weights.sum())


def displacements(vectors: NDArray[np.complex128], masses: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return x = M^-½ e, shape (q, 3n, m) [amu^-½], of eigenvectors e and the masses of the n atoms [amu]."""
    return np.asarray(vectors / np.repeat(np.sqrt(masses), 3)[:, None])


def between_modes(
    matrices: NDArray[np.complex128], vectors: NDArray[np.complex128], masses: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return x_μ† G x_ν, shape (s, q, m, m) [eV/(Å² amu) × states/eV/spin].

    :param matrices: G, shape (s, q, 3n, 3n).
    :param vectors: eigenvectors as columns, shape (q, 3n, m).
    :param masses: shape (n,) [amu].
    """
    patterns = displacements(vectors, masses)
    return np.asarray(np.swapaxes(patterns, -1, -2).conj() @ matrices @ patterns)


def half_inverse_squares(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1/(2ω²) of frequencies in meV, zero for modes at zero [amu Å²/eV]."""
    squares = (frequencies / MEV_PER_SQRT_FORCE_CONSTANT_OVER_MASS) ** 2
    return np.asarray(np.divide(0.5, squares, out=np.zeros_like(squares), where=squares > 0))


def between_atoms(
    electron_phonon: ElectronPhonon,
    frequencies: NDArray[np.float64],
    vectors: NDArray[np.complex128],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the blocks of λ = Σ_q w_q Re Tr[G Φ⁻¹]/(2 N_F) between pairs of atoms, shape (s, n, n).

    Φ⁻¹ is that of the modes above zero.
    """
    atoms = len(electron_phonon.crystal.symbols)
    patterns = displacements(vectors, electron_phonon.crystal.masses)
    inverses = (patterns * half_inverse_squares(frequencies)[:, None]) @ np.swapaxes(patterns, -1, -2).conj()
    elements = np.einsum('q,sqij,qji->sij', weights, electron_phonon.matrices, inverses, optimize=True).real
    blocks = elements.reshape(-1, atoms, 3, atoms, 3).sum(axis=(2, 4))
    return np.asarray(blocks / electron_phonon.densities_of_states[:, None, None])


def check_same_crystal(electron_phonon: ElectronPhonon, matrices: DynamicalMatrices, displacement: float) -> None:
    """Refuse matrices of different crystals or on different meshes."""
    if electron_phonon.mesh != matrices.mesh:
        raise KernelError(
            'ERROR_DIFFERENT_MESHES',
            f'G is on the q mesh {electron_phonon.mesh}, Φ on {matrices.mesh}: interpolate Φ to the mesh of G',
        )
    if not electron_phonon.crystal.same_lattice(matrices.crystal, displacement):
        raise KernelError(
            'ERROR_DIFFERENT_CRYSTALS',
            f'G belongs to {electron_phonon.crystal.formula}, Φ to {matrices.crystal.formula}: the atoms, their '
            f'order or the cell differ by more than {displacement} Å',
        )


def check_positive(matrices: DynamicalMatrices, frequencies: NDArray[np.float64], acoustic: NDArray[np.int64]) -> None:
    """Refuse modes at or below zero, other than the acoustic ones of Γ."""
    allowed = np.zeros(frequencies.shape, dtype=bool)
    allowed[0, acoustic] = True
    if np.abs(frequencies[0, acoustic]).max() > ACOUSTIC_TOLERANCE * np.abs(frequencies).max():
        raise KernelError(
            'ERROR_IMAGINARY_FREQUENCIES',
            f'the acoustic modes of Γ are at {np.round(frequencies[0, acoustic], 2)} meV: impose the sum rule first',
        )
    bad = np.argwhere((frequencies <= 0) & ~allowed)
    if len(bad):
        q, mode = bad[np.argmin(frequencies[tuple(bad.T)])]
        raise KernelError(
            'ERROR_IMAGINARY_FREQUENCIES',
            f'{len(bad)} modes are not positive, the lowest {frequencies[q, mode]:.2f} meV at '
            f'q = {np.round(matrices.qpoints[q], 4).tolist()}: α²F is not defined for an unstable crystal',
        )


def check_strengths(projected: NDArray[np.complex128], frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x†Gx of each mode without the rounding of the files, after checking it, shape (s, q, m).

    :param projected: x_μ† G x_ν, shape (s, q, m, m).
    :param frequencies: shape (q, m) [meV].
    """
    strengths = np.diagonal(projected, axis1=-2, axis2=-1).real
    # Files carry eight decimals: a mode without coupling comes out anywhere within that of zero.
    scale = np.abs(strengths).max(axis=(1, 2), keepdims=True)
    if np.any(strengths < -NEGATIVE_TOLERANCE * scale):
        s, q, mode = (int(i) for i in np.unravel_index(np.argmin(strengths / scale), strengths.shape))
        raise KernelError(
            'ERROR_INCONSISTENT_MATRICES',
            f'the linewidth of mode {mode + 1} of q number {q + 1} is negative (smearing {s + 1}): G and Φ do not '
            'match',
        )
    for q, values in enumerate(frequencies):
        tied = (np.abs(values[:, None] - values) < DEGENERACY) & ~np.eye(len(values), dtype=bool)
        tied &= np.minimum(values[:, None], values) > 0
        split = np.abs(strengths[:, q, :, None] - strengths[:, q, None, :])
        if np.any((np.abs(projected[:, q]) + split)[:, tied] > DEGENERATE_TOLERANCE * scale[:, 0]):
            raise KernelError(
                'ERROR_INCONSISTENT_MATRICES',
                f'degenerate modes of q number {q + 1} have different linewidths: G and Φ do not match, or one of them '
                'lacks the symmetry of the crystal',
            )
    return np.maximum(strengths, 0.0)
