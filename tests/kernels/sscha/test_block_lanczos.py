"""Quadratic forms of inverse operators: against direct solutions, also where they are indefinite or degenerate."""

import pytest

from aiida_clathrate.kernels.io import KernelError

torch = pytest.importorskip('torch')
from aiida_clathrate.kernels.sscha.block_lanczos import solve  # noqa: E402


def operator(eigenvalues, dtype=torch.float64, seed=0):
    """Return a hermitian matrix with these eigenvalues."""
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    vectors = torch.linalg.qr(torch.randn(size, size, dtype=dtype, generator=generator))[0]
    return (vectors * torch.tensor(eigenvalues, dtype=dtype)) @ vectors.conj().T


def rows(count, size, dtype=torch.float64):
    """Return random rows."""
    return torch.randn(count, size, dtype=dtype, generator=torch.Generator().manual_seed(1))


def applied(matrices):
    """Return the operator of several problems."""
    return lambda vectors: [vector @ matrix for vector, matrix in zip(vectors, matrices, strict=True)]


POSITIVE = [1 + 0.05 * number for number in range(60)]
INDEFINITE = [-5.0, -3.0, *POSITIVE]


@pytest.mark.parametrize('dtype', [torch.float64, torch.complex128])
@pytest.mark.parametrize('eigenvalues', [POSITIVE, INDEFINITE])
def test_forms(eigenvalues, dtype):
    """Solutions and forms are those of direct solvers, and the forms have twice the digits of the residual."""
    matrices = [operator(eigenvalues, dtype, seed) for seed in range(2)]
    right = [rows(3, len(eigenvalues), dtype), 100 * rows(3, len(eigenvalues), dtype)]
    solution = solve(applied(matrices), right, 1e-10, 30)
    for matrix, start, ours, form in zip(matrices, right, solution.rows, solution.forms, strict=True):
        expected = torch.linalg.solve(matrix, start, left=False)
        assert float(torch.linalg.norm(ours - expected) / torch.linalg.norm(expected)) < 1e-3
        torch.testing.assert_close(form, expected @ start.conj().T, rtol=0, atol=1e-9 * float(form.abs().max()))
    assert solution.error <= 1e-10 < solution.residual**2 * 100
    assert solution.smallest_eigenvalue >= min(eigenvalues) - 1e-9


def test_bound():
    """The error of a positive problem is below its bound at every tolerance."""
    matrix, right = operator(POSITIVE), rows(2, 60)
    exact = torch.linalg.solve(matrix, right, left=False) @ right.T
    for tolerance in (1e-2, 1e-4, 1e-6):
        solution = solve(applied([matrix]), [right], tolerance, 30)
        error = float((solution.forms[0] - exact).abs().max() / solution.forms[0].abs().max())
        assert error <= solution.error <= tolerance


def test_dependent_rows():
    """Rows that are zero or combinations of others do no harm."""
    matrix, right = operator(POSITIVE), rows(5, 60)
    right[3], right[4] = right[0] - 2 * right[1], 0
    solution = solve(applied([matrix, matrix]), [right, 0 * right], 1e-12, 40)
    exact = torch.linalg.solve(matrix, right, left=False)
    torch.testing.assert_close(solution.forms[0], right @ exact.T, rtol=0, atol=1e-9)
    assert float(solution.forms[1].abs().max()) == 0


def test_whole_space():
    """The method ends with the exact solution when the space is complete."""
    matrix, right = operator([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), rows(4, 6)
    solution = solve(applied([matrix]), [right], 1e-13, 10)
    torch.testing.assert_close(solution.rows[0], torch.linalg.solve(matrix, right, left=False))
    assert solution.iterations == 2


def test_not_converged():
    """Too few steps are an error that says how far it came."""
    with pytest.raises(KernelError, match='after 2 iterations') as failure:
        solve(applied([operator(INDEFINITE)]), [rows(2, 62)], 1e-10, 2)
    assert failure.value.label == 'ERROR_NOT_CONVERGED'
