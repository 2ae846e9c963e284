"""Writing what flows did: records, in one fenced statement, and what belongs to them (FL-10, FL-11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast import codec
from holdfast.flows.engine.port import Batch, Record
from holdfast.flows.errors import ChildCycle, DuplicateStep, LeaseLost
from holdfast.flows.inbox.sql import forget
from holdfast.flows.model import StepStatus, describe
from holdfast.flows.remains import holder
from holdfast.flows.requests import Start
from holdfast.flows.starts import insert_flows
from holdfast.store import Transaction, load_queries
from holdfast.store.blobs import put_blob

_q = load_queries("holdfast.flows.engine")
BLOB_CHARS = 64 * 1024
"""A result of more JSON than this goes to the blobs: histories are read without it, page by page."""
MAX_DEPTH = 100
"""Children of children of … : as deep as this they are taken for a mistake."""


class DuplicateRecord(DuplicateStep):
    """The engine recorded a call that another epoch had recorded: never seen, or the fence is broken."""

    def __init__(self, count: int) -> None:
        super(DuplicateStep, self).__init__(f"{count} calls of a group were recorded by another epoch.")


def is_single(batch: Batch) -> bool:
    """Whether one statement writes it all."""
    return not (batch.births or batch.answered or batch.reported) and not any(map(_is_large, batch.records))


def append_batch(tx: Transaction, epoch: int, batch: Batch) -> Mapping[int, Record]:
    """Write a batch; returns, by position, the records of births with what became of them.

    Raises:
        LeaseLost: the epoch was fenced (FL-11).
        DuplicateStep: another step of that run id is recorded (FL-6).
    """
    born = _bear(tx, epoch, batch) if batch.births else {}
    append(tx, epoch, [born.get(position, record) for position, record in enumerate(batch.records)])
    if batch.answered:
        forget(tx, batch.answered)
    if batch.reported:
        tx.execute(_q["forget_progress"], rows=batch.reported)
    return born


def append(tx: Transaction, epoch: int, records: Sequence[Record]) -> None:
    """Write ``records`` in one fenced statement.

    Rows that are there already, under this same epoch, were written by an attempt whose answer was lost.

    Raises:
        LeaseLost, DuplicateStep: as :func:`append_batch`.
    """
    rows = [(*record, None) if not _is_large(record) else _without_body(tx, epoch, record) for record in records]
    if tx.execute(_q["append"], {"epoch": epoch}, rows=rows) == len(records):
        return
    check_alive(tx, epoch)
    names = [(record.flow, record.run_id) for record in records]
    ((present,),) = tx.fetch(_q["appended"], {"epoch": epoch}, rows=names)
    if present < len(records):
        raise DuplicateRecord(len(records) - present)


def check_alive(tx: Transaction, epoch: int) -> None:
    """Raises:
    LeaseLost: the epoch was fenced.
    """
    if tx.fetch_one(_q["is_alive"], {"epoch": epoch}) is None:
        raise LeaseLost(epoch)


def _is_large(record: Record) -> bool:
    return record.result is not None and len(record.result) > BLOB_CHARS


def _without_body(tx: Transaction, epoch: int, record: Record) -> tuple[object, ...]:
    check_alive(tx, epoch)
    assert record.result is not None
    digest = put_blob(tx, record.result.encode(), holder=holder(record.flow))
    return (*record._replace(result=None), digest)


def _bear(tx: Transaction, epoch: int, batch: Batch) -> dict[int, Record]:
    """Start children, and say in their records what became of that."""
    check_alive(tx, epoch)
    outcomes: dict[int, str | Exception] = {
        position: error for position, start in batch.births.items() if (error := _cycle(tx, start)) is not None
    }
    sound = {position: start for position, start in batch.births.items() if position not in outcomes}
    started = insert_flows(tx, list(sound.values())).outcomes
    outcomes |= dict(zip(sound, started, strict=True))
    tx.execute(_q["tie"], rows=[(flow,) for flow in {batch.records[position].flow for position in batch.births}])
    return {position: _told(batch.records[position], outcome) for position, outcome in outcomes.items()}


def _told(record: Record, outcome: str | Exception) -> Record:
    if isinstance(outcome, Exception):
        return record._replace(status=StepStatus.FAILED, result=None, error=codec.encode(describe(outcome)))
    return record._replace(result=codec.encode(outcome))


def _cycle(tx: Transaction, start: Start) -> ChildCycle | None:
    """Whether the child would be one of its own parents, or is nested too deeply."""
    if start.depth > MAX_DEPTH:
        return ChildCycle(f"Flows of {start.workflow_type} are nested {MAX_DEPTH} deep.")
    if (start.named or start.key) and tx.fetch(
        _q["is_ancestor"],
        {"flow": start.parent, "id": start.id, "key": start.key, "workflow_type": start.workflow_type},
    ):
        return ChildCycle(f"The flow {start.key or start.id} is the one that starts it, or one of its parents.")
    return None
