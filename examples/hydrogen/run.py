"""T_c of atomic metallic hydrogen, I4₁/amd, at 500 GPa, with harmonic and with quantum anharmonic phonons.

Needs the codes and the pseudopotential family that ``demo.sh`` sets up. Run again, it goes on with the run that is
under way, or shows the one that has finished.
"""

import sys
from pathlib import Path

from aiida import load_profile, orm
from aiida.engine import submit
from aiida.plugins import WorkflowFactory
from rich.console import Console

from aiida_clathrate.cli.status import watch
from aiida_clathrate.kernels.structures import structure_from_name

LABEL = 'Atomic metallic hydrogen at 500 GPa'
# 12×12×12 k points move single modes by 40 meV against 16×16×16, and 8×8×8 give an imaginary one.
MESHES = {'qpoints': (4, 4, 4), 'kpoints': (16, 16, 16), 'kpoints_dense': (32, 32, 32)}
OVERRIDES = {
    'scf': {'pw': {'parameters': {'SYSTEM': {'smearing': 'mp', 'degauss': 0.03}}}},
    'electron_phonon': {'el_ph_sigma': 0.01},
}
#: 80 configurations from first principles train a potential; those that it is most uncertain of are added, and the
#: populations grow to 5,000 with it. It cannot be better than its labels, whose forces change by 80 meV/Å with the k
#: mesh: the limits are those of a cheap example.
POTENTIAL = {
    'populations': [1000, 5000],
    'hessian_configurations': 5000,
    'largest_energy_error': 6.0,
    'largest_force_error': 200.0,
    'largest_deviation': 400.0,
    'max_labels': 8,
    'max_rounds': 2,
    'check_configurations': 16,
    'train': {
        # The density is that of a metal at 500 GPa: 3.5 Å hold as many neighbours as 6 Å of a clathrate. 320 unknowns
        # are enough for 3,400 noisy forces: with 480, random configurations have errors of 172 meV/Å instead of 156.
        'architecture': {
            'preset': 'fast',
            'radial_cutoff': 4.0,
            'angular_cutoff': 3.5,
            'angular_order': 7,
            'linear_channels': 32,
        },
        'training': {'epochs': 40},
    },
}
#: Forces on the 16 atoms of the supercell need far fewer k points than phonons with a small smearing: what the coarser
#: mesh changes is in the reference too, harmonic matrices from the same forces, and leaves with it.
ANHARMONIC = {
    'supercell': (2, 2, 2),
    'temperature': 0.0,
    'kpoints': (5, 5, 5),
    'options': {
        'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1},
        'max_wallclock_seconds': 3600,
        'withmpi': False,
    },
    'pools': None,
    'potential': POTENTIAL,
    'overrides': {
        'populations': [20, 60],
        'max_concurrent': 4,
        'reference': True,
        'pw': {
            'pw': {
                'parameters': {
                    'SYSTEM': {'smearing': 'mp', 'degauss': 0.06, 'ecutwfc': 32.0, 'ecutrho': 160.0},
                    'ELECTRONS': {'conv_thr': 1e-8},
                }
            }
        },
    },
}
#: Of the ten broadenings of the Fermi surface, 0.01 Ry to 0.10 Ry, the one whose T_c is reported: 0.07 Ry, where λ is
#: stationary. Narrower ones need more k points than 32×32×32.
SMEARING = 6


def build():
    """Return the inputs."""
    return WorkflowFactory('clathrate.critical_temperature').get_builder_from_protocol(
        python_code='clathrate@localhost',
        pw_code='pw@localhost',
        ph_code='ph@localhost',
        structure=orm.StructureData(ase=structure_from_name('H').to_ase()),
        pressure=500.0,
        protocol='fast',
        pseudo_family='debian',
        pools=2,
        options={'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 2}, 'max_wallclock_seconds': 3600},
        overrides=OVERRIDES,
        eliashberg={'smearing': SMEARING},
        sscha=ANHARMONIC,
        **MESHES,
    )


def earlier_run():
    """Return the newest run that is under way or ended well, ``None`` if there is none."""
    builder = orm.QueryBuilder().append(orm.WorkChainNode, filters={'label': LABEL}, tag='run')
    runs = builder.order_by({'run': {'ctime': 'desc'}}).all(flat=True)
    return next((run for run in runs if not run.is_terminated or run.is_finished_ok), None)


def main() -> int:
    """Run, watch, and leave the number of the run in ``demo-results/pk``; return the exit status."""
    load_profile()
    console = Console()
    run = earlier_run()
    if run is None:
        builder = build()
        builder.metadata.label = LABEL
        run = submit(builder)
        console.print(f'Submitted as process {run.pk}. Ctrl-C stops watching, not the calculation.')
    results = Path('demo-results')
    results.mkdir(exist_ok=True)
    (results / 'pk').write_text(f'{run.pk}\n')
    try:
        return 0 if watch(run.pk, console).succeeded else 1
    except KeyboardInterrupt:
        console.print('No longer watching; the calculation goes on. Run the same command to watch again.')
        return 130


if __name__ == '__main__':
    sys.exit(main())
