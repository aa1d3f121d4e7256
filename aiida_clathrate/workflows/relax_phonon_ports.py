"""Input and output ports of the ``RelaxPhononWorkChain``, and what it refuses."""

from __future__ import annotations

import math
import warnings

from aiida import orm
from aiida.plugins import WorkflowFactory

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.electron_phonon import ElectronPhononData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.meshes import Meshes, has_symmetry
from aiida_clathrate.kernels.scalars import is_number

PwBaseWorkChain = WorkflowFactory('quantumespresso.pw.base')
PwRelaxWorkChain = WorkflowFactory('quantumespresso.pw.relax')
PhononBaseWorkChain = WorkflowFactory('clathrate.ph_base')

COUPLING_METHODS = ('interpolated', 'tetrahedra')
#: Parameters of ph.x that follow from the other inputs.
SET_BY_US = {'electron_phonon', 'el_ph_nsigma', 'el_ph_sigma', 'fildvscf', 'last_q', 'start_q'}
HIGHEST_PRESSURE = 1000.0  # GPa; above, a pressure in kbar is more likely than a planet's core


def define_inputs(spec):
    """Define the input ports."""
    given = ('clean_workdir', 'pw.structure', 'pw.parent_folder', 'kpoints', 'kpoints_distance')
    spec.input('structure', valid_type=orm.StructureData, help='Crystal, periodic in three dimensions.')
    spec.input(
        'pressure', valid_type=orm.Float, serializer=orm.to_aiida_type, default=lambda: orm.Float(0.0),
        help='Target pressure [GPa].',
    )  # fmt: skip
    spec.input('qpoints', valid_type=orm.KpointsData, help='q mesh of the phonons, with Γ.')
    spec.input('kpoints', valid_type=orm.KpointsData, help='k mesh of the self-consistent cycles, with Γ.')
    spec.input(
        'kpoints_dense', valid_type=orm.KpointsData,
        help='k mesh of N(E_F) and of the double delta; a multiple of the other two meshes.',
    )  # fmt: skip
    spec.expose_inputs(
        PwRelaxWorkChain, namespace='relax', exclude=('clean_workdir', 'structure'),
        namespace_options={'required': False, 'populate_defaults': False, 'help': 'Left out: no relaxation.'},
    )  # fmt: skip
    spec.expose_inputs(PwBaseWorkChain, namespace='scf', exclude=given)
    spec.expose_inputs(
        PhononBaseWorkChain, namespace='phonon',
        exclude=('clean_workdir', 'ph.parent_folder', 'qpoints', 'qpoints_distance', 'qpoints_force_parity',
                 'only_initialization'),
    )  # fmt: skip
    spec.input(
        'electron_phonon', valid_type=orm.Dict, required=False, serializer=orm.to_aiida_type,
        help='`method`: how the double delta is summed, `interpolated` (with `el_ph_sigma` [Ry] and `el_ph_nsigma` of '
        'ph.x) or `tetrahedra` (optimised, on the dense mesh). Left out: no coupling, for insulators and references.',
    )  # fmt: skip
    spec.input(
        'count_states', valid_type=orm.Bool, serializer=orm.to_aiida_type, default=lambda: orm.Bool(True),
        help='Whether to calculate N(E_F) by tetrahedra on the dense mesh.',
    )  # fmt: skip
    spec.input(
        'parallelize_qpoints', valid_type=orm.Bool, serializer=orm.to_aiida_type, default=lambda: orm.Bool(False),
        help='Whether each irreducible q is a calculation of its own.',
    )  # fmt: skip
    spec.input(
        'max_concurrent', valid_type=orm.Int, serializer=orm.to_aiida_type, default=lambda: orm.Int(4),
        validator=at_least_one, help='How many q points run at the same time.',
    )  # fmt: skip
    spec.input(
        'max_attempts', valid_type=orm.Int, serializer=orm.to_aiida_type, default=lambda: orm.Int(3),
        validator=at_least_one, help='How often a q point is tried, each time with slower mixing.',
    )  # fmt: skip
    spec.input(
        'settings', valid_type=orm.Dict, serializer=orm.to_aiida_type, default=lambda: orm.Dict({}),
        validator=check_settings,
        help='`soft_acoustic_tolerance`: how far below zero acoustic modes near Γ may be [meV]; `dos_step`: of the '
        'frequency axis of the phonon density of states [meV].',
    )  # fmt: skip
    spec.input(
        'clean_workdir', valid_type=orm.Bool, serializer=orm.to_aiida_type, default=lambda: orm.Bool(False),
        help='Whether to delete the remote folders at the end.',
    )  # fmt: skip
    spec.inputs.validator = validate_inputs


def define_outputs(spec):
    """Define the output ports."""
    spec.output('structure', valid_type=orm.StructureData, help='Relaxed crystal.')
    spec.output('dynamical_matrices', valid_type=DynamicalMatrixData, help='Φ(q) with symmetry and sum rule [eV/Å²].')
    spec.output('electron_phonon', valid_type=ElectronPhononData, required=False, help='G(q) [1/Å²].')
    spec.output('dispersion', valid_type=orm.BandsData, help='ħω along the path of seekpath [meV].')
    spec.output('phonon_dos', valid_type=orm.ArrayData, help='Total and of each atom [states/meV/cell].')
    spec.output('stability', valid_type=orm.Dict, help='Verdict and its evidence [meV].')
    spec.output('electron_dos', valid_type=orm.ArrayData, required=False, help='Around E_F [states/eV/cell].')
    spec.output('output_parameters', valid_type=orm.Dict, help='Enthalpy, N(E_F) … and `units`; violations.')


def define_exit_codes(spec):
    """Define the exit codes."""
    for status, label, message in (
        (400, 'ERROR_OUT_OF_WALLTIME',
         'q point {qpoint} alone takes longer than the wall time: grant more time or processes.'),
        (401, 'ERROR_SUB_PROCESS_FAILED_RELAX', 'The relaxation failed.'),
        (402, 'ERROR_SUB_PROCESS_FAILED_SCF_DENSE', 'The SCF on the dense k mesh failed.'),
        (403, 'ERROR_SUB_PROCESS_FAILED_SCF', 'The SCF on the k mesh of the phonons failed.'),
        (404, 'ERROR_SUB_PROCESS_FAILED_NSCF', 'The bands for N(E_F) failed.'),
        (405, 'ERROR_SUB_PROCESS_FAILED_PHONON', 'q points {qpoints} failed after all attempts.'),
        (406, 'ERROR_PHONON_FILES', 'The files of ph.x cannot be used: {reason}'),
        (407, 'ERROR_PHONON_ANALYSIS', 'The phonons cannot be analysed: {reason}'),
        (408, 'ERROR_BASIS_TOO_SMALL',
         'ph.x found plane waves at k+q outside the FFT grid, as happens in small cells: raise ecutwfc; or, with '
         'several MPI processes, give each a pool of k points of its own (`pools`, -nk).'),
        (409, 'ERROR_SUB_PROCESS_FAILED_COUPLING', 'The sum over tetrahedra failed.'),
        (411, 'ERROR_ELECTRON_ANALYSIS', 'N(E_F) cannot be calculated: {reason}'),
    ):  # fmt: skip
        spec.exit_code(status, label, message=message)


def at_least_one(number, port):
    """Refuse a count that would run nothing."""
    return None if number.value >= 1 else f'{port.name}: {number.value} is too few; give 1 or more'


def check_settings(settings, port):
    """Refuse settings of the analysis that it does not know or cannot use."""
    allowed = {'soft_acoustic_tolerance': 'zero or more', 'dos_step': 'more than zero'}
    for name, value in settings.get_dict().items():
        if name not in allowed:
            return f'{port.name}: {name!r} is none of {sorted(allowed)}'
        if not is_number(value) or value < 0 or (value == 0 and name == 'dos_step'):
            return f'{port.name}: {name} {value!r} must be a number of meV, {allowed[name]}'
    return None


def validate_inputs(inputs, _):
    """Refuse inputs that cannot work together, before anything is submitted."""
    if not {'structure', 'pressure', 'qpoints', 'kpoints', 'kpoints_dense', 'scf', 'phonon'} <= set(inputs):
        return None  # the ports themselves complain
    pressure = inputs['pressure'].value
    if not 0 <= pressure < math.inf:
        return f'pressure: {pressure} GPa is negative or not finite; give the target pressure in GPa, 0 or more'
    if pressure > HIGHEST_PRESSURE:
        warnings.warn(f'pressure: {pressure} GPa is very high; is it in kbar (1 GPa = 10 kbar)?', stacklevel=2)
    try:
        crystal = Crystal.from_ase(inputs['structure'].get_ase())
        meshes = {name: get_mesh(name, inputs[name]) for name in ('qpoints', 'kpoints', 'kpoints_dense')}
        Meshes(*meshes.values())
    except ValueError as error:
        return str(error)
    for name, mesh in meshes.items():
        if not has_symmetry(mesh, crystal):
            return (
                f'{name}: mesh {mesh} lacks the symmetry of the crystal ({crystal.space_group()}); give equal '
                'divisions along lattice vectors that symmetry mixes'
            )
    coupling = inputs['electron_phonon'].get_dict() if 'electron_phonon' in inputs else None
    return check_parameters(inputs, coupling) or check_pseudos(inputs) or (coupling and check_coupling(coupling))


def check_parameters(inputs, coupling):
    """Return what is wrong with the parameters of pw.x and ph.x, ``None`` if nothing is."""
    system = inputs['scf']['pw']['parameters'].get_dict().get('SYSTEM', {})
    if 'ecutwfc' not in system:
        return 'scf.pw.parameters: SYSTEM.ecutwfc is missing; give the cutoff of the wave functions in Ry'
    if coupling is not None and system.get('occupations', 'fixed') == 'fixed':
        return (
            'electron_phonon: an insulator has no electrons at E_F; leave it out, or set SYSTEM.occupations in '
            'scf.pw.parameters to "smearing"'
        )
    namelist = inputs['phonon']['ph']['parameters'].get_dict().get('INPUTPH')
    if namelist is None:
        return 'phonon.ph.parameters: the namelist INPUTPH is missing; give at least an empty one'
    if taken := sorted(set(namelist) & SET_BY_US):
        return f'phonon.ph.parameters: {taken[0]} of INPUTPH is set by the work chain; leave it out'
    return None


def check_pseudos(inputs):
    """Return what is wrong with the pseudopotentials, ``None`` if nothing is."""
    kinds, pseudos = set(inputs['structure'].get_kind_names()), set(inputs['scf']['pw'].get('pseudos', {}))
    if kinds == pseudos:
        return None
    return (
        f'scf.pw.pseudos: needs one pseudopotential for each of {sorted(kinds)}, not for {sorted(pseudos)}; '
        'give `pseudo_family` a family that has them'
    )


def check_coupling(parameters):
    """Return what is wrong with the parameters of the coupling, ``None`` if nothing is."""
    method = parameters.get('method', COUPLING_METHODS[0])
    if method not in COUPLING_METHODS:
        return f'electron_phonon.method: {method!r} is none of {COUPLING_METHODS}'
    needed = {'el_ph_sigma', 'el_ph_nsigma'} if method == COUPLING_METHODS[0] else set()
    given = set(parameters) - {'method'}
    if given != needed:
        return f'electron_phonon: the method {method!r} takes {sorted(needed)}, not {sorted(given)}'
    for name in needed:
        if not is_number(parameters[name]) or parameters[name] <= 0:
            return f'electron_phonon.{name}: {parameters[name]!r} is not a positive number'
    if needed and parameters['el_ph_nsigma'] != int(parameters['el_ph_nsigma']):
        return f'electron_phonon.el_ph_nsigma: {parameters["el_ph_nsigma"]} broadenings; give a whole number'
    return None


def get_mesh(name, kpoints):
    """Return the divisions of a mesh without offset."""
    try:
        mesh, offset = kpoints.get_kpoints_mesh()
    except AttributeError:
        raise ValueError(f'{name}: is a list of points; give a mesh, with `set_kpoints_mesh`') from None
    if any(offset):
        raise ValueError(f'{name}: mesh {mesh} has the offset {offset}; phonons need meshes that contain Γ')
    return tuple(mesh)
