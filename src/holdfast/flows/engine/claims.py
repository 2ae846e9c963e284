"""Leasing flows, and reading what they did so far (FL-10, FL-11)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from holdfast.flows import chores
from holdfast.flows.engine.appends import check_alive
from holdfast.flows.engine.port import SUSPECT_CRASHES, Answer, Claimed, Outlook, Progress, Record
from holdfast.flows.errors import HistoryDamaged
from holdfast.flows.inbox.sql import standing
from holdfast.flows.queues import claiming as queues
from holdfast.flows.schedules.sql import next_due as next_schedule
from holdfast.store import Row, Transaction, load_queries
from holdfast.store.blobs import BlobCorrupt, get_blobs

T = TypeVar("T", Answer, Progress)
_q = load_queries("holdfast.flows.engine")
_MANY_CRASHES = 1 << 30
AT_ONCE = 10_000
"""So many records are read with a claim; what is beyond them is read in pages."""
PAGE = 1000
PAGE_BYTES = 16 * 1024 * 1024
"""Large results of a page; a single one may be larger."""


def outlook(tx: Transaction, epoch: int, served: Sequence[str]) -> Outlook:
    """What there is to do for a worker that claims by these (:func:`~holdfast.flows.model.served_by`)."""
    due = [moment for _, moment in _due_types(tx, served)] + [queues.next_due(tx, epoch, served)]
    return Outlook(
        touched=tx.fetch_one(_q["is_touched"], {"epoch": epoch}) is not None,
        due=min((moment for moment in due if moment is not None), default=None),
        schedules=next_schedule(tx, served),
        chores=chores.next_due(tx),
    )


def claim(tx: Transaction, epoch: int, served: Sequence[str], limit: int, *, suspect: bool) -> list[Claimed]:
    """Lease flows that are due, and one suspect at most.

    Raises:
        LeaseLost: the epoch was fenced.
    """
    claimed = _claim(tx, epoch, served, limit, suspect=False)
    if suspect:
        claimed += _claim(tx, epoch, served, 1, suspect=True)
    if not claimed:
        check_alive(tx, epoch)
    return _with_past(tx, claimed)


def records(tx: Transaction, nums: Sequence[int]) -> list[Record]:
    """The records of these numbers, or the first of them where all would be too large."""
    return Bodies(tx).fill(tx.fetch(_q["records"], rows=[(num,) for num in nums[:PAGE]]))


class Bodies:
    """Fills large results in, up to a limit of bytes."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._left = PAGE_BYTES

    def fill(self, rows: Sequence[Row], *, least: int = 1) -> list[Record]:
        """Records of ``rows`` with their results: all, or the first of them; not fewer than ``least``.

        Raises:
            HistoryDamaged: a result is lost.
        """
        wanted = {row[-1] for row in rows if row[-1] is not None}
        if not wanted:
            return [Record(*row[:-1]) for row in rows]
        sizes: dict[str, int] = dict(self._tx.fetch(_q["blob_sizes"], rows=[(digest,) for digest in wanted]))
        taken = 0
        for row in rows:
            size = sizes.get(row[-1], 0)
            if taken >= least and size > self._left:
                break
            self._left -= size
            taken += 1
        try:
            bodies = get_blobs(self._tx, {row[-1] for row in rows[:taken] if row[-1] is not None})
        except BlobCorrupt as error:
            raise HistoryDamaged(error.message) from error
        return [_record(row, bodies) for row in rows[:taken]]


def _record(row: Row, bodies: dict[str, bytes]) -> Record:
    record = Record(*row[:-1])
    if row[-1] is None:
        return record
    if row[-1] not in bodies:
        raise HistoryDamaged(f"The result of {record.run_id} is lost: there is no blob {row[-1]!r}.")
    return record._replace(result=bodies[row[-1]].decode())


def _claim(tx: Transaction, epoch: int, served: Sequence[str], limit: int, *, suspect: bool) -> list[Claimed]:
    rows = queues.claim(tx, epoch, served, -(-limit // 2), suspect=suspect)  # neither starves the other
    least, most = (SUSPECT_CRASHES, _MANY_CRASHES) if suspect else (0, SUSPECT_CRASHES - 1)
    scalars = {"epoch": epoch, "now": tx.clock.micros(), "least": least, "most": most}
    for name, due_at in _due_types(tx, served):  # whose oldest has waited longest comes first
        if len(rows) == limit or due_at > scalars["now"]:
            break
        rows += tx.fetch(_q["claim"], scalars | {"served": name, "limit": limit - len(rows)})
    return [_claimed(row) for row in rows]


def _claimed(row: Row) -> Claimed:
    found = Claimed(*row)
    return found._replace(cancel_requested=bool(found.cancel_requested), tied=bool(found.tied))


def _due_types(tx: Transaction, served: Sequence[str]) -> list[tuple[str, int]]:
    """When the first flow of each type is due, in that order."""
    return [(row[0], row[1]) for row in tx.fetch(_q["due_types"], rows=[(name,) for name in served])]


def _with_past(tx: Transaction, claimed: list[Claimed]) -> list[Claimed]:
    """A flow claimed for the first time has none, and need not be looked up."""
    past = [(flow.num,) for flow in claimed if flow.revision > 1]
    if not past:
        return claimed
    histories = _histories(tx, past)
    answers = _by_flow(standing(tx, [num for (num,) in past]))
    progress = _by_flow(Progress(*row) for row in tx.fetch(_q["progress"], rows=past))
    return [
        flow._replace(
            history=histories[flow.num][0],
            rest=histories[flow.num][1],
            answers=answers.get(flow.num, ()),
            progress=progress.get(flow.num, ()),
        )
        if flow.revision > 1
        else flow
        for flow in claimed
    ]


def _histories(tx: Transaction, flows: Sequence[tuple[int]]) -> dict[int, tuple[Sequence[Record], Sequence[int]]]:
    """The history of each of these flows: the records that are read at once, and the numbers of those that are not."""
    rows = tx.fetch(_q["histories"], {"limit": AT_ONCE}, rows=flows)
    bodies = Bodies(tx)
    last = rows[-1][0] if len(rows) == AT_ONCE else None
    found: dict[int, tuple[Sequence[Record], Sequence[int]]] = {}
    grouped = {num: list(group) for num, group in groupby(rows, key=itemgetter(0))}
    for (num,) in flows:
        present = grouped.get(num, [])
        filled = _readable(bodies, present)
        whole = len(filled) == len(present) and (last is None or num < last)
        found[num] = (filled, () if whole else _numbers(tx, num)[len(filled) :])
    return found


def _readable(bodies: Bodies, present: Sequence[Row]) -> list[Record]:
    """What can be read at once. A flow whose history is damaged is no reason not to claim others: it hears of that when
    it asks for the rest."""
    try:
        return bodies.fill(present, least=0)
    except HistoryDamaged:
        return []


def _numbers(tx: Transaction, flow: int) -> list[int]:
    """The numbers of a flow's records, in order."""
    return [num for (num,) in tx.fetch(_q["record_numbers"], {"flow": flow})]


def _by_flow(told: Iterable[T]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = defaultdict(list)
    for each in told:
        found[each.flow].append(each)
    return found
