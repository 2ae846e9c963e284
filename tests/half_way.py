"""Workflows and a gate to stop them half-way, for the tests of what halts and what fails."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from holdfast import step, workflow

SECONDS = 30


@step
async def add(a: int, b: int) -> int:
    return a + b


@step
async def echo(value: Any) -> Any:
    return value


@workflow(name="bad_input.sound")
async def sound(number: int) -> int:
    """What goes on while others are halted."""
    return await add(await add(number, 1), 1)


class Gate:
    """A step that lets a flow stop half-way: it runs until the gate is opened, and is cut off with its worker."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = False

        @step(name="gate")
        async def gate() -> str:
            self.reached.set()
            while not self.opened:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return "open"

        self.step = gate
