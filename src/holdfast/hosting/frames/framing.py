"""Frames on a stream of bytes: four bytes of length, big-endian, then a MessagePack array.

======== ======================== =============================================================
kind     fields                   meaning
======== ======================== =============================================================
call     id, verb, arguments      asks; answered once
answer   id, result               what the call with this id gave
failure  id, family, code, …      why it gave nothing
tell     verb, arguments          says something; never answered
======== ======================== =============================================================
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from holdfast.hosting.errors import ProtocolError

MAX_FRAME = 64 * 1024 * 1024
"""Bytes of a frame's body that a supervisor takes from a process."""
MAX_ANSWER = 1 << 30
"""Bytes that a process takes from its supervisor, which it has to believe anyway: histories can be long."""
_LENGTH = struct.Struct(">I")
_ID = 1 << 62


class Call(msgspec.Struct, tag="call", array_like=True, frozen=True):
    """A question; ``id`` is the asker's."""

    id: int
    verb: str
    args: msgspec.Raw


class Answer(msgspec.Struct, tag="answer", array_like=True, frozen=True):
    """What a call gave."""

    id: int
    result: msgspec.Raw


class Failure(msgspec.Struct, tag="failure", array_like=True, frozen=True):
    """Why a call gave nothing: see :mod:`holdfast.hosting.frames.failures`."""

    id: int
    family: str
    code: str
    message: str
    remedy: str
    epoch: int = 0


class Tell(msgspec.Struct, tag="tell", array_like=True, frozen=True):
    """A message that nobody answers."""

    verb: str
    args: msgspec.Raw


Kind = Literal["call", "answer", "failure", "tell"]
Frame = Call | Answer | Failure | Tell
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def encode(kind: Kind, *fields: Any, limit: int) -> bytes:
    """A frame's bytes, its length before it.

    Args:
        limit: bytes of a body that the other end takes.

    Raises:
        ProtocolError: it would be too large.
    """
    body = _encoder.encode([kind, *fields])
    if len(body) > limit:
        remedy = "Let steps return less at once; large data belongs into files or a database of yours."
        raise ProtocolError(f"A frame of {len(body):,} bytes is over the limit of {limit:,}.", remedy=remedy)
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Takes bytes as they come and gives the frames that are complete.

    Args:
        limit: bytes of a frame's body.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that ``data`` completes.

        Raises:
            ProtocolError: that is no frame; nothing after it can be told apart any more.
        """
        self._buffer += data
        start, available = 0, len(self._buffer)
        try:
            while available - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._buffer, start)
                if length > self._limit:
                    raise ProtocolError(f"A frame of {length:,} bytes was announced; {self._limit:,} are the limit.")
                end = start + _LENGTH.size + length
                if available < end:
                    break
                yield _decoded(bytes(memoryview(self._buffer)[start + _LENGTH.size : end]))
                start = end
        finally:
            del self._buffer[:start]


def _decoded(body: bytes) -> Frame:
    try:
        frame = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"That is no frame: {error}.") from error
    if not isinstance(frame, Tell) and not 0 < frame.id < _ID:
        raise ProtocolError(f"{frame.id} is no number of a call.")
    return frame
