"""What can go wrong with the audit chain."""

from __future__ import annotations

from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound, StoreError


class AuditInvalid(InvalidInput):
    """An act that cannot be recorded."""

    code = "audit_invalid"
    remedy = (
        "Actor, act and subject are texts that are not empty; the detail is a JSON object with integers below 2**53."
    )


class ChainBroken(StoreError):
    """Nothing can be appended: the head and the rows do not fit each other. The unit was not written."""

    code = "audit_chain_broken"
    remedy = "Somebody edited the audit tables: `holdfast audit verify` says what; restore them from a backup."


class RowDamaged(StoreError):
    """A stored row that does not read back."""

    code = "audit_row_damaged"
    remedy = "`holdfast audit verify` names every such row; restore it from a backup or an export."


class CheckpointInvalid(InvalidInput):
    """A file that holds no checkpoint."""

    code = "audit_checkpoint_invalid"
    remedy = "Use a file that `holdfast audit checkpoint FILE` wrote."


class CheckpointNotFound(NotFound):
    """No checkpoint was taken of this chain."""

    code = "audit_checkpoint_not_found"
    remedy = "Take one with `holdfast audit checkpoint FILE`."


class ExportInvalid(InvalidInput):
    """A file that holds no exported chain."""

    code = "audit_export_invalid"
    remedy = "Use a file that `holdfast audit export FILE` wrote."


class FileTaken(Conflict):
    """A file that exists and is not to be overwritten."""

    code = "file_exists"
    remedy = "Name another file, or move this one away first."


class FileUnusable(InvalidInput):
    """A file that cannot be read or written."""

    code = "file_unusable"
    remedy = "Name a file in an existing directory that you may read and write."


class KeyInvalid(InvalidInput):
    """A file that holds no Ed25519 key of the wanted kind."""

    code = "audit_key_invalid"
    remedy = "Use a file that `holdfast audit keygen FILE` wrote: FILE signs (HOLDFAST_AUDIT_KEY), FILE.pub verifies."


class KeyNotFound(NotFound):
    """There is no key file of that name."""

    code = "audit_key_not_found"
    remedy = "Name a file that is there, or make a key with `holdfast audit keygen FILE`."


class SigningUnavailable(HoldfastError):
    """Keys were asked for, and the library for them is not installed."""

    code = "signing_unavailable"
    remedy = "pip install 'holdfast[signing]'"
