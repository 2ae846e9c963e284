"""Verification of a chain: pure, over the rows as they are stored, in one pass.

Each row carries the hash of the row before it, so that two questions are asked of it. Does its hash fit its own
columns? If not, it was edited, or written for another place. Is its ``prev_hash`` the hash of the row that stands
before it? If not, that one is not the row that stood there when this one was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import chain as chained

from holdfast.audit.canonical import hashed_parts, stored_hash
from holdfast.audit.findings import Fault, Verification
from holdfast.audit.model import GENESIS, Checkpoint, Head, StoredRow, Trust
from holdfast.audit.report import Report, rows_told
from holdfast.audit.signatures import SignatureCheck

REACH = 1000
"""How far from its place a row is looked for."""
SEARCHES = 256
"""How many rows are looked for at all."""
Progress = Callable[[int], None]


def verify(
    pages: Iterable[Sequence[StoredRow]],
    *,
    head: Head | None = None,
    checkpoints: Iterable[Checkpoint] = (),
    trust: Trust | None = None,
    progress: Progress = lambda rows: None,
) -> Verification:
    """Verify a chain.

    Args:
        pages: all its rows, in the order of ``seq`` where they come from a database.
        head: the head as it is stored; ``None`` where there is none beside the rows, as in an exported file.
        checkpoints: to compare with; the chain may have grown past them.
        trust: what is asked of signatures; by default, only that they are whole.
        progress: called after each page with the number of rows seen.

    Returns:
        What was found; it never raises for what the rows hold.
    """
    walk = _Walk(checkpoints, trust or Trust())
    for page in pages:
        walk.read(page)
        progress(walk.rows)
    return walk.end(head)


class _Walk:
    """Where a verification is."""

    def __init__(self, checkpoints: Iterable[Checkpoint], trust: Trust) -> None:
        self.rows = 0
        self._report = Report()
        self._signatures = SignatureCheck(trust, self._report)
        self._awaited: dict[int, list[Checkpoint]] = {}
        for point in checkpoints:
            self._awaited.setdefault(point.seq, []).append(point)
        self._compared = 0
        self._hashes: list[str | None] = [GENESIS]  # of the last rows, by place; the oldest are let go
        self._first = 0  # the place of the first of them
        self._suspect = 0  # the last place that explains a broken link behind it
        self._shift = 0  # how far the last displaced row was from its place
        self._searches = SEARCHES
        self._compare(0, GENESIS)

    def read(self, page: Sequence[StoredRow]) -> None:
        """The next rows."""
        for row in page:
            seq, prev_hash, found, signature = row[0], row[6], row[7], row[9]
            self.rows += 1
            if seq != self._next and not self._take_place(seq, found):
                continue
            own = stored_hash(row, seq)
            if own is None or own != found or prev_hash != self._hashes[-1]:
                self._examine(row, own is not None and own == found)
            if row[8] is not None or signature is not None or self._signatures.expected:
                self._signatures.check(seq, found, row[8], signature)
            self._hashes.append(found)
            if self._awaited:
                self._compare(seq, found)
        if len(self._hashes) > 2 * REACH:
            gone = len(self._hashes) - REACH
            del self._hashes[:gone]
            self._first += gone

    def end(self, head: Head | None) -> Verification:
        """No more rows."""
        last = Head(self._next - 1, self._hashes[-1] or "")
        if head is not None and head != last:
            self._report.add(Fault.HEAD, last.seq, f"The chain ends with {_shown(last)}, its head says {_shown(head)}.")
        for point in chained.from_iterable(self._awaited.values()):
            where = "lies beyond the end of the chain" if point.seq > last.seq else "is of a row that is not there"
            self._report.add(Fault.CHECKPOINT, point.seq, f"The checkpoint of row {point.seq} {where}.")
        self._signatures.end(last.seq)
        findings, omitted = self._report.end()
        return Verification(
            self.rows, last, findings, self._compared, self._signatures.signed, self._signatures.checked, omitted
        )

    @property
    def _next(self) -> int:
        return self._first + len(self._hashes)

    def _take_place(self, seq: int, found: str | None) -> bool:
        """Of a row that is not the next one: whether the chain can go on with it."""
        if seq > self._next:
            verb = "is" if seq == self._next + 1 else "are"
            self._report.add(Fault.MISSING, self._next, f"{rows_told(self._next, seq - 1)} {verb} missing.")
            self._hashes, self._first = [None], seq - 1
            self._suspect = seq - 1
            return True
        if seq < 1:
            self._report.add(Fault.INSERTED, seq, f"A row {seq} stands before the beginning of the chain.")
        elif self._known(seq) == found:
            self._report.add(Fault.DUPLICATED, seq, f"Row {seq} is there twice.")
        else:
            self._report.add(Fault.REORDERED, seq, f"A row {seq} comes after row {self._next - 1}.")
        return False

    def _examine(self, row: StoredRow, intact: bool) -> None:
        """A row that does not fit itself, or the row before it."""
        seq, prev_hash, found = row[0], row[6], row[7]
        origin = None if intact else self._origin(row)
        if origin is not None and origin < seq and self._known(origin) == found:
            self._report.add(Fault.DUPLICATED, seq, f"Row {seq} is a copy of row {origin}.")
            self._suspect = seq
            return
        fits_somewhere = intact or origin is not None
        if prev_hash != self._hashes[-1] and fits_somewhere and self._suspect < seq - 1:
            self._examine_link(seq, prev_hash, intact)
        if intact:
            return
        self._suspect = seq
        if origin is None:
            self._report.add(Fault.EDITED, seq, f"Row {seq} was edited: its hash does not fit its columns.")
        else:
            self._shift = origin - seq
            self._report.add_moved(seq, self._shift)

    def _examine_link(self, seq: int, prev_hash: str | None, intact: bool) -> None:
        """A row that was written after another one than that which stands before it."""
        if prev_hash is not None and prev_hash == self._known(seq - 2):
            self._report.add(Fault.INSERTED, seq - 1, f"Row {seq - 1} was put in: row {seq} follows row {seq - 2}.")
        elif intact:
            self._report.add(Fault.REPLACED, max(seq - 1, 1), _replaced(seq))

    def _origin(self, row: StoredRow) -> int | None:
        """The place that the row was written for."""
        parts = hashed_parts(row)
        if parts is None or row[7] is None:
            return None
        begun, seq = sha256(parts[0]), row[0]
        near: Iterable[int] = ()
        if self._searches:
            self._searches -= 1
            near = (place for step in range(1, REACH + 1) for place in (seq - step, seq + step))
        for place in chained((seq + self._shift,), near):
            tried = begun.copy()
            tried.update(b"%d%b" % (place, parts[1]))
            if tried.hexdigest() == row[7]:
                return place
        return None

    def _known(self, seq: int) -> str | None:
        """The stored hash of a row that was passed not long ago."""
        at = seq - self._first
        return self._hashes[at] if 0 <= at < len(self._hashes) else None

    def _compare(self, seq: int, found: str | None) -> None:
        """Compare the row ``seq`` with its checkpoints."""
        for point in self._awaited.pop(seq, ()):
            self._compared += 1
            self._signatures.check_checkpoint(point)
            if point.hash != found:
                told = f"Row {seq} has the hash {_short(found)}, its checkpoint {_short(point.hash)}."
                self._report.add(Fault.CHECKPOINT, seq, told)


def _replaced(seq: int) -> str:
    if seq == 1:
        return "Row 1 does not begin the chain: it was chained to a row before it."
    return f"Row {seq - 1} was replaced: row {seq} was chained to another one."


def _shown(head: Head) -> str:
    return f"row {head.seq} ({_short(head.hash)})" if head.hash else "nothing that can be read"


def _short(hash: str | None) -> str:
    return f"{hash[:12]}…" if hash else "nothing that can be read"
