"""What whoever runs a council does: change its state together with the event that tells of it, or merely tell."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from holdfast.audit import SqlAuditLog
from holdfast.councils.errors import RunNotFound, UnknownNode
from holdfast.councils.graph import TaskGraph, TaskNode
from holdfast.councils.model import CouncilRun, CouncilRunEvent, RunStatus
from holdfast.councils.sql import SqlCouncilRepository, check_event
from holdfast.errors import InvalidInput
from holdfast.ids import parse_id
from holdfast.store import Store, Transaction, as_store

log = logging.getLogger("holdfast.councils")
CREATED = "created"
REWOUND = "council.rewound"
"""The act of a rewind in the audit chain."""
PRUNE_SLICE = 50


def create(tx: Transaction, run: CouncilRun) -> CouncilRunEvent:
    """Add a run, with the event ``created``.

    Raises:
        RunExists, InvalidGraph, InvalidInput: as the port's ``create_run``.
    """
    councils = SqlCouncilRepository(tx)
    councils.create_run(run)
    return councils.append_event(run.id, CREATED, {"by": tx.actor})


def change_status(
    tx: Transaction,
    run_id: UUID,
    status: RunStatus,
    kind: str,
    payload: Any,
    *,
    wave_index: int | None = None,
    epoch: int | None = None,
) -> tuple[CouncilRun, CouncilRunEvent]:
    """Move a run to ``status`` and append the event that says so, both or neither (CO-4).

    Raises:
        RunNotFound, IllegalTransition, RunHeld, LeaseLost, StuckGraph: as the port's ``update_run_status``.
        InvalidInput: the event cannot be stored.
    """
    councils = SqlCouncilRepository(tx)
    check_event(kind, payload, wave_index)  # what can be refused is refused before anything is written
    run = councils.update_run_status(run_id, status, epoch=epoch)
    return run, councils.append_event(run_id, kind, payload, wave_index=wave_index)


def change_graph(
    tx: Transaction,
    run_id: UUID,
    graph: TaskGraph,
    kind: str,
    payload: Any,
    *,
    wave_index: int | None = None,
    epoch: int | None = None,
) -> CouncilRunEvent:
    """Replace a run's graph and append the event that says why, both or neither (CO-3, CO-4). Also once the run has
    ended: nodes that were running then are drained, and record what came of them.

    Raises:
        RunNotFound, RunHeld, LeaseLost, InvalidGraph: as the port's ``update_graph``.
        InvalidInput: the graph or the event cannot be stored.
    """
    councils = SqlCouncilRepository(tx)
    check_event(kind, payload, wave_index)
    councils.update_graph(run_id, graph, epoch=epoch)
    return councils.append_event(run_id, kind, payload, wave_index=wave_index)


def change_node(
    tx: Transaction,
    run_id: UUID,
    node: TaskNode,
    kind: str,
    payload: Any,
    *,
    wave_index: int | None = None,
    epoch: int | None = None,
) -> CouncilRunEvent:
    """Put ``node`` in the place of the node of its id and append the event that says why, both or neither. Whoever
    changes another node of the run at the same time waits, so that neither change is lost.

    Raises:
        RunNotFound: unknown id.
        UnknownNode: the run's graph has no node of that id.
        RunHeld, LeaseLost, InvalidGraph, InvalidInput: as :func:`change_graph`.
    """
    run = SqlCouncilRepository(tx).lock_run(run_id)
    if run.graph is None or run.graph.node(node.id) is None:
        raise UnknownNode(run_id, node.id)
    return change_graph(tx, run_id, run.graph.with_node(node), kind, payload, wave_index=wave_index, epoch=epoch)


def record(
    store: Store, run_id: UUID, kind: str, payload: Any, *, wave_index: int | None = None, actor: str = "system"
) -> CouncilRunEvent | None:
    """Append an event that changes no state. That the store fails is logged and never aborts the run (CO-4); then
    ``None``. What the caller got wrong is raised.

    Raises:
        RunNotFound: unknown id.
        InvalidInput: the event cannot be stored, the id is none, ``store`` is no store (``WrongHandle``), or this is
            called inside a unit of work (``NestedUnit``).
    """
    run = as_store(store).run
    parse_id(run_id)
    check_event(kind, payload, wave_index)
    try:
        return run(
            lambda tx: SqlCouncilRepository(tx).append_event(run_id, kind, payload, wave_index=wave_index), actor=actor
        )
    except (InvalidInput, RunNotFound):
        raise
    except Exception as error:  # what was handed over is sound: this is the store's failure, or its driver's
        log.warning("the event %r of the council run %s was not recorded: %s", kind, run_id, error)
        return None


def rewind(tx: Transaction, run_id: UUID, wave_index: int | None, *, epoch: int | None = None) -> CouncilRunEvent:
    """Rewind a run to the end of a wave, as the port's ``truncate_events_after_wave`` does (CO-8), with one row in the
    audit chain, both or neither. The row is the act ``council.rewound`` on the run's id; its detail is the payload of
    the event: ``from``, ``to``, ``superseded``.

    Args:
        tx: the transaction; its actor is who rewinds.
        run_id: the run.
        wave_index: the last wave that is kept; ``None``: before the first.
        epoch: who takes the run up.

    Returns:
        The event ``rewound``.

    Raises:
        RunNotFound, InvalidWave, LeaseLost: as the port.
    """
    event = SqlCouncilRepository(tx).truncate_events_after_wave(run_id, wave_index, epoch=epoch)
    SqlAuditLog(tx).append(REWOUND, str(parse_id(run_id)), event.payload)
    return event


def prune(store: Store, retain_days: int, progress: Callable[[int], None] = lambda count: None) -> int:
    """Delete what is over for more than ``retain_days``: terminal runs and superseded events, in slices that hold the
    writer only briefly; returns how many runs.

    Raises:
        ValueError: a negative number of days.
        WrongHandle: ``store`` is no store.
    """
    as_store(store)
    total = 0
    while count := store.run(
        lambda tx: SqlCouncilRepository(tx).prune_terminal_runs(retain_days, limit=PRUNE_SLICE), idempotent=True
    ):
        total += count
        progress(total)
    while store.run(
        lambda tx: SqlCouncilRepository(tx).prune_superseded_events(retain_days, limit=PRUNE_SLICE), idempotent=True
    ):
        pass
    return total
