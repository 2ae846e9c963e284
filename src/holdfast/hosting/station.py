"""A supervisor's side of one process: it holds the lease, and carries out what the process asks for.

All of the process's flows are held under one epoch, so that its death is the death of a worker: its flows are freed and
counted as such (FL-11, FL-19). What it asks is checked: it can name no epoch and no flow that it was not given.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.flows.engine.lease import Lease
from holdfast.flows.engine.port import (
    Answer,
    Attention,
    Batch,
    Claimed,
    Ending,
    EnginePort,
    Outlook,
    Progress,
    Record,
    Wait,
)
from holdfast.flows.model import FlowStatus, StepStatus
from holdfast.hosting.errors import ProtocolError
from holdfast.hosting.frames.channel import Channel
from holdfast.hosting.frames.verbs import EPOCHAL, Held, Hello
from holdfast.hosting.holdings import Holdings
from holdfast.hosting.sessions import Sessions

log = logging.getLogger("holdfast.hosting")
RECORDED = frozenset({StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.CANCELLED})
ENDED = frozenset({FlowStatus.FINISHED, FlowStatus.FAILED, FlowStatus.CANCELLED})


class Station:
    """Serves the calls of one process.

    Attributes:
        hello: what the process says of itself.
        holdings: what it may name.
        gave_up: it has given back all that it held.
        answered_at: the loop's time at which it answered last.
        channel: to it, once it is connected.

    Args:
        port: the engine's way to the store.
        lease: under which the process works.
        serves: gives what the engine claims by for a workflow's name; ``None`` for one that is not the version's.
        lost: called once when the process is gone or not to be understood, with the reason.
        stirred: called when flows of other versions may have something to do.
    """

    def __init__(
        self,
        port: EnginePort,
        lease: Lease,
        serves: Callable[[str], str | None],
        lost: Callable[[HoldfastError], None],
        stirred: Callable[[], None],
    ) -> None:
        self.hello: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        self.holdings = Holdings()
        self.gave_up = False
        self.answered_at = 0.0
        self.channel: Channel | None = None
        self._port = port
        self._lease = lease
        self._serves = serves
        self._lost = lost
        self._stirred = stirred
        self._loop = asyncio.get_running_loop()
        self._sessions = Sessions(port, self.lost)
        self._handlers: dict[str, Callable[..., Awaitable[Any]]] = {
            "hello": self._hello,
            "acquire": self._acquire,
            "give_up": self._give_up,
            "outlook": self._outlook,
            "claim": self._claim,
            "history": self._history,
            "attend": self._attend,
            "standing": self._standing,
            "append": self._append,
            "wait": self._wait,
            "give_back": self._give_back,
            "finish": self._finish,
            "park": self._park,
            "publish": self._publish,
            "report": self._report,
            "halt": self._halt,
            "open": self._open,
            "statement": self._sessions.statement,
            "lock": self._sessions.lock,
            "seal": self._seal,
            "abort": self._sessions.abort,
        }

    def connect(self, channel: Channel) -> None:
        """The process is there."""
        self.channel = channel

    def tell_held(self) -> None:
        """Let the process know how long its lease is held."""
        if self.channel is not None and self._lease.epoch:
            self.channel.tell("held", Held(self._lease.epoch, self._lease.until))

    def tell_fenced(self, epoch: int) -> None:
        """Let the process know that an epoch is over."""
        if self.channel is not None:
            self.channel.tell("fenced", epoch)

    def close(self) -> None:
        """The process is gone: what it had open is rolled back."""
        self._sessions.close()

    # -- the channel's side ------------------------------------------------------------------------------------

    def asked(self, verb: str, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        if verb in EPOCHAL:
            self.holdings.check_epoch(args[0])
        answer = self._handlers[verb](*args)
        return answer if isinstance(answer, asyncio.Future) else self._loop.create_task(answer)  # type: ignore[arg-type]

    def told(self, verb: str, args: tuple[Any, ...]) -> None:
        if verb == "pong":
            self.answered_at = self._loop.time()

    def lost(self, error: HoldfastError) -> None:
        if not self.hello.done():
            self.hello.set_exception(error)
            self.hello.exception()  # nobody may be waiting for it
        self._lost(error)

    # -- the lease ---------------------------------------------------------------------------------------------

    async def _hello(self, hello: Hello) -> None:
        if not self.hello.done():
            self.hello.set_result(hello)

    async def _acquire(self) -> Held:
        first = self._lease.epoch == 0
        epoch = await self._lease.acquire()
        if first:
            self._lease.start()
        self.holdings.begin(epoch)
        self.gave_up = False
        return Held(epoch, self._lease.until)

    async def _give_up(self) -> None:
        await self._lease.give_up()
        self.holdings.begin(self._lease.epoch)
        self.gave_up = True

    # -- flows ---------------------------------------------------------------------------------------------------

    async def _outlook(self, epoch: int, names: list[str]) -> Outlook:
        found = await self._port.outlook(epoch, self._types(names))
        return found._replace(schedules=None, chores=None)  # the supervisor does these for all

    async def _claim(self, epoch: int, names: list[str], limit: int, suspect: bool) -> list[Claimed]:
        claimed = await self._port.claim(epoch, self._types(names), max(0, limit), suspect=suspect)
        self.holdings.take(epoch, claimed)
        return claimed

    async def _history(self, nums: list[int]) -> list[Record]:
        records = await self._port.history(nums)
        self.holdings.check_flows(self.holdings.epoch, (record.flow for record in records))
        return records

    async def _attend(self, epoch: int) -> tuple[list[Attention], list[Answer]]:
        touched, answers = await self._port.attend(epoch)
        self.holdings.learn(answers)
        return touched, answers

    async def _standing(self, flow: int) -> list[Answer]:
        self.holdings.check_flows(self.holdings.epoch, [flow])
        answers = await self._port.standing(flow)
        self.holdings.learn(answers)
        return answers

    def _append(self, epoch: int, batch: Batch) -> Awaitable[Any]:
        _check_statuses(RECORDED, (record.status for record in batch.records))
        self.holdings.check_flows(epoch, (record.flow for record in batch.records))
        self.holdings.check_flows(epoch, (flow for flow, _ in batch.reported))
        self.holdings.check_flows(epoch, (start.parent for start in batch.births.values()))
        self.holdings.check_waits(epoch, batch.answered)
        if not all(0 <= position < len(batch.records) for position in batch.births):
            raise ProtocolError("A child is born by a record of the same batch.")

        def written(filled: object) -> None:
            self.holdings.forget(batch.answered)
            if batch.births:
                self._stirred()

        return _then(self._port.append(epoch, batch), written)

    def _wait(self, epoch: int, waits: Sequence[Wait]) -> Awaitable[Any]:
        self.holdings.check_flows(epoch, (wait.flow for wait in waits))
        return _then(self._port.wait(epoch, waits), self.holdings.learn)

    def _give_back(self, epoch: int, waits: list[int], taken: list[tuple[int, str]]) -> Awaitable[Any]:
        self.holdings.check_flows(epoch, (flow for flow, _ in taken))
        self.holdings.check_waits(epoch, waits)
        return _then(self._port.give_back(epoch, waits, taken), lambda _: self.holdings.forget(waits))

    def _finish(self, epoch: int, endings: Sequence[Ending]) -> Awaitable[Any]:
        _check_statuses(ENDED, (ending.status for ending in endings if ending.anew is None))
        self.holdings.check_flows(epoch, (ending.flow for ending in endings))
        anew = [ending.flow for ending in endings if ending.anew is not None]

        def written(ended: dict[int, str]) -> None:
            self.holdings.drop([*ended, *anew])
            if any(ending.tied for ending in endings):
                self._stirred()

        return _then(self._port.finish(epoch, endings), written)

    def _park(self, epoch: int, due: list[tuple[int, int | None]]) -> Awaitable[Any]:
        self.holdings.check_flows(epoch, (flow for flow, _ in due))
        return _then(self._port.park(epoch, due), lambda _: self.holdings.drop(flow for flow, _ in due))

    def _publish(self, epoch: int, states: list[tuple[int, str]]) -> Awaitable[None]:
        self.holdings.check_flows(epoch, (flow for flow, _ in states))
        return self._port.publish(epoch, states)

    def _report(self, epoch: int, progress: Sequence[Progress]) -> Awaitable[None]:
        self.holdings.check_flows(epoch, (step.flow for step in progress))
        return self._port.report(epoch, progress)

    def _halt(self, epoch: int, flow: int, error: str) -> Awaitable[Any]:
        self.holdings.check_flows(epoch, [flow])
        halt = asyncio.ensure_future(self._port.halt(epoch, flow, error))
        return _then(halt, lambda _: self.holdings.drop([flow]))

    # -- transactional steps ------------------------------------------------------------------------------------

    def _open(self, epoch: int, flow: int, run_id: str) -> Awaitable[Any]:
        self.holdings.check_flows(epoch, [flow])
        return self._sessions.open(epoch, flow, run_id)

    def _seal(self, session: int, record: Record) -> Awaitable[Record]:
        _check_statuses(RECORDED, [record.status])
        return self._sessions.seal(session, record)

    def _types(self, names: Sequence[str]) -> list[str]:
        found = [self._serves(name) for name in names]
        return [served for served in found if served is not None]


def _check_statuses(known: frozenset[str], statuses: Iterable[str]) -> None:
    for status in statuses:
        if status not in known:
            raise ProtocolError(f"{status!r:.80} is no status of what has ended.")


def _then(answer: asyncio.Future[Any], done: Callable[[Any], None]) -> asyncio.Future[Any]:
    """``answer``, with something to be done with it when it was had."""

    def succeeded(future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None:
            done(future.result())

    answer.add_done_callback(succeeded)
    return answer
