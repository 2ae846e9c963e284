"""Orders, version 1: pay, then pack."""

from __future__ import annotations

import asyncio

from holdfast import step, workflow
from holdfast.flows.queues import Queue
from holdfast.flows.schedules import Definition

checkouts = Queue("checkouts", concurrency=100)
stocktaking = Definition(name="stocktaking", workflow_type="take_stock", cron="30 2 * * *", zone="Europe/Berlin")


@step
async def pay(order: int) -> str:
    return f"receipt {order}"


@step
async def pack(order: int, seconds: float) -> str:
    """Takes its time."""
    await asyncio.sleep(seconds)
    return f"parcel {order}"


@step
async def count_shelves() -> int:
    return 12


@workflow
async def checkout(order: int, seconds: float = 0.0) -> str:
    receipt = await pay(order)
    parcel = await pack(order, seconds)
    return f"v1: {receipt}, {parcel}"


@workflow
async def take_stock() -> int:
    return await count_shelves()
