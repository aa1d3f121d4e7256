"""The files that each of our nodes can be written as."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNITS = ('meV', 'THz', 'cm-1', 'Ry', 'Ha')


@dataclass(frozen=True)
class Settings:
    """What some formats leave open.

    :param units: of ω in columns.
    :param population: number in the names of the files of an ensemble.
    """

    units: str = 'meV'
    population: int = 1


Contents = dict[Path, str | bytes]


def contents_of(node: Any, kind: str, path: Path, settings: Settings) -> Contents:
    """Return the contents of the files of a node by path.

    :param kind: one of the formats of the node in ``FORMATS``.
    :param path: file, folder or start of the names of files.
    :raises ValueError: if the node holds nonsense, or not what the format needs.
    """
    return FORMATS[type(node).__name__][kind](node, path, settings)


def write_files(contents: Contents, force: bool) -> list[Path]:
    """Write files and return their paths.

    :raises ValueError: if one exists, unless ``force``; then nothing is written.
    """
    existing = [path for path in contents if path.exists()]
    if existing and not force:
        raise ValueError(f'{existing[0]} exists: give another path, or --force to overwrite it')
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(contents)


def dyn_files(node: Any, path: Path, settings: Settings) -> Contents:
    """Return dyn files as ph.x writes them."""
    from aiida_clathrate.kernels.files.qe_dyn import write_dyn_files

    return {path.with_name(name): text for name, text in write_dyn_files(node.to_kernel(), path.name).items()}


def sscha_files(node: Any, path: Path, settings: Settings) -> Contents:
    """Return dyn files as python-sscha reads them: without the list of stars."""
    return {file: text for file, text in dyn_files(node, path, settings).items() if file.name != f'{path.name}0'}


def phonopy_files(node: Any, path: Path, settings: Settings) -> Contents:
    """Return the files of phonopy in a folder."""
    from aiida_clathrate.kernels.files.phonopy_files import write_phonopy_files

    return {path / name: text for name, text in write_phonopy_files(node.to_kernel()).items()}


def elph_files(node: Any, path: Path, settings: Settings) -> Contents:
    """Return the files of elph_dir in a folder."""
    from aiida_clathrate.kernels.files.qe_elph import write_elph_files

    return {path / name: text for name, text in write_elph_files(node.to_kernel(), folder='').items()}


def ensemble_arrays(node: Any, path: Path, settings: Settings) -> Contents:
    """Return the files of python-sscha's ``save_bin`` in a folder."""
    from aiida_clathrate.kernels.files.sscha_binary import write_binary

    return {path / name: content for name, content in write_binary(node.to_kernel(), settings.population).items()}


def ensemble_texts(node: Any, path: Path, settings: Settings) -> Contents:
    """Return the files of python-sscha's ``save`` in a folder."""
    from aiida_clathrate.kernels.files.sscha_text import write_configurations

    return {path / name: text for name, text in write_configurations(node.to_kernel(), settings.population).items()}


def extxyz(node: Any, path: Path, settings: Settings) -> Contents:
    """Return extended XYZ."""
    from aiida_clathrate.kernels.files.extxyz_ensembles import write_extxyz

    return {path: write_extxyz(node.to_kernel())}


def potential_files(node: Any, path: Path, settings: Settings) -> Contents:
    """Return the files of a potential in a folder."""
    from aiida_clathrate.kernels.mlp.potential_files import to_bytes

    return {path / name: content for name, content in to_bytes(node.to_kernel()).items()}


def columns(node: Any, path: Path, settings: Settings) -> Contents:
    """Return plain columns, one for each broadening."""
    from aiida_clathrate.kernels.files.alpha2f_tables import write_columns

    return {path: write_columns(table(node), settings.units)}


def epw(node: Any, path: Path, settings: Settings) -> Contents:
    """Return a file as of EPW."""
    from aiida_clathrate.kernels.files.alpha2f_tables import write_epw

    return {path: write_epw(table(node))}


def attributes(node: Any, path: Path, settings: Settings) -> Contents:
    """Return the numbers of a node, without its arrays."""
    held = {key: value for key, value in node.base.attributes.all.items() if not key.startswith('array|')}
    return {path: json.dumps({'uuid': node.uuid, **held}, indent=2, sort_keys=True) + '\n'}


def table(node: Any) -> Any:
    """Return the table for plots of a spectral function, without ω = 0, where broadened lines may have a tail."""
    from aiida_clathrate.kernels.files.alpha2f_tables import Alpha2FTable

    smearings = node.to_modes().smearings
    names = tuple(f'broadening {smearing:.4f} eV' for smearing in smearings)
    grid, values = node.get_array('table_frequencies')[1:], node.get_array('table_values')[:, 1:]
    return Alpha2FTable(str(node.uuid), 'columns', 'meV', grid, values, names, smearings)


#: By the name of the class of a node.
FORMATS: dict[str, dict[str, Callable[[Any, Path, Settings], Contents]]] = {
    'DynamicalMatrixData': {'qe': dyn_files, 'sscha': sscha_files, 'phonopy': phonopy_files},
    'ElectronPhononData': {'qe': elph_files},
    'ForceEnsembleData': {'sscha': ensemble_arrays, 'sscha-text': ensemble_texts, 'extxyz': extxyz},
    'PotentialData': {'potential': potential_files},
    'SpectralFunctionData': {'columns': columns, 'epw': epw},
    'SuperconductivityData': {'json': attributes},
}
