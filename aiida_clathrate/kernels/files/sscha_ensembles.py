"""Ensembles of python-sscha in a folder: one of its two formats, and the matrices beside the configurations."""

from __future__ import annotations

from pathlib import Path

from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
from aiida_clathrate.kernels.ensemble import ForceEnsemble
from aiida_clathrate.kernels.files.qe_dyn import parse_dyn_files
from aiida_clathrate.kernels.files.sscha_binary import is_binary, read_binary
from aiida_clathrate.kernels.files.sscha_text import is_text, read_configurations
from aiida_clathrate.kernels.files.text import read_texts

#: What precedes the numbers of the files of the matrices: binary, text.
PREFIXES = ('dyn_gen_pop{}_', 'dyn_start_population{}_')


def read_sscha_ensemble(
    folder: Path,
    population: int,
    temperature: float,
    matrices: DynamicalMatrices | None = None,
    pressure: float | None = None,
    source: str = 'python-sscha',
) -> ForceEnsemble:
    """Return one population of a folder, written by ``Ensemble.save_bin`` or ``Ensemble.save``.

    :param folder: what python-sscha calls ``data_dir``.
    :param population: its number.
    :param temperature: that the configurations were drawn at [K]; the files do not tell.
    :param matrices: that the configurations were drawn from; those in the folder unless given.
    :param pressure: a label of the matrices in the folder [GPa].
    :param source: where energies and forces come from.
    :raises ValueError: for files that are missing, damaged or mixed, configurations that were never computed, and
        matrices or a temperature that the configurations were not drawn from.
    """
    if is_binary(folder, population):
        configurations = read_binary(folder, population)
    elif is_text(folder, population):
        configurations = read_configurations(folder, population)
    else:
        raise ValueError(
            f'{folder} holds no population {population}: neither xats_pop{population}.npy nor '
            f'energies_supercell_population{population}.dat'
        )
    if matrices is None:
        matrices = read_generating_matrices(folder, population, temperature, pressure)
    return configurations.ensemble(matrices, temperature, source)


def read_generating_matrices(
    folder: Path, population: int, temperature: float, pressure: float | None = None
) -> DynamicalMatrices:
    """Return the auxiliary matrices beside a population.

    :raises ValueError: if there are none.
    """
    prefixes = [prefix.format(population) for prefix in PREFIXES]
    for prefix in prefixes:
        if texts := read_texts(folder, prefix):
            return parse_dyn_files(texts, prefix).matrices('sscha', pressure, temperature)
    raise ValueError(
        f'{folder} holds neither {prefixes[0]}1 nor {prefixes[1]}1: put there the matrices that the configurations '
        'were drawn from, or import and name them'
    )
