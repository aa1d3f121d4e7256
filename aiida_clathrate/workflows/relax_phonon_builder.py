"""Inputs of the ``RelaxPhononWorkChain`` from a protocol."""

from __future__ import annotations

from aiida import orm
from aiida.plugins import WorkflowFactory
from aiida_quantumespresso.common.types import ElectronicType
from aiida_quantumespresso.workflows.protocols.utils import recursive_merge

from aiida_clathrate.kernels.crystal import Crystal
from aiida_clathrate.kernels.meshes import Meshes, mesh_from_distance
from aiida_clathrate.workflows.relax_phonon_ports import COUPLING_METHODS

PwBaseWorkChain = WorkflowFactory('quantumespresso.pw.base')
PwRelaxWorkChain = WorkflowFactory('quantumespresso.pw.relax')
PhononBaseWorkChain = WorkflowFactory('clathrate.ph_base')

INTERPOLATED = COUPLING_METHODS[0]


def get_builder(
    process_class,
    pw_code,
    ph_code,
    structure,
    pressure=0.0,
    protocol=None,
    overrides=None,
    options=None,
    pseudo_family=None,
    qpoints=None,
    kpoints=None,
    kpoints_dense=None,
    electron_phonon='interpolated',
    relax=True,
    electronic_type=ElectronicType.METAL,
    pools=None,
):
    """Return a builder of ``process_class``.

    :param process_class: the work chain.
    :param pw_code: code of ``quantumespresso.pw``, or its label.
    :param ph_code: code of ``quantumespresso.ph``, or its label.
    :param structure: ``StructureData``.
    :param pressure: target pressure [GPa].
    :param protocol: ``fast``, ``balanced`` or ``stringent``.
    :param overrides: nested values that replace those of the protocol.
    :param options: ``metadata.options`` of every calculation.
    :param pseudo_family: label of an installed family, instead of the protocol's.
    :param qpoints: divisions of the q mesh, for instance (4, 4, 4); from the protocol's distance if left out.
    :param kpoints: divisions of the k mesh of the self-consistent cycles.
    :param kpoints_dense: divisions of the k mesh at the Fermi surface.
    :param electron_phonon: how to sum the double delta, ``interpolated`` or ``tetrahedra``; ``None``: no coupling.
    :param relax: whether to relax cell and atoms first.
    :param electronic_type: metal or insulator.
    :param pools: number of groups of MPI processes that share the k points; small cells need one for each process.
    :raises ValueError: with the name of the input, the value and the remedy.
    """
    inputs = process_class.get_protocol_inputs(protocol, overrides)
    metal = electronic_type is ElectronicType.METAL
    if electron_phonon and not metal:
        raise ValueError('electron_phonon: an insulator has no electrons at E_F; give None')
    pw_code, ph_code = (orm.load_code(code) if isinstance(code, str) else code for code in (pw_code, ph_code))
    family = pseudo_family or inputs['pseudo_family']
    meshes = choose_meshes(structure, inputs['meshes'], qpoints, kpoints, kpoints_dense)

    common = {'protocol': protocol, 'options': options, 'electronic_type': electronic_type}
    parallelization = {'pw': {'parallelization': {'npool': pools}}} if pools else {}
    scf_overrides = recursive_merge({'pseudo_family': family, **parallelization}, inputs['scf'])
    scf = PwBaseWorkChain.get_builder_from_protocol(pw_code, structure, overrides=scf_overrides, **common)
    for name in ('kpoints', 'kpoints_distance', 'clean_workdir'):
        scf.pop(name, None)
    scf.pw.pop('structure', None)

    builder = process_class.get_builder()
    builder.structure = structure
    builder.pressure = orm.Float(pressure)
    for name in ('qpoints', 'kpoints'):
        builder[name] = mesh_node(getattr(meshes, name))
    builder.kpoints_dense = mesh_node(meshes.dense)
    if relax:
        builder.relax = relax_inputs(pw_code, structure, scf_overrides, meshes, inputs['relax'], common)
    else:
        builder.pop('relax')  # or an outer builder asks for the ports that its calculations need
    builder.scf = scf
    builder.phonon = phonon_inputs(ph_code, inputs['phonon'], options, protocol, pools)
    if electron_phonon:
        broadenings = inputs['electron_phonon'] if electron_phonon == INTERPOLATED else {}
        builder.electron_phonon = orm.Dict({'method': electron_phonon} | broadenings)
    builder.count_states = orm.Bool(metal)
    builder.settings = orm.Dict(inputs['settings'])
    for name, node_class in (('parallelize_qpoints', orm.Bool), ('clean_workdir', orm.Bool),
                             ('max_concurrent', orm.Int), ('max_attempts', orm.Int)):  # fmt: skip
        builder[name] = node_class(inputs[name])
    return builder


def choose_meshes(structure, settings, qpoints, kpoints, kpoints_dense):
    """Return meshes that fit together: those given, the others from the distances of the protocol."""
    crystal = Crystal.from_ase(structure.get_ase())
    qpoints = tuple(qpoints or mesh_from_distance(crystal, settings['qpoints_distance']))
    kpoints = tuple(kpoints or mesh_from_distance(crystal, settings['kpoints_distance'], multiple_of=qpoints))
    dense = tuple(kpoints_dense or (settings['dense_factor'] * division for division in kpoints))
    return Meshes(qpoints, kpoints, dense)


def mesh_node(mesh):
    """Return a mesh as a node."""
    node = orm.KpointsData()
    node.set_kpoints_mesh(list(mesh))
    return node


def relax_inputs(code, structure, scf, meshes, overrides, common):
    """Return the inputs of the relaxation, with the k mesh, cutoffs and occupations of the phonons.

    With others, the relaxed cell would not be at the target pressure in the phonon calculation.
    """
    shared = {name: scf[name] for name in ('pseudo_family', 'pw')}
    shared['pw'] = shared['pw'] | {'parameters': {'SYSTEM': scf['pw']['parameters']['SYSTEM']}}
    overrides = recursive_merge(dict.fromkeys(('base_relax', 'base_init_relax'), shared), overrides)
    builder = PwRelaxWorkChain.get_builder_from_protocol(code, structure, overrides=overrides, **common)
    for name in ('structure', 'clean_workdir'):
        builder.pop(name, None)
    for stage in ('base_relax', 'base_init_relax'):
        builder[stage].pop('kpoints_distance', None)
        builder[stage].kpoints = mesh_node(meshes.kpoints)
    return builder


def phonon_inputs(code, settings, options, protocol, pools):
    """Return the inputs of ph.x."""
    overrides = {'ph': {'parameters': {'INPUTPH': settings['parameters']}}}
    if pools:
        overrides['ph']['settings'] = {'CMDLINE': ['-nk', str(pools)]}
    builder = PhononBaseWorkChain.get_builder_from_protocol(
        code, protocol=protocol, overrides=overrides, options=options
    )
    for name in ('qpoints_distance', 'qpoints_force_parity', 'clean_workdir'):
        builder.pop(name, None)
    namelist = builder.ph.parameters.get_dict()['INPUTPH']
    namelist.pop('alpha_mix', None)  # the protocol of the plugin has its own name for alpha_mix(1)
    builder.ph.parameters = orm.Dict({'INPUTPH': namelist})
    return builder
