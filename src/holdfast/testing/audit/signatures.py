"""Checks of signatures: AU-7. The suite signs by a toy of its own, so that it needs no library for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha512
from typing import Any

from holdfast.audit import Checkpoint, Fault, StoredRow, Trust
from holdfast.audit.model import checkpoint_message, row_message
from holdfast.testing.audit.samples import Units, edited, expect_found, expect_sound, grow, suite, verdict
from holdfast.testing.conformance import expect_equal

_ROWS = 6


@dataclass(frozen=True)
class _Toy:
    """A key, both halves in one: what it signs is a digest with its name."""

    key_id: str

    def sign(self, message: bytes) -> bytes:
        return sha512(self.key_id.encode() + message).digest()

    def verifies(self, message: bytes, signature: bytes) -> bool:
        return signature == self.sign(message)


_ANN, _EVE = _Toy("a" * 16), _Toy("e" * 16)
_TRUST = Trust({_ANN.key_id: _ANN})


def _signed(row: StoredRow, key: _Toy = _ANN) -> StoredRow:
    return edited(row, key_id=key.key_id, signature=key.sign(row_message(row[7] or "")).hex())


@suite.check
def true_signatures_verify(units: Units) -> None:
    """AU-7: rows may be signed, from any row on; signatures are counted, and checked where keys are given."""
    rows = grow(units, _ROWS)
    expect_sound(verdict(units, rows, trust=_TRUST), "an unsigned chain")
    signed = [*rows[:2], *map(_signed, rows[2:])]
    for trust, checked in ((Trust(), 0), (_TRUST, 4), (replace(_TRUST, signed_from=3), 4)):
        found = verdict(units, signed, trust=trust)
        expect_sound(found, "a signed chain")
        expect_equal((found.signed, found.checked), (4, checked), "signatures seen and checked")


@suite.check
def false_signatures_are_found(units: Units) -> None:
    """AU-7: a signature that is another row's, another kind's, cut, or no hex is found at its row."""
    signed = list(map(_signed, grow(units, _ROWS)))
    other_kind = _ANN.sign(checkpoint_message(3, signed[2][7] or "", signed[2][1] or 0)).hex()
    for wrong in (signed[3][9], other_kind, "0" * 128, (signed[2][9] or "")[:-2], "zz", "", None):
        found = verdict(units, _with(signed, 3, signature=wrong), trust=_TRUST)
        expect_found(found, Fault.BAD_SIGNATURE, 3, f"the signature {wrong!r:.20}")
    expect_found(verdict(units, _with(signed, 3, key_id=None)), Fault.BAD_SIGNATURE, 3, "a signature without a key")
    expect_found(verdict(units, _with(signed, 3, signature=None)), Fault.BAD_SIGNATURE, 3, "a key without a signature")


@suite.check
def unknown_keys_are_found(units: Units) -> None:
    """AU-7: a row signed by a key that is not among those given is found, though the signature be true."""
    rows = grow(units, _ROWS)
    signed = list(map(_signed, rows))
    forged = [*signed[:2], _signed(rows[2], _EVE), *signed[3:]]
    expect_found(verdict(units, forged, trust=_TRUST), Fault.UNKNOWN_KEY, 3, "a row signed by a stranger")
    both = Trust({_ANN.key_id: _ANN, _EVE.key_id: _EVE})
    expect_sound(verdict(units, forged, trust=both), "a chain of two known keys")
    renamed = _with(signed, 3, key_id=_EVE.key_id)
    expect_found(verdict(units, renamed, trust=both), Fault.BAD_SIGNATURE, 3, "a signature under another key's name")


@suite.check
def unsigned_rows_after_signing_began_are_found(units: Units) -> None:
    """AU-7: an unsigned row behind a signed one is found, or one from a given row on, unless that is allowed."""
    rows = grow(units, _ROWS)
    signed = list(map(_signed, rows))
    stripped = [*signed[:3], *rows[3:]]
    expect_found(verdict(units, stripped, trust=_TRUST), Fault.UNSIGNED, 4, "signatures taken away")
    expect_found(verdict(units, stripped), Fault.UNSIGNED, 4, "signatures taken away, no key given")
    expect_sound(verdict(units, stripped, trust=replace(_TRUST, unsigned_ok=True)), "unsigned rows allowed")
    bare = verdict(units, rows, trust=replace(_TRUST, signed_from=5))
    expect_found(bare, Fault.UNSIGNED, 5, "all signatures taken away")
    expect_equal([finding.seq for finding in bare.findings], [5], "what is told of the two unsigned rows")


@suite.check
def signatures_of_checkpoints_are_checked(units: Units) -> None:
    """AU-7: a checkpoint's signature covers its row, hash and time."""
    rows = grow(units, _ROWS)
    plain = units.run(lambda ports: ports.checkpoint())
    point = replace(plain, key_id=_ANN.key_id, signature=_ANN.sign(_message(plain)).hex())
    expect_sound(verdict(units, rows, checkpoints=[plain, point], trust=_TRUST), "a signed checkpoint")
    changes: list[dict[str, Any]] = [{"at": point.at + 1}, {"signature": "0" * 128}, {"signature": None}]
    for change in [*changes, {"signature": _signed(rows[-1])[9]}, {"key_id": None}]:
        found = verdict(units, rows, checkpoints=[replace(point, **change)], trust=_TRUST)
        expect_found(found, Fault.BAD_SIGNATURE, _ROWS, f"a checkpoint with {change!s:.40}")
    forged = replace(plain, key_id=_EVE.key_id, signature=_EVE.sign(_message(plain)).hex())
    found = verdict(units, rows, checkpoints=[forged], trust=_TRUST)
    expect_found(found, Fault.UNKNOWN_KEY, _ROWS, "a checkpoint signed by a stranger")


def _message(point: Checkpoint) -> bytes:
    return checkpoint_message(point.seq, point.hash, point.at)


def _with(rows: list[StoredRow], seq: int, **columns: Any) -> list[StoredRow]:
    return [edited(row, **columns) if row[0] == seq else row for row in rows]
