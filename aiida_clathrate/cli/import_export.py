"""``import`` and ``export``: files of other programs as nodes, and nodes as files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.params import arguments, types
from aiida.cmdline.utils import decorators, echo

from aiida_clathrate.cli.export_formats import FORMATS, UNITS, Settings, contents_of, write_files

if TYPE_CHECKING:
    from aiida import orm

MATRIX_EXAMPLE = """\b
Examples:
  aiida-clathrate import dynamical-matrix ph-run/dyn --pressure 500
  aiida-clathrate import dynamical-matrix sscha-run/dyn_pop3_ --level sscha --pressure 500 --temperature 0
  aiida-clathrate import dynamical-matrix phonopy-run
"""
COUPLING_EXAMPLE = """\b
Example:
  aiida-clathrate import electron-phonon ph-run/dyn ph-run/elph_dir
"""
SPECTRAL_EXAMPLE = """\b
Examples:
  aiida-clathrate import spectral a2F.dos5 --formula H2 --pressure 500
  aiida-clathrate import spectral table.dat --units THz
"""
ENSEMBLE_EXAMPLE = """\b
Examples:
  aiida-clathrate import ensemble sscha-run/data --population 2 --temperature 300 --pressure 15
  aiida-clathrate import ensemble labelled.xyz --matrices 123 --temperature 300 --source vasp
"""
POTENTIAL_EXAMPLE = """\b
Example:
  aiida-clathrate import potential folder
"""
EXPORT_EPILOG = """\b
Formats:
  dynamical matrices         qe (PATH0, PATH1 …, as ph.x), sscha (PATH1 …, as python-sscha),
                             phonopy (PATH is a folder)
  electron-phonon matrices   qe (PATH is a folder, as elph_dir)
  spectral function          columns, epw (PATH is a file; lines broadened as for plots)
  superconductivity          json (PATH is a file)
  ensemble of forces         sscha, sscha-text (PATH is a folder, python-sscha's data_dir),
                             extxyz (PATH is a file)
  potential                  potential (PATH is a folder)

\b
Examples:
  aiida-clathrate export 123 folder/dyn --format qe
  aiida-clathrate export 123 folder --format phonopy
  aiida-clathrate export 456 alpha2f.a2f --format epw --force
  aiida-clathrate export 789 sscha-run/data --format sscha --population 2
  aiida-clathrate export 321 folder
"""
LEVELS = click.Choice(['harmonic', 'sscha', 'hessian'])


def crystal_options(level: str | None) -> Any:
    """Return a decorator that adds the options which say what the phonons belong to.

    :param level: default of ``--level``.
    """
    shown = {'default': level, 'show_default': True} if level else {}
    options = (
        click.option('--temperature', type=click.FloatRange(min=0), help='Temperature in K  [not known].'),
        click.option('--pressure', type=float, help='Pressure in GPa  [not known].'),
        click.option('--level', type=LEVELS, help=f'What the phonons are{"" if level else "  [not known]"}.', **shown),
    )

    def decorate(command: Any) -> Any:
        for option in options:
            command = option(command)
        return command

    return decorate


@click.group(
    'import',
    epilog='\n'.join((MATRIX_EXAMPLE, COUPLING_EXAMPLE, SPECTRAL_EXAMPLE, ENSEMBLE_EXAMPLE, POTENTIAL_EXAMPLE)),
)
def cmd_import():
    """Store files of another program as a node."""


@cmd_import.command('dynamical-matrix', epilog=MATRIX_EXAMPLE)
@click.argument('path', type=click.Path(path_type=Path))
@crystal_options('harmonic')
@decorators.with_dbenv()
def cmd_import_dynamical_matrix(path, level, pressure, temperature):
    """Store dynamical matrices.

    PATH is what precedes the numbers in the names of Quantum ESPRESSO's or python-sscha's files (FOLDER/dyn for
    FOLDER/dyn1, FOLDER/dyn2 …), or a folder with phonopy.yaml and FORCE_CONSTANTS.
    """
    from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
    from aiida_clathrate.kernels.files.phonopy_files import read_phonopy_files
    from aiida_clathrate.kernels.files.text import read_text

    try:
        if path.is_dir():
            names = ('phonopy.yaml', 'phonopy_params.yaml', 'phonopy_disp.yaml', 'FORCE_CONSTANTS')
            texts = {name: read_text(path / name) for name in names if (path / name).is_file()}
            matrices = read_phonopy_files(texts, level, pressure, temperature)
        else:
            matrices = read_dyn(path).matrices(level, pressure, temperature)
        store(DynamicalMatrixData.from_kernel(matrices))
    except ValueError as error:
        echo.echo_critical(f'import dynamical-matrix: {error}')


@cmd_import.command('electron-phonon', epilog=COUPLING_EXAMPLE)
@click.argument('dyn', type=click.Path(path_type=Path))
@click.argument('folder', type=click.Path(exists=True, file_okay=False, path_type=Path))
@decorators.with_dbenv()
def cmd_import_electron_phonon(dyn, folder):
    """Store the electron-phonon matrices of ph.x.

    FOLDER is its elph_dir with the files a2Fq2r.S.Q. DYN is what precedes the numbers in the names of the dynamical
    matrices of the same run, which tell the crystal and the wave vectors.
    """
    from aiida_clathrate.data.electron_phonon import ElectronPhononData
    from aiida_clathrate.kernels.files.qe_elph import read_elph_files
    from aiida_clathrate.kernels.files.text import read_texts

    try:
        electron_phonon = read_elph_files(read_texts(folder, 'a2Fq2r.'), read_dyn(dyn))
        store(ElectronPhononData.from_kernel(electron_phonon))
    except ValueError as error:
        echo.echo_critical(f'import electron-phonon: {error}')


@cmd_import.command('spectral', epilog=SPECTRAL_EXAMPLE)
@click.argument('file', type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option('--units', type=click.Choice(UNITS), help='Unit of ω  [that of the format].')
@click.option('--column', type=click.IntRange(min=0), default=0, show_default=True, help='Which α²F, counted from 0.')
@click.option('--formula', help='Chemical formula  [not known].')
@crystal_options(None)
@decorators.with_dbenv()
def cmd_import_spectral(file, units, column, **labels):
    """Store a table of α²F: of matdyn.x, lambda.x, alpha2f.x or EPW, or any two columns."""
    from aiida_clathrate.data.spectral import SpectralFunctionData
    from aiida_clathrate.kernels.files.alpha2f_tables import read_alpha2f
    from aiida_clathrate.kernels.files.text import read_text

    try:
        table = read_alpha2f(read_text(file), file.name, units)
        known = {name: value for name, value in labels.items() if value is not None}
        store(SpectralFunctionData.from_kernel(table.spectral(column), source_format=table.format, **known))
    except ValueError as error:
        echo.echo_critical(f'import spectral: {error}')


@cmd_import.command('ensemble', epilog=ENSEMBLE_EXAMPLE)
@click.argument('path', type=click.Path(exists=True, path_type=Path))
@click.option(
    '--temperature', type=click.FloatRange(min=0), required=True, help='That the configurations were drawn at, in K.'
)
@click.option('--population', type=click.IntRange(min=0), default=1, show_default=True, help='Its number in a folder.')
@click.option(
    '--matrices',
    type=types.DataParamType(sub_classes=('aiida.data:clathrate.dynamical_matrix',)),
    metavar='NODE',
    help='Matrices that the configurations were drawn from  [those in the folder].',
)
@click.option('--pressure', type=float, help='Pressure in GPa of the matrices in the folder  [not known].')
@click.option('--source', help='What calculated energies and forces  [the format of the files].')
@click.option(
    '--precision',
    type=click.Choice(['double', 'single']),
    default='double',
    show_default=True,
    help='Of displacements, forces and stresses in the node.',
)
@decorators.with_dbenv()
def cmd_import_ensemble(path, temperature, population, matrices, pressure, source, precision):
    """Store an ensemble of configurations with energies, forces and stresses.

    PATH is a folder of python-sscha (data_dir; files of save_bin or of save), or a file of extended XYZ in the units of
    ASE, which needs --matrices.
    """
    from aiida_clathrate.data.force_ensemble import ForceEnsembleData
    from aiida_clathrate.kernels.files.extxyz_ensembles import read_extxyz
    from aiida_clathrate.kernels.files.sscha_ensembles import read_sscha_ensemble

    if matrices is None and path.is_file():
        raise click.UsageError('a file of configurations needs --matrices, a node with those that they were drawn from')
    if matrices is not None and pressure is not None:
        raise click.UsageError('--pressure is a label of the matrices in the folder: it does not go with --matrices')
    try:
        kernel = None if matrices is None else matrices.to_kernel()
        if path.is_file():
            ensemble = read_extxyz(path, kernel, temperature, source or 'extxyz')
        else:
            ensemble = read_sscha_ensemble(path, population, temperature, kernel, pressure, source or 'python-sscha')
        store(ForceEnsembleData.from_kernel(ensemble, precision))
    except ValueError as error:
        echo.echo_critical(f'import ensemble: {error}')


@cmd_import.command('potential', epilog=POTENTIAL_EXAMPLE)
@click.argument('folder', type=click.Path(exists=True, file_okay=False, path_type=Path))
@decorators.with_dbenv()
def cmd_import_potential(folder):
    """Store a trained potential that somebody has exported.

    FOLDER holds potential.json and potential.safetensors. All that they hold is checked; nothing in them is executed.
    """
    from aiida_clathrate.data.potential import PotentialData
    from aiida_clathrate.kernels.mlp.potential_files import load

    try:
        store(PotentialData.from_kernel(load(folder)))
    except (OSError, ValueError) as error:
        echo.echo_critical(f'import potential: {error}')


@click.command('export', epilog=EXPORT_EPILOG)
@arguments.NODE('node')
@click.argument('path', type=click.Path(path_type=Path))
@click.option(
    '--format',
    'kind',
    type=click.Choice(sorted({kind for kinds in FORMATS.values() for kind in kinds})),
    help='May be left out where NODE has only one.',
)
@click.option('--units', type=click.Choice(UNITS), default='meV', show_default=True, help='Unit of ω of `columns`.')
@click.option(
    '--population', type=click.IntRange(min=0), default=1, show_default=True, help='Number in the names of an ensemble.'
)
@click.option('--force', is_flag=True, help='Overwrite files that exist.')
@decorators.with_dbenv()
def cmd_export(node, path, kind, units, population, force):
    """Write NODE (a pk or uuid) as files of another program."""
    known = FORMATS.get(type(node).__name__)
    if known is None:
        raise click.UsageError(f'node {node.pk} is a {type(node).__name__}, which has no export of ours')
    if kind is None and len(known) > 1:
        raise click.UsageError(f'--format: a {type(node).__name__} can be exported as {", ".join(known)}; say which')
    kind = kind or next(iter(known))
    if kind not in known:
        raise click.UsageError(f'a {type(node).__name__} can be exported as {", ".join(known)}, not as {kind}')
    try:
        for file in write_files(contents_of(node, kind, path, Settings(units, population)), force):
            echo.echo(str(file))
    except (OSError, ValueError) as error:
        echo.echo_critical(f'export: {error}')


def read_dyn(path: Path) -> Any:
    """Return the dynamical matrix files whose names start with ``path``."""
    from aiida_clathrate.kernels.files.qe_dyn import parse_dyn_files
    from aiida_clathrate.kernels.files.text import read_text

    if path.is_dir():
        raise ValueError(f'{path} is a folder: give what precedes the numbers in the names, such as {path / "dyn"}')
    numbered = [file for file in path.parent.glob(f'{path.name}*') if file.name[len(path.name) :].isdigit()]
    return parse_dyn_files({file.name: read_text(file) for file in numbered}, path.name)


def store(node: orm.Data) -> None:
    """Store a node and say which."""
    node.store()
    attributes = node.base.attributes
    parts = [str(value) for key in ('formula', 'level') if (value := attributes.get(key, None)) is not None]
    if attributes.get('species', None):
        parts = [', '.join(attributes.get('species')), f'{attributes.get("number_of_weights"):,} weights']
    elif attributes.get('mesh', None):
        parts.append(f'q mesh {"×".join(str(division) for division in attributes.get("mesh"))}')
    if attributes.get('number', None):
        parts.append(f'{attributes.get("number")} configurations')
    echo.echo_success(f'stored {type(node).__name__}<{node.pk}> {node.uuid}: {", ".join(parts) or "no labels"}')
