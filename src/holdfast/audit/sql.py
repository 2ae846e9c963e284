"""The one adapter of :class:`~holdfast.audit.store.AuditLog`, for both dialects."""

from __future__ import annotations

from typing import Any

import rfc8785

from holdfast import codec
from holdfast.audit.model import AuditRow, Head, chain_hash
from holdfast.clock import to_datetime
from holdfast.errors import InvalidInput
from holdfast.pages import EVERYTHING, Page, page_of, parse_cursor, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.text import check_texts

_q = load_queries("holdfast.audit")


class SqlAuditLog:
    """:class:`~holdfast.audit.store.AuditLog` over a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        actor, at = self._tx.actor, self._tx.clock.micros()
        texts = check_texts({"actor": actor, "act": act, "subject": subject})
        try:
            canonical = rfc8785.dumps(detail).decode()
        except rfc8785.CanonicalizationError as error:
            raise InvalidInput(f"The detail of {act} has no canonical JSON: {error}.") from error
        ((seq, prev_hash),) = self._tx.fetch(_q["lock_head"])
        found = chain_hash(prev_hash, seq=seq, at=at, detail=detail, **texts)
        columns = {"seq": seq, "at": at, **texts, "detail": canonical, "hash": found, "key_id": None, "signature": None}
        self._tx.execute(_q["insert_row"], columns)
        self._tx.execute(_q["move_head"], {"hash": found})
        return AuditRow(seq=seq, at=to_datetime(at), actor=actor, act=act, subject=subject, detail=detail, hash=found)

    def head(self) -> Head:
        ((seq, found),) = self._tx.fetch(_q["get_head"])
        return Head(seq, found)

    def last(self, subject: str, act: str) -> AuditRow | None:
        row = self._tx.fetch_one(_q["last_row"], {"subject": subject, "act": act})
        return _row(row) if row else None

    def list(self, *, subject: str | None = None, limit: int | None = None, after: str | None = None) -> Page[AuditRow]:
        (seq,) = parse_cursor(after, 1, EVERYTHING)
        params = {"seq": seq, "limit": rows_wanted(limit), "subject": subject}
        rows = self._tx.fetch(_q["list_rows" if subject is None else "list_subject"], params)
        return page_of(rows, limit, _row, lambda row: row[0])


def _row(row: Row) -> AuditRow:
    return AuditRow(
        seq=row[0],
        at=to_datetime(row[1]),
        actor=row[2],
        act=row[3],
        subject=row[4],
        detail=codec.decode(row[5]),
        hash=row[6],
        key_id=row[7],
        signature=row[8],
    )
