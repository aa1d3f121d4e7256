"""What ph.x leaves behind when it is stopped, cut off wherever: an exit code, and no exception."""

import zipfile
from pathlib import Path

import pytest
from aiida import orm
from aiida.common import LinkType
from aiida.plugins import CalculationFactory, ParserFactory, WorkflowFactory

FIXTURE = Path(__file__).parents[1] / 'fixtures' / 'aluminium-stopped.zip'
MATRIX = 'DYN_MAT/dynamical-matrix-1'
OUT_OF_TIME, DONE = 'Maximum CPU time exceeded', 'JOB DONE'
PhononParser = ParserFactory('clathrate.ph')


@pytest.fixture(scope='module')
def files():
    """Return what was retrieved of a run that its own limit stopped in the bands of the second q point."""
    with zipfile.ZipFile(FIXTURE) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if not name.endswith('.in')}


@pytest.fixture
def parse(aiida_profile, aiida_localhost):
    """Return a function that parses files and returns outputs and process."""

    def parse(files, parser=PhononParser, status=None):
        node = orm.CalcJobNode(computer=aiida_localhost, process_type='aiida.calculations:clathrate.ph')
        node.set_option('output_filename', 'aiida.out')
        node.set_option('resources', {'num_machines': 1})
        parameters = orm.Dict({'INPUTPH': {}}).store()
        node.base.links.add_incoming(parameters, LinkType.INPUT_CALC, 'parameters')
        node.store()
        if status is not None:
            node.set_exit_status(status)
        retrieved = orm.FolderData()
        for name, text in files.items():
            retrieved.base.repository.put_object_from_bytes(text.encode(), name)
        retrieved.base.links.add_incoming(node, LinkType.CREATE, 'retrieved')
        retrieved.store()
        return parser.parse_from_node(node, store_provenance=False)

    return parse


def cut(files, marker, after=0):
    """Cut off the output that many characters after a text begins."""
    stdout = files['aiida.out']
    return files | {'aiida.out': stdout[: stdout.index(marker) + after]}


def test_stopped_by_its_own_limit(files, parse):
    """The whole output of such a run has its exit code, and its parameters."""
    results, process = parse(files)
    assert process.exit_status == 400
    assert results['output_parameters']['number_of_qpoints'] == 3


@pytest.mark.parametrize(
    ('marker', 'after'),
    [
        ('Program PHONON', 0),
        ('Calculation of q =    0.0', 0),
        ('Diagonalizing the dynamical matrix', 0),
        ('Diagonalizing the dynamical matrix', 20),
        ('     q = (    0.0', 12),
        ('freq (    1)', 20),
        ('Mode symmetry', 30),
        ('-->', 6),
        ('Gaussian Broadening:   0.100', 40),
        ('Calculation of q =   -0.35', 0),
        ('Calculation of q =   -0.35', 30),
        ('Band Structure Calculation', 0),
    ],
)
def test_cut_off(files, parse, marker, after):
    """A run that was killed while it wrote this ends as incomplete."""
    _, process = parse(cut(files, marker, after))
    assert process.exit_status == 312


@pytest.mark.parametrize('number', [0, 1, 30, 71, 72])
def test_frequencies_without_end(files, parse, number):
    """So it does for the lines where aiida-quantumespresso raises: from the frequencies to the next q point."""
    lines = files['aiida.out'].splitlines()
    first = next(n for n, line in enumerate(lines) if 'Diagonalizing' in line)
    shortened = files | {'aiida.out': '\n'.join(lines[: first + number])}
    _, process = parse(shortened)
    assert process.exit_status == 312
    if 0 < number < 72:
        with pytest.raises(IndexError):
            parse(shortened, ParserFactory('quantumespresso.ph'))


@pytest.mark.parametrize('length', [20, 1000, 1400])
@pytest.mark.parametrize(('end', 'status'), [(None, 400), (OUT_OF_TIME, 312)])
def test_half_written_matrix(files, parse, length, end, status):
    """A matrix that is cut off does not hide why the run stopped."""
    stopped = files if end is None else cut(files, end)
    _, process = parse(stopped | {MATRIX: files[MATRIX][:length]})
    assert process.exit_status == status


@pytest.mark.parametrize('marker', ['Mode symmetry', 'Band Structure Calculation'])
def test_scheduler_out_of_time(files, parse, marker):
    """What the scheduler said stays: the parser has nothing to say against it, wherever the output ends."""
    status = CalculationFactory('clathrate.ph').exit_codes.ERROR_SCHEDULER_OUT_OF_WALLTIME.status
    results, process = parse(cut(files, marker), status=status)
    assert process.is_finished_ok
    assert not results


def test_exception_of_a_complete_output(files, parse):
    """Where the run came to its end, what is wrong is not hidden by an exit code."""
    complete = files['aiida.out'].replace(OUT_OF_TIME, '')
    assert DONE in complete
    with pytest.raises(IndexError):
        parse(files | {'aiida.out': complete, MATRIX: files[MATRIX][:1400]})


def test_default(aiida_profile):
    """The work chains pass the parser on."""
    inputs = [
        CalculationFactory('clathrate.ph').spec().inputs,
        WorkflowFactory('clathrate.ph_base').spec().inputs['ph'],
        WorkflowFactory('clathrate.relax_phonon').spec().inputs['phonon']['ph'],
    ]
    assert [ports['metadata']['options']['parser_name'].default for ports in inputs] == ['clathrate.ph'] * 3
