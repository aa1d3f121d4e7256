"""The namespace ``potential`` of the ``SschaWorkChain`` from a protocol."""

from __future__ import annotations

from aiida import orm

#: Calculations of the potential, with what is below their names in the protocol: their parameters.
JOBS = ('train', 'evaluate')


def fill_potential(namespace, values, python_code, metadata):
    """Fill the namespace of a builder.

    :param namespace: of the builder.
    :param values: of its ports by name, as Python values or nodes; under ``train`` and ``evaluate`` parameters of these
        calculations. ``calculator_code`` is a code that takes their place.
    :param python_code: for training and evaluation.
    :param metadata: of all jobs.
    :raises ValueError: for a name that is no input.
    """
    values = dict(values)
    calculator = values.pop('calculator_code', None)
    parameters = {name: values.pop(name, {}) for name in JOBS}
    known = [name for name in dir(namespace) if not name.startswith('_') and name not in (*JOBS, 'calculator')]
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(
            f'potential: {unknown[0]!r} is no input; there are {", ".join(known)}, calculator_code and parameters for '
            f'{" and ".join(JOBS)}'
        )
    jobs = {'calculator': calculator} if calculator is not None else dict.fromkeys(JOBS, python_code)
    for name in (*JOBS, 'calculator'):
        if name not in jobs:
            namespace.pop(name, None)
            continue
        namespace[name].code = jobs[name]
        namespace[name].metadata.options = dict(metadata)
        if parameters.get(name):
            namespace[name].parameters = orm.Dict(parameters[name])
    for name, value in values.items():
        namespace[name] = value
