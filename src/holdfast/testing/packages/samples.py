"""The suite of the package store, and the records its checks are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from holdfast.packages import PackagePorts, PackageRecord, PackageStore
from holdfast.packages.model import MAX_TYPE
from holdfast.packages.ports import Ledger
from holdfast.testing.conformance import Suite, expect, expect_equal, expect_raises
from holdfast.testing.flows.samples import LONG_AGO, PageOf, all_pages
from holdfast.testing.shapes import parts_of, units_of
from holdfast.testing.units import UnitRunner

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)
Packages = UnitRunner[PackagePorts]
Pair = tuple[str, str]
"""Type and hash: a version, or where a route points."""

suite: Suite[Packages] = Suite(
    "PackageStore",
    units_of(
        "Yield StoreUnits(store, make), where make(tx) gives PackagePorts: PackagePorts.over, or"
        " PackagePorts(your_packages, your_audit_log), of holdfast.packages.",
        *parts_of(PackageStore, "packages"),
        *parts_of(Ledger, "audit"),
        *("deploy", "route", "split", "rollback", "retire", "unload"),
    ),
)
HASHES = [digit * 64 for digit in "0123456789abcdef"]
"""Well-formed hashes of archives that nobody has."""
TYPES = ["Z", "Zebra", "_", "a", "a ", "a b", "a.b", "aB", "ab", "b", "e\u0301", "é", "日本", "ﬁ", "😀"]
"""Types in byte order, which is neither a locale's nor without case: that would have ``_`` first, ``é`` before ``Z``.
``ﬁ`` and ``😀`` are in another order where texts are compared by their UTF-16. ``é`` is there twice: as ``e`` with an
accent that is a character of its own, and as one character."""
BAD_TYPES: list[Any] = ["", "\0", "a\0b", "\ud800", "line\nbreak", "x" * (MAX_TYPE + 1), "x" * 100_000, None, 7]
BAD_HASHES: list[Any] = ["", "abc", "A" * 64, "g" * 64, "a" * 63, "a" * 65, f"{'a' * 63}\n", "٣" * 64, None, b"a" * 64]
LIMITS = (1, 2, 3, 1000, 1 << 40)


class Thrown(Exception):
    """Raised by a unit to make it fail."""


def make(workflow_type: str = "sample", archive: bytes = b"archive", *, minutes: float = 0) -> PackageRecord:
    """A record whose hash is its archive's, deployed that many minutes after :data:`LONG_AGO`."""
    return PackageRecord.of(workflow_type, archive, LONG_AGO + timedelta(minutes=minutes))


def putting(record: PackageRecord) -> Callable[[PackagePorts], None]:
    """The unit that puts ``record``."""
    return lambda ports: ports.packages.put_package(record)


def put(units: Packages, *records: PackageRecord) -> None:
    """Put each in a unit of its own."""
    for record in records:
        units.run(putting(record))


def delete(units: Packages, workflow_type: str, content_hash: str) -> None:
    """Delete in a unit of its own."""
    units.run(lambda ports: ports.packages.delete_package(workflow_type, content_hash))


def point(units: Packages, workflow_type: str, content_hash: str) -> None:
    """Point a route in a unit of its own."""
    units.run(lambda ports: ports.packages.put_package_route(workflow_type, content_hash))


def packages(units: Packages) -> list[PackageRecord]:
    """All packages, as listed."""
    return package_pages(units)(None, None).items


def routes(units: Packages) -> list[Pair]:
    """All routes, as listed."""
    return [(route.workflow_type, route.content_hash) for route in route_pages(units)(None, None).items]


def split_off(units: Packages, workflow_type: str, content_hash: str, share: int) -> None:
    """Put a split in a unit of its own."""
    units.run(lambda ports: ports.packages.put_package_split(workflow_type, content_hash, share))


def split_of(units: Packages, workflow_type: str = "sample") -> tuple[str, int] | None:
    """Where a type's split goes, and its share."""
    found = units.run(lambda ports: ports.packages.get_package_split(workflow_type))
    return (found.content_hash, found.share) if found else None


def package_pages(units: Packages) -> PageOf[PackageRecord]:
    """The list of packages, each page in a unit of its own."""
    return lambda limit, after: units.run(lambda ports: ports.packages.list_packages(limit=limit, after=after))


def route_pages(units: Packages) -> PageOf[Any]:
    """The list of routes, each page in a unit of its own."""
    return lambda limit, after: units.run(lambda ports: ports.packages.list_package_routes(limit=limit, after=after))


def version(record: PackageRecord) -> Pair:
    """Type and hash of ``record``."""
    return record.workflow_type, record.content_hash


def caught(kind: type[E], what: str, call: Callable[[PackagePorts], object]) -> Callable[[PackagePorts], E]:
    """A unit that survives the error which ``call`` must raise, so that whatever it had written is committed."""
    return lambda ports: expect_raises(kind, what, lambda: call(ports))


def bad_records() -> list[PackageRecord]:
    """Records that must be refused, each for one reason."""
    sound = make()
    return [
        *(replace(sound, workflow_type=text) for text in BAD_TYPES),
        *(replace(sound, content_hash=text) for text in BAD_HASHES),
        replace(sound, content_hash=make(archive=b"another").content_hash),
        replace(sound, archive=sound.archive + b"\0"),
        replace(sound, archive="text"),  # type: ignore[arg-type]
        replace(sound, archive=None),  # type: ignore[arg-type]
        replace(sound, deployed_at=LONG_AGO.replace(tzinfo=None)),
        replace(sound, deployed_at=None),  # type: ignore[arg-type]
    ]


def expect_pages(page_of: PageOf[T], whole: Sequence[T], what: str) -> None:
    """Pages of every size must make up ``whole``, without gaps and repeats, and so must a page and all the rest."""
    expect(len(whole) > 2, "too few items to page through")
    for limit in (*LIMITS, len(whole) - 1, len(whole), len(whole) + 1):
        expect_equal(all_pages(page_of, limit), list(whole), f"{what} in pages of {limit}, put together")
    first = page_of(1, None)
    expect_equal(first.items + page_of(None, first.next).items, list(whole), f"{what}, the first one and the rest")
