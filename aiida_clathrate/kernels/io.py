"""The run folder: the only thing that a calculation and its kernel share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scalars = dict[str, Any]
Arrays = dict[str, NDArray[Any]]

INPUTS, RESULTS = 'inputs', 'results'

#: Files above this size are not compressed: random displacements and forces shrink by a twentieth, in minutes [bytes].
LARGE = 2**24


class KernelError(Exception):
    """A failure that the workflow can act on.

    :param label: the label of an exit code of the calculation that runs the kernel.
    :param message: what went wrong, with the value and the remedy.
    """

    def __init__(self, label: str, message: str):
        super().__init__(message)
        self.label = label


def write(folder: Path, stem: str, scalars: Scalars, arrays: Arrays) -> None:
    """Write ``stem.json`` and ``stem.npz`` to the folder.

    Both are moved into place, the JSON last: a file that exists is complete. NaN is refused: a missing
    number is ``None``. Arrays of objects are refused: reading them back could run code.
    """
    objects = [name for name, array in arrays.items() if np.asarray(array).dtype.hasobject]
    if objects:
        raise ValueError(f'arrays of Python objects cannot be written: {objects}')
    text = json.dumps(scalars, indent=2, sort_keys=True, allow_nan=False)
    draft = folder / f'{stem}.part'
    with draft.open('wb') as file:
        save = np.savez_compressed if sum(array.nbytes for array in arrays.values()) < LARGE else np.savez
        save(file, **arrays)  # type: ignore[arg-type]
    draft.replace(folder / f'{stem}.npz')
    draft.write_text(text)
    draft.replace(folder / f'{stem}.json')


def read(folder: Path, stem: str) -> tuple[Scalars, Arrays]:
    """Read what ``write`` wrote; nothing in the files is ever executed."""
    with np.load(folder / f'{stem}.npz', allow_pickle=False) as arrays:
        return json.loads((folder / f'{stem}.json').read_text()), dict(arrays)
