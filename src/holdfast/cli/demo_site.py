"""The workflow of ``holdfast demo rewind``: workers write the pages of a site, in three waves."""

from __future__ import annotations

import asyncio
import os
import time

from holdfast import Holdfast, current_step, state, step, workflow
from holdfast.rewind import WorldHandle, directory, open_world
from holdfast.testing.ledger import EffectLedger

LEDGER_VARIABLE = "HOLDFAST_DEMO_LEDGER"
WAVES, PAGES = 3, 3
SECONDS = 0.15
"""What the first page of a wave takes; the second one takes twice as long, and so on."""


@step
def write_page(site: WorldHandle, name: str, tone: str, seconds: float) -> None:
    """Write one page, which says who wrote it."""
    time.sleep(seconds)
    with EffectLedger(os.environ[LEDGER_VARIABLE]) as ledger:
        ledger.append(current_step().idempotency_key)
    (site / name).write_text(f"{name}: {tone}, by process {os.getpid()}\n")


@workflow(name="holdfast.demo.build_site")
async def build_site(root: str) -> str:
    """Write three waves of pages, and checkpoint the site after each; in what tone the flow's state says."""
    site = await open_world("site", directory(root, alone=True))
    tone = "plain"
    for wave in range(1, WAVES + 1):
        tone = state().get("tone", tone)
        pages = (write_page(site, f"{wave}-{'abc'[page]}.html", tone, SECONDS * (1 + page)) for page in range(PAGES))
        await asyncio.gather(*pages)
        await site.checkpoint(f"wave {wave}")
    return tone


hf = Holdfast(workflows=[build_site], lease=2.0)
"""What the demo's worker processes serve."""
