"""Verbs on the chain: checkpoint it, verify it, export it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Event

from holdfast.audit.documents import row_lines
from holdfast.audit.errors import ChainBroken
from holdfast.audit.findings import Verification
from holdfast.audit.model import GENESIS, Checkpoint, Head, StoredRow, Trust, checkpoint_message
from holdfast.audit.sql import SqlAuditLog
from holdfast.audit.verify import Progress, verify
from holdfast.store import Store, Transaction, Unit


def checkpoint(tx: Transaction) -> Checkpoint:
    """Write down the chain's present head, signed where the store signs, and return it to be kept elsewhere too.

    Raises:
        ChainBroken: the head was tampered with.
    """
    log = SqlAuditLog(tx)
    head, at = log.head(), tx.clock.micros()
    key_id = signature = None
    if tx.signer:
        key_id = tx.signer.key_id
        signature = tx.signer.sign(checkpoint_message(head.seq, head.hash, at)).hex()
    point = Checkpoint(seq=head.seq, hash=head.hash, at=at, key_id=key_id, signature=signature)
    log.add_checkpoint(point)
    return point


def check_end(tx: Transaction) -> Head:
    """See that the head is the last row's, and return it: what costs no walk along the chain.

    Raises:
        ChainBroken: it is not.
        RowDamaged: the last row does not read back.
    """
    log = SqlAuditLog(tx)
    head = log.head()
    rows = log.list(limit=1).items
    last = Head(rows[0].seq, rows[0].hash) if rows else Head(0, GENESIS)
    if head != last:
        raise ChainBroken(f"The audit chain ends with row {last.seq}, and its head is not that row's.")
    return head


def verify_chain(
    tx: Transaction,
    *,
    checkpoints: Iterable[Checkpoint] = (),
    trust: Trust | None = None,
    progress: Progress = lambda rows: None,
) -> Verification:
    """Verify the chain, its head and its checkpoints, in pages of one consistent read.

    Args:
        tx: of a read; :func:`verify_store` begins one.
        checkpoints: those kept elsewhere, beside the stored ones.
        trust: what is asked of signatures.
        progress: called after each page with the number of rows seen; from the first again where a lost connection
            makes the read begin anew.
    """
    log = SqlAuditLog(tx)
    points = [*log.stored_checkpoints(), *checkpoints]
    return verify(log.pages(), head=log.stored_head(), checkpoints=points, trust=trust, progress=progress)


class _Abandoned(Exception):
    """Nobody waits for the verification any more."""


def verify_store(
    store: Store,
    *,
    checkpoints: Iterable[Checkpoint] = (),
    trust: Trust | None = None,
    progress: Progress = lambda rows: None,
) -> Verification:
    """:func:`verify_chain` in a read of its own, which may take minutes; interrupted, it ends with its page.

    ``progress`` is called from the store's thread.
    """
    abandoned = Event()
    answers: SimpleQueue[Unit] = SimpleQueue()

    def seen(rows: int) -> None:
        if abandoned.is_set():
            raise _Abandoned
        progress(rows)

    store.refuse_nested()
    points = list(checkpoints)
    work = partial(verify_chain, checkpoints=points, trust=trust, progress=seen)
    store.submit(Unit(work, answers.put, idempotent=True), reading=True)
    try:
        unit = answers.get()
    except BaseException:  # an interrupt
        abandoned.set()
        raise
    if unit.error is not None:
        raise unit.error
    found: Verification = unit.result
    return found


def export_chain(store: Store, write: Callable[[bytes], object], *, progress: Progress = lambda rows: None) -> Head:
    """Write the chain as JSON lines, up to its present head; returns that.

    Each page is a read of its own: rows are never changed, and a reader of the export may be slow.

    Args:
        store: open.
        write: called with some lines at a time.
        progress: called after each page with the number of rows written.

    Raises:
        ChainBroken, RowDamaged: the chain was tampered with; verify it first.
    """
    head = store.read(lambda tx: SqlAuditLog(tx).head())
    written = 0
    while written < head.seq:
        page = [row for row in _page(store, written + 1) if row[0] <= head.seq]
        if not page or page[-1][0] != written + len(page):
            raise ChainBroken(f"Rows are missing from the audit chain behind row {written}.")
        write(row_lines(page))
        written += len(page)
        progress(written)
    return head


def _page(store: Store, seq: int) -> Sequence[StoredRow]:
    return store.read(lambda tx: SqlAuditLog(tx).page(seq))
