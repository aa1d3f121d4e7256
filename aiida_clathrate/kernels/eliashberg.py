"""From α²F to T_c and everything that belongs to it: the one way there, for files, nodes and cluster jobs alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_clathrate.kernels.allen_dynes import allen_dynes, mcmillan
from aiida_clathrate.kernels.alpha2f import ModeCouplings
from aiida_clathrate.kernels.io import Arrays, KernelError, Scalars
from aiida_clathrate.kernels.matsubara.continuation import gap_edge
from aiida_clathrate.kernels.matsubara.coulomb import Truncation, reference_frequency
from aiida_clathrate.kernels.matsubara.critical_temperature import Instability, Search, tabulate
from aiida_clathrate.kernels.matsubara.gap import GapSolution, gaps_below
from aiida_clathrate.kernels.matsubara.sensitivity import Response, response
from aiida_clathrate.kernels.matsubara.settings import Settings
from aiida_clathrate.kernels.spectral import SpectralFunction
from aiida_clathrate.kernels.superconductivity import Superconductivity
from aiida_clathrate.kernels.units import KELVIN_PER_MEV

#: Points of δT_c/δα²F(ω), from zero to a little above ω_max.
GRID = 400


@dataclass(frozen=True)
class ModeErrors:
    """Standard deviations of the lines of one α²F; see ``Response.standard_error``.

    :param frequencies: σ(ω_i), shape (n,) [meV], or ``None``.
    :param couplings: σ(λ_i), shape (n,) [dimensionless], or ``None``.
    :param groups: labels of lines whose errors move together, shape (n,), or ``None``.
    :param deviations: δω_i by each of b independent causes, shape (b, n) [meV], or ``None``.
    """

    frequencies: NDArray[np.float64] | None = None
    couplings: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None
    deviations: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Extras:
    """What is known beyond one α²F.

    :param errors: of the lines.
    :param shares: Σ|e|² of each species in each line, shape (n, species), with ``species`` as names.
    :param smearings: broadenings, shape (s,) [eV].
    :param others: α²F for each broadening, in their order; empty if there is one only.
    """

    errors: ModeErrors | None = None
    shares: NDArray[np.float64] | None = None
    species: tuple[str, ...] = ()
    smearings: tuple[float, ...] = (0.0,)
    others: tuple[SpectralFunction, ...] = ()


def solve(
    spectral: SpectralFunction,
    mu_stars: Sequence[float] | None = None,
    settings: Settings | None = None,
    extras: Extras | None = None,
) -> Superconductivity:
    """Return T_c for each μ* and what belongs to it.

    :param mu_stars: μ*; shorthand that replaces those of ``settings``.
    :raises KernelError: ``ERROR_COULOMB_POLE`` for a μ* without counterpart at the cutoff, ``ERROR_NOT_CONVERGED``.
    """
    settings = settings or Settings()
    if mu_stars is not None:
        settings = replace(settings, mu_stars=tuple(float(value) for value in mu_stars))
    extras = extras or Extras()
    if settings.smearing >= len(extras.smearings):
        raise ValueError(f'smearing: {settings.smearing} is none of the {len(extras.smearings)} broadenings known')
    values = np.array(settings.mu_stars)
    search = prepare(spectral, settings)
    rescaled, raw = search.curve(values, 'rescaled'), search.curve(values, 'raw')
    responses = [
        None if found is None else response(search.interaction, search.truncation, found, value)
        for found, value in zip(rescaled, settings.mu_stars, strict=True)
    ]
    stated = settings.mu_stars[0] if settings.stated_mu_star is None else settings.stated_mu_star
    index = settings.mu_stars.index(stated)
    return Superconductivity(
        coupling=spectral.coupling,
        omega_log=spectral.omega_log,
        omega_2=spectral.omega_2,
        omega_max=spectral.omega_max,
        omega_ref=search.truncation.reference,
        cutoff=search.truncation.cutoff,
        lowest_temperature=search.lowest,
        mu_star=settings.mu_stars,
        rescaled=tuple(None if found is None else found.temperature for found in rescaled),
        raw=tuple(None if found is None else found.temperature for found in raw),
        allen_dynes=tuple(allen_dynes(spectral, value) for value in settings.mu_stars),
        mcmillan=tuple(mcmillan(spectral, value) for value in settings.mu_stars),
        matsubara_numbers=tuple(None if found is None else found.number for found in rescaled),
        mu_star_at_cutoff=tuple(None if found is None else found.coulomb for found in rescaled),
        **derivatives(spectral, responses, extras.errors),
        stated_mu_star=stated,
        **below(search, rescaled[index], stated, settings),
        **resolved(spectral, responses[index], extras),
        smearing=extras.smearings[settings.smearing],
        smearings=extras.smearings,
        smearing_temperatures=over_smearings(rescaled[index], stated, settings, extras),
    )


def checked_truncation(spectral: SpectralFunction, settings: Settings) -> Truncation:
    """Return where the Matsubara sums end; costs nothing, so that inputs can be checked before submission.

    :raises KernelError: ``ERROR_COULOMB_POLE`` if a μ* has no counterpart there.
    """
    truncation = Truncation(
        cutoff=settings.cutoff_factor * spectral.omega_max,
        reference=reference_frequency(spectral, settings.omega_ref),
        fewest=settings.fewest_frequencies,
        boundary=settings.boundary,
    )
    for mu_star in settings.mu_stars:
        truncation.check(mu_star)
    return truncation


def prepare(spectral: SpectralFunction, settings: Settings) -> Search:
    """Return the search for T_c, with λ(ν) tabulated."""
    lowest = settings.lowest_temperature or 1e-4 * spectral.omega_max * KELVIN_PER_MEV
    truncation = checked_truncation(spectral, settings)
    # The gap is wanted at a fraction of a T_c that may be the lowest temperature itself.
    coldest = lowest * min((*settings.reduced_temperatures, 1.0))
    return Search(tabulate(spectral, truncation, coldest), truncation, lowest)


def below(search: Search, critical: Instability | None, mu_star: float, settings: Settings) -> dict[str, Any]:
    """Return the gap below T_c, the fields of the result that describe it."""
    if critical is None or not settings.reduced_temperatures:
        return {}
    temperatures = critical.temperature * np.array(settings.reduced_temperatures)
    solutions = gaps_below(search.interaction, search.truncation, critical, mu_star, temperatures)
    edges, notes = zip(*(edge_or_note(solution) for solution in solutions), strict=True)
    return {'solutions': solutions, 'gap_edges': edges, 'gap_note': notes[0]}


def derivatives(
    spectral: SpectralFunction, responses: Sequence[Response | None], errors: ModeErrors | None
) -> dict[str, Any]:
    """Return what follows from the derivatives of T_c for each μ*, the fields of the result that describe it."""

    def column(value: Callable[[Response], float]) -> tuple[float | None, ...]:
        return tuple(None if part is None else value(part) for part in responses)

    columns: dict[str, Any] = {
        'mu_star_derivatives': column(lambda part: part.by_mu_star),
        'isotope_coefficients': column(lambda part: float(part.isotope_coefficients(spectral)[0])),
        'errors': None,
    }
    if errors is not None:
        given = (errors.frequencies, errors.couplings, errors.groups, errors.deviations)
        columns['errors'] = column(lambda part: part.standard_error(spectral, *given))
    return columns


def edge_or_note(solution: GapSolution) -> tuple[float | None, str]:
    """Return the gap edge, or why there is none."""
    try:
        return gap_edge(solution), ''
    except KernelError as error:
        return None, str(error)


def resolved(spectral: SpectralFunction, found: Response | None, extras: Extras) -> dict[str, Any]:
    """Return what T_c owes to each frequency and to each species."""
    if found is None:
        return {}
    grid = spectral.omega_max * 1.1 * np.arange(1, GRID + 1) / GRID
    result: dict[str, Any] = {'sensitivity_frequencies': grid, 'sensitivity': found.by_spectral_function(grid)}
    if extras.shares is not None:
        parts = found.isotope_coefficients(spectral, extras.shares)
        result['isotope_by_species'] = dict(zip(extras.species, parts.tolist(), strict=True))
    return result


def over_smearings(
    critical: Instability | None, mu_star: float, settings: Settings, extras: Extras
) -> tuple[float | None, ...]:
    """Return T_c for the α²F of each broadening."""
    if len(extras.others) < 2:
        return tuple(None if critical is None else critical.temperature for _ in extras.smearings)
    found = (prepare(spectral, settings).critical_temperature(mu_star) for spectral in extras.others)
    return tuple(None if solution is None else solution.temperature for solution in found)


def run(scalars: Scalars, arrays: Arrays) -> tuple[Scalars, Arrays]:
    """Run the kernel on the contents of a run folder.

    :param scalars: those of ``Settings``; ``symbols`` of the atoms if ``atom_weights`` are given.
    :param arrays: ``frequencies`` (q, m) [meV], ``weights`` (q,), ``couplings`` (s, q, m), ``smearings`` (s,) [eV];
        optional ``frequency_errors`` (q, m) [meV], ``coupling_errors`` (q, m) of the chosen broadening,
        ``error_groups`` (q, m), ``atom_weights`` (q, m, n).
    """
    scalars = dict(scalars)
    symbols = tuple(scalars.pop('symbols', ()))
    settings = Settings.from_scalars(scalars)
    modes = ModeCouplings(arrays['frequencies'], arrays['weights'], arrays['couplings'], arrays['smearings'])
    if settings.smearing >= len(modes.smearings):
        raise ValueError(f'smearing: {settings.smearing} is not the index of one of {len(modes.smearings)} broadenings')
    order = modes.line_order(settings.smearing)
    extras = Extras(
        errors=mode_errors(modes, arrays, settings.smearing),
        smearings=tuple(modes.smearings.tolist()),
        others=tuple(modes.spectral(index) for index in range(len(modes.smearings))),
        **species_shares(arrays.get('atom_weights'), symbols, order),
    )
    result = solve(modes.spectral(settings.smearing), settings=settings, extras=extras)
    results, tables = result.to_results()
    if not result.superconducts:
        results['status'] = 'ERROR_NOT_SUPERCONDUCTING'
    return results, tables


def mode_errors(modes: ModeCouplings, arrays: Arrays, smearing: int) -> ModeErrors | None:
    """Return the errors of the lines of one broadening, or ``None`` if ``arrays`` has none."""
    order = modes.line_order(smearing)
    columns: dict[str, NDArray[Any] | None] = {}
    for name in ('frequency_errors', 'coupling_errors', 'error_groups'):
        column = arrays.get(name)
        if column is not None:
            if column.shape != modes.frequencies.shape:
                raise ValueError(f'{name}: needs the shape {modes.frequencies.shape} of the modes, not {column.shape}')
            if not np.isfinite(column).all() or column.min() < 0:
                raise ValueError(f'{name}: must be finite and not negative')
            column = column.ravel()[order]
        columns[name] = column
    deviations = frequency_deviations(modes, arrays, order)
    if deviations is not None and columns['frequency_errors'] is not None:
        raise ValueError('frequency_deviations: have the frequency_errors in them; give one of the two')
    if deviations is None and columns['frequency_errors'] is None and columns['coupling_errors'] is None:
        return None
    if columns['coupling_errors'] is not None:
        weights = np.broadcast_to(modes.weights[:, None], modes.frequencies.shape).ravel()[order]
        columns['coupling_errors'] = columns['coupling_errors'] * weights
    return ModeErrors(columns['frequency_errors'], columns['coupling_errors'], columns['error_groups'], deviations)


def frequency_deviations(modes: ModeCouplings, arrays: Arrays, order: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the deviations of the lines in their order, or ``None`` if ``arrays`` has none."""
    deviations = arrays.get('frequency_deviations')
    if deviations is None:
        return None
    if deviations.shape[1:] != modes.frequencies.shape or not np.isfinite(deviations).all():
        raise ValueError(
            f'frequency_deviations: needs finite numbers of the shape (b, q, m) with {modes.frequencies.shape} modes, '
            f'not {deviations.shape}'
        )
    return np.asarray(deviations.reshape(len(deviations), -1)[:, order])


def species_shares(
    atom_weights: NDArray[np.float64] | None, symbols: tuple[str, ...], order: NDArray[np.int64]
) -> dict[str, Any]:
    """Return Σ|e|² over the atoms of each species for each line."""
    if atom_weights is None:
        return {}
    if atom_weights.shape[-1] != len(symbols):
        raise ValueError(
            f'symbols: need {atom_weights.shape[-1]}, one for each atom of atom_weights, not {len(symbols)}'
        )
    species = tuple(dict.fromkeys(symbols))
    belongs = np.array([[symbol == name for name in species] for symbol in symbols], dtype=np.float64)
    return {'shares': (atom_weights @ belongs).reshape(-1, len(species))[order], 'species': species}
