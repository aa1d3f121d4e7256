"""What to do after a phonon calculation: pure decisions, tested without AiiDA."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

#: ph.x writes one file of G for each broadening, numbered from here.
FIRST_BROADENING = 51


def finished_qpoints(names: Iterable[str], broadenings: int) -> set[int]:
    """Return the numbers of the irreducible q points whose files are all there.

    :param names: paths of the files of one calculation that are complete.
    :param broadenings: number of files of G that belong to each q; 0 without electron-phonon coupling.
    """
    names = set(names)
    found = {int(match[1]) for name in names if (match := re.fullmatch(r'DYN_MAT/dynamical-matrix-([1-9]\d*)', name))}
    suffixes = range(FIRST_BROADENING, FIRST_BROADENING + broadenings)
    return {q for q in found if all(f'elph_dir/a2Fq2r.{suffix}.{q}' in names for suffix in suffixes)}


def next_chunks(finished: set[int], total: int | None, one_by_one: bool) -> list[tuple[int, int | None]]:
    """Return ranges (first, last) of q points still to run; ``None`` as last means to the end.

    :param total: number of irreducible q points, ``None`` as long as no calculation has told it.
    :param one_by_one: run each q as a calculation of its own.
    """
    if total is None:
        # Γ tells the number of q points; alone it is also the cheapest test of the whole set-up.
        return [(1, 1)] if one_by_one else [(1, None)]
    return [(q, q) for q in range(1, total + 1) if q not in finished]


def gentler(parameters: dict[str, Any], attempt: int) -> dict[str, Any]:
    """Return ``INPUTPH`` for another attempt at a q point that failed: slower mixing.

    :param attempt: 0 for the first.
    """
    mixing = parameters.get('alpha_mix(1)', parameters.get('alpha_mix', 0.7))
    rest = {name: value for name, value in parameters.items() if not name.startswith('alpha_mix')}
    return rest | {'alpha_mix(1)': round(mixing * 0.5**attempt, 6)}


def mixing_limit(version: str) -> int | None:
    """Return the largest ``nmix_ph`` that this version of ph.x accepts, ``None`` for no limit.

    6.x stops with ``Wrong nmix_ph`` above 5.

    :param version: of Quantum ESPRESSO as pw.x printed it, for instance ``6.7``.
    """
    return 5 if int(version.split('.', maxsplit=1)[0]) < 7 else None


def supported_mixing(parameters: dict[str, Any], version: str) -> dict[str, Any]:
    """Return ``INPUTPH`` with an ``nmix_ph`` that this version of ph.x accepts."""
    limit = mixing_limit(version)
    if limit is not None and parameters.get('nmix_ph', 0) > limit:
        return parameters | {'nmix_ph': limit}
    return parameters
