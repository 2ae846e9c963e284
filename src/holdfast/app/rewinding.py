"""Rewind, fork and retry flows."""

from __future__ import annotations

from asyncio.events import _get_running_loop
from datetime import timedelta
from typing import Any
from uuid import UUID

from holdfast.app.controls import Controls
from holdfast.app.handle import Handle
from holdfast.flows import Flow, manager
from holdfast.flows.durations import seconds
from holdfast.flows.engine.worker import Worker
from holdfast.flows.errors import UseAwait
from holdfast.flows.rewinding.model import Target
from holdfast.ids import parse_id
from holdfast.pages import Page
from holdfast.rewind import Position, fork, positions, retry
from holdfast.rewind.handing import PATIENCE_SECONDS, rewind_flow
from holdfast.rewind.manager import Scopes
from holdfast.store import Transaction


class Rewinding(Controls):
    """The verbs by which flows, and their worlds with them, go back."""

    _worker: Worker | None

    def rewind(
        self,
        flow_id: UUID | str,
        to_step: Target,
        *,
        patch: dict[str, Any] | None = None,
        note: str = "",
        timeout: float | timedelta = PATIENCE_SECONDS,
        actor: str = "user",
    ) -> Flow:
        """Have a flow and its worlds go back to a place in its history, and on from there (FL-16, FL-20). A flow that
        runs is paused first; an ended one goes on again.

        Args:
            to_step: how many records to keep (0: none); or the run id of the last one, ``"plan#2"``; or the name of a
                checkpoint, ``"wave 2"``. See :meth:`rewindable`.
            patch: a merge patch (RFC 7396) of the flow's state, which the workflow sees from there on by ``state()``.
            note: why, for the history and the audit chain.
            timeout: seconds or timedelta that running steps get to end.

        Raises:
            FlowNotFound, NoSuchStep, RewindBeyondEnd: there is no such place.
            NotCheckpointed: steps ran since a world's last checkpoint; names the nearest places.
            FlowRunning: a step did not end in time; the flow goes on as before.
            InvalidPatch, NotSerialisable, PayloadTooLarge: the patch cannot be used.
            WorldShared: another run owns a scope by now (WO-13).
            UseAwait: the flow runs on the event loop that called this.
            CheckpointLost, RestorePending, PlaceTaken, BeingCancelled: it cannot be now.
        """
        wanted = parse_id(flow_id)
        flow = rewind_flow(
            self.store, wanted, to_step, patch=patch, note=note, timeout=seconds(timeout, "A time-out"), actor=actor,
            running=lambda: self._running(wanted), waiting=self._refuse_own_loop,
        )  # fmt: skip
        self._wake()
        return flow

    def fork(
        self,
        flow_id: UUID | str,
        at_step: Target,
        *,
        id: UUID | str | None = None,
        key: str | None = None,
        patch: dict[str, Any] | None = None,
        scopes: Scopes | None = None,
        actor: str = "user",
    ) -> Handle[Any]:
        """Make another flow that goes on from a place in this one's history, with copies of its worlds; this one stays
        as it is (FL-16, WO-13).

        Args:
            at_step, patch: as for :meth:`rewind`.
            id, key: of the fork.
            scopes: of worlds with scopes of their own choice, where the copy of each is to be.

        Raises:
            FlowNotFound, NoSuchStep, RewindBeyondEnd, NotCheckpointed, CheckpointLost: there is no such place.
            FlowExists, InvalidId: of ``id`` and ``key``.
            ScopesNeeded, NoCopyPossible, InvalidScope, WorldShared: of ``scopes``.
            InvalidPatch, NotSerialisable, PayloadTooLarge: the patch cannot be used.
        """
        wanted = parse_id(flow_id)

        def work(tx: Transaction) -> Flow:
            return fork(tx, wanted, at_step, id=id, key=key, patch=patch, scopes=scopes)

        return Handle(self, self._act(work, actor).id, Any)

    def retry(self, flow_id: UUID | str, *, actor: str = "user") -> Flow:
        """Have a failed or cancelled flow go on, with all that succeeded; its worlds stay as they are. See
        :func:`holdfast.flows.rewinding.manager.retry`.

        Raises:
            FlowNotFound: unknown id.
            NothingToRetry: it has neither failed nor was it cancelled.
            WorldShared, PlaceTaken: it cannot go on now.
        """
        flow = manager.change(self.store, retry, parse_id(flow_id), actor=actor)
        self._wake()
        return flow

    def rewindable(self, flow_id: UUID | str, *, limit: int | None = None, after: str | None = None) -> Page[Position]:
        """The places in a flow's history, with their checkpoints, and whether it can be rewound to each.

        Raises:
            FlowNotFound: unknown id.
            ValueError: a negative limit or a malformed cursor.
        """
        wanted = parse_id(flow_id)
        return self.store.read(lambda tx: positions(tx, wanted, limit=limit, after=after))

    def _refuse_own_loop(self) -> None:
        """The worker could not give the flow up while its loop waits for that."""
        if _get_running_loop() is not None and _get_running_loop() is self._loop:
            raise UseAwait(
                "rewind() of a flow that runs would block the event loop on which it runs.",
                remedy="In a coroutine write `await asyncio.to_thread(hf.rewind, …)`.",
            )

    def _running(self, flow_id: UUID) -> list[str]:
        """Run ids of the flow's steps that run here."""
        resident = list(self._worker.floor.resident.values()) if self._worker else []
        calls = [call for run in resident if run.id == str(flow_id) for call in list(run.calls.values())]
        return [call.run_id for call in calls if call.step is not None and not call.held]
