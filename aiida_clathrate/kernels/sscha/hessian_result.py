"""What the calculation of a Hessian gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices


@dataclass(frozen=True)
class HessianResult:
    """The Hessian of the free energy with its errors.

    :param matrices: H(q), of level ``hessian``.
    :param third_order: H(q) without the fourth-order vertex.
    :param frequency_errors: standard deviation of ħω of ``matrices`` by the sampling of T and M, for given auxiliary
        matrices and without the bias of a finite sample, shape (q, 3n) [meV].
    :param auxiliary_errors: that of the frequencies of ⟨∂²V⟩ as this ensemble gives it, shape (q, 3n) [meV].
    :param deviations: by how much each block of the ensemble moves H, shape (b, q, 3n, 3n) [eV/Å²]; the covariance of
        its elements is the sum over blocks of their products.
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
    deviations: NDArray[np.complex128]
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

    @property
    def warnings(self) -> list[str]:
        """Return what to know about the result before it is believed."""
        if self.smallest_eigenvalue is None or self.smallest_eigenvalue > 0:
            return []
        return [
            f'1 − MG has the eigenvalue {self.smallest_eigenvalue:.2g}, none of a sum of bubbles that converges: the '
            'ensemble is too small for the fourth order, or its matrices do not minimise the free energy; draw more '
            'configurations from those that do, or use the third order alone'
        ]
