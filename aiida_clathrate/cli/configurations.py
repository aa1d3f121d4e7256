"""The configurations of a population in the tree of a work chain: a number, and lines only for what needs a look."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiida_clathrate.cli.process_tree import Process

#: How ``ForcesWorkChain`` labels its calls.
ATTEMPT = re.compile(r'(configuration_\d+)_attempt\d+')
#: What ``SschaWorkChain`` computes forces for, by the label of the call.
POPULATIONS = re.compile(r'(population_\d+|check_\d+|hessian|reference)_forces')
NAMES = {'hessian': 'the Hessian', 'reference': 'the reference'}
#: What the forces of a ``LabelledForcesWorkChain`` are, by the labels of its calls.
ROUNDS = re.compile(r'(labels|evaluation)_(\d+)')
ROUND_NAMES = {'labels': 'labels of round', 'evaluation': 'forces by the potential, evaluation'}
LABELLED_FORCES = 'LabelledForcesWorkChain'
#: So many configurations that run, and so many that failed, have lines of their own.
LINES = 4


def fold(processes: list[Process]) -> tuple[list[Process], dict[int, str]]:
    """Return the processes that have lines, and what is to be said about populations, by the pk of their process.

    :param processes: callers before called.
    """
    configurations: dict[int, list[Process]] = {}
    for process in processes:
        if process.caller is not None and ATTEMPT.fullmatch(process.step or ''):
            configurations.setdefault(process.caller, []).append(process)
    notes, hidden = {}, set()
    for process in processes:
        if process.configurations is not None:
            attempts = configurations.get(process.pk, [])
            shown = worth_a_line(attempts)
            unseen = [attempt for attempt in attempts if attempt not in shown]
            hidden |= {attempt.pk for attempt in unseen}
            notes[process.pk] = describe_population(process, attempts, unseen)
        elif process.label == LABELLED_FORCES:
            notes[process.pk] = what_for(process)
        if process.caller in hidden:
            hidden.add(process.pk)
    return [process for process in processes if process.pk not in hidden], notes


def worth_a_line(attempts: Iterable[Process]) -> list[Process]:
    """Return the first configurations that run and the first that failed for good so far."""
    finished = done(attempts)
    left = [attempt for attempt in attempts if name_of(attempt) not in finished]
    failed = [attempt for attempt in left if attempt.terminated]
    return failed[:LINES] + [attempt for attempt in left if not attempt.terminated][:LINES]


def describe_population(process: Process, attempts: list[Process], hidden: list[Process]) -> str:
    """Return ``forces of population 2: 57 of 100 configurations`` and what has no line."""
    what = what_for(process)
    if not attempts:
        return f'{what}: {process.configurations} configurations'
    finished = done(attempts)
    left = [attempt.terminated for attempt in hidden if name_of(attempt) not in finished]
    words = [f'{what}: {len(finished)} of {process.configurations} configurations']
    words += [f'{left.count(ended)} more {word}' for ended, word in ((False, 'run'), (True, 'failed')) if ended in left]
    return ', '.join(words)


def what_for(process: Process) -> str:
    """Return ``forces of population 2``, or what else the configurations are computed for."""
    if found := ROUNDS.fullmatch(process.step or ''):
        return f'{ROUND_NAMES[found[1]]} {found[2]}'
    found = POPULATIONS.fullmatch(process.step or '')
    name = '' if found is None else found[1].replace('_', ' ')
    return f'forces of {NAMES.get(name, name)}' if name else 'forces'


def done(attempts: Iterable[Process]) -> set[str]:
    """Return the names of the configurations that are finished."""
    return {name_of(attempt) for attempt in attempts if attempt.succeeded}


def name_of(attempt: Process) -> str:
    """Return the name of the configuration that is tried."""
    return (attempt.step or '').rpartition('_attempt')[0]
