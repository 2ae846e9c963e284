"""What whoever runs a council does: change its state together with the event that tells of it, or merely tell."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from holdfast.councils.errors import UnknownNode
from holdfast.councils.graph import TaskGraph, TaskNode
from holdfast.councils.model import CouncilRun, CouncilRunEvent, RunStatus
from holdfast.councils.sql import SqlCouncilRepository, check_event
from holdfast.store import Store, Transaction

log = logging.getLogger("holdfast.councils")
CREATED = "created"
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
    """Replace a run's graph and append the event that says why, both or neither (CO-3, CO-4).

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
    """Append an event that changes no state. A failure is logged and never aborts the run (CO-4); then ``None``."""
    try:
        return store.run(
            lambda tx: SqlCouncilRepository(tx).append_event(run_id, kind, payload, wave_index=wave_index), actor=actor
        )
    except Exception as error:  # the payload is an agent's, the store may be anywhere: whatever it is, the run goes on
        log.warning("the event %r of the council run %s was not recorded: %s", kind, run_id, error)
        return None


def prune(store: Store, retain_days: int, progress: Callable[[int], None] = lambda count: None) -> int:
    """Delete what is over for more than ``retain_days``: terminal runs and superseded events, in slices that hold the
    writer only briefly; returns how many runs.

    Raises:
        ValueError: a negative number of days.
    """
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
