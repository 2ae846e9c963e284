"""The flow store as a plain model: dictionaries and obvious code, to compare a real store with.

It is no backend: it keeps nothing, and every list costs a sort of everything.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from holdfast.clock import Clock, SystemClock, to_datetime
from holdfast.errors import IllegalTransition, NotSerialisable
from holdfast.flows import Flow, FlowEvent, FlowStatus, FlowStep, FlowStore
from holdfast.flows.errors import (
    AlreadyTerminal,
    DuplicateStep,
    FlowExists,
    FlowNotFound,
    RevisionMismatch,
    StepNotFound,
)
from holdfast.flows.requests import check_tags
from holdfast.ids import new_id
from holdfast.pages import Page
from holdfast.testing.model_pages import model_page

R = TypeVar("R")
T = TypeVar("T")

_MOVES = {
    "created": {"running", "cancelled"},
    "running": {"waiting", "finished", "failed", "cancelled"},
    "waiting": {"running", "failed", "cancelled"},
}
_RANK = {"pending": 0, "running": 1, "succeeded": 2, "failed": 2, "cancelled": 2}
_DAY = timedelta(days=1)


@dataclass
class Tables:
    """All that the model keeps, each in order of insertion."""

    flows: list[Flow] = field(default_factory=list)
    steps: list[FlowStep] = field(default_factory=list)
    events: list[FlowEvent] = field(default_factory=list)


class FlowModel:
    """:class:`~holdfast.flows.FlowStore` over lists in memory.

    Args:
        tables: what it reads and writes.
        clock: where it reads the time.
    """

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    def insert(self, flow: Flow) -> None:
        check_tags(flow.tags)
        if flow.parent:
            self._present(flow.parent)
        for other in self._tables.flows:
            if other.id == flow.id or (flow.key and (other.workflow_type, other.key) == (flow.workflow_type, flow.key)):
                raise FlowExists(f"{flow.id} or its key is taken.")
        self._tables.flows.append(_own(flow))

    def get(self, flow_id: UUID) -> Flow | None:
        return _own(next((flow for flow in self._tables.flows if flow.id == flow_id), None))

    def list_by_owner(
        self, owner_session_key: str, *, limit: int | None = None, after: str | None = None
    ) -> Page[Flow]:
        found = [flow for flow in reversed(self._tables.flows) if flow.owner_session_key == owner_session_key]
        return model_page(sorted(found, key=lambda flow: flow.created_at, reverse=True), limit, after, _id)

    def list_by_status(self, status: FlowStatus, *, limit: int | None = None, after: str | None = None) -> Page[Flow]:
        found = [flow for flow in self._tables.flows if flow.status == status]
        return model_page(sorted(found, key=lambda flow: flow.updated_at), limit, after, _id)

    def update_with_revision(self, flow: Flow) -> Flow:
        present = self._present(flow.id)
        if present.revision != flow.revision:
            raise RevisionMismatch(flow.id, flow.revision, present.revision)
        if present.status not in _MOVES:
            raise AlreadyTerminal(flow.id, present.status)
        if flow.status != present.status and flow.status not in _MOVES[present.status]:
            raise IllegalTransition("A flow", present.status, flow.status)
        updated = replace(
            flow,
            workflow_type=present.workflow_type,
            key=present.key,
            args=present.args,
            created_at=present.created_at,
            tags=present.tags,
            queue=present.queue,
            queue_key=present.queue_key,
            priority=present.priority,
            parent=present.parent,
            updated_at=to_datetime(self._clock.micros()),
            revision=present.revision + 1,
        )
        self._tables.flows[self._tables.flows.index(present)] = _own(updated)
        return _own(updated)

    def append_event(self, flow_id: UUID, kind: str, payload: Any) -> FlowEvent:
        self._present(flow_id)
        try:
            payload = json.loads(json.dumps(payload))
        except TypeError as error:
            raise NotSerialisable(str(error)) from error
        at = to_datetime(self._clock.micros())
        event = FlowEvent(id=new_id(), flow_id=flow_id, kind=kind, payload=payload, at=at)
        self._tables.events.append(event)
        return _own(event)

    def list_events(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowEvent]:
        return model_page(
            [event for event in reversed(self._tables.events) if event.flow_id == flow_id], limit, after, _id
        )

    def insert_step(self, step: FlowStep) -> None:
        flow = self._present(step.flow_id)
        if flow.status not in _MOVES:
            raise AlreadyTerminal(flow.id, flow.status)
        if self.find_step_by_run_id(step.flow_id, step.run_id):
            raise DuplicateStep(step.flow_id, step.run_id)
        self._tables.steps.append(_own(step))

    def update_step(self, step: FlowStep) -> FlowStep:
        recorded = self.get_step(step.id)
        if recorded is None:
            raise StepNotFound(step.id)
        flow = self._present(recorded.flow_id)
        if flow.status not in _MOVES:
            raise AlreadyTerminal(flow.id, flow.status)
        if _RANK[step.status] <= _RANK[recorded.status]:
            return recorded
        moved = replace(
            recorded,
            status=step.status,
            attempt=step.attempt,
            result=step.result,
            error=step.error,
            updated_at=to_datetime(self._clock.micros()),
        )
        self._tables.steps[self._tables.steps.index(recorded)] = _own(moved)
        return _own(moved)

    def get_step(self, step_id: UUID) -> FlowStep | None:
        return _own(next((step for step in self._tables.steps if step.id == step_id), None))

    def list_steps(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowStep]:
        return model_page([step for step in self._tables.steps if step.flow_id == flow_id], limit, after, _id)

    def find_step_by_run_id(self, flow_id: UUID, run_id: str) -> FlowStep | None:
        return _own(next((step for step in self.list_steps(flow_id).items if step.run_id == run_id), None))

    def update_and_append(self, flow: Flow, event_kind: str, event_payload: Any) -> tuple[Flow, FlowEvent]:
        before = deepcopy(self._tables.flows)
        updated = self.update_with_revision(flow)
        try:
            return updated, self.append_event(flow.id, event_kind, event_payload)
        except NotSerialisable:
            self._tables.flows = before
            raise

    def prune_terminal_flows(self, retain_days: int, *, limit: int | None = None) -> int:
        if retain_days < 0:
            raise ValueError("a negative number of days")
        now = to_datetime(self._clock.micros())
        old = [flow for flow in self._tables.flows if (now - flow.updated_at) / _DAY > retain_days]
        ended = sorted((flow for flow in old if flow.status not in _MOVES), key=lambda flow: flow.updated_at)
        doomed = {flow.id for flow in model_page(ended, limit, None, _id).items}
        self._tables.flows = [
            replace(flow, parent=None) if flow.parent in doomed else flow
            for flow in self._tables.flows
            if flow.id not in doomed
        ]
        self._tables.steps = [step for step in self._tables.steps if step.flow_id not in doomed]
        self._tables.events = [event for event in self._tables.events if event.flow_id not in doomed]
        return len(doomed)

    def _present(self, flow_id: UUID) -> Flow:
        flow = self.get(flow_id)
        if flow is None:
            raise FlowNotFound(flow_id)
        return flow


class ModelUnits:
    """A :class:`~holdfast.testing.units.UnitRunner` over the model: one unit at a time, undone when it fails.

    Args:
        clock: where the model reads the time.
        port: makes the port of a unit; a deliberately wrong one shows whether a suite would notice.
    """

    def __init__(self, clock: Clock | None = None, port: Callable[[Tables, Clock], FlowStore] = FlowModel) -> None:
        self.tables = Tables()
        self._clock = clock or SystemClock()
        self._port = port
        self._lock = threading.Lock()

    def run(self, work: Callable[[FlowStore], R]) -> R:
        with self._lock:
            attempt = deepcopy(self.tables)
            result = work(self._port(attempt, self._clock))
            self.tables = attempt
            return result


def _own(record: T) -> T:
    """A copy that shares nothing: records are the caller's own once they left the store."""
    return deepcopy(record)


def _id(item: Any) -> str:
    return str(item.id)
