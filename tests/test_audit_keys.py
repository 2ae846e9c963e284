"""AU-7: Ed25519 keys, and stores that sign."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from holdfast import Holdfast
from holdfast.audit import Fault, SqlAuditLog, Trust, checkpoint, verify_store
from holdfast.audit.errors import FileTaken, FileUnusable, KeyInvalid, KeyNotFound, SigningUnavailable
from holdfast.audit.keys import KEY_VARIABLE, environment_signer, generate_key, load_public_keys, load_signer
from holdfast.audit.model import row_message
from holdfast.errors import StoreMissing
from holdfast.store import Store, Transaction, check_store, open_store


def append(tx: Transaction) -> int:
    return SqlAuditLog(tx).append("act", "s", {}).seq


def private(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, *, locked: bool = False) -> bytes:
    lock = BestAvailableEncryption(b"secret") if locked else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def public(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


# -- key files ------------------------------------------------------------------------------------------------


def test_a_key_is_for_its_owner_alone_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = generate_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_signer(path).sign(b"x") == made.sign(b"x")
    assert list(load_public_keys([path.with_name("key.pub")])) == [made.key_id]
    assert list(load_public_keys([path])) == [made.key_id]
    raw = ed25519.Ed25519PrivateKey.from_private_bytes
    key = raw(bytes(32))
    other = tmp_path / "other"
    other.write_bytes(private(key))
    expected = sha256(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]
    assert load_signer(other).key_id == expected


@pytest.mark.parametrize("taken", ["key", "key.pub"])
def test_nothing_is_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(FileTaken, match=taken):
        generate_key(tmp_path / "key")
    assert [entry.name for entry in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_a_broken_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileTaken):
        generate_key(tmp_path / "key")
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_that_cannot_be_written(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "key", Path("a\0b")):
        with pytest.raises(FileUnusable, match="cannot be written"):
            generate_key(path)


BAD = {
    "empty": b"",
    "text": b"ssh-ed25519 AAAA",
    "bytes": os.urandom(200),
    "public": public(ed25519.Ed25519PrivateKey.generate()),
    "locked": private(ed25519.Ed25519PrivateKey.generate(), locked=True),
    "another kind": private(ec.generate_private_key(ec.SECP256R1())),
    "cut": private(ed25519.Ed25519PrivateKey.generate())[:60],
    "huge": b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 100_000,
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_a_file_that_holds_no_private_key(tmp_path: Path, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is opened, let alone written, with a key that cannot be used."""
    path = tmp_path / "key"
    path.write_bytes(body)
    with pytest.raises(KeyInvalid, match="audit keygen"):
        load_signer(path)
    monkeypatch.setenv(KEY_VARIABLE, str(path))
    url = f"sqlite:///{tmp_path}/store.db"
    with pytest.raises(KeyInvalid), Holdfast(url, worker=False):
        pass
    with pytest.raises(StoreMissing), open_store(url, migrate=False) as store:
        check_store(store)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(KeyNotFound):
        load_signer(tmp_path / "none")
    with pytest.raises(KeyNotFound):
        load_public_keys([tmp_path / "none"])
    for path in (tmp_path, Path("a\0b")):
        with pytest.raises(KeyInvalid, match="cannot be read"):
            load_signer(path)


@pytest.mark.parametrize(
    "body", [b"", b"text", BAD["bytes"], public(ec.generate_private_key(ec.SECP256R1())), BAD["another kind"]]
)
def test_a_file_that_holds_no_public_key(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "key.pub"
    path.write_bytes(body)
    with pytest.raises(KeyInvalid):
        load_public_keys([path])


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_key(tmp_path / "key")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))
    for use in (
        lambda: generate_key(tmp_path / "new"),
        lambda: load_public_keys([tmp_path / "key.pub"]),
        environment_signer,
    ):
        with pytest.raises(SigningUnavailable, match=r"pip install 'holdfast\[signing\]'"):
            use()
    assert not (tmp_path / "new").exists()


# -- stores that sign -----------------------------------------------------------------------------------------


def faults(store: Store, trust: Trust) -> list[tuple[Fault, int]]:
    return [(finding.code, finding.seq) for finding in verify_store(store, trust=trust).findings]


def test_a_store_signs_rows_and_checkpoints(new_store_url: Callable[[], str], tmp_path: Path) -> None:
    signer = generate_key(tmp_path / "key")
    trust = Trust({signer.key_id: signer.public}, signed_from=1)
    with open_store(new_store_url(), signer=signer) as store:
        rows = [store.run(lambda tx: SqlAuditLog(tx).append("act", "s", {"n": 1})) for _ in range(5)]
        point = store.run(checkpoint)
        found = verify_store(store, trust=trust)
        assert (found.findings, found.signed, found.checked, found.checkpoints) == ((), 5, 5, 1)
        assert {row.key_id for row in rows} == {point.key_id} == {signer.key_id}
        assert signer.public.verifies(row_message(rows[0].hash), bytes.fromhex(rows[0].signature or ""))
        assert not signer.public.verifies(bytes.fromhex(rows[0].hash), bytes.fromhex(rows[0].signature or ""))
        change = "UPDATE audit_rows SET signature = (SELECT signature FROM audit_rows WHERE seq = 2) WHERE seq = 4"
        store.run(lambda tx: tx.execute(change))
        assert faults(store, trust) == [(Fault.BAD_SIGNATURE, 4)]
        assert faults(store, Trust()) == []


def test_keys_may_change_and_processes_may_forget_theirs(sqlite_url: str, tmp_path: Path) -> None:
    first, second = generate_key(tmp_path / "a"), generate_key(tmp_path / "b")
    for signer in (None, first, second, None, second):
        with open_store(sqlite_url, signer=signer) as store:
            store.run(append)
            store.run(append)
    both = Trust({first.key_id: first.public, second.key_id: second.public})
    with open_store(sqlite_url) as store:
        assert faults(store, both) == [(Fault.UNSIGNED, 7)]
        assert faults(store, Trust({second.key_id: second.public})) == [(Fault.UNKNOWN_KEY, 3), (Fault.UNSIGNED, 7)]
        assert faults(store, Trust(both.keys, unsigned_ok=True)) == []
        assert faults(store, Trust(both.keys, signed_from=2)) == [(Fault.UNSIGNED, 2), (Fault.UNSIGNED, 7)]


def test_the_environment_names_the_key(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert environment_signer() is None
    key, own = generate_key(tmp_path / "key"), generate_key(tmp_path / "own")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))
    with Holdfast(sqlite_url, worker=False) as hf:
        hf.store.run(append)
    with Holdfast(sqlite_url, worker=False, signer=own) as hf:
        hf.store.run(append)
        rows = hf.store.read(lambda tx: SqlAuditLog(tx).list()).items
    assert [row.key_id for row in rows] == [own.key_id, key.key_id]
