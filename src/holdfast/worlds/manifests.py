"""Views as they are stored: content-addressed, so that the next checkpoint costs what changed (WO-7).

The resources, in the order of their names, are cut into *leaves*; leaves are grouped into nodes, nodes into further
ones, until few enough are left for the *manifest* to name. Where to cut is up to the hash of a name alone: a new
resource splits or grows its own leaf, and shifts no other. All of them are blobs of canonical JSON, and equal views
have equal manifests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from holdfast import codec
from holdfast.store import Transaction
from holdfast.store.blobs import get_blobs, kept_for_good, text_digest
from holdfast.worlds.errors import InvalidView, MissingBlob
from holdfast.worlds.model import StateView
from holdfast.worlds.service import StatefulService

T = TypeVar("T")
R = TypeVar("R")
FORMAT = 1
BATCH_BYTES = 4 * 1024 * 1024
"""What one transaction stores of a large view, in bytes."""
_FANOUT_BITS = 4
_MAX_ROOTS = 32
_MAX_DEPTH = 16
"""No view has more levels: above them no name makes a cut, as :func:`_height` goes no higher."""
_unlimited = 1 << 40


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stored view consists of.

    Attributes:
        format: of this record and the nodes.
        service, version, not_captured: the view's.
        resources: how many.
        depth: how many levels of nodes are between the roots and the leaves.
        roots: digests of the topmost nodes, or of the leaves where ``depth`` is 0.
    """

    format: int
    service: str
    version: int
    not_captured: tuple[str, ...]
    resources: int
    depth: Annotated[int, msgspec.Meta(ge=0, le=_MAX_DEPTH)]
    roots: tuple[str, ...]


class PackedView(NamedTuple):
    """A view ready to be stored.

    Attributes:
        digest: of its manifest.
        texts: all of its blobs, the manifest included, by digest.
        resources: how many.
    """

    digest: str
    texts: dict[str, str]
    resources: int


class _Node(NamedTuple):
    """A node as its parent sees it: its digest, and how high a cut its last name makes."""

    digest: str
    height: int


def pack_view(view: StateView[Any]) -> PackedView:
    """``view`` as the blobs it is stored as. Pure: takes no transaction's time."""
    texts: dict[str, str] = {}

    def add(value: Any) -> str:
        text = codec.encode_canonical(value, what=f"The view of {view.service}", max_bytes=_unlimited)[0]
        digest = text_digest(text)
        texts[digest] = text
        return digest

    names = ((name, _height(name)) for name in sorted(view.resources))
    nodes = [
        _Node(add({name: view.resources[name] for name, _ in group}), group[-1][1])
        for group in _grouped(names, lambda named: named[1] > 0)
    ]
    depth = 0
    while len(nodes) > _MAX_ROOTS:
        depth += 1
        groups = _grouped(nodes, lambda node, depth=depth: node.height > depth)  # type: ignore[misc]
        nodes = [_Node(add([node.digest for node in group]), group[-1].height) for group in groups]
    manifest = Manifest(
        format=FORMAT,
        service=view.service,
        version=view.version,
        not_captured=view.not_captured,
        resources=len(view.resources),
        depth=depth,
        roots=tuple(node.digest for node in nodes),
    )
    return PackedView(add(manifest), texts, len(view.resources))


def missing_texts(tx: Transaction, packed: PackedView) -> dict[str, str]:
    """The blobs of ``packed`` that are not stored yet."""
    kept = kept_for_good(tx, packed.texts)
    return {digest: text for digest, text in packed.texts.items() if digest not in kept}


def batches(texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """``texts`` in parts of about :data:`BATCH_BYTES`, so that none holds the writer up for long."""
    part: dict[str, str] = {}
    size = 0
    for digest, text in texts.items():
        part[digest] = text
        size += len(text)
        if size >= BATCH_BYTES:
            yield part
            part, size = {}, 0
    if part:
        yield part


def get_view(tx: Transaction, digest: str, service: StatefulService[R]) -> StateView[R]:
    """The view that was stored under ``digest``, every blob of it checked.

    Raises:
        MissingBlob: parts of it are not stored here.
        BlobCorrupt: a part was damaged.
        InvalidView, ViewVersion: it is no view of ``service``.
    """
    manifest = _manifest(tx, digest, service.service_name)
    digests: Iterable[str] = manifest.roots
    for _ in range(manifest.depth):
        nodes = (_read_as(list[str], body, service.service_name) for body in _bodies(tx, digests))
        digests = [child for node in nodes for child in node]
    leaves = (leaf[1:-1] for leaf in _bodies(tx, digests))
    head = {"not_captured": manifest.not_captured, "service": manifest.service, "version": manifest.version}
    view = service.decode(codec.encode(head)[:-1].encode() + b',"resources":{' + b",".join(leaves) + b"}}")
    if len(view.resources) != manifest.resources:
        fault = f"its parts hold {len(view.resources)} resources, its manifest tells of {manifest.resources}"
        raise InvalidView(view.service, "$.resources", fault)
    return view


def _manifest(tx: Transaction, digest: str, service: str) -> Manifest:
    (body,) = _bodies(tx, [digest])
    found = _read_as(Manifest, body, service)
    if found.format != FORMAT:
        raise InvalidView(service, "$", f"it is stored in the format {found.format}, this Holdfast reads {FORMAT}")
    return found


def _read_as(kind: type[T], body: bytes, service: str) -> T:
    """Raises:
    InvalidView: the blob is nothing of that kind.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidView(service, "$", f"a blob of it is no part of a view ({error})") from error


def _bodies(tx: Transaction, digests: Iterable[str]) -> list[bytes]:
    """Raises:
    MissingBlob: some are not stored.
    """
    wanted = list(digests)
    found = get_blobs(tx, wanted)
    if missing := set(wanted) - found.keys():
        raise MissingBlob(missing)
    return [found[digest] for digest in wanted]


def _height(name: str) -> int:
    """On how many levels a node ends behind ``name``: on the first with a chance of 1 in 16, on the second of 1 in
    256, and so on."""
    chance = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    zeros = (chance & -chance).bit_length() - 1 if chance else 64
    return zeros // _FANOUT_BITS


def _grouped(items: Iterable[T], ends: Callable[[T], bool]) -> Iterator[list[T]]:
    """``items`` in runs, each up to the next one that ``ends`` it."""
    group: list[T] = []
    for item in items:
        group.append(item)
        if ends(item):
            yield group
            group = []
    if group:
        yield group
