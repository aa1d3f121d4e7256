"""The Hessian of the free energy in the positions of the centroids: what decides whether a quantum crystal is stable.

H = Φ + T G (1 − M G)⁻¹ T with the third and fourth derivatives T, M of the potential averaged over the Gaussian of the
auxiliary force constants Φ and the static bubble G: R. Bianco, I. Errea, L. Paulatto, M. Calandra, F. Mauri, Phys. Rev.
B 96, 014111 (2017). M is applied, never built; the resummation of the bubble is a hermitian linear problem that
is solved for all rows of T at once, with the symmetry of the crystal imposed exactly on T and M.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.ensemble_arrays import ensemble_from_arrays, matrices_from_arrays, matrices_to_arrays
from aiida_clathrate.kernels.io import Arrays, KernelError, Scalars
from aiida_clathrate.kernels.sscha import block_lanczos
from aiida_clathrate.kernels.sscha.averages import WaveEnsemble, kong_liu
from aiida_clathrate.kernels.sscha.bubble import Bubble, bubble
from aiida_clathrate.kernels.sscha.gaussian import Gaussian
from aiida_clathrate.kernels.sscha.hessian_errors import (
    auxiliary_deviations,
    frequency_errors,
    hessian_deviations,
    symmetric_deviations,
)
from aiida_clathrate.kernels.sscha.hessian_result import HessianResult
from aiida_clathrate.kernels.sscha.hessian_settings import PREFIX, HessianSettings
from aiida_clathrate.kernels.sscha.samples import Samples, samples
from aiida_clathrate.kernels.sscha.tensor_symmetry import TensorSymmetry, tensor_symmetry
from aiida_clathrate.kernels.sscha.triples import Tensors
from aiida_clathrate.kernels.symmetry import symmetry_violation
from aiida_clathrate.kernels.torch_device import chosen_device, limited_threads, peak_memory

#: Products of waves that are held at a time: what the caches of a processor hold, and what fills a GPU [bytes].
CHUNKS = {'cpu': 2**22, 'cuda': 2**31}
#: By how much auxiliary matrices may miss the symmetry of their crystal, as a fraction of their largest element.
SYMMETRY_TOLERANCE = 1e-5
#: Blocks that the solver can hold beside its basis.
WORKING_BLOCKS = 8


def hessian(
    ensemble: ForceEnsemble, matrices: DynamicalMatrices | None = None, settings: HessianSettings | None = None
) -> HessianResult:
    """Return the Hessian of the free energy.

    :param ensemble: with forces.
    :param matrices: auxiliary matrices, to which the ensemble is re-weighted; its own unless given.
    :raises ValueError: if there are no forces, too few configurations for the blocks, or a mode is not positive.
    :raises KernelError: ``ERROR_EFFECTIVE_SAMPLE_TOO_SMALL``, ``ERROR_NOT_CONVERGED``.
    """
    settings, start = settings or HessianSettings(), time.perf_counter()
    gaussian, weights = _weighted(ensemble, matrices, settings)
    with limited_threads(settings.threads):
        device = chosen_device(settings.device)
        data = _samples(ensemble, gaussian, weights, device, settings)
        symmetry = tensor_symmetry(gaussian.matrices.crystal, data.triples, data.displacements)
        pairs = bubble(gaussian, data.triples, device)
        inverse = data.triples.full_mesh(gaussian.inverse_covariance, device)
        right = pairs.to_modes(symmetry.average(data.third_order(inverse)))
        rows = [tensor.reshape(data.size, -1) for tensor in right]
        third = [part @ part.conj().T for part in rows]
        if settings.fourth_order:
            found = _solve(data, symmetry, pairs, rows, settings)
        else:
            found = block_lanczos.Solution(rows, third, 0.0, 0.0, 0, 1.0)
        solution = [-part.reshape(tensor.shape) for part, tensor in zip(found.rows, right, strict=True)]
        moved = hessian_deviations(data, pairs.from_modes(solution), inverse, settings.fourth_order, settings.blocks)
        full, bare = (_corrected(gaussian, data, forms) for forms in (found.forms, third))
        moved = symmetric_deviations(full, moved)
        auxiliary = symmetric_deviations(gaussian.matrices, auxiliary_deviations(data, settings.blocks))
        return HessianResult(
            full,
            bare,
            frequency_errors(full, moved),
            frequency_errors(gaussian.matrices, auxiliary),
            moved,
            kong_liu(weights),
            found.error,
            found.residual,
            found.iterations,
            found.smallest_eigenvalue if settings.fourth_order else None,
            time.perf_counter() - start,
            peak_memory(device),
        )


def _weighted(
    ensemble: ForceEnsemble, matrices: DynamicalMatrices | None, settings: HessianSettings
) -> tuple[Gaussian, NDArray[np.float64]]:
    """Return the Gaussian of the auxiliary matrices and the weights of the configurations in it."""
    if ensemble.forces is None:
        raise ValueError('ensemble: has no forces yet; compute them first')
    _check_symmetry(matrices or ensemble.matrices)
    if matrices is None:
        return Gaussian(ensemble.matrices, ensemble.temperature), np.ones(len(ensemble))
    if matrices.mesh != ensemble.mesh:
        raise ValueError(f'matrices: their mesh {matrices.mesh} is not the supercell {ensemble.mesh} of the ensemble')
    averages = WaveEnsemble(ensemble).at(matrices)
    if averages.kong_liu < settings.smallest_kong_liu:
        raise KernelError(
            'ERROR_EFFECTIVE_SAMPLE_TOO_SMALL',
            f'under these matrices the effective sample is {averages.kong_liu:.3f} of the ensemble, less than '
            f'{settings.smallest_kong_liu}; draw a new ensemble from them',
        )
    return averages.gaussian, averages.weights


def _check_symmetry(matrices: DynamicalMatrices) -> None:
    # Symmetric vertices between modes that are not would make the problem lose its symmetry, not the result gain it.
    violation = symmetry_violation(matrices).force_constant
    if violation > SYMMETRY_TOLERANCE * np.abs(matrices.force_constants).max():
        raise ValueError(
            f'matrices: miss the symmetry of their crystal by {violation:.1e} eV/Å²; impose the constraints first'
        )


def _samples(
    ensemble: ForceEnsemble,
    gaussian: Gaussian,
    weights: NDArray[np.float64],
    device: torch.device,
    settings: HessianSettings,
) -> Samples:
    assert ensemble.forces is not None
    shift = (gaussian.matrices.crystal.positions - ensemble.crystal.positions) @ ensemble.crystal.cell
    displacements = ensemble.displacements - np.tile(shift, (gaussian.vectors.cells, 1))
    data = samples(gaussian, displacements, ensemble.forces, weights, device, CHUNKS[settings.device])
    if len(data) < settings.blocks:
        raise ValueError(
            f'ensemble: {len(data)} independent configurations (pairs ±u count once) are fewer than the '
            f'{settings.blocks} blocks for the errors; draw more, or give fewer `blocks`'
        )
    return data


def _solve(
    data: Samples, symmetry: TensorSymmetry, pairs: Bubble, rows: list[torch.Tensor], settings: HessianSettings
) -> block_lanczos.Solution:
    """Solve y (1 + L†M L) = b."""
    shapes = [(data.size, len(part), data.size, data.size) for part in data.triples.pairs]

    def apply(vectors: list[torch.Tensor]) -> list[torch.Tensor]:
        tensors: Tensors = [part.reshape(shape) for part, shape in zip(vectors, shapes, strict=True)]
        images = pairs.to_modes(symmetry.average(data.fourth_order(pairs.from_modes(tensors))))
        return [part + image.reshape(part.shape) for part, image in zip(vectors, images, strict=True)]

    return block_lanczos.solve(apply, rows, settings.tolerance, _most_iterations(data, rows, settings))


def _most_iterations(data: Samples, rows: list[torch.Tensor], settings: HessianSettings) -> int:
    """Return how many iterations the memory allows."""
    block = sum(part.numel() * part.element_size() for part in rows)
    waves = 3 * data.displacements.numel() * data.displacements.element_size()
    free = 1e9 * settings.memory - waves - data.chunk
    most = min(settings.most_iterations, int(free / block) - WORKING_BLOCKS)
    if most < min(settings.most_iterations, 10):
        needed = (waves + data.chunk + (WORKING_BLOCKS + 20) * block) / 1e9
        raise ValueError(f'memory: {settings.memory} GB are too few for this ensemble; it takes {needed:.1f} GB')
    return most


def _corrected(gaussian: Gaussian, data: Samples, forms: list[torch.Tensor]) -> DynamicalMatrices:
    """Return Φ − b A⁻¹ b†."""
    correction = data.triples.vectors.extend(torch.stack(forms).cpu().numpy())
    auxiliary = gaussian.vectors.extend(gaussian.force_constants)
    return replace(
        gaussian.matrices,
        force_constants=auxiliary - correction,
        level='hessian',
        temperature=gaussian.temperature,
    )


def run(scalars: Scalars, arrays: Arrays) -> tuple[Scalars, Arrays]:
    """Run the kernel on the contents of a run folder.

    :param scalars: those of an ensemble, ``settings``, and ``matrices`` where the ensemble is to be re-weighted.
    :param arrays: those of the ensemble, and those of the matrices with ``PREFIX`` before their names.
    """
    matrices = None
    if 'matrices' in scalars:
        own = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
        matrices = matrices_from_arrays(scalars['matrices'], own)
    ensemble = ensemble_from_arrays(scalars, arrays)
    result = hessian(ensemble, matrices, HessianSettings.from_scalars(scalars['settings']))
    held, stored = matrices_to_arrays(result.matrices)
    names = ('kong_liu', 'numerical_error', 'residual', 'iterations', 'smallest_eigenvalue', 'seconds', 'peak_memory')
    held |= {name: getattr(result, name) for name in names}
    held |= {'configurations': len(ensemble), 'warnings': result.warnings}
    stored |= {
        name: getattr(result, name) for name in ('frequencies', 'frequency_errors', 'auxiliary_errors', 'deviations')
    }
    return held, stored | {'third_order_force_constants': result.third_order.force_constants}
