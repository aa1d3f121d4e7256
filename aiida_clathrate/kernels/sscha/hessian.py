"""The Hessian of the free energy in the positions of the centroids: what decides whether a quantum crystal is stable.

H = Φ + T G (1 − M G)⁻¹ T with the third and fourth derivatives T, M of the potential averaged over the Gaussian of the
auxiliary force constants Φ and the static bubble G: R. Bianco, I. Errea, L. Paulatto, M. Calandra, F. Mauri, Phys. Rev.
B 96, 014111 (2017). M is applied, never built; the resummation of the bubble is a hermitian linear problem that
is solved for all rows of T at once, with the symmetry of the crystal imposed exactly on T and M.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

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
from aiida_clathrate.kernels.sscha.hessian_errors import auxiliary_deviations, frequency_errors, hessian_deviations
from aiida_clathrate.kernels.sscha.hessian_settings import PREFIX, HessianSettings
from aiida_clathrate.kernels.sscha.samples import Samples, samples
from aiida_clathrate.kernels.sscha.tensor_symmetry import TensorSymmetry, tensor_symmetry
from aiida_clathrate.kernels.sscha.triples import Tensors
from aiida_clathrate.kernels.symmetry import symmetry_violation

#: Products of waves that are held at a time: what the caches of a processor hold, and what fills a GPU [bytes].
CHUNKS = {'cpu': 2**22, 'cuda': 2**31}
#: By how much auxiliary matrices may miss the symmetry of their crystal, as a fraction of their largest element.
SYMMETRY_TOLERANCE = 1e-5
#: Blocks that the solver can hold beside its basis.
WORKING_BLOCKS = 8


@dataclass(frozen=True)
class HessianResult:
    """The Hessian of the free energy with its errors.

    :param matrices: H(q), of level ``hessian``.
    :param third_order: H(q) without the fourth-order vertex.
    :param frequency_errors: standard deviation of ħω of ``matrices`` by the sampling of T and M, for given auxiliary
        matrices and without the bias of a finite sample, shape (q, 3n) [meV].
    :param auxiliary_errors: that of the frequencies of ⟨∂²V⟩ as this ensemble gives it, shape (q, 3n) [meV].
    :param kong_liu: effective over real size of the ensemble.
    :param numerical_error: bound of the numerical error of the correction H − Φ, relative to its largest element.
    :param residual: largest relative residual of the linear problems.
    :param iterations: how many times the fourth order was applied; 0 without it.
    :param smallest_eigenvalue: of 1 − M G: not positive where the noise of M decides, or where the matrices do not
        minimise the free energy; ``None`` without fourth order.
    :param seconds: wall time.
    :param peak_memory: of the process, or of the GPU [GB].
    """

    matrices: DynamicalMatrices
    third_order: DynamicalMatrices
    frequency_errors: NDArray[np.float64]
    auxiliary_errors: NDArray[np.float64]
    kong_liu: float
    numerical_error: float
    residual: float
    iterations: int
    smallest_eigenvalue: float | None
    seconds: float
    peak_memory: float

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Return ħω of the Hessian, negative where imaginary, shape (q, 3n) [meV]."""
        return self.matrices.modes[0]


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
    with _threads(settings.threads):
        device = _device(settings)
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
        return HessianResult(
            full,
            bare,
            frequency_errors(full, moved),
            frequency_errors(gaussian.matrices, auxiliary_deviations(data, settings.blocks)),
            kong_liu(weights),
            found.error,
            found.residual,
            found.iterations,
            found.smallest_eigenvalue if settings.fourth_order else None,
            time.perf_counter() - start,
            _peak_memory(settings),
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
            f'{settings.blocks} blocks for the errors; draw more'
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


def _device(settings: HessianSettings) -> torch.device:
    if settings.device == 'cuda':
        if not torch.cuda.is_available():
            raise ValueError('device: there is no CUDA device here; give cpu')
        torch.cuda.reset_peak_memory_stats()
    return torch.device(settings.device)


def _peak_memory(settings: HessianSettings) -> float:
    if settings.device == 'cuda':
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
    held |= {'configurations': len(ensemble), 'warnings': warnings(result)}
    stored |= {name: getattr(result, name) for name in ('frequencies', 'frequency_errors', 'auxiliary_errors')}
    return held, stored | {'third_order_force_constants': result.third_order.force_constants}


def warnings(result: HessianResult) -> list[str]:
    """Return what to know about a result before it is believed."""
    smallest = result.smallest_eigenvalue
    if smallest is None or smallest > 0:
        return []
    return [
        f'1 − MG has the eigenvalue {smallest:.2g}, none of a sum of bubbles that converges: the ensemble is too small '
        'for the fourth order, or its matrices do not minimise the free energy; draw more configurations from those '
        'that do, or use the third order alone'
    ]
