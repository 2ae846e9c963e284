"""A package that does what it should not: its own flows suffer, and nobody else's."""

from __future__ import annotations

import time
from textwrap import dedent

import pytest

from holdfast.hosting import examining, host, process, sessions
from tests.hosting_kit import ORDER, Shop, any_shop, package, shop  # noqa: F401

PRELUDE = """
import asyncio, os, socket, struct, sys, time
from holdfast import step, workflow

FD = int(sys.argv[1]) if len(sys.argv) > 1 else None  # as the supervisor starts it

def EPOCH():
    import gc
    from holdfast.hosting.child.lease import ToldLease
    return next(each.epoch for each in gc.get_objects() if isinstance(each, ToldLease))

def CHANNEL():
    import gc
    from holdfast.hosting.frames.channel import Channel
    return next(each for each in gc.get_objects() if isinstance(each, Channel))

def FLOW():
    import gc
    from holdfast.flows.engine.run import FlowRun
    return next(each.num for each in gc.get_objects() if isinstance(each, FlowRun))

def raw(data):
    end = socket.socket(fileno=os.dup(FD))
    end.setblocking(True)
    end.sendall(data)

def frame(*fields):
    import msgspec
    body = msgspec.msgpack.encode(list(fields))
    return struct.pack(">I", len(body)) + body

@workflow
async def bad(number: int = 1) -> object:
    return await misbehave(number)

@step
async def misbehave(number: int) -> object:
    {act}
    return number
"""


def hostile(act: str) -> str:
    """A module whose step does ``act``."""
    return PRELUDE.replace("{act}", dedent(act).strip().replace("\n", "\n    "))


def suffers(shop: Shop, text: str, *, told: str, pace: float = 5.0) -> None:  # noqa: F811
    """The version is in trouble, with a reason; flows of another one go on meanwhile, at their pace."""
    bad = shop.deploy(package(text, "bad", name="bad", module="bad"))
    good = shop.deploy(package(ORDER))
    with shop.hosting(lease=1.0) as hosting:
        assert shop.start("order", number=0).result(20) == "paid 0"
        harmed = shop.start("bad")
        number = 1
        deadline = time.monotonic() + 30
        while (trouble := shop.trouble(bad)) is None:
            began = time.monotonic()
            assert shop.start("order", number=number).result(20) == f"paid {number}"
            assert time.monotonic() - began < pace
            assert time.monotonic() < deadline, "no trouble was told"
            number += 1
        assert told in trouble.error["message"], trouble.error
        assert good in hosting.running
        assert shop.status(harmed) not in ("finished", "cancelled")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long here."""
    monkeypatch.setattr(host, "TROUBLED_AFTER", 2)
    monkeypatch.setattr(host, "SILENCE_SECONDS", 3.0)
    monkeypatch.setattr(process, "HANG_UP_SECONDS", 0.5)
    monkeypatch.setattr(sessions, "SECONDS", 0.3)


SPOILT = {
    "garbage": ('raw(b"\\xc1" * 64); time.sleep(60)', "announced"),
    "no frame": ('raw(struct.pack(">I", 3) + b"\\xc1\\xc1\\xc1"); time.sleep(60)', "no frame"),
    "deep": ('raw(struct.pack(">I", 100_000) + b"\\x91" * 100_000); time.sleep(60)', "no frame"),
    "an unknown verb": ('raw(frame("call", 9_999_999, "shutdown", [])); time.sleep(60)', "shutdown"),
    "wrong arguments": ('raw(frame("call", 9_999_999, "append", [1])); time.sleep(60)', "not what it has to be"),
    "an answer": ('raw(frame("answer", 1, None)); time.sleep(60)', "Nobody waits"),
    "no status": (
        """
        from holdfast.flows.engine.port import Batch, Record
        bogus = Record(FLOW(), "x#1@1", "x", "bogus", 1, 0, "1", None, 0, 0)
        CHANNEL().call("append", EPOCH(), Batch([bogus], {})); await asyncio.sleep(60)
        """,
        "is no status",
    ),
    "another's flow": ('CHANNEL().call("publish", EPOCH(), [(1, "{}")]); await asyncio.sleep(60)', "flow 1 "),
    "another's wait": ('CHANNEL().call("give_back", EPOCH(), [1], []); await asyncio.sleep(60)', "wait 1 "),
    "another's epoch": ('raw(frame("call", 9_999_999, "attend", [1])); time.sleep(60)', "epoch 1 "),
    "half a frame": ('raw(struct.pack(">I", 1000) + b"x"); os._exit(7)', "exit code 7"),
    "silence": ("time.sleep(60)", "did not answer"),
    "a flood": (
        """
        channel, epoch = CHANNEL(), EPOCH()
        while True:
            for n in range(2_000): channel.call("outlook", epoch, ["bad"])
            await asyncio.sleep(0)
        """,
        "more than can be answered",
    ),
    "a closed socket": ("os.close(FD); time.sleep(60)", "closed its end"),
    "forks": (
        """
        if os.fork() == 0: time.sleep(120)
        os._exit(9)
        """,
        "exit code 9",
    ),
    "open transactions": (
        """
        asked = [CHANNEL().call("open", EPOCH(), FLOW(), f"x#{n}@1") for n in range(8)]
        await asyncio.sleep(60)
        """,
        "ran out of time",
    ),
}
HELD_UP = "open transactions"
"""SQLite has one writer: others wait while transactions run out of time, three of them."""
PROVED = set(SPOILT) - {"garbage", "another's flow", "a flood"}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.prove if kind in PROVED else ()) for kind in SPOILT]
)
def test_a_process_that_does_what_it_should_not_is_ended(shop: Shop, kind: str) -> None:  # noqa: F811
    act, told = SPOILT[kind]
    suffers(shop, hostile(act), told=told, pace=9.0 if kind == HELD_UP else 5.0)


UNLOADABLE = {
    "exits": ("import os; os._exit(3)", "ended with exit code 3 before"),
    "leaves": ("raise SystemExit(4)", "ended with exit code 4 before"),
    "raises": ("raise ValueError('no')", "ValueError: no ("),
    "cannot be read": ("def (", "SyntaxError"),
    "has no such module": ("import nowhere", "nowhere"),
    "never ends": ("import time; time.sleep(600)", "not imported within 1 s"),
    "hangs up": (
        "import os, sys, time; os.close(int(sys.argv[1])) if len(sys.argv) > 1 else 0; time.sleep(600)",
        "closed",
    ),
    "has not what it says": ("x = 1", "['bad']"),
    "leaves a child with the socket": (
        "import os, time\nif os.fork() == 0:\n    time.sleep(600)\nos._exit(5)",
        "ended with exit code 5 before",
    ),
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == "raises" else pytest.mark.prove) for kind in UNLOADABLE],
)
def test_a_module_that_cannot_be_imported_strands_its_flows_alone(
    shop: Shop,  # noqa: F811
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind == "never ends":
        monkeypatch.setattr(examining, "HELLO_SECONDS", 4.0)
    text, told = UNLOADABLE[kind]
    suffers(shop, text, told=told)


UNWRITABLE = """
from holdfast.flows.engine.port import Batch, Ending, Record
sound = Record(FLOW(), "x#1@1", "x", "succeeded", 1, 0, "1", None, 0, 0)
wrong = [sound._replace(digest=2**64 - 1), sound._replace(task="a\\0b")]
problems = []
for number in range(30):
    for record in wrong:
        try:
            await CHANNEL().call("append", EPOCH(), Batch([record], {}))
            problems.append(f"{record} was written")
        except Exception as error:
            problems.append(type(error).__name__)
    await asyncio.sleep(0.01)
return sorted(set(problems))
"""


def test_what_no_database_takes_is_refused_and_disturbs_nobody(any_shop: Shop) -> None:  # noqa: F811
    """Though the writes of all versions are committed in groups."""
    any_shop.deploy(package(hostile(UNWRITABLE), "bad", name="bad", module="bad"))
    any_shop.deploy(package(ORDER))
    with any_shop.hosting():
        harmed = any_shop.start("bad")
        for number in range(30):
            assert any_shop.start("order", number=number).result(20) == f"paid {number}"
        assert "EngineFault" in harmed.result(20)
