"""The one adapter of :class:`~holdfast.audit.store.AuditLog`, for both dialects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, cast

from holdfast import codec
from holdfast.audit.canonical import MAX_INTEGER, canonical_text, hashed_parts
from holdfast.audit.errors import AuditInvalid, ChainBroken, RowDamaged
from holdfast.audit.model import AuditRow, Checkpoint, Head, StoredRow, row_message
from holdfast.clock import to_datetime
from holdfast.pages import EVERYTHING, Page, page_of, parse_cursor, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.text import check_texts, is_storable

_q = load_queries("holdfast.audit")
_HASH = re.compile("[0-9a-f]{64}", re.ASCII)
_FIRST_SEQ, _LAST_SEQ = -(2**63), 2**63 - 1
_SIGNATURE = 8
"""Where the columns begin in which ``None`` means unsigned, in the part ``row`` of the queries."""
PAGE = 500
NO_HEAD = Head(-1, "")
"""What no chain ends with: the head row is gone, or does not read back."""


class SqlAuditLog:
    """:class:`~holdfast.audit.store.AuditLog` over a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        try:
            return self._append(act, subject, detail)
        except Exception as error:
            self._tx.doom(error)  # the act itself is written already: it must not be committed without its proof
            raise

    def _append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        actor = self._tx.actor
        _check_names({"actor": actor, "act": act, "subject": subject})
        text = canonical_text(detail, act)
        seq, prev_hash = self._lock_head()
        at = self._tx.clock.micros()  # read under the lock: a later row is not earlier
        parts = hashed_parts((seq, at, actor, act, subject, text, prev_hash, None, None, None))
        if parts is None:
            raise AuditInvalid(f"{act} has no canonical JSON at {at} µs since the epoch.")
        found = sha256(b"%b%d%b" % (parts[0], seq, parts[1])).hexdigest()
        key_id, signature = self._sign(row_message(found))
        row = (seq, at, actor, act, subject, text, prev_hash, found, key_id, signature)
        if not self._tx.execute(_q["insert_row"], dict(zip(_COLUMNS, row, strict=True))):
            raise ChainBroken(f"The head of the audit chain says that row {seq} comes next, but there is one.")
        self._tx.execute(_q["move_head"], {"hash": found})
        return _audit_row(row)

    def head(self) -> Head:
        found = self.stored_head()
        if found == NO_HEAD:
            raise ChainBroken("The audit chain has no head that can be read.")
        return found

    def last(self, subject: str, act: str) -> AuditRow | None:
        if not (is_storable(subject) and is_storable(act)):
            return None
        row = self._tx.fetch_one(_q["last_row"], {"subject": subject, "act": act})
        return _audit_row(_stored(row)) if row else None

    def list(self, *, subject: str | None = None, limit: int | None = None, after: str | None = None) -> Page[AuditRow]:
        (seq,) = parse_cursor(after, 1, EVERYTHING)
        params = {"seq": seq, "limit": rows_wanted(limit), "subject": subject}
        if subject is not None and not is_storable(subject):
            return Page([], None)
        rows = self._tx.fetch(_q["list_rows" if subject is None else "list_subject"], params)
        return page_of(rows, limit, lambda row: _audit_row(_stored(row)), lambda row: row[0])

    def pages(self) -> Iterator[Sequence[StoredRow]]:
        seq = _FIRST_SEQ
        while page := self.page(seq):
            yield page
            if page[-1][0] == _LAST_SEQ:
                return
            seq = page[-1][0] + 1

    def page(self, seq: int) -> Sequence[StoredRow]:
        return [_stored(row) for row in self._tx.fetch(_q["chain_page"], {"seq": seq, "limit": PAGE})]

    def stored_head(self) -> Head:
        row = self._tx.fetch_one(_q["get_head"])
        seq, found = map(_readable, row) if row else (None, None)
        return NO_HEAD if seq is None or found is None else Head(seq, found)

    def add_checkpoint(self, point: Checkpoint) -> None:
        columns = {name: getattr(point, name) for name in ("seq", "at", "hash", "key_id", "signature")}
        self._tx.execute(_q["insert_checkpoint"], columns)

    def list_checkpoints(self, *, limit: int | None = None, after: str | None = None) -> Page[Checkpoint]:
        seq, at = parse_cursor(after, 2, EVERYTHING)
        rows = self._tx.fetch(_q["list_checkpoints"], {"seq": seq, "at": at, "limit": rows_wanted(limit)})
        return page_of(rows, limit, _checkpoint, lambda row: f"{row[0]}.{row[2]}")

    def stored_checkpoints(self) -> Sequence[Checkpoint]:
        return [_checkpoint(row) for row in self._tx.fetch(_q["all_checkpoints"])]

    def _lock_head(self) -> tuple[int, str]:
        """The place of the next row and the hash that it follows; others wait from here on."""
        row = self._tx.fetch_one(_q["lock_head"])
        seq, found = map(_readable, row) if row else (None, None)
        if seq is None or found is None or not _HASH.fullmatch(found) or not 1 <= seq <= MAX_INTEGER:
            raise ChainBroken("The audit chain has no head that can be read.")
        return seq, found

    def _sign(self, message: bytes) -> tuple[str, str] | tuple[None, None]:
        signer = self._tx.signer
        return (signer.key_id, signer.sign(message).hex()) if signer else (None, None)


_COLUMNS = ("seq", "at", "actor", "act", "subject", "detail", "prev_hash", "hash", "key_id", "signature")


def _check_names(names: dict[str, Any]) -> None:
    """Raises:
    InvalidInput: one is no text, empty, or not every database can hold it.
    """
    for what, name in names.items():
        if not isinstance(name, str) or not name:
            raise AuditInvalid(f"The {what} {name!r} is no text, or empty.")
    check_texts(names)


def _readable(value: Any) -> Any:
    """A value as fetched: text that travelled as bytes is text again, or ``None`` where it is no UTF-8."""
    if type(value) is not bytes:
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _stored(row: Row) -> StoredRow:
    try:
        found = tuple([value.decode() if type(value) is bytes else value for value in row])
    except UnicodeDecodeError:
        signature = ("" if value is not None and _readable(value) is None else _readable(value) for value in row[8:])
        found = (*map(_readable, row[:_SIGNATURE]), *signature)
    return cast(StoredRow, found)


def _audit_row(row: StoredRow) -> AuditRow:
    """Raises:
    RowDamaged: it does not read back.
    """
    seq, at, actor, act, subject, detail, prev_hash, found, key_id, signature = cast(Any, row)
    try:
        if None in row[:_SIGNATURE]:
            raise ValueError("a column of another type")
        return AuditRow(
            seq=seq,
            at=to_datetime(at),
            actor=actor,
            act=act,
            subject=subject,
            detail=codec.decode(detail, dict[str, Any]),
            prev_hash=prev_hash,
            hash=found,
            key_id=key_id,
            signature=signature,
        )
    except (ValueError, OverflowError) as error:  # NotSerialisable is a ValueError
        raise RowDamaged(f"Row {seq} of the audit chain does not read back: {error}.") from error


def _checkpoint(row: Row) -> Checkpoint:
    seq, found, at, key_id, signature = map(_readable, row)
    if seq is None or found is None or at is None:
        return Checkpoint(seq=-1, hash="", at=0)
    return Checkpoint(seq=seq, hash=found, at=at, key_id=key_id, signature=signature)
