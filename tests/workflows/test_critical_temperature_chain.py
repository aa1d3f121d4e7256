"""From a crystal to T_c, on aluminium with meshes that are far too coarse."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.plugins import DataFactory, WorkflowFactory
from aiida.storage.sqlite_zip import SqliteZipBackend
from aiida.tools.archive import create_archive

from aiida_clathrate.calculations.alpha2f import spectral_function
from aiida_clathrate.kernels.alpha2f import mode_couplings
from aiida_clathrate.kernels.eliashberg import solve
from aiida_clathrate.kernels.matsubara.settings import Settings

SuperconductivityData = DataFactory('clathrate.superconductivity')


@pytest.fixture
def chain(build, aiida_code_installed):
    """Return a function that makes a builder of the whole chain."""

    def make(eliashberg, **changes):
        python = aiida_code_installed(
            label='test-python', filepath_executable=sys.executable, default_calc_job_plugin='clathrate.eliashberg'
        )
        process_class = WorkflowFactory('clathrate.critical_temperature')
        return build(process_class, python_code=python, eliashberg=eliashberg, relax=False, **changes)

    return make


@pytest.mark.qe
def test_aluminium(chain, tmp_path):
    """T_c, the query, the way back to the crystal, no superconductivity at a large μ*, and the archive."""
    with enable_caching():
        results, node = run_get_node(chain({'mu_stars': [0.05, 0.1], 'smearing': 2}))
        assert node.is_finished_ok, node.exit_message
        others, normal = run_get_node(chain({'mu_stars': [0.3], 'lowest_temperature': 1.0}))
        _, failed = run_get_node(chain({'mu_stars': [0.45]}))
    assert (failed.exit_status, 'spectral_function' in failed.outputs) == (403, True)
    assert 'lower cutoff_factor' in failed.exit_message
    assert normal.exit_status == 450, normal.exit_message
    assert others['superconductivity'].to_kernel().rescaled == (None,)
    assert others['spectral_function'].base.attributes.get('coupling') > 0

    filters = {'attributes.critical_temperature': {'>': 0.1}, 'attributes.formula': 'Al', 'attributes.pressure': 0.0}
    builder = orm.QueryBuilder().append(orm.StructureData, filters={'uuid': node.inputs.relax_phonon.structure.uuid})
    builder.append(SuperconductivityData, with_ancestors=builder._path[0]['tag'], filters=filters, project='uuid')
    assert builder.distinct().all(flat=True) == [results['superconductivity'].uuid]

    archive = tmp_path / 'aluminium.aiida'
    create_archive([node], filename=archive)
    backend = SqliteZipBackend(SqliteZipBackend.create_profile(str(archive)))
    ((imported,),) = orm.QueryBuilder(backend=backend).append(SuperconductivityData).all()
    recomputed, stored = recompute(imported)
    assert imported.uuid == results['superconductivity'].uuid
    backend.close()
    assert stored[0] > 0.1
    np.testing.assert_allclose(recomputed, stored, rtol=1e-12)


def recompute(node):
    """Return T_c of a node from the G(q) and Φ(q) that it came from, and as stored."""
    inputs = node.creator.inputs
    origin = inputs.spectral_function.creator.inputs
    matrices = origin.dynamical_matrices.to_kernel()
    couplings = mode_couplings(origin.electron_phonon.to_kernel(), matrices, **origin.settings.get_dict())
    settings = Settings.from_scalars(inputs.parameters.get_dict())
    chosen = couplings.spectral(settings.smearing)
    return solve(chosen, settings=replace(settings, smearing=0)).rescaled, node.to_kernel().rescaled


@pytest.mark.qe
def test_unstable(chain):
    """A crystal with imaginary modes stops with its phonons and verdict as outputs, before α²F."""
    from ase.build import bulk

    structure = orm.StructureData(ase=bulk('Al', 'sc', a=2.7))
    _, node = run_get_node(chain({'mu_stars': [0.1]}, structure=structure))
    assert node.exit_status == 420
    assert node.outputs.stability['class'] == 'unstable'
    assert 'dynamical_matrices' in node.outputs
    assert 'spectral_function' not in node.outputs


@pytest.fixture
def anharmonic(chain, aiida_code_installed):
    """Return a builder whose anharmonic forces come from a potential of the embedded-medium theory."""
    calculator = aiida_code_installed(
        label='test-emt',
        filepath_executable=sys.executable,
        default_calc_job_plugin='clathrate.evaluate',
        prepend_text='export OMP_NUM_THREADS=1 CLATHRATE_CALCULATOR=ase.calculators.emt:EMT',
    )
    sscha = {
        'supercell': (2, 2, 2),
        'temperature': 100.0,
        'calculator_code': calculator,
        'overrides': {'populations': [40], 'hessian_configurations': 100, 'hessian': {'blocks': 10}},
    }
    return chain({'mu_stars': [0.1], 'smearing': 2}, sscha=sscha)


@pytest.mark.qe
def test_anharmonic(anharmonic):
    """Harmonic and anharmonic T_c come out of one run, the latter with the error that the ensembles give it."""
    builder = anharmonic
    builder.sscha.reference = orm.Bool(True)  # pw.x and the potential agree on nothing but the crystal
    with enable_caching():
        results, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    harmonic, found = results['superconductivity'].to_kernel(), results['anharmonic']['superconductivity'].to_kernel()
    assert harmonic.error is None
    assert 0 < found.error < found.critical_temperature
    assert found.critical_temperature == pytest.approx(harmonic.critical_temperature, rel=0.5)
    assert found.critical_temperature != harmonic.critical_temperature
    sscha = results['sscha']
    assert results['anharmonic']['spectral_function'].creator.inputs.dynamical_matrices.uuid == (
        sscha['interpolated_auxiliary'].uuid
    )
    assert sscha['stability']['class'] == 'stable'
    fine, coarse = sscha['interpolated_auxiliary'].to_kernel(), sscha['auxiliary_matrices'].to_kernel()
    np.testing.assert_allclose(
        fine.force_constants - results['dynamical_matrices'].to_kernel().force_constants,
        coarse.force_constants - sscha['reference_matrices'].to_kernel().force_constants,
        atol=1e-9,
    )
    links = {link.link_label for link in node.base.links.get_outgoing().all()}
    assert {'sscha', 'eliashberg', 'anharmonic_eliashberg', 'mode_deviations'} <= links


def test_anharmonic_refused(anharmonic, assert_refused):
    """What the anharmonic branch cannot do is refused before the phonons have been paid for."""
    forces = anharmonic.sscha.forces.calculator
    for change, message in (
        (lambda b: setattr(b.sscha, 'supercell', [3, 1, 1]), r'sscha\.supercell: \[3, 1, 1\] does not divide'),
        (lambda b: setattr(b.sscha, 'variable_cell', True), 'pressure: a variable cell needs a target pressure'),
        (lambda b: setattr(b.sscha, 'hessian_configurations', 10), '10 are 5 pairs, fewer than the 10 blocks'),
        (lambda b: b.sscha.forces.pop('calculator'), r'sscha\.forces\.pw, calculator: give one of them, not 0'),
        (lambda b: b.sscha.pop('hessian'), 'there are no modes of the Hessian without sscha.hessian'),
        (lambda b: setattr(b, 'anharmonic_modes', 'both'), "anharmonic_modes: 'both' is none of auxiliary, hessian"),
    ):
        anharmonic.anharmonic_modes = 'hessian'
        assert_refused(anharmonic, change, message)
        anharmonic.sscha.supercell, anharmonic.sscha.variable_cell = [2, 2, 2], False
        anharmonic.sscha.hessian_configurations, anharmonic.sscha.forces.calculator = 100, forces


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda b: b.relax_phonon.pop('electron_phonon'), 'T_c needs the coupling'),
        (lambda b: setattr(b.eliashberg, 'parameters', {'smearing': 10}), 'smearing 10 is no broadening .* 0 to 9'),
        (lambda b: setattr(b, 'alpha2f', {'gamma': 'half'}), "alpha2f: gamma 'half' is none of"),
        (lambda b: setattr(b, 'alpha2f', {'gama': 'drop'}), "alpha2f: 'gama' is no setting"),
        (lambda b: setattr(b.eliashberg, 'parameters', {'mu_stars': [0.6]}), r'mu_stars: 0\.6'),
    ],
    ids=['no coupling', 'broadening', 'gamma', 'unknown', 'μ*'],
)
def test_refused(chain, assert_refused, change, message):
    """What cannot work is refused before anything is submitted."""
    assert_refused(chain({'mu_stars': [0.1]}), change, message)


def test_foreign_matrices(aiida_profile):
    """α²F of matrices that do not belong together, or with a setting that does not exist, is a failed step."""
    coupling, matrices = foreign_matrices()
    for settings in ({}, {'gama': 'drop'}):
        _, node = spectral_function.run_get_node(coupling, matrices, orm.Dict(settings))
        assert node.exit_status == 201
    assert 'gama' in node.exit_message


def foreign_matrices():
    """Return G and Φ on different meshes."""
    from aiida_clathrate.kernels.crystal import Crystal
    from aiida_clathrate.kernels.dynamical_matrix import DynamicalMatrices
    from aiida_clathrate.kernels.electron_phonon import ElectronPhonon

    crystal = Crystal(4 * np.eye(3), ('Al',), np.zeros((1, 3)), np.array([26.98]))
    one, unit = np.ones(1), np.eye(3, dtype=complex)
    coupling = ElectronPhonon(crystal, (1, 1, 1), one, unit[None, None], one, one)
    springs = np.array([0 * unit, unit])
    return (
        DataFactory('clathrate.electron_phonon').from_kernel(coupling),
        DataFactory('clathrate.dynamical_matrix').from_kernel(DynamicalMatrices(crystal, (2, 1, 1), springs)),
    )
