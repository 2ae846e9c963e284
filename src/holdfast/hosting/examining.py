"""Loading a package in isolation, to see what it defines: when it is built, deployed, and started."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.hosting.errors import ChannelClosed, ProtocolError, VersionNotLoadable
from holdfast.hosting.frames.verbs import PROTOCOL, Hello, Welcome
from holdfast.hosting.process import Process, told_end

HELLO_SECONDS = 60.0
"""Importing its modules may take a package so long."""


class Examiner:
    """The supervisor's side of a process that only says what it has."""

    def __init__(self) -> None:
        self.hello: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()

    def asked(self, verb: str, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        if verb != "hello" or self.hello.done():
            raise ProtocolError(f"It was only asked what it has, and wants {verb!r:.80}.")
        self.hello.set_result(args[0])
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def told(self, verb: str, args: tuple[Any, ...]) -> None:
        """It has nothing to tell."""

    def lost(self, error: HoldfastError) -> None:
        if not self.hello.done():
            self.hello.set_exception(error)


async def examine(interpreter: Path, source: Path, modules: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """What the modules below ``source`` define: ``workflows``, ``steps``, ``queues`` and ``schedules``.

    Raises:
        VersionNotLoadable: they cannot be imported, or say nothing in time.
    """
    side = Examiner()
    welcome = Welcome(PROTOCOL, str(source), list(modules), False, 0, 1, 0, 0.0, 0.0)
    process = await Process.spawn(interpreter, side, welcome, lambda channel: None)
    try:
        return contents_of(await greeted(process, side.hello))
    finally:
        await process.end()


async def greeted(process: Process, hello: asyncio.Future[Hello]) -> Hello:
    """What a process says of itself.

    Raises:
        VersionNotLoadable: it ended, kept silent, or its modules cannot be used.
    """
    ended = asyncio.ensure_future(process.ended())  # what it has started may keep the channel open
    try:
        either: list[asyncio.Future[Any]] = [hello, ended]
        await asyncio.wait(either, timeout=HELLO_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not hello.done() and not ended.done():
            raise VersionNotLoadable(f"Its modules were not imported within {HELLO_SECONDS:g} s.")
        if not hello.done():
            raise VersionNotLoadable(f"Its process {told_end(ended.result())} before it was ready.")
        said = hello.result()
    except ChannelClosed:
        raise VersionNotLoadable(f"Its process {await process.hung_up()} before it was ready.") from None
    except ProtocolError as error:
        raise VersionNotLoadable(f"Its process cannot be understood: {error.message}") from error
    finally:
        ended.cancel()
    if said.problem is not None:
        raise VersionNotLoadable(f"Its modules cannot be imported: {said.problem}")
    if not 1 <= said.protocol <= PROTOCOL:
        raise VersionNotLoadable(f"Its holdfast {said.holdfast} speaks protocol {said.protocol}, not 1 to {PROTOCOL}.")
    return said


def contents_of(hello: Hello) -> dict[str, list[dict[str, Any]]]:
    """What it defines, checked to be lists of named things.

    Raises:
        VersionNotLoadable: it is something else.
    """
    try:
        found = json.loads(hello.contents)
        kinds = {kind: list(found[kind]) for kind in ("workflows", "steps", "queues", "schedules")}
        for items in kinds.values():
            for item in items:
                if not isinstance(item["name"], str):
                    raise TypeError("a name is no text")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VersionNotLoadable(f"What it says it defines cannot be read: {error}.") from error
    return kinds
