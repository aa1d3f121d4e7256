"""α²F from nodes, with provenance."""

from __future__ import annotations

from typing import get_args

from aiida.engine import ExitCode, calcfunction

from aiida_clathrate.data.spectral import SpectralFunctionData
from aiida_clathrate.kernels.alpha2f import GammaPolicy, mode_couplings
from aiida_clathrate.kernels.io import KernelError

INCONSISTENT, IMAGINARY = 201, 420
POLICIES = get_args(GammaPolicy)


@calcfunction
def spectral_function(electron_phonon, dynamical_matrices, settings):
    """Return α²F from G(q) and the modes of any dynamical matrices of the crystal.

    :param electron_phonon: ``ElectronPhononData``.
    :param dynamical_matrices: ``DynamicalMatrixData`` on the same mesh.
    :param settings: ``Dict``; ``gamma`` is ``zero`` (default) or ``drop``: what Γ contributes.

    Exit codes: 201 if the inputs do not belong together, 420 for imaginary frequencies.
    """
    if error := check_settings(settings):
        return ExitCode(INCONSISTENT, error)
    matrices = dynamical_matrices.to_kernel()
    labels = {name: getattr(matrices, name) for name in ('level', 'pressure', 'temperature')}
    try:
        couplings = mode_couplings(electron_phonon.to_kernel(), matrices, **settings.get_dict())
        return SpectralFunctionData.from_kernel(couplings, formula=matrices.crystal.formula, **labels)
    except KernelError as error:
        status = IMAGINARY if error.label == 'ERROR_IMAGINARY_FREQUENCIES' else INCONSISTENT
        return ExitCode(status, str(error))
    except ValueError as error:  # a broadening without any coupling
        return ExitCode(INCONSISTENT, str(error))


def check_settings(settings, port=None):
    """Return what is wrong with the settings of α²F, ``None`` if nothing is; a validator for ports."""
    values, name = settings.get_dict(), port.name if port else 'settings'
    if unknown := sorted(set(values) - {'gamma'}):
        return f'{name}: {unknown[0]!r} is no setting of α²F; there is only `gamma`'
    if values.get('gamma', POLICIES[0]) not in POLICIES:
        return f'{name}: gamma {values["gamma"]!r} is none of {POLICIES}'
    return None
