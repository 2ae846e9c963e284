"""A flow's history as rewinding sees it, within one transaction."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from holdfast import codec
from holdfast.flows.model import FlowStatus
from holdfast.flows.remains import holder
from holdfast.flows.rewinding.model import Kept
from holdfast.store import Transaction, load_queries

_q = load_queries("holdfast.flows.rewinding")


class Locked(NamedTuple):
    """A flow's row, locked: its number, and its place in a queue."""

    num: int
    queue: str | None
    dedupe: str | None


class SqlHistory:
    """The records of flows, for those who undo or copy them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def num(self, flow_id: UUID) -> int | None:
        """A flow's number, or ``None``."""
        row = self._tx.fetch_one(_q["flow_num"], {"id": str(flow_id)})
        return int(row[0]) if row else None

    def lock(self, flow_id: UUID) -> Locked | None:
        """Keep everybody else from changing a flow until the transaction ends."""
        row = self._tx.fetch_one(_q["lock_flow"], {"id": str(flow_id)})
        return Locked(*row) if row else None

    def dedupe_holder(self, queue: str, dedupe: str) -> str | None:
        """The id of the live flow that has this place, if any."""
        row = self._tx.fetch_one(_q["dedupe_holder"], {"queue": queue, "dedupe": dedupe})
        return str(row[0]) if row else None

    def key_holder(self, workflow_type: str, key: str | None) -> str | None:
        """The id of the flow that has this key, if any."""
        row = self._tx.fetch_one(_q["key_holder"], {"workflow_type": workflow_type, "key": key})
        return str(row[0]) if row else None

    def kept(self, flow: int) -> list[Kept]:
        """The records that no rewind has undone, in order."""
        return [Kept(*row) for row in self._tx.fetch(_q["kept"], {"flow": flow})]

    def last_failed(self, flow: int) -> tuple[int, dict[str, Any]] | None:
        """The last kept record of a failure: its number, and the error."""
        row = self._tx.fetch_one(_q["last_failed"], {"flow": flow})
        return (row[0], codec.decode(row[1] or "{}")) if row else None

    def last_timer(self, flow: int) -> int | None:
        """The number of the last kept record of a timer, if any."""
        ((num,),) = self._tx.fetch(_q["last_timer"], {"flow": flow})
        return None if num is None else int(num)

    def first_cancel(self, flow: int) -> int | None:
        """The number of the first kept request to cancel, if any."""
        ((num,),) = self._tx.fetch(_q["first_cancel"], {"flow": flow})
        return None if num is None else int(num)

    def supersede(self, flow: int, cut: int, attempt: int) -> int:
        """Mark the kept records after the number ``cut`` as undone; returns how many."""
        return self._tx.execute(_q["supersede"], {"flow": flow, "cut": cut, "attempt": attempt})

    def triggers_after(self, flow: int, cut: int) -> list[str]:
        """Run ids of the recorded waits for events and signals after the number ``cut``."""
        return [row[0] for row in self._tx.fetch(_q["triggers_after"], {"flow": flow, "cut": cut})]

    def superseded_children(self, flow: int, attempt: int) -> list[str]:
        """Ids of the children whose start ``attempt`` has undone."""
        rows = self._tx.fetch(_q["superseded_children"], {"flow": flow, "attempt": attempt})
        return [codec.decode(row[0], str) for row in rows if row[0]]

    def unseen_endings(self, flow: int, *, failed: bool) -> list[str]:
        """Ids of the flow's children that were cancelled with it, or (if ``failed``) have failed, and of whose end no
        kept record tells."""
        started = {codec.decode(row[0], str) for row in self._tx.fetch(_q["kept_children"], {"flow": flow}) if row[0]}
        seen = [row[0] for row in self._tx.fetch(_q["kept_failures"], {"flow": flow})]
        ended = self._tx.fetch(_q["ended_children"], {"flow": flow, "failed": failed})
        return [
            str(child)
            for child, status, error in ended
            if str(child) in started
            and not (error in seen if status == FlowStatus.FAILED else any(str(child) in text for text in seen))
        ]

    def forget_progress(self, flow: int) -> None:
        """What its steps reported is of no interest any more."""
        self._tx.execute(_q["forget_progress"], {"flow": flow})

    def running_steps(self, flow_id: UUID, limit: int) -> list[str]:
        """Run ids of steps that report progress, the latest first."""
        return [row[0] for row in self._tx.fetch(_q["running_steps"], {"id": str(flow_id), "limit": limit})]

    def add_patch(self, flow: int, attempt: int, patch: str) -> None:
        """Record a patch of the flow's state, at the end of its history."""
        row = {"flow": flow, "run_id": f"patch#{attempt}@{attempt}", "result": patch, "now": self._tx.clock.micros()}
        self._tx.execute(_q["add_patch"], row)

    def set_back(self, flow: int, *, attempt: int, state: str, cancelled: bool) -> None:
        """Let a flow be claimed for a new attempt, from whatever status."""
        row = {"flow": flow, "attempt": attempt, "state": state, "cancelled": cancelled}
        self._tx.execute(_q["set_back"], row | {"now": self._tx.clock.micros()})

    def fork(self, flow: int, fork_id: UUID, key: str | None, cut: int, *, state: str, cancelled: bool) -> int | None:
        """Insert a flow that has a copy of the records up to the number ``cut``; its number, or ``None`` where its id
        or key is taken."""
        now = self._tx.clock.micros()
        row = {"flow": flow, "id": str(fork_id), "key": key, "state": state, "cancelled": cancelled, "now": now}
        made = self._tx.fetch_one(_q["fork_flow"], row)
        if made is None:
            return None
        fork = int(made[0])
        self._tx.execute(_q["copy_tags"], {"flow": flow, "fork": fork, "now": now})
        self._tx.execute(_q["copy_records"], {"flow": flow, "fork": fork, "cut": cut})
        self._tx.execute(_q["hold_results"], {"flow": fork, "holder": holder(fork)})
        return fork
