"""The emulator's private keys as PKCS #8, and back."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from moto.kms import utils

from holdfast.worlds.aws.shapes import Coverage, Way

COVERAGE = (
    Coverage(utils.RSAPrivateKey, held=frozenset({"private_key"}), rebuilt=frozenset({"key_size"})),
    Coverage(utils.ECDSAPrivateKey, held=frozenset({"private_key"}), rebuilt=frozenset({"valid_signing_algorithms"})),
)
_ALGORITHMS = {
    "secp256r1": "ECDSA_SHA_256",
    "secp256k1": "ECDSA_SHA_256",
    "secp384r1": "ECDSA_SHA_384",
    "secp521r1": "ECDSA_SHA_512",
}
_written: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()
"""Writing a key takes longer than all else of a record, and a key never changes."""


def to_der(found: Any) -> bytes:
    """The emulator's private key, as unencrypted PKCS #8 in DER."""
    if found not in _written:
        _written[found] = found.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return _written[found]


def from_der(der: bytes) -> Any:
    """The emulator's private key of :func:`to_der`.

    Raises:
        ValueError: it is none that KMS makes.
    """
    # Whether the primes are prime takes 30 ms a key to find out, and harms only who signs with them.
    loaded = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    if isinstance(loaded, rsa.RSAPrivateKey):
        return _made(utils.RSAPrivateKey, der, private_key=loaded, key_size=loaded.key_size)
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.name in _ALGORITHMS:
        algorithms = [_ALGORITHMS[loaded.curve.name]]
        return _made(utils.ECDSAPrivateKey, der, private_key=loaded, valid_signing_algorithms=algorithms)
    raise ValueError("it is neither RSA nor on a curve that KMS has")


def _made(model: type, der: bytes, **attributes: Any) -> Any:
    """A key of that class, without generating one."""
    made: Any = object.__new__(model)
    vars(made).update(attributes)
    _written[made] = der
    return made


def fault_of(der: bytes) -> str | None:
    """What is wrong with a private key, if anything."""
    try:
        from_der(der)
    except Exception as error:
        return f"it is no private key: {error}"
    return None


DER = Way(to_der, from_der)
