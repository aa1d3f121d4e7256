"""The files that ph.x leaves behind, as retrieved by aiida-quantumespresso."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiida import orm

from aiida_clathrate.calculations.ph import COUPLING_FOLDER, PhononCalculation
from aiida_clathrate.kernels.files.qe_dyn import DynFiles, parse_dyn0, parse_dyn_files

FOLDER, PREFIX = PhononCalculation._FOLDER_DYNAMICAL_MATRIX, 'dynamical-matrix-'


def retrieved_folders(node: orm.WorkChainNode) -> list[orm.FolderData]:
    """Return what was retrieved of every ph.x run that a work chain called, oldest first."""
    return [run.outputs.retrieved for run in phonon_runs(node) if 'retrieved' in run.outputs]


def out_of_walltime(node: orm.WorkChainNode) -> bool:
    """Whether a ph.x run that a work chain called stopped for lack of time, by itself or by the scheduler."""
    codes = PhononCalculation.exit_codes
    statuses = {codes.ERROR_OUT_OF_WALLTIME.status, codes.ERROR_SCHEDULER_OUT_OF_WALLTIME.status}
    return any(run.exit_status in statuses for run in phonon_runs(node))


def phonon_runs(node: orm.WorkChainNode) -> list[orm.CalcJobNode]:
    """Return the ph.x runs that a work chain called, oldest first."""
    runs = [run for run in node.called_descendants if isinstance(run, orm.CalcJobNode)]
    return sorted((run for run in runs if run.process_class is PhononCalculation), key=lambda run: run.ctime)


def file_names(retrieved: orm.FolderData) -> set[str]:
    """Return the paths of the files of G(q) and Φ(q)."""
    names = set(retrieved.base.repository.list_object_names())
    return {
        f'{folder}/{name}'
        for folder in (FOLDER, COUPLING_FOLDER)
        if folder in names
        for name in retrieved.base.repository.list_object_names(folder)
    }


def complete_files(retrieved: orm.FolderData, atoms: int) -> set[str]:
    """Return the paths of the files of G(q) and Φ(q) that are written to their end.

    ph.x makes the file of Φ(q) before it calculates it, and may be stopped in between.

    :param atoms: number of atoms in the cell.
    """
    contents = {path: retrieved.base.repository.get_object_content(path) for path in file_names(retrieved)}
    return {path for path, text in contents.items() if is_complete(text, atoms)}


def is_complete(text: str, atoms: int) -> bool:
    """Whether a file of ph.x ends where it has to: Φ(q) with the frame of the frequencies, G(q) with its last row."""
    if 'Diagonalizing' in text:
        return text.rstrip().endswith('*****')
    header = text.split('\n', maxsplit=2)
    if len(header) < 3 or not header[1].strip().isdigit():
        return False
    # For each q point a heading of five lines and, for each pair of atoms, their numbers and three rows.
    return text.count('\n') >= 2 + int(header[1]) * (5 + 4 * atoms**2)


def number_of_qpoints(retrieved: orm.FolderData) -> int | None:
    """Return the number of irreducible q points, ``None`` if ph.x did not get as far as counting them."""
    path = f'{FOLDER}/{PREFIX}0'
    if path not in file_names(retrieved):
        return None
    return parse_dyn0(retrieved.base.repository.get_object_content(path), path)[1]


def stopped_by(retrieved: orm.FolderData, message: str) -> bool:
    """Whether a message stands in the standard output."""
    name = PhononCalculation._DEFAULT_OUTPUT_FILE
    names = retrieved.base.repository.list_object_names()
    return name in names and message in retrieved.base.repository.get_object_content(name)


def read_texts(folders: Iterable[orm.FolderData]) -> dict[str, str]:
    """Return the contents of the files of G(q) and Φ(q) by name; of the same file that of the last folder counts."""
    return dict(_contents(folders))


def parse_matrices(texts: dict[str, str]) -> DynFiles:
    """Return the dynamical matrix files."""
    return parse_dyn_files(texts, PREFIX)


def _contents(folders: Iterable[orm.FolderData]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted(file_names(folder)):
            yield path.split('/', maxsplit=1)[1], folder.base.repository.get_object_content(path)
