"""A flow's history, handed over record by record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast import codec
from holdfast.flows.engine.calls import Call, key_of, outcome
from holdfast.flows.engine.loop import FlowLoop
from holdfast.flows.engine.port import Record
from holdfast.flows.errors import NonDeterminism
from holdfast.flows.model import StepStatus
from holdfast.flows.names import CANCEL, PATCH
from holdfast.flows.patches import merge_patch

if TYPE_CHECKING:
    from holdfast.flows.engine.run import FlowRun


class Replay:
    """Where a flow is in its history.

    Args:
        run: the flow.
        loop: its loop.
    """

    __slots__ = ("_loop", "_next", "_position", "_run")

    def __init__(self, run: FlowRun, loop: FlowLoop) -> None:
        self._run = run
        self._loop = loop
        self._next: Record | None = None
        self._position = 0

    def take(self, records: Iterable[Record]) -> None:
        """Hand over records that follow in its history, all but the last one.

        Raises:
            HaltingError: it cannot go on with this code.
        """
        for record in records:
            if record.task == PATCH:  # whatever the record before it sets in motion sees the patched state
                self._run.state = merge_patch(self._run.state, codec.decode(record.result or "{}"))
                self._run.micros = max(self._run.micros, record.updated_at)  # what is waited for anew, waits as long
            else:
                self.advance()
                self._next = record
            self._position += 1

    def advance(self) -> None:
        """Hand over the record whose turn it is; the first turn is the workflow's own.

        Raises:
            HaltingError: it cannot go on with this code.
        """
        record, self._next = self._next, None
        if record is None:
            self._loop.settle()
        elif record.task == CANCEL:
            self._run.cancelling = True
            self._run.cancel(record)
        else:
            call = self._call_of(record)
            self._run.deliver(call, record, outcome(call, record))

    def _call_of(self, record: Record) -> Call:
        """The outstanding call that the record is the outcome of."""
        key = key_of(record.run_id)
        call = self._run.calls.get(key)
        if call is None:
            waiting = ", ".join(self._run.calls) or "nothing"
            raise NonDeterminism(f"a call {key}", f"waits for {waiting}", f"record {self._position}")
        if call.digest != record.digest:
            raise NonDeterminism(f"{key} with other arguments", f"called {key} with these", f"record {self._position}")
        return call


def cancel_record(run: FlowRun, at: int) -> Record:
    """A request to cancel, at its place in the history."""
    return Record(
        run.num, f"{CANCEL}#{run.attempt}@{run.attempt}", CANCEL, StepStatus.SUCCEEDED, 1, 0, None, None, at, at
    )
