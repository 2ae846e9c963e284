"""One end of the socket between a supervisor and a process that runs a package."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any, Protocol

from holdfast.errors import HoldfastError
from holdfast.hosting.errors import ChannelClosed, ProtocolError
from holdfast.hosting.frames import framing
from holdfast.hosting.frames.failures import described, restored
from holdfast.hosting.frames.framing import MAX_ANSWER, MAX_FRAME, Kind
from holdfast.hosting.frames.shapes import Shape
from holdfast.hosting.frames.verbs import TELLS, VERBS, Verb

MAX_UNSENT = 256 * 1024 * 1024
"""Bytes that may wait for an end that does not read."""


MAX_UNANSWERED = 256 * 1024 * 1024
"""Bytes of calls that may wait for their answers."""


class Side(Protocol):
    """Who lives at this end. Called on the channel's loop."""

    def asked(self, verb: str, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Do what a call wants; calls come in the order in which they were made.

        Raises:
            ProtocolError: nobody may ask that.
        """
        ...

    def told(self, verb: str, args: tuple[Any, ...]) -> None:
        """Take a message."""
        ...

    def lost(self, error: HoldfastError) -> None:
        """The other end is gone, or not to be understood; the channel is closed."""
        ...


class Channel(asyncio.Protocol):
    """Calls and messages both ways.

    Args:
        side: who lives at this end.
        serves: the calls that this end answers: all, or none.
        most: calls that may wait for their answers at once.
    """

    def __init__(self, side: Side, serves: Mapping[str, Verb], most: int = 1000) -> None:
        self._side = side
        self._serves = serves
        self._most = most
        taken, self._given = (MAX_FRAME, MAX_ANSWER) if serves else (MAX_ANSWER, MAX_FRAME)
        self._decoder = framing.Decoder(taken)
        self._calls: dict[int, tuple[asyncio.Future[Any], Shape]] = {}
        self._last = 0
        self._owed = 0
        self._owed_bytes = 0
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, end: socket.socket, side: Side, serves: Mapping[str, Verb], most: int = 1000) -> Channel:
        """The channel over a connected socket."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(lambda: cls(side, serves, most), sock=end)
        return channel

    def call(self, verb: str, *args: Any) -> asyncio.Future[Any]:
        """Ask; the frame is on its way when this returns. The future raises the other end's error, or ChannelClosed."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._last += 1
        try:
            frame = self._encode("call", self._last, verb, args)
        except ProtocolError as error:
            future.set_exception(error)
            return future
        self._calls[self._last] = (future, VERBS[verb].result)
        if not self._write(frame):
            del self._calls[self._last]
            future.set_exception(ChannelClosed("The other end of the channel is gone."))
        return future

    def tell(self, verb: str, *args: Any) -> None:
        """Say something; nothing happens if nobody is there any more."""
        self._write(self._encode("tell", verb, args))

    def close(self) -> None:
        """Close this end; what was not answered will not be."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        calls, self._calls = self._calls, {}
        for future, _ in calls.values():
            if not future.done():
                future.set_exception(ChannelClosed("The other end of the channel is gone."))
                future.exception()  # whoever waited may be gone as well

    def _write(self, frame: bytes) -> bool:
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._fail(ProtocolError("It does not read what it is told."))
            return False
        self._transport.write(frame)
        return True

    def _fail(self, error: HoldfastError) -> None:
        if self._transport is not None:
            self.close()
            self._side.lost(error)

    # -- asyncio's side ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(ChannelClosed("The process at the other end is gone."))

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                if self._transport is None:
                    return
                self._take(frame)
        except ProtocolError as error:
            self._fail(error)

    def _take(self, frame: framing.Frame) -> None:
        match frame:
            case framing.Call():
                self._serve(frame)
            case framing.Tell():
                shape = TELLS.get(frame.verb)
                if shape is not None:  # a newer end may tell more
                    self._side.told(frame.verb, shape.read(frame.args))
            case framing.Answer():
                future, shape = self._call(frame.id)
                self._resolve(future, shape.read(frame.result), None)
            case framing.Failure():
                future, _ = self._call(frame.id)
                self._resolve(future, None, restored(frame))

    def _call(self, id: int) -> tuple[asyncio.Future[Any], Shape]:
        found = self._calls.pop(id, None)
        if found is None:
            raise ProtocolError(f"Nobody waits for an answer to call {id}.")
        return found

    @staticmethod
    def _resolve(future: asyncio.Future[Any], result: Any, error: HoldfastError | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _serve(self, call: framing.Call) -> None:
        verb = self._serves.get(call.verb)
        if verb is None:
            raise ProtocolError(f"There is no {call.verb!r:.80} to ask for.")
        size = len(call.args)
        if self._owed == self._most or self._owed_bytes + size > MAX_UNANSWERED:
            raise ProtocolError("It asks more than can be answered.")
        answer = self._side.asked(call.verb, verb.args.read(call.args))
        self._owed += 1
        self._owed_bytes += size
        answer.add_done_callback(lambda done: self._answer(call.id, size, done))

    def _answer(self, id: int, size: int, done: asyncio.Future[Any]) -> None:
        self._owed -= 1
        self._owed_bytes -= size
        if done.cancelled() or self._transport is None:
            return
        error = done.exception()
        try:
            frame = self._encode("answer", id, done.result()) if error is None else self._failure(id, error)
        except Exception as problem:  # a result that no frame can have: of a package's own statement
            frame = self._failure(id, problem)
        self._write(frame)

    def _failure(self, id: int, error: BaseException) -> bytes:
        return self._encode("failure", id, *described(error))

    def _encode(self, kind: Kind, *fields: Any) -> bytes:
        return framing.encode(kind, *fields, limit=self._given)
