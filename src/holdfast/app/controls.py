"""What people do to flows that were started."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from holdfast.app.face import Face
from holdfast.flows import Flow, manager
from holdfast.flows.outcomes import Outcome
from holdfast.ids import parse_id


class Controls(Face):
    """Cancel flows, let them go on."""

    def cancel(self, flow_id: UUID | str, *, actor: str = "user") -> Flow:
        """Ask a flow to end; see :func:`holdfast.flows.manager.cancel`."""
        return self._change(manager.cancel, flow_id, actor)

    def resume(self, flow_id: UUID | str, *, actor: str = "user") -> Flow:
        """Let a halted or paused flow go on; see :func:`holdfast.flows.manager.resume`."""
        return self._change(manager.resume, flow_id, actor)

    def _change(self, verb: Any, flow_id: UUID | str, actor: str) -> Flow:
        flow = manager.change(self.store, verb, parse_id(flow_id), actor=actor)
        self._wake()
        if flow.status.terminal:
            self._outcomes.tell([(str(flow.id), Outcome(flow.status, None, None))])
        return flow
