"""Whose an attached world is (WO-12)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from holdfast.store import Store, Transaction
from holdfast.worlds.aws.errors import WorldAttached
from holdfast.worlds.aws.sql import Attachment, SqlAws


class Attached(NamedTuple):
    """A world that this process has.

    Attributes:
        attachment: under which it writes.
        release: lets others have the world without taking it over.
    """

    attachment: Attachment
    release: Callable[[], None]


def attach(store: Store, world: str, takeover: bool | Callable[[Transaction], None]) -> Attached:
    """Make a world this process's.

    Who has it holds a name made of its epoch for as long as it lives. So whoever finds the name of the last epoch free
    knows that nobody has the world, also where it was taken over from one that lives on and has its own name still.

    Args:
        takeover: see :class:`~holdfast.worlds.aws.AwsWorld`.

    Raises:
        WorldAttached: another process has it.
    """
    while True:
        there = store.read(lambda tx: SqlAws(tx).get(world))
        last = there.epoch if there else 0
        nobodys = store.backend.hold(_held(world, last), fleeting=True)
        if nobodys is None and not takeover:
            raise WorldAttached(world, there.holder if there else "another process")
        try:
            made = _next(store, world, takeover, None if takeover else last)
        finally:
            if nobodys is not None:
                nobodys()
        if made is not None:
            return made


def _next(
    store: Store, world: str, takeover: bool | Callable[[Transaction], None], last: int | None
) -> Attached | None:
    """Begin an epoch; ``None`` if another process did so since ``last`` was the last."""
    holder = f"{socket.gethostname()}, process {os.getpid()}"
    held: list[Callable[[], None]] = []

    def begin(tx: Transaction) -> Attachment | None:
        _let_go(held)  # of an attempt that was rolled back
        made = SqlAws(tx).attach(world, holder, after=last)  # first: whoever has it rightfully waits for this row
        if made is None:
            return None
        if callable(takeover):
            takeover(tx)
        release = store.backend.hold(_held(world, made.epoch), fleeting=True)
        if release is not None:  # nobody knows of the epoch before this is committed
            held.append(release)
        return made

    try:
        made = store.run(begin)
    except BaseException:
        _let_go(held)
        raise
    return None if made is None else Attached(made, lambda: _let_go(held))


def _let_go(held: list[Callable[[], None]]) -> None:
    while held:
        held.pop()()


def _held(world: str, epoch: int) -> str:
    return f"aws-{world}-{epoch}"
