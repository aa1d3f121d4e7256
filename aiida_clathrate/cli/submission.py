"""From what a user names on the command line to a submitted process."""

from __future__ import annotations

from aiida.cmdline.utils import echo


def read_overrides(file):
    """Return the values of a YAML file that replace those of the protocol."""
    import yaml

    try:
        given = yaml.safe_load(file) if file else None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        echo.echo_critical(f'--overrides: {file.name} is no YAML: {error}')
    if given is not None and not isinstance(given, dict):
        echo.echo_critical(f'--overrides: {file.name} must hold names and values, such as "scf: {{…}}"')
    return given or {}


def load_structure(identifier, pressure):
    """Return the stored structure, or a new one where the identifier is the name of a prototype."""
    from aiida import orm
    from aiida.common.exceptions import MultipleObjectsError, NotExistent

    from aiida_clathrate.cli.structure import node_of
    from aiida_clathrate.kernels.structures import named_crystal

    try:
        return orm.load_node(identifier, sub_classes=(orm.StructureData,))
    except (NotExistent, MultipleObjectsError, ValueError):
        pass
    try:
        found = named_crystal(identifier, pressure=pressure)
    except ValueError as error:
        echo.echo_critical(f'structure: {identifier!r} is no stored structure, and no prototype: {error}')
    constant = found.lattice_constant
    if constant.estimated:
        echo.echo_warning(f'{found.name}: a = {constant.value:.4f} Å is an estimate: {constant.source}')
    else:
        echo.echo_report(f'{found.name}: a = {constant.value:.4f} Å ({constant.source})')
    return node_of(found)


def code(identifier):
    """Return a stored code."""
    from aiida import orm
    from aiida.common.exceptions import NotExistent

    try:
        return orm.load_code(identifier)
    except NotExistent:
        echo.echo_critical(f'code: {identifier!r} does not exist; `aiida-clathrate setup` makes the usual ones')


def resources(processes, walltime):
    """Return the ``metadata.options`` of calculations.

    :param processes: of MPI.
    :param walltime: [s].
    """
    resources = {'num_machines': 1, 'num_mpiprocs_per_machine': processes}
    return {'resources': resources, 'max_wallclock_seconds': walltime}


def launch(make_builder, **arguments):
    """Submit what a function makes of its arguments."""
    try:
        builder = make_builder(**arguments)
    except (AttributeError, TypeError, ValueError) as error:  # the first two for overrides of a wrong kind
        echo.echo_critical(str(error))
    submit_builder(builder)


def submit_builder(builder):
    """Submit a builder and say how to follow it."""
    from aiida.common.exceptions import InvalidOperation
    from aiida.engine import submit

    try:
        node = submit(builder)
    except (InvalidOperation, TypeError, ValueError) as error:
        echo.echo_critical(str(error))
    echo.echo_success(f'submitted {node.process_label} {node.pk}')
    echo.echo(f'Follow it with `aiida-clathrate status {node.pk} --watch`.')
