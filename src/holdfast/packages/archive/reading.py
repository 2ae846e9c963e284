"""Reading archives, which are hostile until every rule held (PK-9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType

from holdfast.packages.archive.entries import read_entries
from holdfast.packages.archive.errors import ManifestMissing, NotAnArchive, NotCanonical
from holdfast.packages.archive.layout import LOCK, MANIFEST, SOURCE, check_size
from holdfast.packages.archive.locks import check_lock
from holdfast.packages.archive.manifest import Manifest, parse_manifest, write_manifest
from holdfast.packages.archive.writing import pack_files
from holdfast.packages.errors import ContentHashMismatch


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that keeps all rules.

    Attributes:
        manifest: what it says of itself.
        files: its other files by name: ``pylock.toml``, ``source/…``, ``wheels/….whl``.
        content_hash: lowercase hex of the SHA-256 of all its bytes.
    """

    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)
    content_hash: str

    @property
    def lock(self) -> bytes | None:
        """Its ``pylock.toml``, if it has one."""
        return self.files.get(LOCK)

    @property
    def source(self) -> dict[str, bytes]:
        """The source files by their paths below ``source/``."""
        return {name.removeprefix(SOURCE): body for name, body in self.files.items() if name.startswith(SOURCE)}


def open_archive(body: bytes, content_hash: str | None = None) -> Archive:
    """The archive in ``body``. Nothing is run, decompressed or written.

    Args:
        body: all its bytes.
        content_hash: what they must hash to; ``None``: whatever they do.

    Raises:
        ContentHashMismatch: they hash to something else.
        InvalidArchive: a rule of PK-9 does not hold; its ``rule`` says which one.
    """
    if not isinstance(body, bytes):
        raise NotAnArchive(f"An archive is bytes, not {type(body).__name__}.")
    check_size(len(body))
    actual = sha256(body).hexdigest()
    if content_hash is not None and content_hash != actual:
        raise ContentHashMismatch(content_hash, actual)
    files = read_entries(body)
    text = files.pop(MANIFEST, None)
    if text is None:
        raise ManifestMissing(f"There is no {MANIFEST} in it.")
    manifest = parse_manifest(text)
    canonical = write_manifest(manifest)
    if canonical != text:
        raise NotCanonical(f"Its {MANIFEST} is not in canonical form.")
    check_lock(manifest, files)
    if pack_files({MANIFEST: canonical, **files}) != body:
        raise NotCanonical("Packing its files again gives other bytes.")
    return Archive(manifest, MappingProxyType(files), actual)
