"""The councils' repository as a plain model: dictionaries and obvious code, to compare a real one with.

It is no backend: it keeps nothing, and every list costs a sort of everything. It shares no code with the adapter but
the records, the errors and the rules of graphs.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from holdfast.clock import Clock, SystemClock, to_datetime, to_micros
from holdfast.councils import (
    CouncilRepositoryPort,
    CouncilRun,
    CouncilRunEvent,
    HitlMode,
    RunStatus,
    TaskGraph,
    validate,
)
from holdfast.councils.errors import InvalidEvent, InvalidRun, InvalidWave, RunExists, RunHeld, RunNotFound, StuckGraph
from holdfast.errors import IllegalTransition, NotSerialisable
from holdfast.flows.errors import LeaseLost
from holdfast.pages import Page
from holdfast.testing.councils.leases import CouncilPorts
from holdfast.testing.model_pages import model_page
from holdfast.text import check_text

R = TypeVar("R")
T = TypeVar("T")
_MOVES = {
    "running": {"awaiting_approval", "interrupted", "completed", "failed", "cancelled"},
    "awaiting_approval": {"running", "failed", "cancelled"},
    "interrupted": {"running", "failed", "cancelled"},
}


@dataclass
class Tables:
    """All that the model keeps, each in order of insertion."""

    runs: dict[UUID, CouncilRun] = field(default_factory=dict)
    events: dict[UUID, list[CouncilRunEvent]] = field(default_factory=dict)
    counts: dict[UUID, int] = field(default_factory=dict)
    leases: dict[int, bool] = field(default_factory=dict)


class ModelLeases:
    """:class:`~holdfast.testing.councils.Leases`: a dictionary of who is alive."""

    def __init__(self, tables: Tables) -> None:
        self._leases = tables.leases

    def begin(self) -> int:
        epoch = len(self._leases) + 1
        self._leases[epoch] = True
        return epoch

    def end(self, epoch: int) -> None:
        self._leases[epoch] = False


class CouncilModel:
    """:class:`~holdfast.councils.CouncilRepositoryPort` over dictionaries in memory.

    Args:
        tables: what it reads and writes.
        clock: where it reads the time.
    """

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    def create_run(self, run: CouncilRun) -> None:
        _check_run(run)
        if run.graph is not None:
            _check_graph(run.graph)
        if run.id in self._tables.runs:
            raise RunExists(run.id)
        self._tables.runs[run.id] = deepcopy(run)
        self._tables.events[run.id] = []
        self._tables.counts[run.id] = 0

    def update_run_status(self, run_id: UUID, status: RunStatus, *, epoch: int | None = None) -> CouncilRun:
        status = _status(status)
        run = self._present(run_id)
        if run.status not in _MOVES or (status != run.status and status not in _MOVES[run.status]):
            raise IllegalTransition("A council run", run.status, status)
        self._check_holder(run, epoch)
        if status == run.status:
            return run
        if status == "completed" and run.graph is not None and run.graph.is_stuck:
            raise StuckGraph(run_id)
        return self._change(run_id, status=status, epoch=epoch if status == "running" else None)

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        _check_graph(graph)
        self._check_holder(self._present(run_id), epoch)
        self._change(run_id, graph=deepcopy(graph))

    def append_event(self, run_id: UUID, kind: str, payload: Any, *, wave_index: int | None = None) -> CouncilRunEvent:
        _check_wave(wave_index)
        if type(kind) is not str or not kind:
            raise InvalidEvent(f"{kind!r} is no kind")
        check_text(kind, "kind")
        recorded = _plain(payload)
        self._present(run_id)
        self._tables.counts[run_id] += 1
        event = CouncilRunEvent(
            run_id=run_id,
            seq=self._tables.counts[run_id],
            wave_index=wave_index,
            kind=kind,
            payload=recorded,
            at=self._now(),
        )
        self._tables.events[run_id].append(event)
        return deepcopy(event)

    def get_run(self, run_id: UUID) -> CouncilRun | None:
        return deepcopy(self._tables.runs.get(run_id))

    def list_runs(
        self, status: RunStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[CouncilRun]:
        found = [run for run in self._tables.runs.values() if status in (None, run.status)]
        found.sort(key=lambda run: (run.created_at, run.id), reverse=True)
        return model_page(found, limit, after, lambda run: str(run.id))

    def list_events(
        self, run_id: UUID, *, limit: int | None = None, after: str | None = None, superseded: bool = False
    ) -> Page[CouncilRunEvent]:
        if after is not None and not (after.isdecimal() and len(after) < 19):
            raise ValueError(f"{after!r} is no seq")
        seen = int(after or 0)
        events = self._tables.events.get(run_id, [])
        found = [event for event in events if event.seq > seen and (superseded or not event.superseded)]
        return model_page(found, limit, None, lambda event: str(event.seq))

    def mark_interrupted_runs(self) -> int:
        left = [
            run
            for run in self._tables.runs.values()
            if run.status == "running" and not self._tables.leases.get(run.epoch or 0)
        ]
        for run in left:
            self._change(run.id, status=RunStatus.INTERRUPTED, epoch=None)
            self.append_event(run.id, "interrupted", {"epoch": run.epoch})
        return len(left)

    def truncate_events_after_wave(
        self, run_id: UUID, wave_index: int | None, *, epoch: int | None = None
    ) -> CouncilRunEvent:
        _check_wave(wave_index)
        self._present(run_id)
        self._check_lease(epoch)
        waves = [event.wave_index for event in self._tables.events[run_id] if not event.superseded]
        reached = max((wave for wave in waves if wave is not None), default=None)
        floor, count = -1 if wave_index is None else wave_index, 0
        for place, event in enumerate(self._tables.events[run_id]):
            if not event.superseded and event.wave_index is not None and event.wave_index > floor:
                self._tables.events[run_id][place] = replace(event, superseded_at=self._now())
                count += 1
        self._change(run_id, status=RunStatus.RUNNING, epoch=epoch)
        where = {"from": reached, "to": wave_index, "superseded": count}
        return self.append_event(run_id, "rewound", where, wave_index=wave_index)

    def prune_superseded_events(self, retain_days: int, *, limit: int | None = None) -> int:
        is_old = self._older_than(retain_days)
        everything = [event for events in self._tables.events.values() for event in events]
        old = [event for event in everything if event.superseded_at is not None and is_old(event.superseded_at)]
        doomed = model_page(old, limit, None, lambda event: "").items
        for event in doomed:
            self._tables.events[event.run_id].remove(event)
        return len(doomed)

    def prune_terminal_runs(self, retain_days: int, *, limit: int | None = None) -> int:
        is_old = self._older_than(retain_days)
        old = [run for run in self._tables.runs.values() if run.status not in _MOVES and is_old(run.updated_at)]
        doomed = model_page(old, limit, None, lambda run: "").items
        for run in doomed:
            del self._tables.runs[run.id], self._tables.events[run.id], self._tables.counts[run.id]
        return len(doomed)

    def _older_than(self, retain_days: int) -> Callable[[datetime], bool]:
        if retain_days < 0:
            raise ValueError("a negative number of days")
        now = self._now()
        return lambda moment: (now - moment) / timedelta(days=1) > retain_days

    def _check_holder(self, run: CouncilRun, epoch: int | None) -> None:
        if epoch is not None and run.status == "running" and run.epoch != epoch:
            raise RunHeld(run.id, run.epoch)
        self._check_lease(epoch)

    def _check_lease(self, epoch: int | None) -> None:
        _check_epoch(epoch)
        if epoch is not None and not self._tables.leases.get(epoch):
            raise LeaseLost(epoch)

    def _change(self, run_id: UUID, **change: Any) -> CouncilRun:
        changed = replace(self._tables.runs[run_id], **change, updated_at=self._now())
        self._tables.runs[run_id] = changed
        return deepcopy(changed)

    def _present(self, run_id: UUID) -> CouncilRun:
        run = self.get_run(run_id)
        if run is None:
            raise RunNotFound(run_id)
        return run

    def _now(self) -> datetime:
        return to_datetime(self._clock.micros())


class ModelUnits:
    """A :class:`~holdfast.testing.units.UnitRunner` over the model: one unit at a time, undone when it fails.

    Args:
        clock: where the model reads the time.
        port: makes the port of a unit; a deliberately wrong one shows whether a suite would notice.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        port: Callable[[Tables, Clock], CouncilRepositoryPort] = CouncilModel,
    ) -> None:
        self.tables = Tables()
        self._clock = clock or SystemClock()
        self._port = port
        self._lock = threading.Lock()

    def run(self, work: Callable[[CouncilPorts], R]) -> R:
        with self._lock:
            attempt = deepcopy(self.tables)
            result = work(CouncilPorts(self._port(attempt, self._clock), ModelLeases(attempt)))
            self.tables = attempt
            return result


def _check_run(run: CouncilRun) -> None:
    kinds = (type(run.id), type(run.goal), type(run.status), type(run.hitl_mode))
    if kinds != (UUID, str, RunStatus, HitlMode):
        raise InvalidRun(f"fields of the types {kinds}")
    for moment in (run.created_at, run.updated_at):
        to_micros(moment)
    _check_epoch(run.epoch)
    check_text(run.goal, "goal")


def _check_epoch(epoch: int | None) -> None:
    if epoch is not None and (type(epoch) is not int or not 0 <= epoch < 2**62):
        raise InvalidRun(f"{epoch!r} is no epoch")


def _status(status: RunStatus) -> RunStatus:
    if status not in list(RunStatus):
        raise InvalidRun(f"{status!r} is no status")
    return RunStatus(status)


def _check_graph(graph: TaskGraph) -> None:
    validate(graph)
    for node in graph.nodes:
        _plain([node.id, node.task, node.agent, *node.tools, node.output, node.error])


def _plain(value: Any) -> Any:
    """What JSON makes of ``value``."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise NotSerialisable(str(error)) from error
    return json.loads(text)


def _check_wave(wave_index: int | None) -> None:
    if wave_index is not None and not 0 <= wave_index < 2**31:
        raise InvalidWave(wave_index)
