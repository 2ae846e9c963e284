"""The port of the flows' persistence: the clauses FL-1 to FL-9 of the contract."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from holdfast.flows.model import Flow, FlowEvent, FlowStatus, FlowStep
from holdfast.pages import Page


class FlowStore(Protocol):
    """Flows, their steps and their events, within one transaction.

    Changes of a flow's record are revision-checked (FL-1); steps and events are appended beside it. Lists take
    ``limit`` (``None``: everything) and ``after`` (a cursor from :class:`Page`); a page costs the page (FL-3).
    """

    def insert(self, flow: Flow) -> None:
        """Add a flow.

        Raises:
            FlowExists: its id or key is taken (FL-18).
        """
        ...

    def get(self, flow_id: UUID) -> Flow | None:
        """The flow, or ``None`` (FL-2)."""
        ...

    def list_by_owner(
        self, owner_session_key: str, *, limit: int | None = None, after: str | None = None
    ) -> Page[Flow]:
        """An owner's flows, newest first (FL-3).

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def list_by_status(self, status: FlowStatus, *, limit: int | None = None, after: str | None = None) -> Page[Flow]:
        """Flows of a status, oldest update first (FL-3).

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def update_with_revision(self, flow: Flow) -> Flow:
        """Write ``flow`` if it still is at ``flow.revision``; returns it at ``revision + 1`` (FL-1).

        Id, type, arguments, key and creation are fixed; lease and due time belong to the engine.

        Raises:
            FlowNotFound: unknown id.
            RevisionMismatch: it has moved on; nothing is written.
            IllegalTransition: the state machine has no such move.
            AlreadyTerminal: it is finished, failed or cancelled (FL-14).
            LeaseHeld: a worker runs it, so that its status is the worker's to change.
        """
        ...

    def append_event(self, flow_id: UUID, kind: str, payload: Any) -> FlowEvent:
        """Record that something happened; assigns id and time (FL-4).

        Raises:
            FlowNotFound: unknown id.
        """
        ...

    def list_events(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowEvent]:
        """The newest ``limit`` events, newest first (FL-5).

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def insert_step(self, step: FlowStep) -> None:
        """Add a step.

        Raises:
            FlowNotFound: unknown flow.
            AlreadyTerminal: the flow accepts nothing more (FL-14).
            DuplicateStep: the flow has a step of that run id; nothing is written (FL-6).
        """
        ...

    def update_step(self, step: FlowStep) -> FlowStep:
        """Move a step forward; a late observation changes nothing and returns what is recorded (FL-14).

        Raises:
            StepNotFound: unknown id.
            AlreadyTerminal: its flow accepts nothing more.
        """
        ...

    def get_step(self, step_id: UUID) -> FlowStep | None:
        """The step, or ``None`` (FL-2)."""
        ...

    def list_steps(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowStep]:
        """The steps of a flow in creation order (FL-7).

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def find_step_by_run_id(self, flow_id: UUID, run_id: str) -> FlowStep | None:
        """The step of that run id, or ``None`` (FL-2)."""
        ...

    def update_and_append(self, flow: Flow, event_kind: str, event_payload: Any) -> tuple[Flow, FlowEvent]:
        """:meth:`update_with_revision` and :meth:`append_event`, both or neither (FL-8)."""
        ...

    def prune_terminal_flows(self, retain_days: int, *, limit: int | None = None) -> int:
        """Delete up to ``limit`` terminal flows last updated over ``retain_days`` ago, with their steps and
        events; returns the number of flows (FL-9).

        Raises:
            ValueError: a negative number of days or limit.
        """
        ...
