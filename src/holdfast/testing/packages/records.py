"""Checks of packages: PK-1, PK-2, PK-4."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from holdfast.packages import PackagePorts, PackageRecord
from holdfast.packages.errors import InvalidPackage
from holdfast.packages.model import MAX_TYPE
from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.testing.flows.samples import LONG_AGO
from holdfast.testing.packages.samples import (
    BAD_HASHES,
    BAD_TYPES,
    HASHES,
    TYPES,
    Packages,
    Thrown,
    bad_records,
    caught,
    delete,
    make,
    packages,
    point,
    put,
    putting,
    routes,
    suite,
    version,
)

_DEPLOYERS = 3
_DEPLOYS = 8
_ARCHIVES = [b"", b"\0", b"PK\x03\x04\r\n\x1a", bytes(range(256)), "é😀".encode(), b"\xff\xfe\0\xd8"]


@suite.check
def put_stores_and_routes(units: Packages) -> None:
    """PK-1: put_package persists the record and points the type's route at it."""
    for workflow_type in TYPES:
        record = make(workflow_type, workflow_type.encode())
        put(units, record)
        expect_equal(_get(units, record), record, f"the package of {workflow_type!r}")
        expect(record in packages(units), f"the package of {workflow_type!r} is not listed")
        expect(version(record) in routes(units), f"the route of {workflow_type!r} is not at its package")
    expect_equal(len(packages(units)), len(TYPES), "the number of packages")
    expect_equal(len(routes(units)), len(TYPES), "the number of routes")


@suite.check
def longest_types_are_told_apart(units: Packages) -> None:
    """PK-1: types of the greatest length that differ in their last character are two."""
    records = [make("😀" * (MAX_TYPE - 1) + last) for last in "ab"]
    put(units, *records)
    expect_equal(packages(units), records, "the packages of long types")
    expect_equal(routes(units), [version(record) for record in records], "their routes")


@suite.check
def archives_read_back_exactly(units: Packages) -> None:
    """PK-1: the archive reads back to the byte, whatever it holds."""
    records = [make("odd", archive, minutes=minute) for minute, archive in enumerate(_ARCHIVES)]
    put(units, *records)
    expect_equal([record.archive for record in packages(units)], _ARCHIVES, "the archives listed")
    for record in records:
        expect_equal(_get(units, record), record, f"the package of the archive {record.archive!r}")


@suite.check
def large_archives_read_back(units: Packages) -> None:
    """PK-1: five million bytes are one archive."""
    record = make(archive=bytes(range(256)) * 20_000)
    put(units, record)
    for found in (_get(units, record), packages(units)[0]):
        expect(found == record, "the large archive reads back otherwise")


@suite.check
def moments_read_back_exactly(units: Packages) -> None:
    """PK-1: deployed_at reads back to the microsecond, in UTC, whatever the zone it was given in."""
    moments = [
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        LONG_AGO + timedelta(microseconds=1),
        datetime(2024, 5, 1, 23, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    for number, moment in enumerate(moments):
        put(units, PackageRecord.of("timed", bytes([number]), moment))
    found = {record.archive[0]: record.deployed_at for record in packages(units)}
    expect_equal([found[number] for number in range(len(moments))], moments, "the moments")
    expect_equal({moment.utcoffset() for moment in found.values()}, {timedelta(0)}, "their UTC offsets")


@suite.check
def failed_unit_leaves_neither(units: Packages) -> None:
    """PK-1: one transaction: of a unit that fails after put_package, neither package nor route is left."""
    before = make("kept", b"before")
    put(units, before)
    lost = [make("kept", b"after"), make("new", b"new")]

    def work(ports: PackagePorts) -> None:
        for record in lost:
            ports.packages.put_package(record)
        ports.packages.delete_package(*version(before))
        raise Thrown

    expect_raises(Thrown, "a unit that fails", lambda: units.run(work))
    expect_equal(packages(units), [before], "the packages after the failed unit")
    expect_equal(routes(units), [version(before)], "the routes after the failed unit")
    expect_equal([_get(units, record) for record in lost], [None, None], "what the failed unit had put")


@suite.check
def refused_record_leaves_neither(units: Packages) -> None:
    """PK-1: a record that cannot be stored, or whose hash is not its archive's, is refused before anything is written,
    even if the unit goes on."""
    before = make(archive=b"before")
    put(units, before)
    for record in bad_records():
        units.run(caught(InvalidPackage, f"putting {record!r}", putting(record)))
        expect_equal(packages(units), [before], f"the packages after {record!r} was refused")
        expect_equal(routes(units), [version(before)], f"the routes after {record!r} was refused")


@suite.check
def readers_see_both_or_neither(units: Packages) -> None:
    """PK-1: whoever reads meanwhile never sees a package whose type has no route."""

    def deploy(deployer: int) -> None:
        for number in range(_DEPLOYS):
            put(units, make(f"type {deployer} {number}"))

    def look(ports: PackagePorts) -> set[str]:
        deployed = {record.workflow_type for record in ports.packages.list_packages().items}
        return deployed - {route.workflow_type for route in ports.packages.list_package_routes().items}

    with ThreadPoolExecutor(_DEPLOYERS) as pool:
        deployers = [pool.submit(deploy, number) for number in range(_DEPLOYERS)]
        while True:
            last = all(deployer.done() for deployer in deployers)
            expect_equal(units.run(look), set(), "types with a package and no route")
            if last:
                break
        for deployer in deployers:
            deployer.result()
    expect_equal(len(packages(units)), _DEPLOYERS * _DEPLOYS, "the number of packages")


@suite.check
def put_again_replaces(units: Packages) -> None:
    """PK-2: putting a version that is there replaces its row: there is one, with the new time."""
    first, other = make(minutes=1), make(archive=b"other", minutes=2)
    put(units, first, other)
    for minutes in (3.0, 0.0):
        again = replace(first, deployed_at=LONG_AGO + timedelta(minutes=minutes))
        put(units, again)
        expect_equal(_get(units, first), again, "the package that was put again")
        wanted = sorted((again, other), key=lambda record: record.deployed_at)
        expect_equal(packages(units), wanted, "the packages after one was put again")


@suite.check
def put_again_routes_again(units: Packages) -> None:
    """PK-2: putting a version that is there still points the route at it."""
    first, second = make(archive=b"first"), make(archive=b"second")
    put(units, first, second)
    expect_equal(routes(units), [version(second)], "the route after a second version")
    for record in (first, first, second):
        put(units, record)
        expect_equal(routes(units), [version(record)], "the route after a version was put again")
    point(units, "sample", HASHES[0])
    put(units, second)
    expect_equal(routes(units), [version(second)], "the route after it had been pointed elsewhere")


@suite.check
def types_have_versions_of_their_own(units: Packages) -> None:
    """PK-2: the same archive under two types is two packages; putting one again leaves the other alone."""
    left, right = make("left", minutes=1), make("right", minutes=2)
    put(units, left, right)
    again = replace(left, deployed_at=LONG_AGO + timedelta(minutes=3))
    put(units, again)
    expect_equal(packages(units), [right, again], "the packages of one archive")
    expect_equal(routes(units), [version(left), version(right)], "their routes")


@suite.check
def delete_takes_exactly_that_version(units: Packages) -> None:
    """PK-4: delete_package deletes the version of that type and hash, and nothing else."""
    kept = [make("sample", b"kept"), make("Sample", b"doomed"), make("sample ", b"doomed"), make("other", b"doomed")]
    doomed = make("sample", b"doomed")
    put(units, doomed, *kept)
    delete(units, *version(doomed))
    expect_equal(_get(units, doomed), None, "the deleted package")
    expect_equal({version(r) for r in packages(units)}, {version(r) for r in kept}, "the packages after the deletion")
    for record in kept:
        expect_equal(_get(units, record), record, "a package that was not deleted")
    put(units, doomed)
    expect_equal(_get(units, doomed), doomed, "the package that was put again after its deletion")


@suite.check
def last_holder_of_an_archive_can_go(units: Packages) -> None:
    """PK-4: the same archive under several types goes type by type, and comes again."""
    records = [make(workflow_type) for workflow_type in ("a", "b", "c")]
    put(units, *records)
    for number, record in enumerate(records, 1):
        delete(units, *version(record))
        expect_equal(packages(units), records[number:], "the packages that are left, with their archives")
    put(units, records[1])
    expect_equal(packages(units), [records[1]], "the package that was put again")


@suite.check
def delete_of_absent_is_no_error(units: Packages) -> None:
    """PK-4: delete_package of what is not there is a no-op, never an error, and the unit goes on."""
    record = make()
    put(units, record)

    def work(ports: PackagePorts) -> None:
        for workflow_type in ("sample", "SAMPLE", "absent", *BAD_TYPES):
            for content_hash in (HASHES[0], record.content_hash.upper(), *BAD_HASHES):
                ports.packages.delete_package(workflow_type, content_hash)
                expect_equal(ports.packages.get_package(workflow_type, content_hash), None, "what is not there")
                expect_equal(ports.packages.has_package(workflow_type, content_hash), False, "what is not there")

    units.run(work)
    for _ in range(2):
        expect_equal(packages(units), [record], "the packages after deletions of absent ones")
        delete(units, "other", record.content_hash)
    delete(units, *version(record))
    delete(units, *version(record))
    expect_equal(packages(units), [], "the packages after the deletion, twice")


def _get(units: Packages, record: PackageRecord) -> PackageRecord | None:
    """As the store has it; both ways to ask must agree."""
    found = units.run(lambda ports: ports.packages.get_package(*version(record)))
    there = units.run(lambda ports: ports.packages.has_package(*version(record)))
    expect_equal(there, found is not None, f"has_package of {version(record)}")
    return found
