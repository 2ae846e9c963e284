"""What a worker writes: groups that form by themselves, each kind in order, and what comes back (FL-10)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from holdfast import codec
from holdfast.clock import Clock
from holdfast.errors import HoldfastError
from holdfast.flows.engine.calls import Call, outcome
from holdfast.flows.engine.endings import ending_of
from holdfast.flows.engine.errands import persist
from holdfast.flows.engine.loop import excursion
from holdfast.flows.engine.outbox import Outbox
from holdfast.flows.engine.port import Answer, Batch, Ending, EnginePort, Record
from holdfast.flows.engine.run import FlowRun
from holdfast.flows.errors import LeaseLost
from holdfast.flows.model import describe

log = logging.getLogger("holdfast.flows")
Outgoing = tuple[FlowRun, Call | None, Record | None, Any]
Unwanted = tuple[FlowRun, int | None, str | None]
"""A flow's wait that is withdrawn, by its number, or an event that is freed, by the run id that had taken it."""


class Recipient(Protocol):
    """Who hears what became of what was written; the worker."""

    max_bytes: int

    @property
    def epoch(self) -> int: ...

    def hand_over(self, run: FlowRun, call: Call | None, record: Record, value: Any) -> None:
        """A record was written: deliver it."""
        ...

    def answered(self, run: FlowRun, answer: Answer) -> None:
        """A wait has its answer."""
        ...

    def came_to_rest(self, run: FlowRun) -> None:
        """Something of a flow was written; see what is next for it."""
        ...

    def left(self, runs: Sequence[FlowRun]) -> None:
        """Flows were parked."""
        ...

    def ended(self, endings: Sequence[tuple[FlowRun, Ending]]) -> None:
        """Flows ended or were halted."""
        ...

    def fence(self, epoch: int) -> None:
        """The lease is lost."""
        ...

    def broke(self, error: BaseException) -> None:
        """Something is wrong with the engine itself."""
        ...

    def flush_soon(self) -> None:
        """Let what waits leave, when the steps that are about to run have run."""
        ...


class Postbox:
    """The outboxes of a worker.

    Args:
        port: the engine's way to the store.
        clock: stamps endings.
        spawn: does something beside.
        recipient: hears what became of it.
    """

    def __init__(
        self,
        port: EnginePort,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        recipient: Recipient,
    ) -> None:
        self._port = port
        self._clock = clock
        self._recipient = recipient
        self._spawn = spawn
        refused = self._refused
        self._records: Outbox[Outgoing, Mapping[int, Record]] = Outbox(self._append, self._appended, refused)
        self._waits: Outbox[Call, list[Answer]] = Outbox(self._register, self._registered, refused)
        self._back: Outbox[Unwanted, None] = Outbox(self._give_back, self._given_back, refused)
        self._endings: Outbox[tuple[FlowRun, Ending], Mapping[int, str]] = Outbox(self._finish, self._finished, refused)
        self._parks: Outbox[tuple[FlowRun, int | None], None] = Outbox(self._park, self._parked, refused)
        self._states: Outbox[tuple[FlowRun, str], None] = Outbox(self._publish, self._published, refused)
        self._boxes: tuple[Outbox[Any, Any], ...] = (
            self._records, self._waits, self._back, self._endings, self._parks, self._states
        )  # fmt: skip

    @property
    def empty(self) -> bool:
        """Nothing is on its way."""
        return all(box.empty for box in self._boxes)

    @property
    def departing(self) -> bool:
        """Records are on their way or about to leave."""
        return not self._records.empty

    @property
    def waiting(self) -> bool:
        """Something waits to leave."""
        return any(box.waiting for box in self._boxes)

    def flush(self) -> None:
        """Let what waits leave."""
        for box in self._boxes:
            box.flush()

    def clear(self) -> None:
        """Drop what waits: the lease is over."""
        for box in self._boxes:
            box.clear()

    def close(self) -> None:
        """Write nothing more."""
        for box in self._boxes:
            box.close()

    # -- records ----------------------------------------------------------------------------------------------

    def send(self, run: FlowRun, call: Call | None, record: Record | None, value: Any) -> None:
        """Put a record (or, without one, the reason to halt) on its way."""
        if run.transacting:
            run.deferred.append((run, call, record, value))
            return
        run.unwritten += 1
        self._records.put((run, call, record, value))

    def _append(self, group: list[Outgoing]) -> asyncio.Future[Mapping[int, Record]]:
        sent = [(call, record) for run, call, record, _ in group if record is not None and not run.evicted]
        births, answered, reported = {}, [], []
        for position, (call, record) in enumerate(sent):
            if call is None or (call.step is not None and not call.reported):
                continue
            if call.birth is not None:
                births[position] = call.birth
            if call.answered is not None:
                answered.append(call.answered)
            if call.reported:
                reported.append((record.flow, record.run_id))
        return self._port.append(
            self._recipient.epoch, Batch([record for _, record in sent], births, answered, reported)
        )

    def _appended(self, group: list[Outgoing], filled: Mapping[int, Record]) -> None:
        born = {(record.flow, record.run_id): record for record in filled.values()}
        with excursion():
            for run, call, record, value in group:
                run.unwritten -= 1
                if record is None:
                    self._spawn(self._write_halt(run, value))
                elif not run.evicted:
                    if call is not None and call.birth is not None:
                        record = born[record.flow, record.run_id]
                        value = outcome(call, record)
                    self._recipient.hand_over(run, call, record, value)
                run.notify_written()
        self._recipient.flush_soon()

    # -- waits ------------------------------------------------------------------------------------------------

    def register(self, call: Call) -> None:
        """Register a wait."""
        call.run.unwritten += 1
        call.run.registering += 1
        self._waits.put(call)

    def _register(self, group: list[Call]) -> asyncio.Future[list[Answer]]:
        waits = [call.wait for call in group if call.wait is not None and not call.run.evicted]
        return self._port.wait(self._recipient.epoch, waits)

    def _registered(self, group: list[Call], answers: list[Answer]) -> None:
        told = {(answer.flow, answer.run_id): answer for answer in answers}
        with excursion():
            for call in group:
                run = call.run
                run.unwritten -= 1
                run.registering -= 1
                answer = told.get((run.num, call.run_id))
                if run.evicted or answer is None:
                    continue
                call.answered = answer.wait
                if call.abandoned and not call.recorded:
                    self.give_back(run, wait=answer.wait)
                elif answer.at is not None:
                    self._recipient.answered(run, answer)
                run.notify_written()
                self._recipient.came_to_rest(run)
        self._recipient.flush_soon()

    def give_back(self, run: FlowRun, *, wait: int | None = None, run_id: str | None = None) -> None:
        """Nobody waits any more: withdraw a wait, or free the event that a recorded one had taken. The flow does not
        end before that is written: afterwards nobody would know of it."""
        run.unwritten += 1
        self._back.put((run, wait, run_id))

    def _give_back(self, group: list[Unwanted]) -> asyncio.Future[None]:
        waits = [wait for _, wait, _ in group if wait is not None]
        taken = [(run.num, run_id) for run, _, run_id in group if run_id is not None]
        return self._port.give_back(group[0][0].epoch, waits, taken)

    def _given_back(self, group: list[Unwanted], answer: None) -> None:
        with excursion():
            for run, _, _ in group:
                run.unwritten -= 1
                run.notify_written()
                self._recipient.came_to_rest(run)
        self._recipient.flush_soon()

    # -- states -----------------------------------------------------------------------------------------------

    def publish(self, run: FlowRun) -> None:
        """Write a flow's state; what changes while that is on its way follows."""
        if run.publishing:
            return
        run.publishing = True
        run.unwritten += 1
        self._states.put((run, ""))

    def _publish(self, group: list[tuple[FlowRun, str]]) -> asyncio.Future[None]:
        rows = []
        for run, _ in group:
            run.published = codec.encode(run.state)
            if not run.evicted:
                rows.append((run.num, run.published))
        return self._port.publish(self._recipient.epoch, rows)

    def _published(self, group: list[tuple[FlowRun, str]], answer: None) -> None:
        with excursion():
            for run, _ in group:
                run.unwritten -= 1
                run.publishing = False
                if run.evicted:
                    continue
                if codec.encode(run.state) != run.published:
                    self.publish(run)
                run.notify_written()
                self._recipient.came_to_rest(run)
        self._recipient.flush_soon()

    # -- leaving ----------------------------------------------------------------------------------------------

    def park(self, run: FlowRun, due: int | None) -> None:
        """Give a flow back until it is due, or touched."""
        self._parks.put((run, due))

    def _park(self, group: list[tuple[FlowRun, int | None]]) -> asyncio.Future[None]:
        return self._port.park(group[0][0].epoch, [(run.num, due) for run, due in group if not run.evicted])

    def _parked(self, group: list[tuple[FlowRun, int | None]], answer: None) -> None:
        self._recipient.left([run for run, _ in group])
        self._recipient.flush_soon()

    def end(self, run: FlowRun) -> None:
        """The workflow function is done: write how.

        Raises:
            HaltingError, InvalidInput: that cannot be written.
        """
        ending = ending_of(run, self._clock.micros(), self._recipient.max_bytes)
        run.evict()
        self._endings.put((run, ending))

    def _finish(self, group: list[tuple[FlowRun, Ending]]) -> asyncio.Future[Mapping[int, str]]:
        return self._port.finish(group[0][0].epoch, [ending for _, ending in group])

    def _finished(self, group: list[tuple[FlowRun, Ending]], now: Mapping[int, str]) -> None:
        for run, ending in group:
            if run.num not in now and not ending.tied:  # somebody has come to depend on its end meanwhile
                self._endings.put((run, ending._replace(tied=True)))
        self._recipient.left([run for run, ending in group if run.num not in now and ending.tied])
        self._recipient.ended([(run, ending._replace(status=now[run.num])) for run, ending in group if run.num in now])
        self._recipient.flush_soon()

    def halt(self, run: FlowRun, error: HoldfastError) -> None:
        """Stop this one flow, with the reason, after what it has on its way (FL-19)."""
        log.error("flow %s (%s) is halted: %s", run.id, run.workflow.name, error)
        run.evict()
        self.send(run, None, None, error)

    async def _write_halt(self, run: FlowRun, error: HoldfastError) -> None:
        reason = codec.encode(describe(error))
        try:
            status = await persist(lambda: self._port.halt(run.epoch, run.num, reason))
        except LeaseLost as lost:
            self._recipient.fence(lost.epoch)
            return
        self._recipient.ended([(run, Ending(run.num, status, None, reason, self._clock.micros()))])

    def _refused(self, error: BaseException) -> None:
        """A group was not written: the lease was lost, or something is wrong with the engine itself."""
        if isinstance(error, LeaseLost):
            self._recipient.fence(error.epoch)
            self.flush()
        else:
            self._recipient.broke(error)
