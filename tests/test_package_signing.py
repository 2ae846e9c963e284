"""PK-12: signatures over the content hash, in a file beside the archive."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from holdfast.audit.errors import KeyInvalid
from holdfast.audit.keys import Ed25519Signer, generate_key, load_public_keys, parse_public_key
from holdfast.audit.model import row_message
from holdfast.packages.archive import Signature, read_signatures, sign, signature_path, verify, write_signatures
from holdfast.packages.archive.errors import (
    BadSignature,
    SignatureFileInvalid,
    SignatureFileMissing,
    UnknownSignatureKey,
)
from holdfast.packages.errors import InvalidContentHash
from tests.archive_kit import archive

HASH = sha256(archive()).hexdigest()


@pytest.fixture
def signer(tmp_path: Path) -> Ed25519Signer:
    return generate_key(tmp_path / "key")


def test_a_signature_verifies_by_the_public_key_alone(signer: Ed25519Signer, tmp_path: Path) -> None:
    signature = sign(signer, HASH)
    verify(load_public_keys([tmp_path / "key.pub"]), HASH, signature)
    trusted = parse_public_key(signer.public.raw)
    assert trusted.key_id == signer.key_id == signature.key_id
    verify({trusted.key_id: trusted}, HASH, signature)


def test_what_does_not_verify(signer: Ed25519Signer, tmp_path: Path) -> None:
    keys = {signer.key_id: signer.public}
    signature = sign(signer, HASH)
    other = sha256(archive(label="other")).hexdigest()
    with pytest.raises(BadSignature) as bad:
        verify(keys, other, signature)
    assert bad.value.content_hash == other
    changed = Signature(signature.key_id, signature.signature[:-1] + ("0" if signature.signature[-1] != "0" else "1"))
    with pytest.raises(BadSignature):
        verify(keys, HASH, changed)
    stranger = generate_key(tmp_path / "stranger")
    with pytest.raises(UnknownSignatureKey, match=stranger.key_id):
        verify(keys, HASH, sign(stranger, HASH))
    with pytest.raises(BadSignature):
        verify(keys, HASH, Signature(signer.key_id, sign(stranger, HASH).signature))
    with pytest.raises(BadSignature):  # a key filed under another one's name
        verify({stranger.key_id: signer.public}, HASH, Signature(stranger.key_id, signature.signature))


def test_a_signature_of_an_audit_row_is_worth_nothing(signer: Ed25519Signer) -> None:
    keys = {signer.key_id: signer.public}
    for message in (row_message(HASH), bytes.fromhex(HASH), HASH.encode()):
        with pytest.raises(BadSignature):
            verify(keys, HASH, Signature(signer.key_id, signer.sign(message).hex()))
    assert not signer.public.verifies(row_message(HASH), bytes.fromhex(sign(signer, HASH).signature))


@pytest.mark.parametrize("content_hash", ["", HASH[:-1], HASH.upper(), "x" * 64, None, b"0" * 64, "\u0661" * 64])
def test_what_is_no_hash(signer: Ed25519Signer, content_hash: Any) -> None:
    with pytest.raises(InvalidContentHash):
        sign(signer, content_hash)
    with pytest.raises(InvalidContentHash):
        verify({}, content_hash, sign(signer, HASH))


@pytest.mark.parametrize("raw", [b"", b"x" * 31, b"x" * 33, "text", None])
def test_what_is_no_key(raw: Any) -> None:
    with pytest.raises(KeyInvalid):
        parse_public_key(raw)


def test_the_file_beside_the_archive(signer: Ed25519Signer, tmp_path: Path) -> None:
    path = signature_path(tmp_path / "shop.hfpkg")
    assert path.name == "shop.hfpkg.sig"
    with pytest.raises(SignatureFileMissing):
        read_signatures(path, HASH)
    first, second = sign(signer, HASH), sign(generate_key(tmp_path / "second"), HASH)
    write_signatures(path, HASH, [first])
    write_signatures(path, HASH, [*read_signatures(path, HASH), second, first])
    assert set(read_signatures(path, HASH)) == {first, second}
    assert json.loads(path.read_bytes())["content_hash"] == HASH
    assert {entry.name for entry in tmp_path.iterdir()} == {"key", "key.pub", "second", "second.pub", path.name}


SOUND: dict[str, Any] = {"content_hash": HASH, "signatures": [{"key_id": "0" * 16, "signature": "0" * 128}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"\xff",
        b"[" * 60_000,
        json.dumps(SOUND | {"more": 1}).encode(),
        json.dumps(SOUND | {"content_hash": "0" * 64}).encode(),
        json.dumps(SOUND | {"signatures": [{"key_id": "0" * 15, "signature": "0" * 128}]}).encode(),
        json.dumps(SOUND | {"signatures": [{"key_id": "0" * 16, "signature": "G" * 128}]}).encode(),
        json.dumps(SOUND | {"signatures": [{"key_id": "0" * 16}]}).encode(),
        b" " * 100_000 + json.dumps(SOUND).encode(),
    ],
)
def test_a_file_that_holds_no_signatures(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.hfpkg.sig"
    path.write_bytes(json.dumps(SOUND).encode())
    assert len(read_signatures(path, HASH)) == 1
    path.write_bytes(body)
    with pytest.raises(SignatureFileInvalid):
        read_signatures(path, HASH)


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(SignatureFileInvalid):
        read_signatures(tmp_path, HASH)
