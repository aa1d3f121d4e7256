"""The work chain: refused inputs, and a real run on aluminium."""

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from ase.build import bulk

from aiida_clathrate.calculations.phonon_files import retrieved_folders
from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.dynamical_matrix import mesh_index
from aiida_clathrate.kernels.files.qe_linewidths import read_linewidths
from aiida_clathrate.workflows.relax_phonon_builder import choose_meshes


@pytest.mark.qe
def test_aluminium(build):
    """Relaxation, N(E_F), phonons and coupling; λ of each mode as ph.x prints it."""
    results, node = run_get_node(build(pressure=5.0))
    assert node.is_finished_ok, node.exit_message
    assert all(called.is_finished_ok for called in node.called_descendants)
    assert results['structure'].get_cell_volume() < 3.95**3 / 4
    summary = results['output_parameters']
    assert summary['space_group'] == 'Fm-3m (225)'
    assert summary['enthalpy'] - summary['energy'] == pytest.approx(5.0 * summary['volume'] / 160.21766, rel=1e-6)
    assert abs(summary['violations']['sum_rule']['frequencies'][0]) < 10
    assert 0.2 < summary['density_of_states_at_fermi_energy'] < 0.6  # free electrons: 0.38
    assert results['stability']['class'] == 'stable'
    assert results['dynamical_matrices'].base.attributes.get('pressure') == 5.0
    assert results['phonon_dos'].get_array('total').sum() * 0.25 == pytest.approx(3.0, rel=1e-6)
    assert summary['violations']['linewidths']['compared'] == 3  # γ, by the work chain itself
    compare_with_print(results, node)


def compare_with_print(results, node):
    """Compare λ of every irreducible q with the table of ph.x: four decimals, in the sum over degenerate modes."""
    matrices, coupling = results['dynamical_matrices'].to_kernel(), results['electron_phonon'].to_kernel()
    couplings = mode_couplings(coupling, matrices)
    folder = retrieved_folders(node)[-1]
    for q in (2, 3):  # the sum rule moves the acoustic modes of Γ
        name = f'elph_dir/elph.inp_lambda.{q}'
        printed = read_linewidths(folder.base.repository.get_object_content(name), name)
        cartesian = printed.qpoint * 2 * np.pi / np.linalg.norm(matrices.crystal.cell[0])
        index = int(mesh_index(matrices.mesh, matrices.crystal.cell @ cartesian / (2 * np.pi)))
        ours = couplings.couplings[:, index]
        np.testing.assert_allclose(ours.sum(axis=1), printed.couplings.sum(axis=1), atol=1.6e-4)
        np.testing.assert_allclose(ours[:, 2], printed.couplings[:, 2], atol=0.6e-4)


@pytest.mark.qe
def test_one_by_one(build):
    """Each q point as a calculation of its own gives the same matrices; without coupling there is no dense SCF."""
    overrides = {'parallelize_qpoints': True, 'max_concurrent': 2, 'clean_workdir': True}
    builder = build(electron_phonon=None, relax=False, overrides=overrides)
    results, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert 'electron_phonon' not in results
    labels = [link.link_label for link in node.base.links.get_outgoing(link_label_filter='phonon_q%').all()]
    assert labels == ['phonon_q1_attempt1', 'phonon_q2_attempt1', 'phonon_q3_attempt1']
    assert results['dynamical_matrices'].base.attributes.get('mesh') == [2, 2, 2]
    jobs = [job for job in node.called_descendants if isinstance(job, orm.CalcJobNode)]
    assert len(jobs) == 5
    assert all(job.outputs.remote_folder.is_empty for job in jobs)
    # What others would start from must not come out of the cache.
    assert not any(job.base.caching.is_valid_cache for job in jobs)


@pytest.mark.qe
def test_tetrahedra(build):
    """The double delta by optimised tetrahedra has no broadening, and roughly the coupling of the other route."""
    results, node = run_get_node(build(electron_phonon='tetrahedra', relax=False))
    assert node.is_finished_ok, node.exit_message
    coupling = results['electron_phonon'].to_kernel()
    assert coupling.smearings.tolist() == [0.0]
    couplings = mode_couplings(coupling, results['dynamical_matrices'].to_kernel())
    assert 0.05 < couplings.spectral().coupling < 2.0


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'kpoints_dense': (6, 6, 6)}, 'multiple of the kpoints mesh'),
        ({'qpoints': (3, 3, 3)}, 'multiple of the qpoints mesh'),
        ({'pseudo_family': 'nonexistent'}, 'not installed'),
        ({'protocol': 'sloppy'}, 'sloppy'),
    ],
)
def test_builder_refuses(build, changes, message):
    """Inputs that cannot work are refused when the builder is made."""
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda b: setattr(b, 'pressure', orm.Float(-1.0)), 'pressure: -1.0 GPa is negative'),
        (lambda b: setattr(b, 'kpoints_dense', mesh(6)), 'must be a multiple'),
        (lambda b: setattr(b, 'qpoints', mesh(2, offset=0.5)), 'Γ'),
        (lambda b: setattr(b, 'structure', slab()), 'periodic in three dimensions'),
        (lambda b: setattr(b, 'structure', overlapping()), 'overlap'),
        (lambda b: b.scf.pw.pseudos.clear(), 'scf.pw.pseudos'),
        (lambda b: setattr(b, 'electron_phonon', {'method': 'guess'}), "electron_phonon.method: 'guess'"),
        (lambda b: setattr(b, 'electron_phonon', {'el_ph_sigma': 0.01}), 'el_ph_nsigma'),
        (lambda b: setattr(b, 'electron_phonon', {'el_ph_sigma': 0, 'el_ph_nsigma': 10}), 'el_ph_sigma: 0 is not'),
        (lambda b: setattr(b, 'electron_phonon', {'el_ph_sigma': 0.1, 'el_ph_nsigma': 2.5}), 'give a whole number'),
        (lambda b: setattr(b, 'pressure', orm.Float('inf')), 'pressure: inf GPa'),
        (lambda b: setattr(b, 'qpoints', mesh((2, 2, 1))), r'qpoints: mesh \(2, 2, 1\) lacks the symmetry'),
        (lambda b: setattr(b, 'qpoints', points()), 'qpoints: is a list of points; give a mesh'),
        (lambda b: setattr(b, 'max_concurrent', 0), 'max_concurrent: 0 is too few; give 1 or more'),
        (lambda b: setattr(b, 'max_attempts', -1), 'max_attempts: -1 is too few'),
        (lambda b: setattr(b, 'settings', {'tolerance': 1.0}), "settings: 'tolerance' is none of"),
        (lambda b: setattr(b, 'settings', {'soft_acoustic_tolerance': -1}), 'soft_acoustic_tolerance -1 must be'),
        (lambda b: setattr(b, 'settings', {'dos_step': 0}), 'dos_step 0 must be a number of meV, more than zero'),
        (lambda b: setattr(b, 'settings', {'dos_step': 'fine'}), "dos_step 'fine' must be"),
        (lambda b: setattr(b.scf.pw, 'parameters', {'SYSTEM': {}}), 'SYSTEM.ecutwfc is missing'),
        (lambda b: setattr(b.scf.pw, 'parameters', insulator()), 'an insulator has no electrons at E_F'),
        (lambda b: setattr(b.phonon.ph, 'parameters', {'INPUTPH': {'last_q': 2}}), 'last_q of INPUTPH is set by'),
        (lambda b: setattr(b.phonon.ph, 'parameters', {'INPUT': {}}), 'INPUTPH'),
    ],
)
def test_ports_refuse(build, assert_refused, change, message):
    """The same holds for builders made by hand, before anything is submitted: port, value and remedy."""
    assert_refused(build(), change, message)


def test_stringent(build):
    """The settings of the published work, for the clathrates at their lattice constants."""
    from aiida_clathrate.kernels.structures import structure_from_name

    for volume in (4.70, 4.87, 4.90, 5.20):
        crystal = structure_from_name('SrB3C3', lattice_constant=volume)
        settings = process_class().get_protocol_inputs('stringent')
        meshes = choose_meshes(orm.StructureData(ase=crystal.to_ase()), settings['meshes'], None, None, None)
        assert (meshes.qpoints, meshes.kpoints, meshes.dense) == ((6, 6, 6), (24, 24, 24), (48, 48, 48))
    builder = build(protocol='stringent', overrides={})
    for part in (builder.scf.pw, builder.relax.base_relax.pw, builder.relax.base_init_relax.pw):
        system = part.parameters['SYSTEM']
        assert (system['ecutwfc'], system['ecutrho']) == (80.0, 640.0)


def test_protocols(build):
    """Each protocol is described, and its inputs pass the checks."""
    assert set(process_class().get_available_protocols()) == {'fast', 'balanced', 'stringent'}
    for protocol in process_class().get_available_protocols():
        assert validate(build(protocol=protocol)) is None


def process_class():
    """Return the work chain."""
    return WorkflowFactory('clathrate.relax_phonon')


def validate(builder):
    """Return what the work chain says to the inputs of a builder."""
    return process_class().spec().inputs.validator(builder._inputs(prune=True), None)


def test_pressure_in_kbar(build):
    """A pressure that only a wrong unit explains is accepted with a warning."""
    builder = build()
    builder.pressure = orm.Float(5000.0)
    with pytest.warns(UserWarning, match='kbar'):
        assert validate(builder) is None


def mesh(divisions, offset=0.0):
    """Return a mesh as a node."""
    node = orm.KpointsData()
    node.set_kpoints_mesh([divisions] * 3 if isinstance(divisions, int) else divisions, offset=[offset] * 3)
    return node


def points():
    """Return a list of wave vectors as a node."""
    node = orm.KpointsData()
    node.set_kpoints([[0.0, 0.0, 0.0]])
    return node


def insulator():
    """Return parameters of pw.x with fixed occupations."""
    return {'SYSTEM': {'ecutwfc': 15.0, 'occupations': 'fixed'}}


def slab():
    """Return a structure that is periodic in two directions."""
    atoms = bulk('Al', 'fcc', a=3.95)
    atoms.pbc = (True, True, False)
    return orm.StructureData(ase=atoms)


def overlapping():
    """Return a structure with two atoms in one place."""
    atoms = bulk('Al', 'fcc', a=3.95, cubic=True)
    atoms.positions[1] = atoms.positions[0] + 0.1
    return orm.StructureData(ase=atoms)
