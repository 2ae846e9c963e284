"""What is said to flows from outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from holdfast.app.face import Face
from holdfast.flows.inbox import manager
from holdfast.flows.inbox.model import DEFAULT_TTL, Approval, Pending, PendingEvent, PendingSignal, Sent
from holdfast.pages import Page


class Messages(Face):
    """Events, signals, answers to requests for approval."""

    def emit(
        self,
        topic: str,
        correlation_id: str,
        payload: Any = None,
        *,
        key: str | None = None,
        ttl: float | timedelta = DEFAULT_TTL,
        actor: str = "user",
    ) -> Sent:
        """Send an event to whoever waits for it, now or later; see :func:`holdfast.flows.inbox.manager.emit`."""
        limit = self._options.max_payload_bytes
        return self._act(
            lambda tx: manager.emit(tx, topic, correlation_id, payload, key=key, ttl=ttl, max_bytes=limit), actor
        )

    def signal(
        self, flow_id: UUID | str, name: str, payload: Any = None, *, key: str | None = None, actor: str = "user"
    ) -> Sent:
        """Send a signal to one flow; see :func:`holdfast.flows.inbox.manager.signal`."""
        limit = self._options.max_payload_bytes
        return self._act(lambda tx: manager.signal(tx, flow_id, name, payload, key=key, max_bytes=limit), actor)

    def pending_events(
        self, topic: str | None = None, *, limit: int | None = 100, after: str | None = None
    ) -> Page[PendingEvent]:
        """Events that no wait has taken yet, oldest first; of one topic, or of all."""
        return self.store.read(lambda tx: manager.pending_events(tx, topic, limit=limit, after=after))

    def pending_signals(
        self, flow_id: UUID | str, *, limit: int | None = 100, after: str | None = None
    ) -> Page[PendingSignal]:
        """Signals that a flow has not taken yet, oldest first."""
        return self.store.read(lambda tx: manager.pending_signals(tx, flow_id, limit=limit, after=after))

    def discard(self, message_id: UUID | str, *, actor: str = "user") -> Pending:
        """Remove an event or a signal that no wait has taken; see :func:`holdfast.flows.inbox.manager.discard`."""
        return self.store.run(lambda tx: manager.discard(tx, message_id), actor=actor)

    def approve(
        self, approval_id: UUID | str, *, note: str = "", digest: str | None = None, actor: str = "user"
    ) -> Approval:
        """Say yes, as ``actor``, to what a flow asks for; see :func:`holdfast.flows.inbox.manager.approve`."""
        return self._act(lambda tx: manager.approve(tx, approval_id, note=note, digest=digest), actor)

    def reject(
        self, approval_id: UUID | str, *, note: str = "", digest: str | None = None, actor: str = "user"
    ) -> Approval:
        """Say no, as ``actor``; see :func:`holdfast.flows.inbox.manager.reject`."""
        return self._act(lambda tx: manager.reject(tx, approval_id, note=note, digest=digest), actor)

    def approvals(self, flow_id: UUID | str | None = None) -> Sequence[Approval]:
        """What can be approved or rejected now, oldest first; of one flow, or of all."""
        return self.store.read(lambda tx: manager.approvals(tx, flow_id)).items
