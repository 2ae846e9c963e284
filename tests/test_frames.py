"""Frames between a supervisor and its processes: whatever is none is a ProtocolError, and nothing else."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import socket
import struct
import types
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, StoreUnreachable
from holdfast.flows.engine.port import (
    Answer,
    Attention,
    Batch,
    Claimed,
    Ending,
    Outlook,
    Progress,
    Record,
    Wait,
)
from holdfast.flows.errors import EngineFault, LeaseLost
from holdfast.flows.requests import Start
from holdfast.hosting.errors import ChannelClosed, ProtocolError
from holdfast.hosting.frames import channel as channels
from holdfast.hosting.frames import framing
from holdfast.hosting.frames.cells import packed, unpacked
from holdfast.hosting.frames.channel import Channel
from holdfast.hosting.frames.shapes import Shape
from holdfast.hosting.frames.verbs import EPOCHAL, TELLS, VERBS, Hello, Opened, Statement, Verb, Welcome

RECORDS: list[Any] = [
    Answer, Attention, Batch, Claimed, Ending, Hello, Opened, Outlook, Progress, Record, Start, Statement, Wait,
    Welcome,
]  # fmt: skip
NUMBERS = st.integers(-(2**63), 2**63 - 1)
LIMIT = 1 << 20


def encoded(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type as it stands in frames."""
    if hasattr(kind, "_fields"):
        return st.tuples(*map(values, get_type_hints(kind).values())).map(lambda fields: kind(*fields))
    parts = [values(part) for part in get_args(kind) if part is not Ellipsis]
    match get_origin(kind):
        case None:
            return SCALARS[kind]
        case types.UnionType:
            return st.one_of(parts)
        case builtins.tuple if len(parts) == len(get_args(kind)):
            return st.tuples(*parts)
    if len(parts) == 2:
        return st.dictionaries(*parts, max_size=2)
    return st.lists(parts[0], max_size=2)


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: NUMBERS,
    float: st.floats(allow_nan=False),
    str: st.text(max_size=20),
    bool: st.booleans(),
    types.NoneType: st.none(),
    Any: st.none() | st.booleans() | NUMBERS | st.text(max_size=20) | st.binary(max_size=20),
}


# -- records ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_records_arrive_as_they_left(kind: Any, data: st.DataObject) -> None:
    sent = data.draw(values(kind))
    found = Shape(kind).read(encoded(sent))
    assert encoded(found) == encoded(sent)
    assert type(found) is kind


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_fields_of_a_later_version_are_cut_off(kind: Any, data: st.DataObject) -> None:
    sent = data.draw(values(kind))
    surplus = data.draw(st.lists(st.none() | NUMBERS | st.text() | st.lists(NUMBERS), min_size=1, max_size=3))
    assert Shape(kind).read(encoded([*sent, *surplus])) == Shape(kind).read(encoded(sent))


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_fields_that_an_earlier_version_does_not_have_get_their_defaults(kind: Any, data: st.DataObject) -> None:
    sent = data.draw(values(kind))
    required = len(kind._fields) - len(kind._field_defaults)
    kept = data.draw(st.integers(required, len(kind._fields)))
    read = Shape(kind).read(encoded(list(sent)[:kept]))
    assert encoded(list(read)[:kept]) == encoded(list(sent)[:kept])
    assert list(read)[kept:] == [kind._field_defaults[name] for name in kind._fields[kept:]]
    if required:
        with pytest.raises(ProtocolError):
            Shape(kind).read(encoded(list(sent)[: required - 1]))


class Inner(NamedTuple):
    number: int


class Outer(NamedTuple):
    one: Inner | None
    many: list[Inner]
    by_number: dict[int, Inner]
    pair: tuple[Inner, int]
    several: tuple[Inner, ...] = ()


def test_surplus_fields_are_cut_off_however_deep_they_are() -> None:
    newer = [7, "new"]
    sent = [newer, [newer, newer], {1: newer}, [newer, 2, "surplus"], [newer], "surplus"]
    inner = Inner(7)
    assert Shape(Outer).read(encoded(sent)) == Outer(inner, [inner, inner], {1: inner}, (inner, 2), (inner,))
    assert Shape(Outer).read(encoded([None, [], {}, [newer, 2]])).one is None


@given(st.binary(max_size=200), st.sampled_from([*VERBS.values(), *TELLS.values()]))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_a_value_or_a_protocol_error(raw: bytes, verb: Verb | Shape) -> None:
    for shape in (verb.args, verb.result) if isinstance(verb, Verb) else (verb,):
        with contextlib.suppress(ProtocolError):
            shape.read(msgspec.Raw(raw))


@pytest.mark.parametrize("verb", VERBS)
def test_values_nested_without_end_are_refused(verb: str) -> None:
    for shape in (VERBS[verb].args, VERBS[verb].result):
        with pytest.raises(ProtocolError):
            shape.read(msgspec.Raw(b"\x91" * 100_000 + b"\xc0"))


def test_the_verbs_that_are_asked_under_an_epoch_take_one_first() -> None:
    for name, verb in VERBS.items():
        takes_two = {"halt", "park", "publish", "finish", "append", "wait", "give_back", "outlook", "claim", "report"}
        assert (name in EPOCHAL) == (name in takes_two | {"attend", "open"}), name
        if name in EPOCHAL:
            with pytest.raises(ProtocolError):
                verb.args.read(encoded(["no epoch"]))


CELLS = [
    None, True, 7, 2**63 - 1, -1.5, "é", b"\0\xff", Decimal("1.50"), Decimal("NaN"), Decimal("1e400"), UUID(int=7),
    datetime(2026, 1, 2, 3, 4, 5, 6), datetime(2026, 1, 2, tzinfo=UTC), date(2026, 1, 2), time(1, 2, 3),
    timedelta(days=-1, microseconds=1), [Decimal(1), [None]],
]  # fmt: skip


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_cells_keep_their_types(cell: Any) -> None:
    found = unpacked(msgspec.msgpack.decode(msgspec.msgpack.encode(packed(cell))))
    assert repr(found) == repr(cell)


@given(st.integers(-128, 127), st.binary(max_size=40))
def test_what_is_no_cell_is_a_protocol_error(code: int, data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        unpacked(msgspec.msgpack.Ext(code, data))


# -- framing ----------------------------------------------------------------------------------------------------


def frames_of(data: bytes, *, pieces: int = 0) -> list[framing.Frame]:
    decoder = framing.Decoder(LIMIT)
    step = pieces or len(data) or 1
    return [frame for at in range(0, len(data), step) for frame in decoder.feed(data[at : at + step])]


@given(
    st.lists(st.tuples(st.integers(1, 2**62 - 1), st.text(max_size=30), st.lists(NUMBERS, max_size=5)), max_size=10),
    st.integers(1, 50),
)
@settings(deadline=None)
def test_frames_arrive_in_pieces_of_any_size(calls: list[tuple[int, str, list[int]]], pieces: int) -> None:
    data = b"".join(framing.encode("call", *call, limit=LIMIT) for call in calls)
    found = [frame for frame in frames_of(data, pieces=pieces) if isinstance(frame, framing.Call)]
    assert [(call.id, call.verb, msgspec.msgpack.decode(call.args)) for call in found] == calls


@given(st.binary(max_size=300), st.integers(1, 64))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_frames_or_a_protocol_error(data: bytes, pieces: int) -> None:
    with contextlib.suppress(ProtocolError):
        frames_of(data, pieces=pieces)
    with contextlib.suppress(ProtocolError):
        frames_of(struct.pack(">I", len(data)) + data, pieces=pieces)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc0", b"\x90", b"\xc1", b"\x91" * 50_000, encoded(["call", 0, "x", []]), encoded(["call", -1, "x", []]),
     encoded(["call", 2**62, "x", []]), encoded(["call", "1", "x", []]), encoded(["call", 1]),
     encoded(["shout", 1, 2, 3]),
     encoded({"call": 1}), encoded(["tell", 7, []]), encoded(["failure", 1, "x"]), b"\x92\xa4tell\xa1\xff",
     b"\x93\xa4tell\xa2\xff\xff\x90"],
)  # fmt: skip
def test_what_is_no_frame_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        frames_of(struct.pack(">I", len(body)) + bytes(body))


def test_a_huge_frame_is_refused_when_it_is_announced() -> None:
    with pytest.raises(ProtocolError, match="announced"):
        frames_of(struct.pack(">I", LIMIT + 1))
    with pytest.raises(ProtocolError, match="over the limit"):
        framing.encode("tell", "x", "y" * LIMIT, limit=LIMIT)


# -- channels ---------------------------------------------------------------------------------------------------


class Echo:
    """A side that answers with what it is asked for."""

    def __init__(self, answer: Callable[[str, tuple[Any, ...]], Any]) -> None:
        self.heard: list[tuple[str, tuple[Any, ...]]] = []
        self.loss: asyncio.Future[HoldfastError] = asyncio.get_running_loop().create_future()
        self._answer = answer

    def asked(self, verb: str, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        found = self._answer(verb, args)
        if isinstance(found, asyncio.Future):
            return found
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if isinstance(found, BaseException):
            future.set_exception(found)
        else:
            future.set_result(found)
        return future

    def told(self, verb: str, args: tuple[Any, ...]) -> None:
        self.heard.append((verb, args))

    def lost(self, error: HoldfastError) -> None:
        assert not self.loss.done(), "it is lost once"
        self.loss.set_result(error)


async def pair(answer: Any) -> tuple[Channel, Channel, Echo, Echo]:
    """The child's end, the supervisor's, and who lives there."""
    ours, theirs = socket.socketpair()
    here, there = Echo(lambda verb, args: None), Echo(answer if callable(answer) else lambda verb, args: answer)
    return await Channel.open(theirs, here, {}), await Channel.open(ours, there, VERBS), here, there


async def ended(child: Channel, supervisor: Channel) -> None:
    child.close()
    supervisor.close()


def on_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))


def test_calls_are_answered_by_number_in_any_order() -> None:
    async def work() -> None:
        waiting: list[asyncio.Future[Any]] = []

        def late(verb: str, args: tuple[Any, ...]) -> asyncio.Future[Any]:
            waiting.append(asyncio.get_running_loop().create_future())
            if len(waiting) == 3:
                for number, future in reversed(list(enumerate(waiting))):
                    future.set_result({number: "ended"})
            return waiting[-1]

        child, supervisor, _, _ = await pair(late)
        asked = [child.call("finish", 1, []) for _ in range(3)]
        assert await asyncio.gather(*asked) == [{0: "ended"}, {1: "ended"}, {2: "ended"}]
        await ended(child, supervisor)

    on_loop(work)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(LeaseLost(7), LeaseLost), (StoreUnreachable("gone"), StoreUnreachable), (ProtocolError("no"), EngineFault),
     (ValueError("what"), EngineFault)],
)  # fmt: skip
def test_errors_keep_their_family(error: BaseException, kind: type[HoldfastError]) -> None:
    async def work() -> None:
        child, supervisor, _, _ = await pair(error)
        with pytest.raises(kind) as found:
            await child.call("acquire")
        assert str(error) in str(found.value) or isinstance(error, HoldfastError)
        assert getattr(found.value, "epoch", 7) == 7
        await ended(child, supervisor)

    on_loop(work)


@pytest.mark.parametrize(
    "result", [object(), "\ud800", 2**70, [[object()]]], ids=["object", "surrogate", "large", "deep"]
)
def test_an_answer_that_no_frame_can_have_is_a_failure(result: Any) -> None:
    async def work() -> None:
        child, supervisor, _, _ = await pair(result)
        with pytest.raises(EngineFault):
            await child.call("acquire")
        await ended(child, supervisor)

    on_loop(work)


def test_messages_that_nobody_knows_are_skipped() -> None:
    async def work() -> None:
        child, supervisor, here, _ = await pair(None)
        for verb, args in (("news", [1, 2]), ("fenced", [5, "surplus"])):
            supervisor._write(framing.encode("tell", verb, args, limit=LIMIT))
        await child.call("give_up")
        assert here.heard == [("fenced", (5,))]
        await ended(child, supervisor)

    on_loop(work)


def test_what_was_asked_fails_when_the_other_end_goes() -> None:
    async def work() -> None:
        child, supervisor, here, there = await pair(lambda verb, args: asyncio.get_running_loop().create_future())
        answer = child.call("acquire")
        await asyncio.sleep(0)
        supervisor.close()
        with pytest.raises(ChannelClosed):
            await answer
        assert isinstance(await here.loss, ChannelClosed)
        with pytest.raises(ChannelClosed):
            await child.call("acquire")
        assert not there.loss.done(), "who closes knows it"
        await ended(child, supervisor)

    on_loop(work)


@pytest.mark.parametrize(("most", "size"), [(50, 1), (1000, 20_000)])
def test_who_asks_and_asks_is_cut_off(most: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MAX_UNANSWERED", 1_000_000)

    async def work() -> None:
        asked = 0

        def never(verb: str, args: tuple[Any, ...]) -> asyncio.Future[Any]:
            nonlocal asked
            asked += 1
            return asyncio.get_running_loop().create_future()

        ours, theirs = socket.socketpair()
        there = Echo(never)
        supervisor = await Channel.open(ours, there, VERBS, most)
        child = await Channel.open(theirs, Echo(never), {})
        for _ in range(200):
            child.call("halt", 1, 1, "x" * size)
        assert isinstance(await there.loss, ProtocolError)
        assert asked in (49, 50)
        await ended(child, supervisor)

    on_loop(work)


def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MAX_UNSENT", 1 << 20)

    async def work() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            there = Echo(lambda verb, args: None)
            supervisor = await Channel.open(ours, there, VERBS)
            for _ in range(100):
                supervisor._write(framing.encode("tell", "wake", "x" * 100_000, limit=LIMIT))
            assert isinstance(await there.loss, ProtocolError)

    on_loop(work)
