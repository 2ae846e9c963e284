"""Checks of routes: PK-5."""

from __future__ import annotations

from functools import partial
from typing import Any

from holdfast.packages import PackagePorts
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
    packages,
    point,
    put,
    routes,
    suite,
    version,
)


@suite.check
def route_is_put_and_moved(units: Packages) -> None:
    """PK-5: put_package_route makes the type's route or moves it, and no other's."""
    for workflow_type in TYPES:
        point(units, workflow_type, HASHES[1])
    for content_hash in (HASHES[2], HASHES[2], HASHES[1]):
        point(units, TYPES[1], content_hash)
        wanted = [(name, content_hash if name == TYPES[1] else HASHES[1]) for name in TYPES]
        expect_equal(routes(units), wanted, "the routes after one was put again")


@suite.check
def routed_version_need_not_be_there(units: Packages) -> None:
    """PK-5: a route may name a version that is not persisted, and is kept as it was put."""
    point(units, "supplied", HASHES[3])
    record = make("supplied", b"deployed")
    put(units, record)
    point(units, "supplied", HASHES[4])
    expect_equal(routes(units), [("supplied", HASHES[4])], "the route to a version that is not persisted")
    expect_equal(packages(units), [record], "the packages")


@suite.check
def route_outlives_its_package(units: Packages) -> None:
    """PK-5: delete_package leaves the route where it points: it is never silently served by another version."""
    first, second = make(archive=b"first"), make(archive=b"second")
    put(units, first, second)
    for gone, left in ((second, [first]), (first, [])):
        delete(units, *version(gone))
        expect_equal(routes(units), [version(second)], "the route after its package was deleted")
        expect_equal(packages(units), left, "the packages")
    put(units, first)
    delete(units, *version(first))
    expect_equal(routes(units), [version(first)], "the route after the only package of its type was deleted")


@suite.check
def route_can_be_deleted(units: Packages) -> None:
    """PK-5: delete_package_route deletes that type's route alone; nothing where there is none, and no error."""
    put(units, make("a"), make("A"), make("b"))

    def work(ports: PackagePorts) -> None:
        for name in ("a", "a", "absent", "", "a\0b", "\ud800"):
            ports.packages.delete_package_route(name)
            expect_equal(ports.packages.get_package_route(name), None, f"the route of {name!r}")

    units.run(work)
    expect_equal([name for name, _ in routes(units)], ["A", "b"], "the types that still have routes")
    expect_equal(len(packages(units)), 3, "the number of packages")


@suite.check
def malformed_routes_are_refused(units: Packages) -> None:
    """PK-5: a malformed type or hash is refused before anything is written, even if the unit goes on."""
    point(units, "sample", HASHES[1])
    pairs: list[tuple[Any, Any]] = [(name, HASHES[2]) for name in BAD_TYPES]
    pairs += [("sample", content_hash) for content_hash in BAD_HASHES]
    for name, content_hash in pairs:
        units.run(caught(InvalidPackage, f"a route {name!r} to {content_hash!r}", partial(_point, name, content_hash)))
    expect_equal(routes(units), [("sample", HASHES[1])], "the routes after refusals")


@suite.check
def failed_unit_leaves_routes(units: Packages) -> None:
    """PK-5: routes that a failed unit put, moved or deleted are as they were."""
    for name in ("a", "b"):
        point(units, name, HASHES[1])

    def work(ports: PackagePorts) -> None:
        ports.packages.put_package_route("a", HASHES[2])
        ports.packages.put_package_route("c", HASHES[2])
        ports.packages.delete_package_route("b")
        raise Thrown

    expect_raises(Thrown, "a unit that fails", lambda: units.run(work))
    expect_equal(routes(units), [("a", HASHES[1]), ("b", HASHES[1])], "the routes after the failed unit")


def _point(workflow_type: Any, content_hash: Any, ports: PackagePorts) -> None:
    ports.packages.put_package_route(workflow_type, content_hash)
