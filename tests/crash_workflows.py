"""Workflows for the crash explorer: each step leaves its run id in the effect ledger whose path it is given."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

from holdfast import (
    StepFailed,
    Transaction,
    WaitTimedOut,
    all_of,
    any_of,
    continue_as_new,
    current_step,
    map_steps,
    now,
    run_child,
    sleep,
    start_child,
    state,
    step,
    update_state,
    uuid,
    wait_for_event,
    wait_for_signal,
    workflow,
)
from holdfast.flows.inbox.manager import emit, signal
from holdfast.testing.ledger import EffectLedger


def leave(ledger: str) -> None:
    with EffectLedger(ledger, sync=False) as effects:
        effects.append(current_step().run_id)


@step
async def double(ledger: str, number: int) -> int:
    leave(ledger)
    return number * 2


@step
async def slow(ledger: str, number: int) -> int:
    leave(ledger)
    await asyncio.sleep(0.002 * (number % 3))
    return number + 100


@step
def threaded(ledger: str, number: int) -> int:
    leave(ledger)
    return -number


@step
def reserve(tx: Transaction, ledger: str, number: int) -> int:
    leave(ledger)
    tx.execute("CREATE TABLE IF NOT EXISTS reservations (number integer)")
    tx.execute("INSERT INTO reservations VALUES (:number)", {"number": number})
    found = tx.fetch_one("SELECT count(*) FROM reservations")
    assert found is not None
    return int(found[0])


@step(retries=2, backoff=0.001)
async def shaky(ledger: str, number: int) -> int:
    leave(ledger)
    if current_step().attempt < 3:
        raise ConnectionError(f"no answer for {number}")
    return number


@step(retries=1, backoff=0.001)
async def broken(ledger: str) -> None:
    leave(ledger)
    raise ValueError("always")


@workflow
async def sequential(ledger: str) -> list[int]:
    total = []
    for number in range(3):
        total.append(await double(ledger, number))
    total.append(await reserve(ledger, 7))
    await sleep(0.01)
    total.append(await threaded(ledger, 5))
    total.append(await reserve(ledger, 8))
    return total


@workflow
async def concurrent(ledger: str) -> list[int]:
    gathered = await asyncio.gather(*(slow(ledger, number) for number in range(4)))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_branch(ledger, number)) for number in gathered[:3]]
    done, _ = await asyncio.wait([asyncio.create_task(slow(ledger, number)) for number in (7, 8)])
    return [*gathered, *(task.result() for task in tasks), *(task.result() for task in done)]


async def _branch(ledger: str, number: int) -> int:
    first = await slow(ledger, number)
    return first + await double(ledger, first)


@workflow
async def failing(ledger: str) -> None:
    token, began = uuid(), now()
    await shaky(ledger, 1)
    try:
        await broken(ledger)
    except StepFailed as error:
        await shaky(ledger, len(error.kind))
    async with asyncio.timeout(0.01):
        try:
            await sleep(60)
        except asyncio.CancelledError:
            await double(ledger, token.version or 0)
            raise RuntimeError(f"ended after a {(now() - began).days}-day wait") from None


@step
def post(tx: Transaction, ledger: str, topic: str, number: int) -> None:
    """Send an event, once and for all: it commits with the step."""
    leave(ledger)
    emit(tx, topic, "here", number)


@step
def signal_me(tx: Transaction, ledger: str, number: int) -> None:
    leave(ledger)
    signal(tx, UUID(current_step().flow_id), "next", number)


@workflow
async def waiting(ledger: str) -> list[int]:
    await post(ledger, "early", 1)
    got = [await wait_for_event("early", "here", type=int)]
    late = asyncio.ensure_future(wait_for_event("late", "here", type=int))
    await post(ledger, "late", 2)
    got.append(await late)
    await post(ledger, "right", 3)
    first = await any_of(wait_for_event("left", "here"), wait_for_event("right", "here"))
    try:
        await wait_for_event("tardy", "here", timeout=0.02)
    except WaitTimedOut:
        await post(ledger, "tardy", 4)
        await post(ledger, "left", 5)
    both = await all_of(wait_for_event("tardy", "here"), wait_for_event("left", "here"))
    return [*got, *first, *both]


@step
async def child_double(ledger: str, number: int) -> int:
    with EffectLedger(Path(ledger), sync=False) as effects:
        effects.append(current_step().idempotency_key)
    return number * 2


@workflow
async def offspring(ledger: str, number: int) -> int:
    return await child_double(ledger, number)


@workflow
async def stray(ledger: str) -> int:
    return int(await wait_for_event("nobody sends it", ledger))


@workflow
async def parenting(ledger: str) -> list[int]:
    left = await start_child(stray, ledger)
    doubled = await map_steps(lambda number: run_child(offspring, ledger, number), range(3), limit=2)
    return [*doubled, await double(ledger, len(str(left.id)))]


@workflow
async def renewing(ledger: str, number: int = 1) -> list[int]:
    update_state({"rounds": {str(number): await double(ledger, number)}})
    await signal_me(ledger, number)
    got = int(await wait_for_signal("next"))
    if number < 3:
        continue_as_new(renewing, ledger, number + 1)
    return [got, *state()["rounds"].values()]
