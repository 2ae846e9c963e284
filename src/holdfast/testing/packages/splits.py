"""Checks of splits as the store keeps them: PK-13."""

from __future__ import annotations

from functools import partial
from typing import Any

from holdfast.packages import PackagePorts, PackageSplitRecord
from holdfast.packages.errors import InvalidPackage
from holdfast.testing.conformance import expect_equal, expect_raises
from holdfast.testing.packages.samples import (
    BAD_HASHES,
    BAD_TYPES,
    HASHES,
    TYPES,
    Packages,
    Thrown,
    caught,
    delete,
    make,
    point,
    put,
    routes,
    split_of,
    split_off,
    suite,
    version,
)

_BAD_SHARES: list[Any] = [0, -1, 10_001, 1 << 40, 1.5, "1", None, True]


@suite.check
def split_is_beside_the_route(units: Packages) -> None:
    """PK-13: the split is a record of its own: it is put, replaced and deleted, and the route stays where it is."""
    for name in TYPES:
        point(units, name, HASHES[1])
    expect_equal([split_of(units, name) for name in TYPES], [None] * len(TYPES), "the splits at first")
    for content_hash, share in ((HASHES[2], 1), (HASHES[2], 10_000), (HASHES[3], 1250)):
        split_off(units, TYPES[1], content_hash, share)
        found = units.run(lambda ports: ports.packages.get_package_split(TYPES[1]))
        wanted = PackageSplitRecord(workflow_type=TYPES[1], content_hash=content_hash, share=share)
        expect_equal(found, wanted, "the split that was put")
        others = [split_of(units, name) for name in TYPES if name != TYPES[1]]
        expect_equal(others, [None] * len(others), "the splits of other types")
    _end(units, TYPES[1])
    expect_equal(split_of(units, TYPES[1]), None, "the split after it was deleted")
    expect_equal(routes(units), [(name, HASHES[1]) for name in TYPES], "the routes")


@suite.check
def ending_no_split_is_nothing(units: Packages) -> None:
    """PK-13: delete_package_split does nothing where there is none, whatever the name, and takes no other's."""
    split_off(units, "a", HASHES[1], 5000)
    for name in ("A", "absent", "", "a\0b", "\ud800"):
        _end(units, name)
        expect_equal(split_of(units, name), None, f"the split of {name!r}")
    expect_equal(split_of(units, "a"), (HASHES[1], 5000), "the split of another type")


@suite.check
def put_package_ends_the_split(units: Packages) -> None:
    """PK-13: put_package ends the split of its type, be the version new or there already, and no other's."""
    first, second = make(archive=b"first"), make(archive=b"second")
    put(units, first, second)
    split_off(units, "other", HASHES[1], 2500)
    for record in (second, first, make(archive=b"third")):
        split_off(units, "sample", first.content_hash, 5000)
        put(units, record)
        expect_equal(split_of(units), None, "the split after put_package")
    expect_equal(split_of(units, "other"), (HASHES[1], 2500), "the split of another type")


@suite.check
def put_route_ends_the_split(units: Packages) -> None:
    """PK-13: put_package_route ends the split of its type, also where the route stays, and no other's."""
    split_off(units, "other", HASHES[1], 2500)
    for content_hash in (HASHES[2], HASHES[2], HASHES[3]):
        split_off(units, "sample", HASHES[4], 5000)
        point(units, "sample", content_hash)
        expect_equal(split_of(units), None, "the split after put_package_route")
    expect_equal(split_of(units, "other"), (HASHES[1], 2500), "the split of another type")


@suite.check
def split_goes_with_its_route(units: Packages) -> None:
    """PK-13: a split is beside a route: it goes with that, and not with the version that it sends flows to."""
    record = make()
    put(units, record)
    point(units, "sample", HASHES[1])
    split_off(units, "sample", record.content_hash, 100)
    delete(units, *version(record))
    expect_equal(split_of(units), (record.content_hash, 100), "the split after its version was deleted")
    units.run(lambda ports: ports.packages.delete_package_route("sample"))
    point(units, "other", HASHES[1])
    expect_equal(split_of(units), None, "the split after its route was deleted")


@suite.check
def malformed_splits_are_refused(units: Packages) -> None:
    """PK-13: a malformed type, hash or share is refused before anything is written, even if the unit goes on."""
    split_off(units, "sample", HASHES[1], 100)
    bad: list[tuple[Any, Any, Any]] = [(name, HASHES[2], 200) for name in BAD_TYPES]
    bad += [("sample", content_hash, 200) for content_hash in BAD_HASHES]
    bad += [("sample", HASHES[2], share) for share in _BAD_SHARES]
    for given in bad:
        units.run(caught(InvalidPackage, f"the split {given!r:.200}", partial(_put, *given)))
        expect_equal(split_of(units), (HASHES[1], 100), "the split after a refusal")


@suite.check
def failed_unit_leaves_the_split(units: Packages) -> None:
    """PK-13: splits that a failed unit put or ended are as they were."""
    for name in ("a", "b", "c"):
        split_off(units, name, HASHES[1], 100)

    def work(ports: PackagePorts) -> None:
        ports.packages.put_package_split("a", HASHES[2], 200)
        ports.packages.put_package_split("d", HASHES[2], 200)
        ports.packages.delete_package_split("b")
        ports.packages.put_package_route("c", HASHES[3])
        raise Thrown

    expect_raises(Thrown, "a unit that fails", lambda: units.run(work))
    found = [split_of(units, name) for name in "abcd"]
    expect_equal(found, [(HASHES[1], 100)] * 3 + [None], "the splits after the failed unit")


def _end(units: Packages, workflow_type: str) -> None:
    units.run(lambda ports: ports.packages.delete_package_split(workflow_type))


def _put(workflow_type: Any, content_hash: Any, share: Any, ports: PackagePorts) -> None:
    ports.packages.put_package_split(workflow_type, content_hash, share)
