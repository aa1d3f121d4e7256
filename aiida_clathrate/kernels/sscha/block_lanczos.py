"""Quadratic forms b A⁻¹ b† of a hermitian operator and several rows b at once, by the block Lanczos method.

The rows V_1 = (b b†)^(−1/2) b are multiplied by A and made orthogonal to all before, V_2 the same way, and so on. In
the space of these rows A is a small matrix H, and b A⁻¹ b† ≈ β [H⁻¹]_11 β† with β = (b b†)^(1/2). The error of this
Galerkin approximation is r A⁻¹ r† with the residual r of the rows: quadratic in it, so that half the digits of a linear
solver are enough, and all rows share one space. (G. H. Golub, G. Meurant, Matrices, Moments and Quadrature, ch. 7.)

Rows are made orthonormal by the hermitian root of their Gram matrix. It turns with them under a unitary matrix, so
whatever symmetry b has, all V have too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from aiida_clathrate.kernels.io import KernelError

#: Rows whose norm falls below this fraction of the largest are linear combinations of those before.
DEPENDENT = 1e-9

Rows = list[torch.Tensor]


@dataclass(frozen=True)
class Solution:
    """Solutions y A = b of several independent problems.

    :param rows: y, shape (m, k) for m rows of k components, one for each problem.
    :param forms: b A⁻¹ b†, shape (m, m), one for each problem.
    :param error: bound of the largest element of the errors of all forms, over their largest element; an estimate
        where A is not positive.
    :param residual: largest ‖b − y A‖/‖b‖ of all problems.
    :param iterations: how many times A was applied.
    :param smallest_eigenvalue: of A in the space that was built, 1 where rows of b were dependent.
    """

    rows: Rows
    forms: Rows
    error: float
    residual: float
    iterations: int
    smallest_eigenvalue: float


@dataclass
class _Problem:
    """One problem: the blocks V_1, V_2, … and A between them."""

    right: torch.Tensor
    blocks: list[torch.Tensor]
    matrix: torch.Tensor

    @classmethod
    def start(cls, right: torch.Tensor) -> _Problem:
        block, _ = orthonormal(right, float(torch.linalg.norm(right)))
        return cls(right, [block], right.new_zeros((0, 0)))

    def extend(self, image: torch.Tensor) -> torch.Tensor:
        """Take in V_j A, append V_(j+1), and return the part of V_j A along it."""
        size, steps = len(self.right), len(self.blocks)
        matrix = image.new_zeros((steps * size, steps * size))
        matrix[:-size, :-size] = self.matrix
        scale = float(torch.linalg.norm(image))
        for _ in range(2):  # once more, for what the first pass leaves by rounding
            for number, block in enumerate(self.blocks):
                overlap = image @ block.conj().T
                image = image - overlap @ block
                matrix[-size:, number * size : (number + 1) * size] += overlap
        # Rows that are zero because b has fewer independent ones: A is one there, which changes nothing.
        last = self.blocks[-1]
        corner = matrix[-size:, -size:]
        corner += torch.eye(size, dtype=matrix.dtype, device=matrix.device) - last @ last.conj().T
        matrix[:-size, -size:] = matrix[-size:, :-size].conj().T
        matrix[-size:, -size:] = 0.5 * (corner + corner.conj().T)
        self.matrix = matrix
        block, along = orthonormal(image, scale)
        self.blocks.append(block)
        return along

    def solve(self, along: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the coefficients of y in the blocks, the form, the residual in V_(j+1), the eigenvalues of H."""
        size = len(self.right)
        start = self.right @ self.blocks[0].conj().T
        values, vectors = torch.linalg.eigh(self.matrix)
        coefficients = ((start @ vectors[:size]) / values) @ vectors.conj().T
        form = start @ coefficients[:, :size].conj().T
        return coefficients, 0.5 * (form + form.conj().T), coefficients[:, -size:] @ along, values

    def combine(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Return the rows that have these coefficients in all blocks but the last."""
        rows = torch.zeros_like(self.right)
        for number, block in enumerate(self.blocks[:-1]):
            rows += coefficients[:, number * len(rows) : (number + 1) * len(rows)] @ block
        return rows


def orthonormal(rows: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (x x†)^(−1/2) x and (x x†)^(1/2) of rows x of shape (m, k), zero for combinations of others.

    :param scale: rows are zero if they are below ``DEPENDENT`` times this.
    """
    left, values, right = torch.linalg.svd(rows, full_matrices=False)
    kept = values > DEPENDENT * scale
    left, values, right = left[:, kept], values[kept], right[kept]
    return left @ right, (left * values) @ left.conj().T


def solve(apply: Callable[[Rows], Rows], right: Rows, tolerance: float, most: int) -> Solution:
    """Return y = b A⁻¹ and b A⁻¹ b† of independent problems, among which A may impose a common symmetry.

    :param apply: returns the rows times A of all problems.
    :param right: b, shape (m, k), one for each problem.
    :param tolerance: of the forms, relative to their largest element.
    :param most: how often A may be applied.
    :raises KernelError: ``ERROR_NOT_CONVERGED``.
    """
    problems = [_Problem.start(rows) for rows in right]
    norms = [float(torch.linalg.norm(rows)) for rows in right]
    for iterations in range(1, most + 1):  # noqa: B007
        images = apply([problem.blocks[-1] for problem in problems])
        along = [problem.extend(image) for problem, image in zip(problems, images, strict=True)]
        solved = [problem.solve(part) for problem, part in zip(problems, along, strict=True)]
        smallest = min(float(values.min()) for *_, values in solved)
        nearest = min(float(values.abs().min()) for *_, values in solved)
        largest = max(float(form.abs().max()) for _, form, _, _ in solved)
        squares = max(float((rest @ rest.conj().T).abs().max()) for _, _, rest, _ in solved)
        error = squares / (nearest * largest) if largest > 0 else 0.0
        if error <= tolerance:
            break
    else:
        raise KernelError(
            'ERROR_NOT_CONVERGED',
            f'the fourth order is converged to {error:.1e} after {most} iterations, not to {tolerance:.1e}; the '
            f'smallest eigenvalue of 1 − MG is {smallest:.2g}: near or below zero the ensemble is too small',
        )
    rows = [problem.combine(coefficients) for problem, (coefficients, *_) in zip(problems, solved, strict=True)]
    residuals = [
        float(torch.linalg.norm(rest)) / norm for (_, _, rest, _), norm in zip(solved, norms, strict=True) if norm > 0
    ]
    return Solution(rows, [form for _, form, _, _ in solved], error, max(residuals, default=0.0), iterations, smallest)
