"""Orders, version 2: what is ordered is reserved before it is paid, and the customer hears of the parcel.

A flow that began on version 1 and went on here would find ``pay`` recorded where ``reserve`` has to be.
"""

from __future__ import annotations

import asyncio

from holdfast import step, workflow
from holdfast.flows.queues import Queue
from holdfast.flows.schedules import Definition

checkouts = Queue("checkouts", concurrency=100)
stocktaking = Definition(name="stocktaking", workflow_type="take_stock", cron="30 2 * * *", zone="Europe/Berlin")


@step
async def reserve(order: int) -> str:
    return f"shelf {order % 12}"


@step
async def pay(order: int) -> str:
    return f"receipt {order}"


@step
async def pack(shelf: str, seconds: float) -> str:
    """Takes its time."""
    await asyncio.sleep(seconds)
    return f"parcel from {shelf}"


@step
async def write_to_customer(order: int) -> str:
    return f"letter {order}"


@step
async def count_shelves() -> int:
    return 12


@workflow
async def checkout(order: int, seconds: float = 0.0) -> str:
    shelf = await reserve(order)
    receipt = await pay(order)
    parcel = await pack(shelf, seconds)
    letter = await write_to_customer(order)
    return f"v2: {receipt}, {parcel}, {letter}"


@workflow
async def take_stock() -> int:
    return await count_shelves()
