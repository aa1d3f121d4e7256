"""α²F from nodes, with provenance."""

from __future__ import annotations

from aiida.engine import ExitCode, calcfunction

from aiida_clathrate.data.spectral import SpectralFunctionData
from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.io import KernelError

INCONSISTENT, IMAGINARY = 201, 420


@calcfunction
def spectral_function(electron_phonon, dynamical_matrices, settings):
    """Return α²F from G(q) and the modes of any dynamical matrices of the crystal.

    :param electron_phonon: ``ElectronPhononData``.
    :param dynamical_matrices: ``DynamicalMatrixData`` on the same mesh.
    :param settings: ``Dict``; ``gamma`` is ``zero`` (default) or ``drop``: what Γ contributes.
    """
    matrices = dynamical_matrices.to_kernel()
    try:
        couplings = mode_couplings(electron_phonon.to_kernel(), matrices, **settings.get_dict())
    except KernelError as error:
        status = IMAGINARY if error.label == 'ERROR_IMAGINARY_FREQUENCIES' else INCONSISTENT
        return ExitCode(status, str(error))
    return SpectralFunctionData.from_kernel(
        couplings,
        formula=matrices.crystal.formula,
        level=matrices.level,
        pressure=matrices.pressure,
        temperature=matrices.temperature,
    )
