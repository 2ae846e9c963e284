"""The signatures of rows and checkpoints, as verification sees them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from holdfast.audit.findings import Fault
from holdfast.audit.model import Checkpoint, Trust, checkpoint_message, row_message
from holdfast.audit.report import Report, rows_told

_SIGNATURE = re.compile("[0-9a-f]{128}", re.ASCII)


class SignatureCheck:
    """Checks signatures against what is trusted.

    Attributes:
        expected: whether rows have to be signed by now.
        signed: rows that carry a signature.
        checked: those among them whose key is known.
    """

    def __init__(self, trust: Trust, report: Report) -> None:
        self._trust = trust
        self._report = report
        self.expected = trust.signed_from is not None
        self.signed = 0
        self.checked = 0

    def check(self, seq: int, found: str | None, key_id: str | None, signature: str | None) -> None:
        """The row ``seq``, whose stored hash is ``found``."""
        if key_id is None and signature is None:
            if seq >= (self._trust.signed_from or 0) and not self._trust.unsigned_ok:
                self._report.add_run(Fault.UNSIGNED, None, seq, _unsigned)
            return
        self.signed += 1
        if key_id is not None and signature is not None and self._unknown(key_id):
            self._report.add_run(
                Fault.UNKNOWN_KEY, key_id, seq, lambda first, last: f"{rows_told(first, last)}: {_stranger(key_id)}"
            )
            return
        self.checked += bool(self._trust.keys)
        if self._holds(key_id, signature, lambda: row_message(found or "")):
            self.expected = True
        else:
            self._report.add(Fault.BAD_SIGNATURE, seq, f"The signature of row {seq} is not its key's on its hash.")

    def check_checkpoint(self, point: Checkpoint) -> None:
        """A checkpoint, which may be unsigned."""
        if point.key_id is None and point.signature is None:
            return
        what = f"The checkpoint of row {point.seq}"
        if point.key_id is not None and point.signature is not None and self._unknown(point.key_id):
            self._report.add(Fault.UNKNOWN_KEY, point.seq, f"{what}: {_stranger(point.key_id)}")
        elif not self._holds(
            point.key_id, point.signature, lambda: checkpoint_message(point.seq, point.hash, point.at)
        ):
            self._report.add(Fault.BAD_SIGNATURE, point.seq, f"{what} has a signature that is not its key's.")

    def end(self, last: int) -> None:
        """No more rows; ``last`` is the last one."""
        wanted = self._trust.signed_from
        if wanted is not None and wanted > last and not self._trust.unsigned_ok:
            told = f"No row is checked: rows are signed from row {wanted} on, and the chain ends with row {last}."
            self._report.add(Fault.NONE_SIGNED, wanted, told)

    def _unknown(self, key_id: str) -> bool:
        return bool(self._trust.keys) and key_id not in self._trust.keys

    def _holds(self, key_id: str | None, signature: str | None, message: Callable[[], bytes]) -> bool:
        """Whether a signature is whole and, where there are keys, true."""
        if not key_id or not signature or not _SIGNATURE.fullmatch(signature):
            return False
        key = self._trust.keys.get(key_id)
        try:
            return key is None or key.verifies(message(), bytes.fromhex(signature))
        except ValueError:  # what it should sign is no hash
            return False


def _unsigned(first: int, last: int) -> str:
    return f"{rows_told(first, last)} {'is' if first == last else 'are'} unsigned, after signing began."


def _stranger(key_id: str) -> str:
    return f"signed with the key {key_id}, which is not among those given."
