"""Starting flows: requests that wait together are inserted together (FL-18)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from holdfast.errors import InvalidId
from holdfast.flows.errors import FlowExists
from holdfast.flows.sql import args_digest
from holdfast.ids import new_id, parse_id
from holdfast.store import Store, Transaction, Unit, load_queries
from holdfast.store.units import answer

_q = load_queries("holdfast.flows.engine")
MAX_KEY = 500
MAX_GROUP = 500


@dataclass(frozen=True, slots=True)
class Start:
    """A request to start a flow.

    Attributes:
        id: the flow's, the caller's own or a fresh one.
        named: the caller chose the id.
        key: the caller's idempotency key within the workflow type, if any.
        args: JSON object.
    """

    id: UUID
    named: bool
    key: str | None
    workflow_type: str
    owner: str
    goal: str
    args: str


def make_start(
    workflow_type: str, args: str, *, id: UUID | str | None, key: str | None, owner: str, goal: str
) -> Start:
    """Raises:
    InvalidId: an empty or malformed id or key (FL-18).
    """
    if key is not None and (not key or len(key) > MAX_KEY or not key.isprintable()):
        raise InvalidId(f"{key!r} cannot be a key.", remedy=f"Use 1 to {MAX_KEY} printable characters.")
    flow_id = new_id() if id is None else parse_id(id)
    return Start(flow_id, id is not None, key, workflow_type, owner, goal, args)


class Starts:
    """Inserts requests in groups: what arrives while one group is on its way makes up the next.

    Args:
        store: where to.
        local: whether a worker of this process serves a workflow type; otherwise others are told.
        started: called, from a store thread, after a group was committed.
    """

    def __init__(self, store: Store, local: Callable[[str], bool], started: Callable[[], None]) -> None:
        self._store = store
        self._local = local
        self._started = started
        self._lock = threading.Lock()
        self._waiting: list[tuple[Start, Unit]] = []
        self._sending = False

    def submit(self, start: Start, unit: Unit) -> None:
        """Queue ``start``; ``unit`` is answered with the flow's id once it is durable."""
        with self._lock:
            self._waiting.append((start, unit))
            if self._sending:
                return
            self._sending = True
        self._send()

    def _send(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
            self._sending = bool(group)
        if not group:
            return
        starts = [start for start, _ in group]

        def settle(unit: Unit) -> None:
            self._settle(group, unit)

        try:
            self._store.submit(Unit(lambda tx: self._insert(tx, starts), settle, idempotent=True))
        except Exception as error:
            with self._lock:
                self._sending = False
            for _, waiter in group:
                waiter.error = error
            answer([waiter for _, waiter in group])

    def _insert(self, tx: Transaction, starts: Sequence[Start]) -> list[UUID | FlowExists]:
        if not all(self._local(start.workflow_type) for start in starts):
            self._store.backend.announce(tx)
        return insert_flows(tx, starts)

    def _settle(self, group: Sequence[tuple[Start, Unit]], unit: Unit) -> None:
        outcomes = unit.result if unit.error is None else [unit.error] * len(group)
        for (_, waiter), outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                waiter.error = outcome
            else:
                waiter.result = outcome
        self._started()
        self._send()
        answer([waiter for _, waiter in group])


def insert_flows(tx: Transaction, starts: Sequence[Start]) -> list[UUID | FlowExists]:
    """Insert flows that do not exist yet; each one's id, or why it cannot be (FL-18).

    Doing it again does no harm: the same id or key with the same workflow and arguments is the same flow.
    """
    now = tx.clock.micros()
    digests = [args_digest(start.args) for start in starts]
    rows = [
        (str(s.id), s.key, s.workflow_type, s.owner, s.goal, now, secrets.randbits(63), s.args, digest)
        for s, digest in zip(starts, digests, strict=True)
    ]
    inserted = {row[0] for row in tx.fetch(_q["insert_flows"], rows=rows)}
    missing = [(str(s.id), s.key, s.workflow_type) for s in starts if str(s.id) not in inserted]
    repeats = len({start.id for start in starts}) < len(starts)
    if not missing and not repeats:
        return [start.id for start in starts]
    looked_up = [(str(s.id), s.key, s.workflow_type) for s in starts]
    standing = [(row[0], row[1], (row[2], row[3])) for row in tx.fetch(_q["standing"], rows=looked_up)]
    by_id = {flow_id: (flow_id, what) for flow_id, _, what in standing}
    by_key = {(key, what[0]): (flow_id, what) for flow_id, key, what in standing if key is not None}
    return [_identify(start, digest, by_id, by_key) for start, digest in zip(starts, digests, strict=True)]


Standing = tuple[str, tuple[str, int]]


def _identify(
    start: Start, digest: int, by_id: dict[str, Standing], by_key: dict[tuple[str, str], Standing]
) -> UUID | FlowExists:
    same = (start.workflow_type, digest)
    found = by_id.get(str(start.id))
    keyed = by_key.get((start.key, start.workflow_type)) if start.key else None
    if found and found[1] != same:
        return FlowExists(f"The flow {start.id} was started as {found[1][0]}, or with other arguments.")
    if keyed and (keyed[1] != same or (start.named and keyed[0] != str(start.id))):
        return FlowExists(f"The key {start.key!r} belongs to the flow {keyed[0]}, started otherwise.")
    standing = keyed or found
    assert standing is not None
    return UUID(standing[0])
