"""What people do to flows that were started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from holdfast.app.face import Face
from holdfast.app.verbs import look_up
from holdfast.flows import Flow, manager
from holdfast.flows.outcomes import Outcome
from holdfast.flows.progress import Reported, progress
from holdfast.flows.search import search as search_flows
from holdfast.ids import parse_id
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

    search = look_up(search_flows)

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
