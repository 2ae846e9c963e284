"""What is left of a pruned flow (FL-9).

A flow of fifty thousand steps cannot be deleted in one short transaction. So the flow's own row goes first, and in the
same transaction its number is noted among the remains: from then on nobody finds the flow or anything of it, and its
id is free. Its steps and the rest are cleared bit by bit. A prune that is killed in between leaves remains, never a
flow with half a history; whoever prunes next clears them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from holdfast.store import Row, Store, Transaction, load_queries
from holdfast.store.blobs import release_blob

_q = load_queries("holdfast.flows")
BATCH = 64
"""How many flows are cleared together."""
ROUND = 512
"""How many rows of a table go by one statement: well under a millisecond's work."""
BLOBS = 4
"""How many large results are released in a round; each may take a millisecond."""
_GROWING = ("clear_steps", "clear_events", "clear_inbox")
"""Of what a flow may have any number."""
_FEW = ("clear_tags", "clear_waits", "clear_progress", "cleared")

Check = Callable[[Transaction], object]
"""Called in each transaction of a prune; what it raises ends the prune."""
buriers: list[Callable[[Transaction, Sequence[Row]], None]] = []
"""What higher floors note when flows are pruned: called with the numbers, each as a row, before these go."""
clearers: list[Callable[[Store, Check], None]] = []
"""What higher floors do at the end of a prune, to clear what :data:`buriers` noted in this one or in one that was
killed."""


def holder(num: int) -> str:
    """As what the flow of that number holds the blobs of its large results."""
    return f"flow:{num}"


def bury(tx: Transaction, flows: Sequence[Row]) -> None:
    """Delete flows, and the signals that they never took, leaving remains.

    Args:
        flows: their numbers, each as a row; locked by this transaction.
    """
    for note in buriers:
        note(tx, flows)
    for query in ("drop_signals", "note_remains", "drop_flows"):
        tx.execute(_q[query], rows=flows)


def clear(tx: Transaction, seconds: float = math.inf) -> bool:
    """Delete what remains of flows, for as long as that; returns whether there may be more. What another prune is
    clearing is left to that one."""
    end = tx.clock.monotonic() + seconds
    while flows := tx.fetch(_q["remains"], {"limit": BATCH}):
        while _clear_some(tx, flows):
            if tx.clock.monotonic() > end:
                return True
        for query in _FEW:
            tx.execute(_q[query], rows=flows)
        if tx.clock.monotonic() > end:
            return True
    return False


def drop_superseded(tx: Transaction, nums: Sequence[Row]) -> int:
    """Delete those of the steps that a rewind undid, and release their large results; returns how many."""
    found = tx.fetch(_q["lock_superseded"], rows=nums)
    tx.execute(_q["drop_steps"], rows=[(num,) for num, _, _ in found])
    for flow, blob in _large(found):
        release_blob(tx, blob, holder(flow), unless=partial(_names, tx, flow, blob))
    return len(found)


def _clear_some(tx: Transaction, flows: Sequence[Row]) -> bool:
    """One round; whether there may be more."""
    full = [tx.execute(_q[query], {"limit": ROUND}, rows=flows) == ROUND for query in _GROWING]
    return _clear_large(tx, flows) or any(full)


def _clear_large(tx: Transaction, flows: Sequence[Row]) -> bool:
    """Delete some of the steps whose results are blobs, and release these; whether there may be more."""
    found = tx.fetch(_q["large_steps"], {"limit": BLOBS}, rows=flows)
    for flow, blob in _large(found):
        release_blob(tx, blob, holder(flow))
    tx.execute(_q["drop_steps"], rows=[(num,) for num, _, _ in found])
    return len(found) == BLOBS


def _large(found: Sequence[Row]) -> list[tuple[int, str]]:
    """The flows and blobs of these steps, in the order in which everybody locks blobs."""
    return sorted({(flow, blob) for _, flow, blob in found if blob is not None}, key=lambda pair: pair[1])


def _names(tx: Transaction, flow: int, blob: str) -> bool:
    """Whether some step of the flow has that blob as its result."""
    return tx.fetch_one(_q["names_blob"], {"flow": flow, "blob": blob}) is not None
