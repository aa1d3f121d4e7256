"""Pseudopotential families: from a folder of UPF files, with cutoffs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily

#: Density cutoff in units of the wave functions' where only that is known: exact for norm-conserving ones.
DUAL_NORM_CONSERVING, DUAL_AUGMENTED = 4, 8


def install_family(folder: Path, label: str, wfc: float | None, rho: float | None) -> CutoffsPseudoPotentialFamily:
    """Return a new family of the UPF files in a folder.

    :param wfc: cutoff of the wave functions for all elements [Ry]; if left out, what each file suggests.
    :param rho: cutoff of the density [Ry]; if left out, what each file suggests, and where a file suggests none or
        ``wfc`` is given, 4 times that of the wave functions, 8 times for ultrasoft and PAW.
    :raises ValueError: for a file that suggests no cutoff while ``wfc`` is left out, elements that occur twice, or
        files that are not UPF.
    """
    from aiida.common.exceptions import ParsingError
    from aiida_pseudo.data.pseudo import UpfData
    from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily

    try:
        pseudos = CutoffsPseudoPotentialFamily.parse_pseudos_from_directory(folder, UpfData, deduplicate=False)
    except (ParsingError, ValueError) as error:
        raise ValueError(f'{folder}: {error}; leave only UPF files there, one for each element') from error
    # Before anything is stored: a family without cutoffs would stand in the way of a second attempt.
    cutoffs = {pseudo.element: cutoffs_of(folder / pseudo.filename, wfc, rho) for pseudo in pseudos}
    family = CutoffsPseudoPotentialFamily.create_from_folder(folder, label, pseudo_type=UpfData)
    family.set_cutoffs(cutoffs, 'normal', unit='Ry')
    return family


def cutoffs_of(file: Path, wfc: float | None, rho: float | None) -> dict[str, float]:
    """Return the cutoffs for a file in the form that aiida-pseudo wants [Ry]."""
    header = read_header(file)
    if wfc is None:
        wfc, suggested = (suggestion(header, name) for name in ('wfc_cutoff', 'rho_cutoff'))
        if wfc is None:
            raise ValueError(f'{file.name}: the file suggests no cutoff; give --cutoff-wfc in Ry')
        # Some generators write a radius there.
        rho = rho or (suggested if suggested and suggested >= wfc else None)
    conserving = header.get('pseudo_type') in ('NC', 'SL')
    rho = rho or wfc * (DUAL_NORM_CONSERVING if conserving else DUAL_AUGMENTED)
    if rho < DUAL_NORM_CONSERVING * wfc:
        raise ValueError(
            f'{file.name}: the density needs a cutoff of at least 4 times the {wfc:g} Ry of the wave functions, not '
            f'{rho:g} Ry; raise --cutoff-rho'
        )
    return {'cutoff_wfc': wfc, 'cutoff_rho': rho}


def suggestion(header: dict[str, str], name: str) -> float | None:
    """Return a number of the header, ``None`` if it is not there or stands for nothing."""
    value = float(header.get(name, '0').replace('D', 'E').replace('d', 'e'))
    return value if value > 0 else None


def read_header(file: Path) -> dict[str, str]:
    """Return the attributes of ``PP_HEADER`` of a UPF file; empty for version 1, which has none."""
    found = re.search(r'<PP_HEADER\s(.*?)>', file.read_text(errors='replace'), re.DOTALL)
    attributes = re.findall(r'(\w+)\s*=\s*(["\'])(.*?)\2', found[1], re.DOTALL) if found else []
    return {name: value.strip() for name, _, value in attributes}
