"""Ed25519 keys of the chain, in files. Needs the extra ``signing``.

A private key is a PEM file (PKCS #8) that its owner alone can read; beside it lies ``FILE.pub``, for whoever verifies.
A key is named by the first 16 hex digits of the SHA-256 of its 32 public bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.audit.errors import KeyInvalid, KeyNotFound, SigningUnavailable
from holdfast.audit.files import new_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_VARIABLE = "HOLDFAST_AUDIT_KEY"
_MAX_BYTES = 16_384
_ID_DIGITS = 16


class Ed25519Signer:
    """A private key: the :class:`~holdfast.store.Signer` of a store, made by :func:`load_signer`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = Ed25519Verifier(key.public_key())
        self.key_id = self.public.key_id

    def sign(self, message: bytes) -> bytes:
        """64 bytes; the same ones each time."""
        return self._key.sign(message)


class Ed25519Verifier:
    """A public key: :class:`~holdfast.audit.model.PublicKey`.

    Attributes:
        raw: its 32 bytes.
    """

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.raw = key.public_bytes_raw()
        self.key_id = sha256(self.raw).hexdigest()[:_ID_DIGITS]

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's, on ``message``."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def generate_key(path: Path) -> Ed25519Signer:
    """Make a key: the private half in ``path``, for its owner alone; the public half in ``path`` with ``.pub`` added.

    Raises:
        FileTaken: one of the two exists; neither is written.
        FileUnusable: they cannot be written there.
        SigningUnavailable: the extra ``signing`` is not installed.
    """
    _require()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    with new_file(path, mode=0o600) as private, new_file(public_path(path)) as public:
        private.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return Ed25519Signer(key)


def public_path(path: Path) -> Path:
    """Where the public half of the key in ``path`` is."""
    return path.with_name(f"{path.name}.pub")


def load_signer(path: Path) -> Ed25519Signer:
    """The signer whose private key is in ``path``.

    Raises:
        KeyNotFound: there is no such file.
        KeyInvalid: it cannot be read, or holds no unencrypted Ed25519 private key in PEM.
        SigningUnavailable: the extra ``signing`` is not installed.
    """
    _require()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = _read(path)
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise KeyInvalid(f"{path} holds no unencrypted private key in PEM.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyInvalid(f"The key in {path} is not an Ed25519 key.")
    return Ed25519Signer(key)


def environment_signer() -> Ed25519Signer | None:
    """The signer that ``HOLDFAST_AUDIT_KEY`` names, ``None`` where it is not set.

    Raises:
        KeyNotFound, KeyInvalid, SigningUnavailable: as :func:`load_signer`.
    """
    named = os.environ.get(KEY_VARIABLE)
    if not named:
        return None
    try:
        return load_signer(Path(named))
    except KeyNotFound as error:
        raise KeyNotFound(
            f"{KEY_VARIABLE} names a file that is not there: {named}.",
            remedy=f"Correct {KEY_VARIABLE}, or make a key with `holdfast audit keygen FILE`.",
        ) from error


def load_public_keys(paths: Iterable[Path]) -> dict[str, Ed25519Verifier]:
    """The public keys in these files, by key id; of a private key's file, its public half.

    Raises:
        KeyNotFound, KeyInvalid, SigningUnavailable: as :func:`load_signer`.
    """
    found = [_load_public(path) for path in paths]
    return {key.key_id: key for key in found}


def parse_public_key(raw: bytes) -> Ed25519Verifier:
    """The public key of these 32 bytes: :attr:`Ed25519Verifier.raw`.

    Raises:
        KeyInvalid: they are none.
        SigningUnavailable: the extra ``signing`` is not installed.
    """
    _require()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        return Ed25519Verifier(Ed25519PublicKey.from_public_bytes(raw))
    except (ValueError, TypeError) as error:
        raise KeyInvalid(f"{raw!r:.80} is no Ed25519 public key.") from error


def _load_public(path: Path) -> Ed25519Verifier:
    _require()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    text = _read(path)
    if b"PRIVATE KEY" in text:
        return load_signer(path).public
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyInvalid(f"{path} holds no public key in PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyInvalid(f"The key in {path} is not an Ed25519 key.")
    return Ed25519Verifier(key)


def _require() -> None:
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError as error:
        raise SigningUnavailable("Signatures need the library cryptography, which is not installed.") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        raise KeyNotFound(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise KeyInvalid(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
