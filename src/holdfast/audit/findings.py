"""What a verification finds. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from holdfast.audit.model import Head

_RESTORE = (
    "Restore the audit tables from a backup, or compare with an export made before; then ask who could write there."
)


class Fault(StrEnum):
    """What is wrong with a chain."""

    EDITED = "row_edited"
    REPLACED = "row_replaced"
    MISSING = "rows_missing"
    INSERTED = "row_inserted"
    DUPLICATED = "row_duplicated"
    REORDERED = "rows_reordered"
    HEAD = "head_mismatch"
    CHECKPOINT = "checkpoint_mismatch"
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_KEY = "unknown_key"
    UNSIGNED = "unsigned_rows"
    NONE_SIGNED = "signed_rows_missing"
    EMPTY = "no_rows"

    @property
    def remedy(self) -> str:
        """What the reader can do now."""
        return _REMEDIES.get(self, _RESTORE)


_REMEDIES = {
    Fault.HEAD: "Rows were removed from the end, or added past the head: compare with a checkpoint or an export kept "
    "elsewhere, and restore the audit tables from a backup.",
    Fault.CHECKPOINT: "The chain was rewritten or cut since that checkpoint, or the checkpoint is of another store: "
    "compare with an export or a backup from that time.",
    Fault.UNKNOWN_KEY: "Hand over that key's public half with --key FILE.pub; if nobody knows it, the row is forged.",
    Fault.UNSIGNED: "Set HOLDFAST_AUDIT_KEY for every process that writes; --allow-unsigned accepts such rows.",
    Fault.NONE_SIGNED: "Correct --signed-from; if that row was there, the end of the chain was cut off: compare with a "
    "checkpoint or an export kept elsewhere.",
    Fault.EMPTY: "Use a file that `holdfast audit export FILE` wrote of a store in which something was done.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: what it is.
        seq: the row that it is about; the first one where it is about several.
        message: what was found.
        remedy: what the reader can do now.
    """

    code: Fault
    seq: int
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification saw.

    Attributes:
        rows: how many there are.
        head: the last row's.
        findings: what is wrong, by row; empty for a sound chain.
        checkpoints: how many were compared.
        signed: how many rows carry a signature.
        checked: how many of these signatures were checked, true or not.
        omitted: findings beyond those listed.
    """

    rows: int
    head: Head
    findings: tuple[Finding, ...]
    checkpoints: int
    signed: int = 0
    checked: int = 0
    omitted: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings
