"""A flow runs in its package's process exactly as it does in the user's own: the same histories, the same ends."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast import Handle, Holdfast, Queue
from holdfast.errors import HoldfastError
from tests.hosting_kit import Shop, evaluated, package, shop, shop_at, until  # noqa: F401 (fixture)

TEXT = """
from dataclasses import dataclass
from datetime import timedelta
from holdfast import *
from holdfast import __version__

@dataclass
class Parcel:
    number: int
    carrier: str

class Broken(Exception):
    pass

@step
async def double(number: int) -> int:
    return 2 * number

@step
def triple(number: int) -> int:
    return 3 * number

@step(retries=3, backoff=0.001)
async def third_time(number: int) -> int:
    if current_step().attempt < 3:
        raise ValueError("not yet")
    return current_step().attempt

@step(raises=(Broken,))
async def broken(text: str) -> None:
    raise Broken(text, 7)

@step
async def told(number: int) -> str:
    current_step().heartbeat(1, 2, "half")
    current_step().heartbeat(2, 2, "whole")
    return "told"

@workflow
async def steps(number: int) -> list:
    results = [await double(number), await triple(number), await third_time(number)]
    results.append(await map_steps(double, range(30), limit=7))
    try:
        await broken("so")
    except Broken as error:
        results.append(list(error.args))
    results.append(await told(1))
    return results

@workflow
async def determined() -> list:
    await sleep(0.01)
    return [len(str(uuid())), 0 <= random() < 1, now() is not None]

@workflow
async def failing() -> None:
    await double(1)
    raise ValueError("never mind")

@workflow
async def event(order: str) -> list:
    first = await wait_for_event("shipped", order, type=Parcel)
    second = await wait_for_event("shipped", order, type=Parcel)
    return [first.number, second.carrier]

@workflow
async def late() -> str:
    try:
        await wait_for_event("shipped", "never", timeout=0.05)
    except WaitTimedOut:
        return "never came"

@workflow
async def signalled() -> list:
    return [await wait_for_signal("go", type=str), await wait_for_signal("go", type=str)]

@workflow
async def asking(amount: int) -> list:
    decision = await approval("refund", {"amount": amount}, approvers=["ann"])
    return [decision.approved, decision.note]

@workflow
async def racing(order: str) -> list:
    first = await any_of(wait_for_event("left", order), wait_for_event("right", order), sleep(3600))
    return list(first)

@workflow
async def child(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return await double(number)

@workflow
async def parent() -> list:
    found = await map_steps(lambda number: run_child(child, number), [0, 1, 2])
    started = await start_child(child, 5)
    found.append(await started)
    try:
        await run_child(child, 3)
    except FlowFailed:
        found.append("failed")
    return found

@workflow
async def counting(left: int = 5) -> str:
    await double(left)
    if left:
        continue_as_new(counting, left - 1)
    return "done"

@workflow
async def stateful(number: int) -> dict:
    update_state({"at": 1, "list": [1, 2]})
    await double(number)
    update_state({"at": 2})
    await sleep(0.01)
    return state()

@workflow
async def endless() -> None:
    await double(1)
    await wait_for_signal("never")

@workflow
async def heavy(size: int) -> int:
    return len(await large(size))

@step
async def large(size: int) -> str:
    return "x" * size
"""
NAMES = re.findall(r"^@workflow\nasync def (\w+)", TEXT, re.MULTILINE)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:.]+Z")
Act = Callable[[Holdfast, Handle[Any]], object]


def flow_of(found: Shop, handle: Handle[Any]) -> None:
    """Until the flow waits for something besides steps."""
    until(lambda: found.status(handle) == "waiting" or found.rows("SELECT 1 FROM waits"), "it waits")


def emit_two(hf: Holdfast, handle: Handle[Any]) -> None:
    for number in (1, 2):
        hf.emit("shipped", "o1", {"number": number, "carrier": f"c{number}"})


def signal_two(hf: Holdfast, handle: Handle[Any]) -> None:
    hf.signal(handle.id, "go", "one")
    hf.signal(handle.id, "go", "two")


def approve(hf: Holdfast, handle: Handle[Any]) -> None:
    until(lambda: hf.approvals(handle.id), "the approval")
    hf.approve(hf.approvals(handle.id)[0].id, note="fine", actor="ann")


def pause_and_resume(hf: Holdfast, handle: Handle[Any]) -> None:
    hf.pause(handle.id)
    hf.emit("left", "o1", 5)
    hf.resume(handle.id)


def cancel(hf: Holdfast, handle: Handle[Any]) -> None:
    until(lambda: handle.flow().status != "created", "it runs")
    hf.cancel(handle.id)


CASES: dict[str, tuple[str, dict[str, Any], Act | None]] = {
    "steps": ("steps", {"number": 4}, None),
    "determined": ("determined", {}, None),
    "failing": ("failing", {}, None),
    "events": ("event", {"order": "o1"}, emit_two),
    "late": ("late", {}, None),
    "signals": ("signalled", {}, signal_two),
    "approval": ("asking", {"amount": 5}, approve),
    "a race, paused and resumed": ("racing", {"order": "o1"}, pause_and_resume),
    "children": ("parent", {}, None),
    "continue as new": ("counting", {"left": 5}, None),
    "state": ("stateful", {"number": 1}, None),
    "cancelled": ("endless", {}, cancel),
    "large": ("heavy", {"size": 1_000_000}, None),
    "wrong arguments": ("steps", {"letter": "x"}, None),
}


def outcome(found: Shop, case: str) -> Any:
    """How the case ends, and what it recorded; flows' ids are no part of it."""
    name, arguments, act = CASES[case]
    handle = found.start(name, **arguments)
    if act is not None:
        act(found.hf, handle)
    try:
        result: Any = handle.result(20)
    except HoldfastError as error:
        result = f"{type(error).__name__}: {error}"
    sql = "SELECT run_id, status, attempt, digest, result, error FROM steps ORDER BY flow, run_id"
    recorded = [(*row[:-1], traceless(row[-1])) for row in found.rows(sql)]
    flow = handle.flow()
    return _UUID.sub("ID", repr((result, str(flow.status), flow.state, recorded)))


def traceless(error: str | None) -> dict[str, Any] | None:
    """An error as recorded, without where in which file it was raised."""
    return None if error is None else {name: told for name, told in json.loads(error).items() if name != "trace"}


@contextmanager
def in_process(url: str, folder: Path) -> Iterator[Shop]:
    module = evaluated(TEXT)
    workflows = [module[name] for name in NAMES]
    with Holdfast(url, workflows=workflows) as hf:
        yield Shop(hf, folder)


@contextmanager
def in_package(url: str, folder: Path) -> Iterator[Shop]:
    with shop_at(url, folder) as found:
        found.deploy(package(TEXT, *NAMES))
        with found.hosting():
            yield found


def test_every_kind_of_call_and_wait_is_alike(tmp_path: Path) -> None:
    told: dict[str, dict[str, Any]] = {}
    for kind in (in_process, in_package):
        with kind(f"sqlite:///{tmp_path / kind.__name__}.db", tmp_path) as found:
            told[kind.__name__] = {}
            for case in CASES:
                told[kind.__name__][case] = outcome(found, case)
                found.hf.store.run(lambda tx: [tx.execute(f"DELETE FROM {table}") for table in ("steps",)])
    for case in CASES:
        assert told["in_package"][case] == told["in_process"][case], case


@pytest.fixture
def served(sqlite_url: str, tmp_path: Path) -> Iterator[Shop]:
    with in_package(sqlite_url, tmp_path) as found:
        yield found


def test_flows_are_rewound_forked_and_retried_on_their_own_version(served: Shop) -> None:
    first = served.runs_on(done := served.start("steps", number=1))
    failed = served.start("failing")
    result = done.result(20)
    with pytest.raises(HoldfastError):
        failed.result(20)
    newer = served.deploy(package(TEXT + "\n# newer\n", *NAMES))
    served.hf.retry(failed.id)
    until(lambda: served.status(failed) == "failed", "it fails again")
    served.hf.fork(done.id, "double#1@1")
    until(lambda: served.rows("SELECT count(*) FROM flows WHERE status = 'finished'") == [(2,)], "the fork ends")
    served.hf.rewind(done.id, "triple#1@1")
    assert done.result(20) == result
    pins = {row[0] for row in served.rows("SELECT package_hash FROM flows")}
    assert pins == {first}
    assert served.runs_on(served.start("steps", number=1)) == newer


def test_continue_as_new_keeps_its_version(served: Shop) -> None:
    handle = served.start("counting", left=30)
    first = served.runs_on(handle)
    served.deploy(package(TEXT + "\n# newer\n", *NAMES))
    assert handle.result(20) == "done"
    assert served.runs_on(handle) == first


def test_queues_limit_flows_of_packages(served: Shop) -> None:
    served.hf.queue(Queue("q", concurrency=1))
    handles = [served.start("determined", in_queue="q") for _ in range(5)]
    for handle in handles:
        assert handle.result(20)[1] is True


WORLD = """
from holdfast import directory, open_world, workflow

@workflow
async def order() -> str:
    try:
        await open_world("site", directory("site"))
    except Exception as error:
        return f"{getattr(error, 'code', '')} {type(error).__name__}: {error}"
    return "opened"
"""


def test_worlds_are_refused_in_packages_by_a_typed_error(shop: Shop) -> None:  # noqa: F811
    shop.deploy(package(WORLD))
    with shop.hosting():
        told = shop.start("order").result(20)
        assert "NotInPackages" in told, told


CALLER = """
from holdfast import run_child, workflow
from callee import answer

@workflow
async def asking(rounds: int) -> int:
    return sum([await run_child(answer, number) for number in range(rounds)])
"""
CALLEE = """
from holdfast import workflow

@workflow
async def answer(number: int) -> int:
    return number
"""


def test_children_of_another_version_take_no_poll_each(shop: Shop) -> None:  # noqa: F811
    """The supervisor writes for both, and no database tells who writes that it has written."""
    both = package(CALLER, "asking", "answer", files={"callee.py": CALLEE})
    shop.deploy(both)
    shop.deploy(package(CALLEE, name="shop", module="callee"))  # the children run on this one
    with shop.hosting():
        assert shop.start("asking", rounds=1).result(20) == 0
        began = time.monotonic()
        handle = shop.start("asking", rounds=10)
        assert handle.result(20) == 45
        assert time.monotonic() - began < 5.0
    assert len({row[0] for row in shop.rows("SELECT package_hash FROM flows")}) == 2
