"""Input and output ports of the ``RelaxPhononWorkChain``, and what it refuses."""

from __future__ import annotations

import warnings

from aiida import orm
from aiida.plugins import WorkflowFactory

from aiida_clathrate.data.dynamical_matrix import DynamicalMatrixData
from aiida_clathrate.data.electron_phonon import ElectronPhononData
from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.meshes import Meshes

PwBaseWorkChain = WorkflowFactory('quantumespresso.pw.base')
PwRelaxWorkChain = WorkflowFactory('quantumespresso.pw.relax')
PhononBaseWorkChain = WorkflowFactory('clathrate.ph_base')

COUPLING_METHODS = ('interpolated', 'tetrahedra')
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
        help='How many q points run at the same time.',
    )  # fmt: skip
    spec.input(
        'max_attempts', valid_type=orm.Int, serializer=orm.to_aiida_type, default=lambda: orm.Int(3),
        help='How often a q point is tried, each time with slower mixing.',
    )  # fmt: skip
    spec.input(
        'settings', valid_type=orm.Dict, serializer=orm.to_aiida_type, default=lambda: orm.Dict({}),
        help='`soft_acoustic_tolerance` [meV] and `dos_step` [meV].',
    )  # fmt: skip
    spec.input(
        'clean_workdir', valid_type=orm.Bool, serializer=orm.to_aiida_type, default=lambda: orm.Bool(False),
        help='Whether to delete the remote folders at the end.',
    )  # fmt: skip
    spec.inputs.validator = validate_inputs


def define_outputs(spec):
    """Define the output ports."""
    spec.output('structure', valid_type=orm.StructureData, help='Relaxed crystal.')
    spec.output('dynamical_matrices', valid_type=DynamicalMatrixData, help='Φ(q), symmetry and sum rule imposed.')
    spec.output('electron_phonon', valid_type=ElectronPhononData, required=False, help='G(q) for each broadening.')
    spec.output('dispersion', valid_type=orm.BandsData, help='ħω along the path of seekpath [meV].')
    spec.output('phonon_dos', valid_type=orm.ArrayData, help='Total and of each atom [states/meV/cell].')
    spec.output('stability', valid_type=orm.Dict, help='Verdict and its evidence.')
    spec.output('electron_dos', valid_type=orm.ArrayData, required=False, help='Around E_F [states/eV/cell].')
    spec.output('output_parameters', valid_type=orm.Dict, help='Enthalpy, N(E_F), pressure, violations.')


def validate_inputs(inputs, _):
    """Refuse inputs that cannot work together, before anything is submitted."""
    if 'structure' not in inputs or 'pressure' not in inputs:
        return None  # the ports themselves complain
    pressure = inputs['pressure'].value
    if not pressure >= 0:
        return f'pressure: {pressure} GPa is negative; give the target pressure in GPa, 0 or more'
    if pressure > HIGHEST_PRESSURE:
        warnings.warn(f'pressure: {pressure} GPa is very high; is it in kbar (1 GPa = 10 kbar)?', stacklevel=2)
    try:
        Crystal.from_ase(inputs['structure'].get_ase())
        Meshes(*(get_mesh(inputs[name]) for name in ('qpoints', 'kpoints', 'kpoints_dense')))
    except (AttributeError, ValueError) as error:
        return str(error)
    if 'electron_phonon' in inputs and (error := check_coupling(inputs['electron_phonon'].get_dict())):
        return error
    kinds, pseudos = set(inputs['structure'].get_kind_names()), set(inputs['scf']['pw'].get('pseudos', {}))
    if kinds != pseudos:
        return (
            f'scf.pw.pseudos: needs one pseudopotential for each of {sorted(kinds)}, not for {sorted(pseudos)}; '
            'give `pseudo_family` a family that has them'
        )
    return None


def check_coupling(parameters):
    """Return what is wrong with the parameters of the coupling, ``None`` if nothing is."""
    method = parameters.get('method', COUPLING_METHODS[0])
    if method not in COUPLING_METHODS:
        return f'electron_phonon.method: {method!r} is none of {COUPLING_METHODS}'
    needed = {'el_ph_sigma', 'el_ph_nsigma'} if method == COUPLING_METHODS[0] else set()
    given = set(parameters) - {'method'}
    if given != needed:
        return f'electron_phonon: the method {method!r} takes {sorted(needed)}, not {sorted(given)}'
    return None


def get_mesh(kpoints):
    """Return the divisions of a mesh without offset."""
    mesh, offset = kpoints.get_kpoints_mesh()
    if any(offset):
        raise ValueError(f'mesh {mesh} has the offset {offset}; phonons need meshes that contain Γ')
    return tuple(mesh)
