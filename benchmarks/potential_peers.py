"""MACE, pypolymlp and NEP on configurations of ours: what the trained potential is compared with and timed against.

    python benchmarks/potential_peers.py TASK INPUT.npz OUTPUT.npz

The only file of the project that imports them. It runs in a process of its own, with an interpreter that has them;
``potential.py`` takes its path from the environment variable ``CLATHRATE_PEERS``. Tested with mace-torch 0.3.16,
pypolymlp 0.22.1 and calorine 4.1, whose CPU code for NEP is the C++ of GPUMD. Set ``OMP_NUM_THREADS`` for the process.

Arrays of the input: ``positions`` (c, s, 3) [Å], ``cell`` (3, 3) [Å], ``symbols`` (s,). Tasks:

- ``mace_32``, ``mace_64``: energy, forces and stress, in single precision, with weights from scratch: two layers, 32
  or 64 scalar channels, correlation 2 or 3, l ≤ 3, cutoff 5 Å. ``batch`` configurations at a time; graphs are built
  before the clock starts;
- ``nep_4``, ``nep_12``: the same in double precision by NEP4 with random weights: radial and angular orders 4 and 4, as
  is usual, or 12 and 10, as in the paper preset, l ≤ 4 with the invariant of four bodies, 30 neurons, 6 and 5 Å;
- ``polymlp_2``, ``polymlp_3``: the same in double precision by polynomials with random coefficients: products of pair
  functions, and linear terms in invariants of second, or second and third order; 5 radial functions, 6 Å; threads share
  the configurations;
- ``polymlp_fit``: fits a polynomial to ``energies`` (c,) and ``forces`` (c, s, 3) of the first ``training``
  configurations, with the penalty that is best on the next ``validation``, and predicts the rest → ``energies``,
  ``forces``. Its products are of pair functions and invariants of second order too, with 10 radial functions: of a few
  choices the best one for graphite.

Every task writes ``seconds`` and ``processor_seconds``, of all threads, the best of three for tasks that evaluate;
``peak_memory`` of the process [byte]; ``version``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms

REPEATS = 3
#: Radial and angular cutoff of NEP [Å], and the neighbours for which it makes room.
NEP_CUTOFFS = '6 5 300 200'
NEP_NEURONS, NEP_BASIS, NEP_L = 30, 8, 4


def timed(function, repeats=REPEATS):
    """Return the last result and the shortest times."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        result = function()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return result, {'seconds': min(walls), 'processor_seconds': min(processors)}


def peak_memory():
    """Return the largest resident size of this process so far [byte]; what started it does not count."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith('VmHWM:'))


def structures_of(data):
    """Return the configurations as ASE's atoms."""
    symbols = data['symbols'].tolist()
    return [Atoms(symbols, positions=positions, cell=data['cell'], pbc=True) for positions in data['positions']]


def mace(channels, correlation):
    """Return the task of a MACE model of this size."""

    def evaluate(data):
        # Importing MACE lets torch load pickles for the whole process: one reason more for a process of its own.
        import mace
        import torch
        from e3nn import o3
        from mace.data import AtomicData, config_from_atoms
        from mace.modules import ScaleShiftMACE, interaction_classes
        from mace.tools import AtomicNumberTable, torch_geometric

        torch.manual_seed(0)
        structures = structures_of(data)
        numbers = sorted(set(structures[0].numbers.tolist()))
        block = interaction_classes['RealAgnosticResidualInteractionBlock']
        model = ScaleShiftMACE(
            r_max=5.0, num_bessel=8, num_polynomial_cutoff=5, max_ell=3, interaction_cls=block,
            interaction_cls_first=interaction_classes['RealAgnosticInteractionBlock'], num_interactions=2,
            num_elements=len(numbers), hidden_irreps=o3.Irreps(f'{channels}x0e'), MLP_irreps=o3.Irreps('16x0e'),
            atomic_energies=np.zeros(len(numbers)), avg_num_neighbors=62.0, atomic_numbers=numbers,
            correlation=correlation, gate=torch.nn.functional.silu, atomic_inter_scale=1.0, atomic_inter_shift=0.0,
        )  # fmt: skip
        table = AtomicNumberTable(numbers)
        graphs = [AtomicData.from_config(config_from_atoms(each), z_table=table, cutoff=5.0) for each in structures]
        size = int(data['batch'])
        batches = [
            torch_geometric.Batch.from_data_list(graphs[start : start + size]).to_dict()
            for start in range(0, len(graphs), size)
        ]
        results, times = timed(lambda: [model(batch, compute_stress=True) for batch in batches])
        energies = torch.cat([result['energy'].detach() for result in results])
        forces = torch.cat([result['forces'].detach() for result in results])
        return times | {
            'energies': energies.numpy(),
            'forces': forces.numpy().reshape(data['positions'].shape),
            'version': f'mace-torch {mace.__version__}',
        }

    return evaluate


def nep(radial, angular):
    """Return the task of NEP with bases of these orders."""

    def evaluate(data):
        from calorine.calculators import CPUNEP

        structures = structures_of(data)
        species = sorted(set(data['symbols'].tolist()))
        descriptors = radial + 1 + (angular + 1) * (NEP_L + 1)
        basis = (radial + angular + 2) * (NEP_BASIS + 1)
        count = len(species) * NEP_NEURONS * (descriptors + 2) + 1 + basis * len(species) ** 2
        weights = 0.1 * np.random.default_rng(0).standard_normal(count)
        header = (
            f'nep4 {len(species)} {" ".join(species)}', f'cutoff {NEP_CUTOFFS}', f'n_max {radial} {angular}',
            f'basis_size {NEP_BASIS} {NEP_BASIS}', f'l_max {NEP_L} 2 0', f'ANN {NEP_NEURONS} 0',
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, 'nep.txt')
            numbers = [*weights, *np.full(descriptors, 0.1)]
            path.write_text('\n'.join([*header, *(f'{number:.7e}' for number in numbers)]) + '\n')
            calculator = CPUNEP(str(path))
            for atoms in structures:
                atoms.calc = calculator
            energies, forces = [], []

            def sweep():
                energies.clear(), forces.clear()
                for atoms in structures:
                    calculator.reset()
                    energies.append(atoms.get_potential_energy())
                    forces.append(atoms.get_forces())
                    atoms.get_stress()

            _, times = timed(sweep)
        return times | {'energies': energies, 'forces': forces, 'version': f'calorine {version("calorine")}'}

    return evaluate


def polynomial(species, largest_l, gaussians, kind):
    """Return pypolymlp without coefficients.

    :param largest_l: largest angular momentum of the invariants of second and each higher order.
    :param gaussians: number of radial functions.
    :param kind: 3, products of pair functions, and linear terms in invariants; 4, second order in products too.
    """
    from pypolymlp.mlp_dev.pypolymlp import Pypolymlp

    model = Pypolymlp()
    model.set_params(
        elements=tuple(species), atomic_energy=(0.0,) * len(species), cutoff=6.0, model_type=kind, max_p=2,
        gtinv_order=len(largest_l) + 1, gtinv_maxl=largest_l, gaussian_params2=(0.0, 5.0, gaussians),
        include_stress=False,
    )  # fmt: skip
    return model


def polynomial_structures(data, positions):
    """Return configurations with the elements one after another, as pypolymlp has them, and that order."""
    from pypolymlp.core.data_format import PolymlpStructure

    symbols = data['symbols']
    species, types = np.unique(symbols, return_inverse=True)
    order = np.argsort(types, kind='stable')
    scaled = positions[:, order] @ np.linalg.inv(data['cell'])
    counts = np.bincount(types).tolist()
    structures = [
        PolymlpStructure(data['cell'].T, each.T, counts, symbols[order].tolist(), types[order].tolist())
        for each in scaled
    ]
    return structures, species.tolist(), order


def polymlp(largest_l):
    """Return the task of a polynomial with random coefficients."""

    def evaluate(data):
        from pypolymlp.calculator.properties import Properties

        structures, species, kept = polynomial_structures(data, data['positions'])
        model = polynomial(species, largest_l, 5, 3)
        coefficients = 1e-4 * np.random.default_rng(0).standard_normal(model.n_features)
        properties = Properties(params=model.parameters, coeffs=[coefficients])
        (energies, forces, _), times = timed(lambda: properties.eval_multiple(structures))
        return times | {
            'energies': energies,
            'forces': in_our_order(forces, kept),
            'coefficients': model.n_features,
            'version': f'pypolymlp {version("pypolymlp")}',
        }

    return evaluate


def in_our_order(forces, order):
    """Return forces of atoms as they came."""
    stacked = np.array([each.T for each in forces])
    ours = np.empty_like(stacked)
    ours[:, order] = stacked
    return ours


def polymlp_fit(data):
    """Fit a polynomial, and predict."""
    from pypolymlp.calculator.properties import Properties

    structures, species, order = polynomial_structures(data, data['positions'])
    energies, forces = data['energies'], [each[order].T for each in data['forces']]
    train, chosen = int(data['training']), int(data['training']) + int(data['validation'])

    def fit():
        model = polynomial(species, (4, 4), 10, 4)
        model.set_datasets_structures(
            structures[:train],
            structures[train:chosen],
            energies[:train],
            energies[train:chosen],
            forces[:train],
            forces[train:chosen],
        )
        return model.fit()

    model, times = timed(fit, 1)
    properties = Properties(params=model.parameters, coeffs=[model.coeffs])
    predicted, predicted_forces, _ = properties.eval_multiple(structures[chosen:])
    return times | {
        'energies': predicted,
        'forces': in_our_order(predicted_forces, order),
        'coefficients': model.n_features,
        'version': f'pypolymlp {version("pypolymlp")}',
    }


TASKS = {
    'mace_32': mace(32, 2),
    'mace_64': mace(64, 3),
    'nep_4': nep(4, 4),
    'nep_12': nep(12, 10),
    'polymlp_2': polymlp((4,)),
    'polymlp_3': polymlp((4, 2)),
    'polymlp_fit': polymlp_fit,
}


def main(task, source, target):
    """Run a task."""
    with np.load(source, allow_pickle=False) as file:
        data = dict(file)
    results = TASKS[task](data)
    for name in ('energies', 'forces'):
        if not np.isfinite(results[name]).all():
            raise ValueError(f'{task}: its {name} are not finite')
    np.savez(target, peak_memory=peak_memory(), **results)


if __name__ == '__main__':
    main(*sys.argv[1:])
