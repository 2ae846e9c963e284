"""Workflows for the crash explorer: each step leaves its run id in the effect ledger whose path it is given."""

from __future__ import annotations

import asyncio

from holdfast import StepFailed, Transaction, current_step, now, sleep, step, uuid, workflow
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
