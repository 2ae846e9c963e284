"""FL-10, FL-12, FL-13: random concurrent workflows that wait, have children, time out, publish and begin anew come to
the undisturbed result, however often they are thrown out of memory, paused and resumed, on every database."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast import (
    FlowCancelled,
    FlowFailed,
    Handle,
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
from tests.waiting_kit import until

Program = list[Any]
CANCELLED = "cancelled"
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


@dataclass
class Run:
    """How programs are run.

    Attributes:
        programs: with the number of times that each begins anew.
        park_after: as for :class:`~holdfast.Holdfast`.
        lives: milliseconds after which everything is closed in good order, and opened again.
        workers: how many serve at once.
        cancels: flows are cancelled as well.
        seed: of the disturbance.
    """

    programs: list[tuple[Any, int]]
    park_after: float
    lives: list[int]
    workers: int
    cancels: bool
    seed: int


def check(url: str, run: Run) -> None:
    """Several flows at once, which are paused and resumed all the time."""
    programs = {str(new_id()): (_listed(program), rounds) for program, rounds in run.programs}
    lives = [] if url == "sqlite://" else run.lives
    for number, milliseconds in enumerate([*lives, None]):
        with ExitStack() as opened:
            served = [opened.enter_context(_open(url, run)) for _ in range(run.workers if url != "sqlite://" else 1)]
            handles = [served[0].start(plays, key, *program, id=key) for key, program in programs.items()]
            verbs = [pause_and_resume] * 9 + [cancel] if run.cancels else [pause_and_resume]
            opened.enter_context(disturbed(served[-1], verbs, run.seed + number))
            if milliseconds is not None:
                time.sleep(milliseconds / 1000)
                continue
            results = [result_of(handle) for handle in handles]
            assert all(
                result == outcome_of(key, *program) or (run.cancels and result == CANCELLED)
                for result, (key, program) in zip(results, programs.items(), strict=True)
            )
            until(lambda served=served: not any(hf._worker.floor.resident for hf in served))
            until(lambda served=served: not living(served[0]))
            for table in ("waits", "step_progress"):
                assert served[0].store.read(lambda tx, table=table: tx.fetch(f"SELECT * FROM {table}")) == []


def _open(url: str, run: Run) -> Holdfast:
    return Holdfast(url, workflows=[plays], park_after=run.park_after, concurrency=8, drain=0.05)


def result_of(handle: Handle[Any]) -> Any:
    try:
        return handle.result(timeout=60)
    except FlowCancelled:
        return CANCELLED
    except FlowFailed as error:  # its child was cancelled
        return CANCELLED if error.kind.endswith("FlowCancelled") else error


def living(hf: Holdfast) -> list[Any]:
    return hf.store.read(
        lambda tx: tx.fetch("SELECT num FROM flows WHERE status NOT IN ('finished', 'failed', 'cancelled')")
    )


def pause_and_resume(hf: Holdfast, flow_id: UUID, seconds: float) -> None:
    hf.pause(flow_id)
    time.sleep(seconds)
    hf.resume(flow_id)


def cancel(hf: Holdfast, flow_id: UUID, seconds: float) -> None:
    hf.cancel(flow_id)


@contextmanager
def disturbed(hf: Holdfast, verbs: list[Callable[[Holdfast, UUID, float], None]], seed: int) -> Iterator[None]:
    ended = threading.Event()
    threads = [threading.Thread(target=disturb, args=(hf, ended, verbs, seed + n)) for n in range(DISTURBERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def disturb(
    hf: Holdfast, ended: threading.Event, verbs: list[Callable[[Holdfast, UUID, float], None]], seed: int
) -> None:
    chance = random.Random(seed)
    while not ended.wait(0.002):
        flows = hf.store.read(lambda tx: SqlFlowStore(tx).list_by_status(FlowStatus.WAITING, limit=20)).items
        flows += hf.store.read(lambda tx: SqlFlowStore(tx).list_by_status(FlowStatus.RUNNING, limit=20)).items
        if not flows:
            continue
        flow_id = chance.choice(flows).id
        with suppress(AlreadyTerminal, BeingCancelled):
            chance.choice(verbs)(hf, flow_id, chance.choice([0, 0, 0.001, 0.005]))


def _listed(program: Any) -> Any:
    return [_listed(part) for part in program] if isinstance(program, tuple) else program


relaxed = {"deadline": None, "suppress_health_check": list(HealthCheck)}
runs = st.builds(
    Run,
    programs=st.lists(st.tuples(programs, st.integers(0, 2)), min_size=1, max_size=6),
    park_after=st.sampled_from([0.0, 0.0, 5.0]),
    lives=st.lists(st.integers(0, 60), max_size=2),
    workers=st.sampled_from([1, 1, 2]),
    cancels=st.booleans(),
    seed=st.integers(0, 1000),
)


@settings(max_examples=12, **relaxed)  # type: ignore[arg-type]
@given(runs)
def test_random_workflows_that_wait(new_store_url: Callable[[], str], run: Run) -> None:
    check(new_store_url(), run)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@settings(max_examples=500, **relaxed)  # type: ignore[arg-type]
@given(runs)
def test_very_many_random_workflows_that_wait(new_store_url: Callable[[], str], run: Run) -> None:
    check(new_store_url(), run)
