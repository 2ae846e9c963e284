"""How far a flow's running steps say they are."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from holdfast.clock import to_datetime
from holdfast.flows.rows import id_text
from holdfast.store import Transaction, load_queries

_q = load_queries("holdfast.flows")


class Reported(NamedTuple):
    """What a running step reported last: ``done`` of ``total`` (of any unit, or unknown), in words, and when."""

    run_id: str
    done: float
    total: float | None
    note: str | None
    at: datetime


def progress(tx: Transaction, flow_id: UUID) -> list[Reported]:
    """What the running steps of a flow reported last, by run id; nothing of those that did not, or have ended.

    Raises:
        InvalidId: it is none.
    """
    rows = tx.fetch(_q["progress"], {"id": id_text(flow_id)})
    return [Reported(run_id, done, total, note, to_datetime(at)) for run_id, done, total, note, at in rows]
