"""FL-10, FL-12, FL-13: random concurrent workflows that wait, have children, time out, publish and begin anew come to
the undisturbed result, however often they are thrown out of memory, paused and resumed, on every database."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast import (
    Holdfast,
    WaitTimedOut,
    any_of,
    continue_as_new,
    current_step,
    map_steps,
    run_child,
    sleep,
    state,
    step,
    update_state,
    wait_for_event,
    wait_for_signal,
    workflow,
)
from holdfast.flows import FlowStatus, SqlFlowStore
from holdfast.flows.errors import AlreadyTerminal, BeingCancelled
from holdfast.flows.inbox.manager import emit, signal
from holdfast.ids import new_id
from holdfast.store import Transaction

Program = list[Any]
DISTURBERS = 2


@step
async def thrice(number: int) -> int:
    await asyncio.sleep(0.001 * (number % 3))
    return number * 3


@step
def thrice_in_thread(number: int) -> int:
    return number * 3


@step
def sends(tx: Transaction, topic: str, correlation: str) -> str:
    emit(tx, topic, correlation, correlation)
    return correlation


@step
def signals(tx: Transaction, name: str) -> None:
    signal(tx, UUID(current_step().flow_id), name, name)


@workflow
async def plays(name: str, program: Program, rounds: int) -> Any:
    """Interprets a program; its last round gives the result."""
    played = await play(name, program)
    if rounds:
        update_state({f"round {rounds}": played})
        continue_as_new(plays, name, program, rounds - 1)
    return [played, state()]


async def play(path: str, program: Program) -> Any:
    kind, *rest = program
    return await PLAYERS[kind](path, *rest)


async def _step(path: str, number: int) -> int:
    return await thrice(number) if number % 2 else await thrice_in_thread(number)


async def _event(path: str, late: bool) -> Any:
    """The event is sent by a step of the same flow: before the wait, or beside it."""
    if not late:
        await sends("own", path)
        return await wait_for_event("own", path)
    return (await asyncio.gather(wait_for_event("own", path), sends("own", path)))[0]


async def _signal(path: str) -> Any:
    return (await asyncio.gather(signals(path), wait_for_signal(path)))[1]


async def _child(path: str, program: Program) -> Any:
    return await run_child(plays, f"{path}/child", program, 0)


async def _first(path: str, program: Program) -> Any:
    """Nobody sends what the other wait is for."""
    return (await any_of(wait_for_event("nobody's", path), play(path, program))).value


async def _either(path: str) -> str:
    """One event and two that want it: the one that was withdrawn has not taken it along."""
    await sends("either", path)
    await any_of(wait_for_event("either", path), sleep(0.001))
    await sends("either", path)
    return str(await wait_for_event("either", path))


async def _late(path: str, milliseconds: int) -> str:
    try:
        await wait_for_event("nobody's", path, timeout=milliseconds / 1000)
    except WaitTimedOut:
        return "late"
    return "came"


async def _sequence(path: str, *parts: Program) -> list[Any]:
    return [await play(f"{path}.{number}", part) for number, part in enumerate(parts)]


async def _gather(path: str, *parts: Program) -> list[Any]:
    return list(await asyncio.gather(*(play(f"{path}.{number}", part) for number, part in enumerate(parts))))


async def _map(path: str, limit: int, *parts: Program) -> list[Any]:
    numbered = list(enumerate(parts))
    return await map_steps(lambda part: play(f"{path}.{part[0]}", part[1]), numbered, limit=limit)


async def _publish(path: str, program: Program) -> Any:
    played = await play(path, program)
    update_state({"seen": {path: played}})
    return played


async def _sleep(path: str, milliseconds: int) -> str:
    await sleep(milliseconds / 1000)
    return "slept"


PLAYERS: dict[str, Callable[..., Any]] = {
    "step": _step,
    "event": _event,
    "signal": _signal,
    "child": _child,
    "first": _first,
    "either": _either,
    "late": _late,
    "sequence": _sequence,
    "gather": _gather,
    "map": _map,
    "publish": _publish,
    "sleep": _sleep,
}


def expected(path: str, program: Program, seen: dict[str, Any]) -> Any:
    """What a program comes to, without any engine."""
    kind, *rest = program
    if kind == "step":
        return rest[0] * 3
    if kind in ("event", "signal", "either"):
        return path
    if kind == "late":
        return "late"
    if kind == "sleep":
        return "slept"
    if kind == "child":
        told: dict[str, Any] = {}
        played = expected(f"{path}/child", rest[0], told)
        return [played, {"seen": told} if told else {}]
    if kind in ("first", "publish"):
        played = expected(path, rest[0], seen)
        if kind == "publish":
            seen[path] = played
        return played
    parts = rest[1:] if kind == "map" else rest
    return [expected(f"{path}.{number}", part, seen) for number, part in enumerate(parts)]


def outcome_of(name: str, program: Program, rounds: int) -> list[Any]:
    published: dict[str, Any] = {}
    seen: dict[str, Any] = {}
    for left in range(rounds, -1, -1):
        played = expected(name, program, seen)
        if left:
            published[f"round {left}"] = played
    return [played, published | ({"seen": seen} if seen else {})]


leaves = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 9)),
    st.tuples(st.just("event"), st.booleans()),
    st.tuples(st.just("signal")),
    st.tuples(st.just("either")),
    st.tuples(st.just("late"), st.integers(0, 4)),
    st.tuples(st.just("sleep"), st.integers(0, 3)),
)


def branches(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(parts, min_size=1, max_size=4)
    return st.one_of(
        *(several.map(lambda found, kind=kind: (kind, *found)) for kind in ("sequence", "gather")),
        st.tuples(st.integers(1, 3), several).map(lambda found: ("map", found[0], *found[1])),
        *(parts.map(lambda part, kind=kind: (kind, part)) for kind in ("child", "first", "publish")),
    )


programs = st.recursive(leaves, branches, max_leaves=12)
plays_of = st.lists(st.tuples(programs, st.integers(0, 2)), min_size=1, max_size=6)


def check(url: str, wanted: list[tuple[Any, int]], park_after: float, seed: int) -> None:
    """Several flows at once, which are paused and resumed all the time."""
    programs = [(str(new_id()), _listed(program), rounds) for program, rounds in wanted]
    ended = threading.Event()
    with Holdfast(url, workflows=[plays], park_after=park_after, concurrency=8) as hf:
        handles = hf.start_many(plays, programs)
        threads = [threading.Thread(target=disturb, args=(hf, ended, seed + n)) for n in range(DISTURBERS)]
        for thread in threads:
            thread.start()
        try:
            results = [handle.result(timeout=60) for handle in handles]
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        assert results == [outcome_of(*program) for program in programs]
        until_settled(hf)


def disturb(hf: Holdfast, ended: threading.Event, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    while not ended.wait(0.002):
        flows = hf.store.read(lambda tx: SqlFlowStore(tx).list_by_status(FlowStatus.WAITING, limit=20)).items
        flows += hf.store.read(lambda tx: SqlFlowStore(tx).list_by_status(FlowStatus.RUNNING, limit=20)).items
        if not flows:
            continue
        flow_id = chance.choice(flows).id
        try:
            hf.pause(flow_id)
            ended.wait(chance.choice([0, 0, 0.001, 0.005]))
            hf.resume(flow_id)
        except (AlreadyTerminal, BeingCancelled):
            pass


def until_settled(hf: Holdfast) -> None:
    """Nothing of the flows is left over."""
    assert hf._worker is not None
    deadline = time.monotonic() + 5
    while hf._worker.resident and time.monotonic() < deadline:
        time.sleep(0.005)
    assert hf._worker.resident == {}
    assert hf._worker._early.keys() == set()
    for table in ("waits", "step_progress"):
        assert hf.store.read(lambda tx, table=table: tx.fetch(f"SELECT * FROM {table}")) == []  # type: ignore[misc]


def _listed(program: Any) -> Any:
    return [_listed(part) for part in program] if isinstance(program, tuple) else program


relaxed = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=15, **relaxed)  # type: ignore[arg-type]
@given(plays_of, st.sampled_from([0.0, 0.0, 5.0]), st.integers(0, 1000))
def test_random_workflows_that_wait(
    new_store_url: Callable[[], str], wanted: Any, park_after: float, seed: int
) -> None:
    check(new_store_url(), wanted, park_after, seed)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@settings(max_examples=500, **relaxed)  # type: ignore[arg-type]
@given(plays_of, st.sampled_from([0.0, 0.0, 5.0]), st.integers(0, 1000))
def test_very_many_random_workflows_that_wait(
    new_store_url: Callable[[], str], wanted: Any, park_after: float, seed: int
) -> None:
    check(new_store_url(), wanted, park_after, seed)
