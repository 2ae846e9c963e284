"""What is left of the worlds of pruned flows (FL-9).

The transaction in which a flow goes marks its worlds. What they hold is cleared thereafter: first the folders, which no
transaction spans, then the records bit by bit, the mark last. Killed in between, the next prune clears the rest.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from holdfast import codec
from holdfast.flows.remains import Check
from holdfast.rewind.errors import WorldLeft
from holdfast.rewind.model import Opening
from holdfast.store import Row, Store, Transaction, load_queries
from holdfast.worlds.aws.sql import drop_some
from holdfast.worlds.checkpoints import SqlCheckpoints
from holdfast.worlds.directory.removal import remove_scope
from holdfast.worlds.errors import RestorePending
from holdfast.worlds.model import Scope

_q = load_queries("holdfast.rewind")
log = logging.getLogger("holdfast.worlds")
_HOLD = "pruned-worlds"
PAGE = 64
ROUND = 128
"""How many checkpoints go in one transaction, each with a few states."""
RESOURCES = 500
"""How many resources of a mock AWS do."""


class Folder(NamedTuple):
    """Where a world of files keeps a scope."""

    root: str
    scope: Scope


class Left(NamedTuple):
    """A pruned flow's world.

    Attributes:
        own: no other flow has it, so that nothing of it stays.
        folders: of its files.
    """

    flow: str
    world: str
    own: bool
    folders: Sequence[Folder]


def note_world(tx: Transaction, flow_id: UUID, opening: Opening, folders: Sequence[Folder]) -> None:
    """Note which world a flow has opened, and where that has its files, so that they go with the flow."""
    told = codec.encode([[root, *scope] for root, scope in folders] if opening.own else [])
    tx.execute(_q["note_world"], {"flow": str(flow_id), "world": opening.stored, "own": opening.own, "folders": told})


def copied_folders(tx: Transaction, flow_id: UUID, world: str, copy: Scope) -> list[Folder]:
    """The folders of a fork's copy of a world of the flow's own."""
    row = tx.fetch_one(_q["folders"], {"flow": str(flow_id), "world": world})
    return [Folder(folder.root, copy) for folder in _folders(row[0])] if row else []


def bury_worlds(tx: Transaction, flows: Sequence[Row]) -> None:
    """Mark the worlds of flows that go in this transaction.

    Args:
        flows: their numbers, each as a row.
    """
    tx.execute(_q["bury_worlds"], rows=flows)


def clear_worlds(store: Store, check: Check) -> None:
    """Remove what is left of pruned flows' worlds. What cannot be removed is logged, and left to the next prune."""
    for left in _buried(store):
        try:
            clear_world(store, left.flow, left.world, check)
        except OSError as error:
            log.warning("what is left of the world %s stays for now: %s", left.world, error)


def expect_nothing_left(store: Store, flow_id: UUID, world: str) -> None:
    """See that a flow that has a pruned one's id does not inherit its world.

    Raises:
        RestorePending: another process is clearing some.
        WorldLeft: it cannot be cleared.
    """
    try:
        cleared = clear_world(store, str(flow_id), world, lambda tx: None)
    except OSError as error:
        raise WorldLeft(flow_id, world, str(error)) from error
    if not cleared:
        raise RestorePending(world)


def clear_world(store: Store, flow: str, world: str, check: Check) -> bool:
    """Remove what is left of one; false where another process is at one.

    Raises:
        OSError: its files cannot be removed.
    """
    if store.read(lambda tx: _left(tx, flow, world)) is None:
        return True
    release = store.backend.hold(_HOLD)
    if release is None:
        return False
    try:
        left = store.read(lambda tx: _left(tx, flow, world))  # as it stays: whoever opens it asks for the hold, too
        if left is not None:
            for folder in left.folders:
                remove_scope(Path(folder.root), folder.scope)
            _clear_records(store, left, check)
    finally:
        release()
    return True


def _clear_records(store: Store, left: Left, check: Check) -> None:
    def work(tx: Transaction) -> bool:
        check(tx)
        return clear_some(tx, left)

    more = True
    while more:
        began = time.monotonic()
        more = store.run(work, idempotent=True)
        if more:
            time.sleep(time.monotonic() - began)


def clear_some(tx: Transaction, left: Left) -> bool:
    """Delete some of a world's records, and the mark once there are no more; returns whether there may be.

    Of a world that others have, too, only the flow's own checkpoints go, but for one that a restore needs: that and the
    mark stay until the next prune.
    """
    SqlCheckpoints(tx).lock(left.world)
    named = {"flow": left.flow, "world": left.world, "limit": ROUND}
    found = tx.fetch(_q["own_checkpoints" if left.own else "left_checkpoints"], named)
    for query in ("drop_states", "drop_checkpoints"):
        tx.execute(_q[query], rows=found)
    if len(found) == ROUND or (left.own and drop_some(tx, left.world, RESOURCES)):
        return True
    for query in ("drop_restore", "drop_scopes", "drop_world") if left.own else ():
        tx.execute(_q[query], named)
    tx.execute(_q["world_cleared"], named)
    return False


def _buried(store: Store) -> Iterator[Left]:
    flow, world = "", ""
    while page := store.read(partial(_page, flow, world)):
        yield from page
        flow, world = page[-1].flow, page[-1].world


def _page(flow: str, world: str, tx: Transaction) -> list[Left]:
    rows = tx.fetch(_q["buried_worlds"], {"flow": flow, "world": world, "limit": PAGE})
    return [_left_of(row) for row in rows]


def _left(tx: Transaction, flow: str, world: str) -> Left | None:
    row = tx.fetch_one(_q["buried_world"], {"flow": flow, "world": world})
    return _left_of(row) if row else None


def _left_of(row: Row) -> Left:
    flow, world, own, folders = row
    return Left(flow, world, bool(own), _folders(folders))


def _folders(text: str) -> list[Folder]:
    return [Folder(root, Scope(account, region)) for root, account, region in codec.decode(text, list[list[str]])]
