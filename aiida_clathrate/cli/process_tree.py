"""A process and all that it called, read so that watching never holds up the daemon.

Only columns are queried, never nodes: each query is a transaction that ends with it, while a node that is kept and
asked again opens one that stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

TERMINATED = ('finished', 'excepted', 'killed')
ATTRIBUTES = ('process_label', 'process_state', 'process_status', 'exit_status', 'exit_message', 'paused')
FORCES = 'aiida.workflows:clathrate.forces'
JOB_ATTRIBUTES = ('scheduler_state', 'remote_workdir')


@dataclass(frozen=True)
class Process:
    """One process at one moment.

    :param caller: pk of the process that called it, ``None`` at the root.
    :param step: label of the call, ``None`` at the root.
    :param detail: what it waits for, or the state of a job at its scheduler.
    :param progress: of a phonon calculation that runs on this machine, wave vectors done and wanted.
    :param configurations: of a ``ForcesWorkChain``, how many configurations its population has.
    """

    pk: int
    caller: int | None
    label: str
    state: str
    exit_status: int | None
    exit_message: str | None
    detail: str | None
    elapsed: timedelta
    progress: tuple[int, int] | None = None
    step: str | None = None
    configurations: int | None = None

    @property
    def terminated(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in TERMINATED

    @property
    def succeeded(self) -> bool:
        """Whether it finished with exit status 0."""
        return self.state == 'finished' and self.exit_status == 0


def read_processes(pk: int) -> list[Process]:
    """Return the process ``pk`` and, after it, all that descend from it by calls, callers before called."""
    from aiida.orm import Computer, QueryBuilder

    here = QueryBuilder().append(Computer, filters={'transport_type': 'core.local'}, project='id').all(flat=True)
    rows = query_processes({'id': pk})
    level = [pk]
    while level:
        called = query_processes({}, callers=level)
        rows += called
        level = [row['id'] for row in called]
    sizes = population_sizes([row['id'] for row in rows if row['process_type'] == FORCES])
    return [to_process(row, here, sizes.get(row['id'])) for row in rows]


def population_sizes(pks: list[int]) -> dict[int, int]:
    """Return how many configurations the population of each ``ForcesWorkChain`` has."""
    from aiida.orm import Data, ProcessNode, QueryBuilder

    if not pks:
        return {}
    builder = QueryBuilder().append(ProcessNode, filters={'id': {'in': pks}}, project='id', tag='forces')
    builder.append(
        Data,
        with_outgoing='forces',
        edge_filters={'label': 'population'},
        project='attributes.number',
        tag='population',
    )
    return {pk: number for pk, number in builder.all() if number is not None}


def last_report(pks: list[int]) -> str | None:
    """Return the first line of the newest message that one of the processes logged."""
    from aiida.orm import Log, QueryBuilder

    filters = {'dbnode_id': {'in': pks}, 'levelname': {'in': ['REPORT', 'WARNING', 'ERROR', 'CRITICAL']}}
    builder = QueryBuilder(limit=1).append(Log, filters=filters, project='message', tag='log')
    messages = builder.order_by({'log': {'time': 'desc'}}).all(flat=True)
    return messages[0].strip().splitlines()[0] if messages else None


def query_processes(filters: dict[str, Any], callers: list[int] | None = None) -> list[dict[str, Any]]:
    """Return columns and attributes of processes, and the pk of the caller when looking for those of ``callers``."""
    from aiida.orm import ProcessNode, QueryBuilder

    columns = ['id', 'ctime', 'mtime', 'node_type', 'process_type', 'dbcomputer_id']
    columns += [f'attributes.{name}' for name in (*ATTRIBUTES, *JOB_ATTRIBUTES)]
    builder = QueryBuilder()
    relation: dict[str, Any] = {}
    if callers is not None:
        builder.append(ProcessNode, filters={'id': {'in': callers}}, project='id', tag='caller')
        relation = {'with_incoming': 'caller', 'edge_filters': {'type': {'in': ['call_calc', 'call_work']}}}
        relation |= {'edge_project': 'label', 'edge_tag': 'call'}
    builder.append(ProcessNode, filters=filters, project=columns, tag='process', **relation)
    builder.order_by({'process': {'id': 'asc'}})
    return [
        {**found['process'], 'caller': found.get('caller', {}).get('id'), 'step': found.get('call', {}).get('label')}
        for found in builder.dict()
    ]


def to_process(row: dict[str, Any], local_computers: list[int], configurations: int | None) -> Process:
    """Return the process of one row of the query."""
    value = {name: row[f'attributes.{name}'] for name in (*ATTRIBUTES, *JOB_ATTRIBUTES)}
    state = value['process_state'] or 'created'
    running = state not in TERMINATED
    folder = value['remote_workdir'] if running and row['dbcomputer_id'] in local_computers else None
    scheduler = f'job {value["scheduler_state"]}' if value['scheduler_state'] else None
    return Process(
        pk=row['id'],
        caller=row['caller'],
        label=value['process_label'] or row['process_type'] or 'process',
        state='paused' if running and value['paused'] else state,
        exit_status=value['exit_status'],
        exit_message=value['exit_message'],
        detail=(scheduler or value['process_status']) if running else None,
        elapsed=(datetime.now(timezone.utc) if running else row['mtime']) - row['ctime'],
        progress=phonon_progress(Path(folder)) if folder else None,
        step=row['step'],
        configurations=configurations,
    )


def phonon_progress(folder: Path) -> tuple[int, int] | None:
    """Return how many wave vectors ph.x has done in ``folder`` and how many its mesh has, if it has begun."""
    # ph.x lists the mesh in number 0, its length on the second line, and writes number i when the i-th q is done.
    files = {path.name: path for path in (folder / 'DYN_MAT').glob('dynamical-matrix-*')}
    mesh = files.pop('dynamical-matrix-0', None)
    try:
        return None if mesh is None else (len(files), int(mesh.read_text().splitlines()[1]))
    except (OSError, ValueError, IndexError):  # the file is being written, or the folder has just been cleaned
        return None
