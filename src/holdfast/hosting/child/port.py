"""The engine's port in a process that never opens the store: each call is a frame (see docs/hosting.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.clock import Clock
from holdfast.errors import HoldfastError
from holdfast.flows.engine.port import (
    Answer,
    Attention,
    Batch,
    Claimed,
    Ending,
    Outlook,
    Progress,
    Record,
    Sealing,
    Wait,
)
from holdfast.hosting.child.transaction import FrameTransaction
from holdfast.hosting.frames.channel import Channel
from holdfast.hosting.frames.framing import MAX_FRAME
from holdfast.hosting.frames.verbs import Opened
from holdfast.store import Transaction

SLICE_BYTES = MAX_FRAME // 8
"""Texts of a frame of records, in characters: of at most four bytes each, with room for the rest."""


class FramePort:
    """:class:`~holdfast.flows.engine.port.EnginePort` over a channel.

    Args:
        channel: to the supervisor.
        clock: for transactional steps.
    """

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock

    async def outlook(self, epoch: int, workflow_types: Sequence[str]) -> Outlook:
        found: Outlook = await self._channel.call("outlook", epoch, list(workflow_types))
        return found

    async def claim(self, epoch: int, workflow_types: Sequence[str], limit: int, *, suspect: bool) -> list[Claimed]:
        claimed: list[Claimed] = await self._channel.call("claim", epoch, list(workflow_types), limit, suspect)
        return claimed

    async def history(self, nums: Sequence[int]) -> list[Record]:
        records: list[Record] = await self._channel.call("history", list(nums))
        return records

    async def attend(self, epoch: int) -> tuple[list[Attention], list[Answer]]:
        found: tuple[list[Attention], list[Answer]] = await self._channel.call("attend", epoch)
        return found

    async def standing(self, flow: int) -> list[Answer]:
        answers: list[Answer] = await self._channel.call("standing", flow)
        return answers

    def append(self, epoch: int, batch: Batch) -> asyncio.Future[Mapping[int, Record]]:
        sendable = batch._replace(births=dict(batch.births))
        parts = list(slices(sendable))
        if len(parts) == 1:
            return self._channel.call("append", epoch, sendable)
        return asyncio.ensure_future(self._append_parts(epoch, parts))

    async def _append_parts(self, epoch: int, parts: Sequence[tuple[int, Batch]]) -> Mapping[int, Record]:
        """One after the other: each is a group of its own, and repeating those that were written does no harm."""
        filled: dict[int, Record] = {}
        for first, part in parts:
            answer = await self._channel.call("append", epoch, part)
            filled |= {first + position: record for position, record in answer.items()}
        return filled

    def wait(self, epoch: int, waits: Sequence[Wait]) -> asyncio.Future[list[Answer]]:
        return self._channel.call("wait", epoch, waits)

    def give_back(self, epoch: int, waits: Sequence[int], taken: Sequence[tuple[int, str]]) -> asyncio.Future[None]:
        return self._channel.call("give_back", epoch, waits, taken)

    def finish(self, epoch: int, endings: Sequence[Ending]) -> asyncio.Future[Mapping[int, str]]:
        return self._channel.call("finish", epoch, endings)

    def park(self, epoch: int, due: Sequence[tuple[int, int | None]]) -> asyncio.Future[None]:
        return self._channel.call("park", epoch, due)

    def publish(self, epoch: int, states: Sequence[tuple[int, str]]) -> asyncio.Future[None]:
        return self._channel.call("publish", epoch, states)

    async def report(self, epoch: int, progress: Sequence[Progress]) -> None:
        await self._channel.call("report", epoch, progress)

    async def halt(self, epoch: int, flow: int, error: str) -> str:
        status: str = await self._channel.call("halt", epoch, flow, error)
        return status

    async def transact(
        self, epoch: int, flow: int, run_id: str, work: Callable[[Transaction], tuple[Record, Sealing | None]]
    ) -> Record:
        opened: Opened = await self._channel.call("open", epoch, flow, run_id)
        if opened.recorded is not None:
            return opened.recorded
        tx = FrameTransaction(self._channel, opened.session, self._clock)
        try:
            record = await asyncio.to_thread(tx.perform, work)
        except BaseException:
            self._channel.call("abort", opened.session).add_done_callback(_heard)
            raise
        sealed: Record = await self._channel.call("seal", opened.session, record)
        return sealed

    async def tick(self, epoch: int, workflow_types: Sequence[str]) -> int:
        return 0  # the supervisor does it for all

    async def chores(self, epoch: int) -> None:
        """The supervisor does them for all."""


def slices(batch: Batch) -> list[tuple[int, Batch]]:
    """A batch in parts that fit into frames, each with the position of its first record in the whole."""
    bounds = [0]
    size = 0
    for position, record in enumerate(batch.records):
        extent = len(record.result or "") + len(record.error or "")
        if size and size + extent > SLICE_BYTES:
            bounds.append(position)
            size = 0
        size += extent
    if len(bounds) == 1:
        return [(0, batch)]
    parts = []
    for first, end in zip(bounds, [*bounds[1:], len(batch.records)], strict=True):
        births = {position - first: start for position, start in batch.births.items() if first <= position < end}
        parts.append((first, Batch(batch.records[first:end], births)))
    last, rest = parts[-1]
    parts[-1] = (last, rest._replace(answered=batch.answered, reported=batch.reported))
    return parts


def _heard(answer: asyncio.Future[Any]) -> None:
    """What becomes of an abort is of no interest: the supervisor ends the session by itself as well."""
    if not answer.cancelled() and isinstance(answer.exception(), HoldfastError):
        return
