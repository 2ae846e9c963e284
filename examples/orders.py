"""Order fulfilment: run it, kill it with `kill -9` while it runs, run it again."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta

from holdfast import Holdfast, Transaction, current_step, sleep, step, workflow


@dataclass
class Order:
    id: str
    items: list[str]


@step(retries=3)
async def charge(order: Order) -> str:
    """A payment service would deduplicate by the idempotency key."""
    print(f"charging {order.id} under {current_step().idempotency_key}")
    await asyncio.sleep(0.2)
    return f"receipt-{order.id}"


@step
def reserve(tx: Transaction, item: str) -> int:
    """Commits with its own record: exactly once."""
    tx.execute("CREATE TABLE IF NOT EXISTS reserved (item text)")
    tx.execute("INSERT INTO reserved VALUES (:item)", {"item": item})
    found = tx.fetch_one("SELECT count(*) FROM reserved")
    return int(found[0]) if found else 0


@workflow
async def fulfil(order: Order) -> str:
    receipt = await charge(order)
    await asyncio.gather(*(reserve(item) for item in order.items))
    await sleep(timedelta(seconds=0.5))
    return receipt


hf = Holdfast(sys.argv[1] if len(sys.argv) > 1 else None)

if __name__ == "__main__":
    with hf:
        print(hf.start(fulfil, Order("A-17", ["lamp", "desk"]), key="A-17").result())
