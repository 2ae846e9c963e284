"""Going through all deployed versions at start-up (PK-7)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.packages.archive.reading import Archive, open_archive
from holdfast.packages.errors import InvalidPackage, PackageNotFound, shown
from holdfast.packages.files import read_archive
from holdfast.packages.model import PackageRouteRecord
from holdfast.packages.sql import SqlPackageStore, oldest_first, version_cursor
from holdfast.packages.troubles import TroubleKind, clear_trouble, put_trouble, troubles
from holdfast.pages import Page, page_of, rows_wanted
from holdfast.store import Row, Store, Transaction, as_store, load_queries

log = logging.getLogger("holdfast.packages")
_q = load_queries("holdfast.packages")
_PAGE = 100
_Found = tuple[str, HoldfastError]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload found.

    Attributes:
        ok: the versions that are sound: type and hash, in the order of their deployment (PK-3).
        quarantined: the archives that are damaged, each by its hash with what is wrong with it.
        unresolved: routes and splits to a version that is neither deployed nor supplied. No flow of theirs starts on
            another one (PK-5).
    """

    ok: tuple[tuple[str, str], ...]
    quarantined: tuple[_Found, ...]
    unresolved: tuple[PackageRouteRecord, ...]


def reload(store: Store, supplied: Mapping[str, Path] | None = None) -> Reloaded:
    """Check every deployed version and every route, and keep what is wrong as the versions' troubles: whoever loads
    them, and whoever lists them, sees it there. One that is damaged stops no other; doing it again finds the same.

    Args:
        supplied: archives that the operator supplies as files, by hash: see
            :func:`~holdfast.packages.files.supplied_archives`. One stands in for a body that was lost or damaged.

    Raises:
        StoreError: the store cannot be read or written.
    """
    files = supplied or {}
    faults: dict[str, HoldfastError | None] = {}
    ok: list[tuple[str, str]] = []
    for workflow_type, content_hash in _versions(as_store(store)):
        if content_hash not in faults:
            faults[content_hash] = _fault(store, content_hash, files)
        if faults[content_hash] is None:
            ok.append((workflow_type, content_hash))
    unresolved = [each for each in store.read(_pointing) if not _resolves(store, each, files)]
    quarantined = [(content_hash, error) for content_hash, error in faults.items() if error is not None]
    for content_hash, error in quarantined:
        log.error("the package version %s is quarantined: %s", shown(content_hash), error)
    for each in unresolved:
        log.error("%s", PackageNotFound(each.workflow_type, each.content_hash))
    store.run(lambda tx: _note(tx, faults, unresolved), idempotent=True)
    return Reloaded(tuple(ok), tuple(quarantined), tuple(unresolved))


def _versions(store: Store) -> Iterator[tuple[str, str]]:
    after: str | None = None
    while True:
        page = store.read(partial(_page, after=after))
        yield from ((row[0], row[1]) for row in page.items)
        if page.next is None:
            return
        after = page.next


def _page(tx: Transaction, after: str | None) -> Page[Row]:
    rows = tx.fetch(_q["walk_versions"], oldest_first(after) | {"limit": rows_wanted(_PAGE)})
    return page_of(rows, _PAGE, lambda row: row, version_cursor)


def _fault(store: Store, content_hash: str, files: Mapping[str, Path]) -> HoldfastError | None:
    """What is wrong with an archive that is deployed."""
    body = store.read(lambda tx: SqlPackageStore(tx).get_archive(content_hash))
    try:
        if body is None:
            raise InvalidPackage(f"The archive {shown(content_hash)} is lost.", remedy="Deploy it again.")
        open_archive(body, content_hash)
    except InvalidPackage as error:
        return error if _supplied(content_hash, files) is None else None
    return None


def _supplied(content_hash: str, files: Mapping[str, Path]) -> Archive | None:
    """The sound archive that is supplied for a hash."""
    if content_hash not in files:
        return None
    try:
        return read_archive(files[content_hash], content_hash)
    except InvalidPackage as error:
        log.error("%s cannot be used: %s", files[content_hash], error)
        return None


def _pointing(tx: Transaction) -> list[PackageRouteRecord]:
    """Where new flows start: the routes, and the splits as if they were some."""
    packages = SqlPackageStore(tx)
    routes = packages.list_package_routes().items
    splits = [split for route in routes if (split := packages.get_package_split(route.workflow_type))]
    others = [PackageRouteRecord(workflow_type=each.workflow_type, content_hash=each.content_hash) for each in splits]
    return routes + others


def _resolves(store: Store, pointing: PackageRouteRecord, files: Mapping[str, Path]) -> bool:
    name, content_hash = pointing.workflow_type, pointing.content_hash
    if store.read(lambda tx: SqlPackageStore(tx).has_package(name, content_hash)):
        return True
    archive = _supplied(content_hash, files)
    return archive is not None and archive.manifest.workflow(name) is not None


def _note(tx: Transaction, faults: Mapping[str, HoldfastError | None], unresolved: list[PackageRouteRecord]) -> None:
    """Keep the faults, and forget those of earlier reloads that are none any more."""
    host = socket.gethostname()
    missing = {each.content_hash: PackageNotFound(each.workflow_type, each.content_hash) for each in unresolved}
    absent = {content_hash: error for content_hash, error in missing.items() if content_hash not in faults}
    wrong = absent | {content_hash: error for content_hash, error in faults.items() if error is not None}
    for trouble in troubles(tx):
        ours = trouble.kind is TroubleKind.QUARANTINED or trouble.error["code"] == PackageNotFound.code
        if ours and trouble.content_hash not in wrong:
            clear_trouble(tx, trouble.content_hash)
    for content_hash, error in wrong.items():
        kind = TroubleKind.STRANDED if content_hash in absent else TroubleKind.QUARANTINED
        put_trouble(tx, content_hash, error, host, kind=kind)
