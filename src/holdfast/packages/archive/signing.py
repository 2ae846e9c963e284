"""Ed25519 signatures over the content hash of an archive, beside it in the file ``ARCHIVE.sig`` (PK-12).

Keys are those of the audit chain, see :mod:`holdfast.audit.keys`. A signature that was made for a row of that chain is
worth nothing here, nor the other way round. Needs the extra ``signing``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from holdfast.audit.model import PublicKey
from holdfast.packages.archive.errors import (
    BadSignature,
    SignatureFileInvalid,
    SignatureFileMissing,
    UnknownSignatureKey,
)
from holdfast.packages.errors import InvalidContentHash
from holdfast.store.transaction import Signer

_DOMAIN: Final = b"holdfast.package.v1\0"
_MAX_FILE = 64 * 1024
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signature of an archive.

    Attributes:
        key_id: the first 16 hex digits of the SHA-256 of the public key.
        signature: 64 bytes in lowercase hex.
    """

    key_id: str
    signature: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{16}", self.key_id) or not re.fullmatch("[0-9a-f]{128}", self.signature):
            raise SignatureFileInvalid("A signature is the id of a key and 64 bytes, in lowercase hex.")


class _SignatureFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content_hash: str
    signatures: tuple[Signature, ...]


def sign(signer: Signer, content_hash: str) -> Signature:
    """The signature of the archive with this hash.

    Raises:
        InvalidContentHash: it is none.
    """
    return Signature(signer.key_id, signer.sign(_message(content_hash)).hex())


def verify(keys: Mapping[str, PublicKey], content_hash: str, signature: Signature) -> None:
    """See that a signature is by one of ``keys`` (by key id), on the archive with this hash.

    Raises:
        InvalidContentHash: it is no hash.
        UnknownSignatureKey: the key is not among them.
        BadSignature: it is not that key's, or on another archive.
    """
    message = _message(content_hash)
    key = keys.get(signature.key_id)
    if key is None:
        raise UnknownSignatureKey(signature.key_id)
    if key.key_id != signature.key_id or not key.verifies(message, bytes.fromhex(signature.signature)):
        raise BadSignature(content_hash, signature.key_id)


def signature_path(archive: Path) -> Path:
    """Where the signatures of an archive's file are."""
    return archive.with_name(f"{archive.name}.sig")


def write_signatures(path: Path, content_hash: str, signatures: Iterable[Signature]) -> None:
    """Make ``path`` the file of these signatures, one of each key, all of it or nothing."""
    by_key = {signature.key_id: signature for signature in signatures}
    body = msgspec.json.encode(_SignatureFile(content_hash, tuple(by_key[key] for key in sorted(by_key))))
    fresh = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        fresh.write_bytes(body + b"\n")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def read_signatures(path: Path, content_hash: str) -> tuple[Signature, ...]:
    """The signatures in a file, which claim to be of the archive with this hash; none of them is verified.

    Raises:
        SignatureFileMissing: there is no such file.
        SignatureFileInvalid: it cannot be read, holds no signatures, or those of another archive.
    """
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read(_MAX_FILE), type=_SignatureFile)
    except FileNotFoundError:
        raise SignatureFileMissing(f"There is no file {path}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SignatureFileInvalid(f"{path} holds no signatures.") from error
    if found.content_hash != content_hash:
        raise SignatureFileInvalid(f"{path} has the signatures of the archive {found.content_hash!r:.80}.")
    return found.signatures


def _message(content_hash: object) -> bytes:
    if not isinstance(content_hash, str) or not _HASH.fullmatch(content_hash):
        raise InvalidContentHash(f"{content_hash!r:.80} is not a content hash.")
    return _DOMAIN + bytes.fromhex(content_hash)
