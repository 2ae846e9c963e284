"""What people do to queues: declare them, hold them, remove them.

Each act that changes something is one transaction with one audit row, whose subject is the queue.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from holdfast.audit import SqlAuditLog
from holdfast.flows.queues.errors import InvalidQueue, QueueInUse, QueueNotFound
from holdfast.flows.queues.model import Queue, QueueStanding
from holdfast.flows.queues.sql import SqlQueues
from holdfast.store import Transaction

DECLARED = "queue.declared"
PAUSED = "queue.paused"
RESUMED = "queue.resumed"
REMOVED = "queue.removed"


def declare(tx: Transaction, queues: Iterable[Queue]) -> None:
    """Make queues, or give those that exist these limits. Whether one is paused stays as it is.

    Raises:
        InvalidQueue: something else than queues, or two of one name.
    """
    wanted = _by_name(queues)
    store = SqlQueues(tx)
    changed: list[tuple[str, dict[str, Any]]] = []
    for name in sorted(wanted):  # whoever declares several locks them in one order
        before, after = store.locked(name), wanted[name].limits
        if before != after:
            store.put(wanted[name])
            changed.append((name, {"from": before and before._asdict(), "to": after._asdict()}))
    for name, detail in changed:
        SqlAuditLog(tx).append(DECLARED, name, detail)


def pause(tx: Transaction, name: str) -> QueueStanding:
    """Let nothing more begin in a queue, and nothing that was parked go on; what runs goes on. Flows that somebody
    wants to end are served nevertheless.

    Raises:
        QueueNotFound: there is none of that name.
    """
    return _hold(tx, name, True)


def resume(tx: Transaction, name: str) -> QueueStanding:
    """Let a paused queue go on.

    Raises:
        QueueNotFound: there is none of that name.
    """
    return _hold(tx, name, False)


def remove(tx: Transaction, name: str) -> None:
    """Remove a queue. A flow of it that is parked goes on without limits when it wakes.

    Raises:
        QueueNotFound: there is none of that name.
        QueueInUse: flows wait or run in it.
    """
    store = SqlQueues(tx)
    _present(tx, name)
    before = store.locked(name)
    if before is None:
        raise QueueNotFound(name)
    if store.is_used(name):
        raise QueueInUse(name)
    store.delete(name)
    SqlAuditLog(tx).append(REMOVED, name, {"from": before._asdict()})


def standing(tx: Transaction, name: str) -> QueueStanding:
    """A queue as it is now.

    Raises:
        QueueNotFound: there is none of that name.
    """
    return _present(tx, name)


def _hold(tx: Transaction, name: str, paused: bool) -> QueueStanding:
    _present(tx, name)
    changed = SqlQueues(tx).set_paused(name, paused)
    found = _present(tx, name)
    if changed:
        SqlAuditLog(tx).append(PAUSED if paused else RESUMED, name, {})
    return found


def _present(tx: Transaction, name: str) -> QueueStanding:
    found = SqlQueues(tx).get(name)
    if found is None:
        raise QueueNotFound(name)
    return found


def _by_name(queues: Iterable[Queue]) -> dict[str, Queue]:
    found: dict[str, Queue] = {}
    for queue in queues:
        if not isinstance(queue, Queue):
            raise InvalidQueue(f"{queue!r:.80} is no Queue.", remedy="Pass Queue(name, concurrency=…).")
        if queue.name in found:
            raise InvalidQueue(f"Two queues are called {queue.name!r}.", remedy="Declare each queue once.")
        found[queue.name] = queue
    return found
