"""A world into an archive."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from holdfast import codec
from holdfast.store import Store
from holdfast.store.blobs import BlobNotFound, get_blob
from holdfast.worlds.comparing import Part, Views
from holdfast.worlds.errors import MissingBlob
from holdfast.worlds.exchange.layout import FORMAT, MANIFEST, Contents, Held, Manifest, Told, body_path
from holdfast.worlds.model import StateView, encode_view
from holdfast.worlds.service import Bodied, MockService

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip can tell."""
_UNIX = 3
_MODE = stat.S_IFREG | 0o644
_unlimited = 1 << 40


def write_archive(
    target: BinaryIO, store: Store, services: Mapping[str, MockService], views: Views, told: Told = lambda *_: None
) -> Contents:
    """Write ``views``, and the bodies that they name, to ``target``: equal ones give equal bytes.

    Args:
        target: open for writing; can be sought in.
        store: where the bodies are.
        services: of the views, by name.
        told: hears of progress.

    Raises:
        MissingBlob: a body is not stored.
        BlobCorrupt: one was damaged.
        InvalidView: a view was made by hand and has no JSON form.
    """
    parts = sorted(views)
    texts = {part: encode_view(views[part]).encode() for part in parts}
    held = tuple(_held(part, views[part], texts[part]) for part in parts)
    digests = sorted({digest for part in parts for digest in _bodies_of(services[part[0]], views[part])})
    manifest = codec.encode_canonical(Manifest(format=FORMAT, views=held), max_bytes=_unlimited)[0]
    with ZipFile(target, "w", ZIP_STORED) as archive:
        _add(archive, MANIFEST, manifest.encode())
        for one in held:
            _add(archive, one.path, texts[one.part])
        for done, digest in enumerate(digests, 1):
            _add(archive, body_path(digest), _body(store, digest))
            told(done, len(digests))
    return Contents(len(held), sum(one.resources for one in held), len(digests), target.tell())


def _held(part: Part, view: StateView[Any], text: bytes) -> Held:
    service, (account_id, region) = part
    return Held(
        service=service,
        account_id=account_id,
        region=region,
        resources=len(view.resources),
        digest=sha256(text).hexdigest(),
    )


def _bodies_of(service: MockService, view: StateView[Any]) -> Iterable[str]:
    return service.bodies_of(view) if isinstance(service, Bodied) else ()


def _body(store: Store, digest: str) -> bytes:
    try:
        return store.read(lambda tx: get_blob(tx, digest))
    except BlobNotFound as error:
        raise MissingBlob([digest]) from error


def _add(archive: ZipFile, name: str, body: bytes) -> None:
    entry = ZipInfo(name, _EPOCH)
    entry.create_system = _UNIX
    entry.external_attr = _MODE << 16
    archive.writestr(entry, body)
