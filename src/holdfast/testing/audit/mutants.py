"""Audit chains and verifiers with one fault each. The conformance suite must notice every one of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar

import rfc8785

from holdfast.audit import (
    AuditRow,
    Checkpoint,
    Fault,
    Finding,
    Head,
    SqlAuditLog,
    StoredRow,
    Trust,
    Verification,
    verify,
)
from holdfast.clock import to_micros
from holdfast.pages import Page
from holdfast.store import Transaction
from holdfast.testing.audit.ports import SqlAuditPorts
from holdfast.testing.audit.samples import edited


@dataclass(frozen=True)
class Asked:
    """What a verifier is asked."""

    pages: list[list[StoredRow]]
    head: Head | None
    checkpoints: list[Checkpoint]
    trust: Trust


class Mutant(SqlAuditPorts):
    """A chain with a fault.

    Attributes:
        breaks: the clause that it violates.
        log_type: its log.
    """

    breaks: ClassVar[str]
    log_type: ClassVar[type[SqlAuditLog]] = SqlAuditLog

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self.log = self.log_type(tx)

    def asks(self, asked: Asked) -> Asked:
        """What it understands of what it is asked."""
        return asked

    def overlooks(self, finding: Finding, found: Verification) -> bool:
        """Whether it keeps a finding to itself."""
        return False

    def verify(
        self,
        pages: Iterable[Sequence[StoredRow]],
        *,
        head: Head | None = None,
        checkpoints: Iterable[Checkpoint] = (),
        trust: Trust | None = None,
    ) -> Verification:
        asked = self.asks(Asked([list(page) for page in pages], head, list(checkpoints), trust or Trust()))
        found = verify(asked.pages, head=asked.head, checkpoints=asked.checkpoints, trust=asked.trust)
        return replace(found, findings=tuple(one for one in found.findings if not self.overlooks(one, found)))


class _Log(SqlAuditLog):
    """A log whose fault is in what it hashes, or in where it puts the row."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self.tx = tx

    def settle(self, row: AuditRow, found: str, prev_hash: str | None = None) -> AuditRow:
        """Give ``row``, just appended, another hash."""
        row = replace(row, hash=found, prev_hash=prev_hash or row.prev_hash)
        values = {"hash": row.hash, "prev_hash": row.prev_hash, "seq": row.seq}
        self.tx.execute("UPDATE audit_rows SET hash = :hash, prev_hash = :prev_hash WHERE seq = :seq", values)
        self.tx.execute("UPDATE audit_head SET hash = :hash", values)
        return row


def _hashed(row: AuditRow) -> dict[str, Any]:
    """The columns that the rule hashes."""
    told = {"act": row.act, "actor": row.actor, "detail": row.detail, "subject": row.subject}
    return told | {"at": to_micros(row.at), "seq": row.seq}


class _Nameless(SqlAuditLog):
    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self.tx = tx

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        actor, self.tx.actor = self.tx.actor, "somebody"
        try:
            return super().append(act, subject, detail)
        finally:
            self.tx.actor = actor


class ForgetsTheActor(Mutant):
    """Does not record who did it."""

    breaks = "AU-1"
    log_type = _Nameless


class _Lenient(SqlAuditLog):
    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        try:
            rfc8785.dumps(detail)
        except ValueError:
            detail = {"detail": str(detail).encode(errors="replace").decode()}
        return super().append(act, subject, detail)


class RecordsSomethingElse(Mutant):
    """Records the text of a detail that has no canonical JSON."""

    breaks = "AU-1"
    log_type = _Lenient


class _FromZero(_Log):
    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        row = super().append(act, subject, detail)
        self.tx.execute("UPDATE audit_rows SET seq = seq - 1 WHERE seq = :seq", {"seq": row.seq})
        return replace(row, seq=row.seq - 1)


class CountsFromZero(Mutant):
    """Gives the first row the place 0."""

    breaks = "AU-2"
    log_type = _FromZero


class _Unchained(_Log):
    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        row = super().append(act, subject, detail)
        return self.settle(row, sha256(rfc8785.dumps(_hashed(row))).hexdigest())


class HashesNoPredecessor(Mutant):
    """Leaves the previous hash out of the hash."""

    breaks = "AU-3"
    log_type = _Unchained


class _Covering(_Log):
    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        row = super().append(act, subject, detail)
        covered = rfc8785.dumps(_hashed(row) | {"signature": row.signature})
        return self.settle(row, sha256(bytes.fromhex(row.prev_hash) + covered).hexdigest())


class HashCoversTheSignature(Mutant):
    """Hashes the signature too, which signs the hash."""

    breaks = "AU-3"
    log_type = _Covering


class _SortedKeys(_Log):
    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        row = super().append(act, subject, detail)
        text = json.dumps(_hashed(row) | {"detail": detail}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return self.settle(row, sha256(bytes.fromhex(row.prev_hash) + text.encode()).hexdigest())


class TakesSortedKeysForCanonical(Mutant):
    """Hashes Python's own JSON: its fractions and its order of keys are not those of RFC 8785."""

    breaks = "AU-3"
    log_type = _SortedKeys


class _Remembering(_Log):
    hash = ""

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        row = super().append(act, subject, detail)
        prev_hash = row.prev_hash if row.seq == 1 else _Remembering.hash
        found = sha256(bytes.fromhex(prev_hash) + rfc8785.dumps(_hashed(row) | {"detail": detail})).hexdigest()
        _Remembering.hash = found
        return self.settle(row, found, prev_hash)


class RemembersTheHead(Mutant):
    """Chains to the hash that it computed last, though that unit came to nothing: the chain forks."""

    breaks = "AU-4"
    log_type = _Remembering


class _Sequence(_Log):
    place = 0

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        _Sequence.place = _Sequence.place + 1 if self.head().seq else 1
        self.tx.execute("UPDATE audit_head SET seq = :seq", {"seq": _Sequence.place - 1})
        return super().append(act, subject, detail)


class LeavesGaps(Mutant):
    """Takes places from a sequence, which no rollback gives back."""

    breaks = "AU-4"
    log_type = _Sequence


class BelievesTheRows(Mutant):
    """Checks the links alone: an edited row keeps its hash."""

    breaks = "AU-5"

    def overlooks(self, finding: Finding, found: Verification) -> bool:
        return finding.code is Fault.EDITED


class SkipsTheLast(Mutant):
    """Compares each row with the next one, and so never looks at the last."""

    breaks = "AU-5"

    def overlooks(self, finding: Finding, found: Verification) -> bool:
        return finding.code is Fault.EDITED and finding.seq == found.head.seq


class ReadsTheValue(Mutant):
    """Hashes what a detail means, not what is stored."""

    breaks = "AU-5"

    def asks(self, asked: Asked) -> Asked:
        return replace(asked, pages=[[_respelt(row) for row in page] for page in asked.pages])


def _respelt(row: StoredRow) -> StoredRow:
    try:
        return edited(row, detail=rfc8785.dumps(json.loads(row[5] or "")).decode())
    except (ValueError, RecursionError):
        return row


class LooksAtNoHead(Mutant):
    """Takes the last row for the head, wherever the head is."""

    breaks = "AU-5"

    def asks(self, asked: Asked) -> Asked:
        return replace(asked, head=None)


class RefusesGrowth(Mutant):
    """Takes a checkpoint for the end of the chain."""

    breaks = "AU-6"

    def asks(self, asked: Asked) -> Asked:
        heads = [Head(point.seq, point.hash) for point in asked.checkpoints]
        return replace(asked, head=heads[0]) if heads else asked


class ForgivesAShorterChain(Mutant):
    """Compares only the checkpoints that the chain still reaches."""

    breaks = "AU-6"

    def overlooks(self, finding: Finding, found: Verification) -> bool:
        return finding.code is Fault.CHECKPOINT and finding.seq > found.head.seq


class CountsOnly(Mutant):
    """Compares the length with a checkpoint's, not the hash."""

    breaks = "AU-6"

    def asks(self, asked: Asked) -> Asked:
        hashes = {row[0]: row[7] or "" for page in asked.pages for row in page}
        points = [replace(point, hash=hashes.get(point.seq, point.hash)) for point in asked.checkpoints]
        return replace(asked, checkpoints=points)


class TrustsStrangers(Mutant):
    """Lets a key pass that it does not know."""

    breaks = "AU-7"

    def overlooks(self, finding: Finding, found: Verification) -> bool:
        return finding.code is Fault.UNKNOWN_KEY


class LooksAtNoSignature(Mutant):
    """Is content with any signature."""

    breaks = "AU-7"

    def overlooks(self, finding: Finding, found: Verification) -> bool:
        return finding.code is Fault.BAD_SIGNATURE


class MissesTakenSignatures(Mutant):
    """Checks the signatures that are there, and asks for none."""

    breaks = "AU-7"

    def asks(self, asked: Asked) -> Asked:
        return replace(asked, trust=replace(asked.trust, unsigned_ok=True))


class _OldestFirst(SqlAuditLog):
    def list(self, *, subject: str | None = None, limit: int | None = None, after: str | None = None) -> Page[AuditRow]:
        page = super().list(subject=subject, limit=limit, after=after)
        return Page(page.items[::-1], page.next)


class ListsOldestFirst(Mutant):
    """Lists the wrong way round."""

    breaks = "AU-8"
    log_type = _OldestFirst


class _AnyAct(SqlAuditLog):
    def last(self, subject: str, act: str) -> AuditRow | None:
        found = self.list(subject=subject, limit=1).items
        return found[0] if found else None


class LastOfAnyAct(Mutant):
    """Takes the newest row of the subject, whatever was done."""

    breaks = "AU-8"
    log_type = _AnyAct


MUTANTS = Mutant.__subclasses__()
