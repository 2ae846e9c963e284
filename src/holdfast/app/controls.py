"""What people do to flows that were started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from holdfast.app.face import Face
from holdfast.flows import Flow, FlowStatus, manager
from holdfast.flows.outcomes import Outcome
from holdfast.flows.progress import Reported, progress
from holdfast.flows.search import search
from holdfast.ids import parse_id
from holdfast.pages import Page
from holdfast.store import Transaction


class Controls(Face):
    """Cancel flows, hold them, let them go on, find them."""

    def cancel(self, flow_id: UUID | str, *, actor: str = "user") -> Flow:
        """Ask a flow to end; see :func:`holdfast.flows.manager.cancel`."""
        return self._change(manager.cancel, flow_id, actor)

    def pause(self, flow_id: UUID | str, *, actor: str = "user") -> Flow:
        """Hold a flow; see :func:`holdfast.flows.manager.pause`."""
        return self._change(manager.pause, flow_id, actor)

    def resume(self, flow_id: UUID | str, *, actor: str = "user") -> Flow:
        """Let a halted or paused flow go on; see :func:`holdfast.flows.manager.resume`."""
        return self._change(manager.resume, flow_id, actor)

    def search(
        self,
        *,
        tags: Mapping[str, str] | None = None,
        workflow_type: str | None = None,
        status: FlowStatus | str | None = None,
        owner: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        paused: bool | None = None,
        limit: int | None = 100,
        after: str | None = None,
    ) -> Page[Flow]:
        """Flows that fit all that is asked, the newest first; see :func:`holdfast.flows.search.search`."""

        def work(tx: Transaction) -> Page[Flow]:
            return search(
                tx,
                tags=tags,
                workflow_type=workflow_type,
                status=status,
                owner=owner,
                since=since,
                until=until,
                paused=paused,
                limit=limit,
                after=after,
            )

        return self.store.read(work)

    def query(self, flow_id: UUID | str) -> dict[str, Any]:
        """What a flow publishes about itself: see :func:`holdfast.update_state`.

        Raises:
            FlowNotFound: unknown id.
        """
        return self.store.read(lambda tx: manager.present(tx, parse_id(flow_id))).state

    def progress(self, flow_id: UUID | str) -> list[Reported]:
        """What a flow's running steps reported last; see :func:`holdfast.flows.progress.progress`."""
        wanted = parse_id(flow_id)
        return self.store.read(lambda tx: progress(tx, wanted))

    def _change(self, verb: Callable[[Transaction, UUID], Flow], flow_id: UUID | str, actor: str) -> Flow:
        flow = manager.change(self.store, verb, parse_id(flow_id), actor=actor)
        self._wake()
        if flow.status.terminal:
            self._outcomes.tell([(str(flow.id), Outcome(flow.status, None, None))])
        return flow
