"""What the tests of the command line serve, in their own process and by ``holdfast worker``."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from holdfast import Holdfast, step, workflow


def present(path: str) -> bool:
    return Path(path).exists()


def mark(path: str) -> None:
    Path(path).touch()


@step
async def greeting(name: str) -> str:
    return f"hello {name}"


@step
async def failing(text: str) -> str:
    raise ValueError(text)


@step
async def held(gate: str) -> str:
    """Runs for as long as nobody makes the file ``gate``."""
    mark(f"{gate}.reached")
    while not present(gate):  # noqa: ASYNC110 (another process makes it)
        await asyncio.sleep(0.01)
    return "let go"


@workflow(name="cli.greet")
async def greet(name: str) -> str:
    return await greeting(name)


@workflow(name="cli.fail")
async def fail(text: str) -> str:
    return await failing(text)


@workflow(name="cli.halt")
async def halt(broken: str) -> str:
    if present(broken):
        await asyncio.get_running_loop().run_in_executor(None, print)
    return await greeting("mended")


@workflow(name="cli.hold")
async def hold(gate: str) -> str:
    return await held(gate)


WORKFLOWS = (greet, fail, halt, hold)
hf = Holdfast(os.environ.get("CLI_WORKFLOWS_URL"), workflows=WORKFLOWS, lease=2.0)
idle = Holdfast(worker=False)
not_one = 3
