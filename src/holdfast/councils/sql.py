"""The one adapter of :class:`~holdfast.councils.store.CouncilRepositoryPort`, for both dialects.

Everything that numbers an event or moves a run does so under the run's row lock, so that numbers become visible in
their order and what was checked still holds when it is written.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, to_datetime, to_micros
from holdfast.councils.errors import (
    InvalidEvent,
    InvalidRun,
    InvalidWave,
    RunDamaged,
    RunExists,
    RunHeld,
    RunNotFound,
    StuckGraph,
)
from holdfast.councils.graph import DEFAULT_LIMITS, GraphLimits, TaskGraph, validate
from holdfast.councils.model import CouncilRun, CouncilRunEvent, HitlMode, RunStatus, check_run_move
from holdfast.councils.store import INTERRUPTED, REWOUND
from holdfast.errors import NotSerialisable, reason
from holdfast.flows.errors import LeaseLost
from holdfast.ids import parse_id
from holdfast.pages import EVERYTHING, Page, check_limit, page_of, parse_cursor, rows_wanted
from holdfast.store import Row, Transaction, as_transaction, load_queries
from holdfast.text import check_texts

_q = load_queries("holdfast.councils")
_STATUS, _EPOCH, _CREATED, _NUM = 3, 5, 6, 8
"""Where these columns are in the part ``run`` of the queries."""
_BEFORE_ALL = -1
_MOST_WAVES = 1 << 31
_DAY = 86_400 * MICROS_PER_SECOND


class SqlCouncilRepository:
    """:class:`~holdfast.councils.store.CouncilRepositoryPort` over a transaction.

    Args:
        tx: the transaction.
        limits: how large a graph may be.
        tools: names of those that exist; ``None``: not known, so not checked.
    """

    def __init__(
        self, tx: Transaction, *, limits: GraphLimits = DEFAULT_LIMITS, tools: Collection[str] | None = None
    ) -> None:
        self._tx = as_transaction(tx)
        self._limits = limits
        self._tools = tools

    def create_run(self, run: CouncilRun) -> None:
        graph = None if run.graph is None else self._graph_text(run.graph)
        run = _read_back(run)
        columns = {
            "id": str(parse_id(run.id)),
            "goal": run.goal,
            "graph": graph,
            "status": str(run.status),
            "hitl_mode": str(run.hitl_mode),
            "epoch": run.epoch,
            "created_at": to_micros(run.created_at),
            "updated_at": to_micros(run.updated_at),
        }
        if not self._tx.execute(_q["insert_run"], check_texts(columns)):
            raise RunExists(run.id)

    def update_run_status(self, run_id: UUID, status: RunStatus, *, epoch: int | None = None) -> CouncilRun:
        status = _status(status)
        row = self._locked(run_id)
        run = _run(row)
        check_run_move(run.status, status)
        self._check_holder(row, epoch)
        if status is run.status:
            return run
        if status is RunStatus.COMPLETED and run.graph is not None and run.graph.is_stuck:
            raise StuckGraph(run_id)
        return self._move(row, status, epoch if status is RunStatus.RUNNING else None)

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        text = self._graph_text(graph)
        row = self._locked(run_id)
        self._check_holder(row, epoch)
        self._tx.execute(_q["set_graph"], {"num": row[_NUM], "graph": text, "now": self._tx.clock.micros()})

    def append_event(self, run_id: UUID, kind: str, payload: Any, *, wave_index: int | None = None) -> CouncilRunEvent:
        columns = check_event(kind, payload, wave_index)
        taken = self._tx.fetch_one(_q["next_seq"], {"id": str(parse_id(run_id))})
        if taken is None:
            raise RunNotFound(run_id)
        at = self._tx.clock.micros()
        self._tx.execute(_q["insert_event"], columns | {"run": taken[0], "seq": taken[1], "at": at})
        return CouncilRunEvent(
            run_id=run_id, seq=taken[1], wave_index=wave_index, kind=kind, payload=payload, at=to_datetime(at)
        )

    def get_run(self, run_id: UUID) -> CouncilRun | None:
        row = self._tx.fetch_one(_q["get_run"], {"id": str(parse_id(run_id))})
        return _run(row) if row else None

    def lock_run(self, run_id: UUID) -> CouncilRun:
        """The run, which nobody else changes before this transaction ends: for what is read, changed and written back.

        Raises:
            RunNotFound: unknown id.
        """
        return _run(self._locked(run_id))

    def list_runs(
        self, status: RunStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[CouncilRun]:
        at, num = parse_cursor(after, 2, EVERYTHING)
        params = {"at": at, "num": num, "limit": rows_wanted(limit)}
        if status is None:
            rows = self._tx.fetch(_q["list_runs"], params)
        else:
            rows = self._tx.fetch(_q["list_by_status"], params | {"status": str(status)})
        return page_of(rows, limit, _run, lambda row: f"{row[_CREATED]}.{row[_NUM]}")

    def list_events(
        self, run_id: UUID, *, limit: int | None = None, after: str | None = None, superseded: bool = False
    ) -> Page[CouncilRunEvent]:
        (seq,) = parse_cursor(after, 1, 0)
        params = {"id": str(parse_id(run_id)), "seq": seq, "limit": rows_wanted(limit)}
        rows = self._tx.fetch(_q["list_events" if superseded else "list_live"], params)
        return page_of(rows, limit, lambda row: _event(run_id, row), lambda row: row[0])

    def mark_interrupted_runs(self) -> int:
        """Locked first, then looked at again: PostgreSQL judges a row that changed meanwhile by the workers whom the
        statement saw when it began, and so would take a run from one who registered since."""
        now = self._tx.clock.micros()
        left = self._tx.fetch(_q["lock_left_behind"])
        marked = self._tx.fetch(_q["interrupt"], {"now": now}, rows=left) if left else []
        epochs: dict[int, int | None] = dict(left)
        events = [(num, seq, codec.encode({"epoch": epochs[num]})) for num, seq in marked]
        self._tx.execute(_q["insert_events"], {"kind": INTERRUPTED, "at": now}, rows=events)
        return len(marked)

    def truncate_events_after_wave(
        self, run_id: UUID, wave_index: int | None, *, epoch: int | None = None
    ) -> CouncilRunEvent:
        _check_wave(wave_index)
        row = self._locked(run_id)
        self._check_lease(epoch)
        later = {"run": row[_NUM], "wave_index": _BEFORE_ALL if wave_index is None else wave_index}
        ((reached,),) = self._tx.fetch(_q["last_wave"], {"run": row[_NUM]})
        count = self._tx.execute(_q["supersede"], later | {"now": self._tx.clock.micros()})
        self._move(row, RunStatus.RUNNING, epoch)
        where = {"from": reached, "to": wave_index, "superseded": count}
        return self.append_event(run_id, REWOUND, where, wave_index=wave_index)

    def prune_superseded_events(self, retain_days: int, *, limit: int | None = None) -> int:
        return self._tx.execute(_q["prune_superseded"], self._slice(retain_days, limit))

    def prune_terminal_runs(self, retain_days: int, *, limit: int | None = None) -> int:
        nums = self._tx.fetch(_q["prunable"], self._slice(retain_days, limit))
        for query in ("prune_events", "prune_runs"):
            self._tx.execute(_q[query], rows=nums)
        return len(nums)

    def _slice(self, retain_days: int, limit: int | None) -> dict[str, int]:
        check_limit(limit)
        if retain_days < 0:
            raise ValueError(f"the days to retain cannot be negative, got {retain_days}")
        before = max(self._tx.clock.micros() - retain_days * _DAY, -EVERYTHING)
        return {"before": before, "limit": EVERYTHING if limit is None else min(limit, EVERYTHING)}

    def _graph_text(self, graph: TaskGraph) -> str:
        return validate(graph, self._limits, self._tools).to_json()

    def _locked(self, run_id: UUID) -> Row:
        row = self._tx.fetch_one(_q["lock_run"], {"id": str(parse_id(run_id))})
        if row is None:
            raise RunNotFound(run_id)
        return row

    def _check_holder(self, row: Row, epoch: int | None) -> None:
        """Raises:
        RunHeld: the run is running, and not under ``epoch``.
        LeaseLost: ``epoch`` is over.
        """
        if epoch is not None and row[_STATUS] == RunStatus.RUNNING and row[_EPOCH] != epoch:
            raise RunHeld(UUID(row[0]), row[_EPOCH])
        self._check_lease(epoch)

    def _check_lease(self, epoch: int | None) -> None:
        """The worker lives, and cannot be fenced before this transaction ends.

        Raises:
            LeaseLost: it is fenced, released or gone.
        """
        _check_epoch(epoch)
        if epoch is not None and not self._tx.fetch(_q["share_worker"], {"epoch": epoch}):
            raise LeaseLost(epoch)

    def _move(self, row: Row, status: RunStatus, epoch: int | None) -> CouncilRun:
        now = self._tx.clock.micros()
        self._tx.execute(_q["move_run"], {"num": row[_NUM], "status": str(status), "epoch": epoch, "now": now})
        return replace(_run(row), status=status, epoch=epoch, updated_at=to_datetime(now))


def check_event(kind: str, payload: Any, wave_index: int | None) -> dict[str, Any]:
    """The columns of an event, found to be storable.

    Raises:
        InvalidWave: no wave has that index.
        InvalidEvent: the kind is no text, or empty.
        InvalidInput: kind or payload cannot be stored.
    """
    _check_wave(wave_index)
    if type(kind) is not str or not kind:
        raise InvalidEvent(f"{kind!r} is not the kind of an event.")
    text = codec.encode(payload, what="The event's payload")
    return check_texts({"kind": kind, "payload": text, "wave_index": wave_index})


def _check_wave(wave_index: int | None) -> None:
    if wave_index is not None and not (type(wave_index) is int and 0 <= wave_index < _MOST_WAVES):
        raise InvalidWave(wave_index)


def _check_epoch(epoch: int | None) -> None:
    if epoch is not None and not (type(epoch) is int and 0 <= epoch < EVERYTHING):
        raise InvalidRun(f"{epoch!r} is not a worker's epoch.")


def _status(status: RunStatus) -> RunStatus:
    """The status itself, or the one that a text spells."""
    try:
        return RunStatus(status)
    except ValueError:
        raise InvalidRun(f"{status!r} is not a status of a run.") from None


def _read_back(run: CouncilRun) -> CouncilRun:
    """The run as it will be read, but for its graph, so that no field of a wrong type spoils the lists it would be in.

    Raises:
        InvalidRun, PayloadTooLarge: nobody could read it.
    """
    try:
        text = codec.encode(replace(run, graph=None), what="The run")
        found: CouncilRun = codec.decode(text, CouncilRun, what="The run")
    except NotSerialisable as error:
        raise InvalidRun(error.message) from error
    _check_epoch(found.epoch)
    return found


def _run(row: Row) -> CouncilRun:
    """Raises:
    RunDamaged: it does not read back.
    """
    try:
        return CouncilRun(
            id=UUID(row[0]),
            goal=row[1],
            graph=None if row[2] is None else TaskGraph.from_json(row[2]),
            status=RunStatus(row[_STATUS]),
            hitl_mode=HitlMode(row[4]),
            epoch=row[_EPOCH],
            created_at=to_datetime(row[_CREATED]),
            updated_at=to_datetime(row[7]),
        )
    except (ValueError, OverflowError) as error:  # NotSerialisable is a ValueError
        raise RunDamaged(f"The council run {row[0]} does not read back: {reason(error)}") from error


def _event(run_id: UUID, row: Row) -> CouncilRunEvent:
    """Raises:
    RunDamaged: it does not read back.
    """
    try:
        return CouncilRunEvent(
            run_id=run_id,
            seq=row[0],
            wave_index=row[1],
            kind=row[2],
            payload=codec.decode(row[3]),
            at=to_datetime(row[4]),
            superseded_at=None if row[5] is None else to_datetime(row[5]),
        )
    except (ValueError, OverflowError) as error:
        raise RunDamaged(
            f"The event {row[0]} of the council run {run_id} does not read back: {reason(error)}"
        ) from error
