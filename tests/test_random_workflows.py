"""FL-10, FL-19: random concurrent workflows, killed and evicted at random points, come to the undisturbed result."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast import Holdfast, sleep, step, workflow
from holdfast.testing.crash.flows import FLOW, Scenario, effects, finish, kill_here, recorded_steps
from tests.crash_workflows import leave

Program = list[Any]


@step
async def work(ledger: str, number: int, milliseconds: int) -> int:
    if ledger:
        leave(ledger)
    if milliseconds:
        await asyncio.sleep(milliseconds / 1000)
    return number * 3


@workflow
async def interpret(ledger: str, program: Program) -> Any:
    kind, *rest = program
    return await INTERPRETERS[kind](ledger, *rest)


async def _step(ledger: str, number: int, milliseconds: int) -> int:
    return await work(ledger, number, milliseconds)


async def _sequence(ledger: str, *parts: Program) -> list[Any]:
    return [await interpret.fn(ledger, part) for part in parts]


async def _gather(ledger: str, *parts: Program) -> list[Any]:
    return list(await asyncio.gather(*(interpret.fn(ledger, part) for part in parts)))


async def _group(ledger: str, *parts: Program) -> list[Any]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(interpret.fn(ledger, part)) for part in parts]
    return [task.result() for task in tasks]


async def _finally(ledger: str, body: Program, cleanup: Program) -> list[Any]:
    seen = []
    try:
        seen.append(await interpret.fn(ledger, body))
    finally:
        seen.append(await interpret.fn(ledger, cleanup))
    return seen


async def _guard(ledger: str, body: Program, cleanup: Program) -> list[Any]:
    """Swallows whatever comes, eviction included, and goes on with durable calls."""
    try:
        return [await interpret.fn(ledger, body)]
    except BaseException:
        await interpret.fn(ledger, cleanup)
        return ["must not be seen"]


async def _limit(ledger: str, milliseconds: int, body: Program) -> str:
    """The outcome depends on time; the value does not."""
    try:
        async with asyncio.timeout(milliseconds / 1000):
            await interpret.fn(ledger, body)
    except TimeoutError:
        await work(ledger, 1, 0)
    return "limited"


async def _race(ledger: str, *parts: Program) -> int:
    """Who is first depends on time; how many there are does not."""
    tasks = [asyncio.create_task(interpret.fn(ledger, part)) for part in parts]
    for number, finished in enumerate(asyncio.as_completed(tasks)):
        await finished
        await work(ledger, number, 0)
    return len(tasks)


async def _sleep(ledger: str, milliseconds: int) -> str:
    await sleep(milliseconds / 1000)
    return "slept"


INTERPRETERS = {
    "step": _step,
    "sequence": _sequence,
    "gather": _gather,
    "group": _group,
    "finally": _finally,
    "guard": _guard,
    "limit": _limit,
    "race": _race,
    "sleep": _sleep,
}

leaves = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 9), st.sampled_from([0, 0, 0, 1, 3])),
    st.tuples(st.just("sleep"), st.integers(0, 3)),
)


def branches(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(parts, min_size=1, max_size=4)
    return st.one_of(
        *(several.map(lambda found, kind=kind: (kind, *found)) for kind in ("sequence", "gather", "group", "race")),
        st.tuples(st.sampled_from(["finally", "guard"]), parts, parts),
        st.tuples(st.just("limit"), st.integers(1, 4), parts),
    )


programs = st.recursive(leaves, branches, max_leaves=14)


def check(program: Any, kills: list[int]) -> None:
    undisturbed = asyncio.run(interpret.fn("", _listed(program)))
    with tempfile.TemporaryDirectory() as folder:
        url, ledger = f"sqlite:///{folder}/flows.db", Path(folder) / "ledger"
        scenario = Scenario(interpret, args=(_listed(program),))
        recorded: set[str] = set()
        for kill in kills:
            before = effects(ledger)
            if kill % 5 == 0:
                _evict(url, scenario, ledger, kill / 1000)
            else:
                kill_here(scenario, url, ledger, kill)
            _none_again(recorded, before, effects(ledger))
            recorded = _recorded(url)
        before = effects(ledger)
        ending = finish(scenario, url, ledger)
        _none_again(recorded, before, effects(ledger))
        assert ending.outcome == repr(undisturbed)


def _evict(url: str, scenario: Scenario, ledger: Path, seconds: float) -> None:
    """Leave in the middle, in good order: what runs is given up, the flow is thrown out of memory."""

    async def main() -> None:
        async with Holdfast(url, workflows=[scenario.workflow], drain=0) as hf:
            await hf.astart(scenario.workflow, str(ledger), *scenario.args, id=FLOW)
            await asyncio.sleep(seconds)

    asyncio.run(main())


def _recorded(url: str) -> set[str]:
    return set(recorded_steps(url))


def _none_again(recorded: set[str], before: dict[str, int], after: dict[str, int]) -> None:
    again = {key for key in recorded if after.get(key, 0) > before.get(key, 0)}
    assert again == set()


def _listed(program: Any) -> Any:
    return [_listed(part) for part in program] if isinstance(program, tuple) else program


kills = st.lists(st.integers(3, 40), min_size=1, max_size=3)
relaxed = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=40, **relaxed)  # type: ignore[arg-type]
@given(programs, kills)
def test_random_workflows_come_to_the_undisturbed_result(program: Any, kills: list[int]) -> None:
    check(program, kills)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@settings(max_examples=1500, **relaxed)  # type: ignore[arg-type]
@given(programs, kills)
def test_very_many_random_workflows(program: Any, kills: list[int]) -> None:
    check(program, kills)
