"""Checks of the lists: PK-3, PK-6."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from holdfast.packages import PackagePorts
from holdfast.pages import Page
from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.testing.flows.samples import LONG_AGO, PageOf, all_pages
from holdfast.testing.packages.samples import (
    HASHES,
    TYPES,
    Packages,
    expect_pages,
    make,
    package_pages,
    packages,
    point,
    put,
    route_pages,
    routes,
    suite,
    version,
)

_MANY = 120
_MALFORMED_PACKAGE_CURSORS = (
    "",
    "x",
    "1.",
    "1.2.3",
    "--1.-",
    "1;DROP TABLE packages",
    "9" * 40,
    "\0",
    "\ud800",
    7,
    b"1",
)
_MALFORMED_ROUTE_CURSORS = ("", "\0", "a\0", "\ud800", 7, b"a")
"""A type's name may well be the cursor of a list by type, so that few texts can be told to be none."""


@suite.check
def packages_by_time(units: Packages) -> None:
    """PK-3: list_packages is ascending by deployed_at to the microsecond, whatever the order of putting."""
    minutes = [3.0, 1.0, 2.0, 0.0, 5.0, 4.0]
    put(units, *(make("Z" if minute % 2 else "a", bytes([int(minute)]), minutes=minute) for minute in minutes))
    expect_equal([record.archive[0] for record in packages(units)], sorted(map(int, minutes)), "archives by minute")
    close = [make("close", b"3"), make("close", b"1"), make("close", b"2")]
    put(units, *(replace(r, deployed_at=LONG_AGO + timedelta(days=1, microseconds=int(r.archive))) for r in close))
    expect_equal([r.archive for r in packages(units)[-3:]], [b"1", b"2", b"3"], "archives by microsecond")


@suite.check
def ties_by_type_in_byte_order(units: Packages) -> None:
    """PK-3: packages of one moment are in byte order of their types, the same on every backend and locale."""
    put(units, *(make(workflow_type, workflow_type.encode()) for workflow_type in _shuffled(TYPES)))
    expect_equal([record.workflow_type for record in packages(units)], TYPES, "the types of one moment")
    expect_pages(package_pages(units), packages(units), "the packages of one moment")


@suite.check
def ties_of_type_by_hash(units: Packages) -> None:
    """PK-3: packages of one moment and type are in text order of their hashes."""
    records = sorted((make(archive=bytes([number])) for number in range(12)), key=lambda record: record.content_hash)
    put(units, *_shuffled(records))
    expect_equal(packages(units), records, "the packages of one moment and type")
    expect_pages(package_pages(units), records, "the packages of one moment and type")


@suite.check
def redeployed_packages_move(units: Packages) -> None:
    """PK-3: a version that is put again is where its new time is."""
    records = [make(archive=bytes([minute]), minutes=minute) for minute in range(4)]
    put(units, *records)
    moved = replace(records[1], deployed_at=LONG_AGO + timedelta(minutes=2, seconds=30))
    put(units, moved)
    expect_equal(packages(units), [records[0], records[2], moved, records[3]], "the packages after one moved")


@suite.check
def pages_reach_all_times(units: Packages) -> None:
    """PK-3: pages go through the years from 1 to 9999, and through the microseconds about the epoch."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    near = [epoch + timedelta(microseconds=micros) for micros in (-2, -1, 0, 1)]
    moments = [datetime.min.replace(tzinfo=UTC), *near, LONG_AGO, datetime.max.replace(tzinfo=UTC)]
    records = [replace(make(archive=bytes([number])), deployed_at=at) for number, at in enumerate(moments)]
    put(units, *_shuffled(records))
    expect_pages(package_pages(units), records, "the packages of all times")


@suite.check
def everything_is_all_packages(units: Packages) -> None:
    """PK-3: without a limit list_packages is everything, however much there is."""
    records = [make(archive=number.to_bytes(2), minutes=number) for number in range(_MANY)]

    def work(ports: PackagePorts) -> None:
        for record in records:
            ports.packages.put_package(record)

    units.run(work)
    expect(packages(units) == records, "a list of many packages lacks some")


@suite.check
def everything_is_all_routes(units: Packages) -> None:
    """PK-6: without a limit list_package_routes is everything, however much there is."""
    wanted = [(f"type {number:03}", HASHES[1]) for number in range(_MANY)]

    def work(ports: PackagePorts) -> None:
        for workflow_type, content_hash in wanted:
            ports.packages.put_package_route(workflow_type, content_hash)

    units.run(work)
    expect_equal(routes(units), wanted, "many routes")


@suite.check
def paging_packages_survives_newcomers(units: Packages) -> None:
    """PK-3: a cursor is a place, not a count: what is deployed ahead of it neither repeats nor hides anything."""
    records = [make(name, bytes([minute]), minutes=minute) for minute in range(2) for name in ("a", "b", "é")]
    put(units, *records)
    numbers = count(1)
    expect_pages(package_pages(units), packages(units), "the packages")

    def newcomer() -> None:
        put(units, make("early", bytes([next(numbers)]), minutes=-60))

    wanted = packages(units)
    expect_equal(all_pages(package_pages(units), 2, between=newcomer), wanted, "pages while others are deployed")
    expect(len(packages(units)) > len(wanted), "nothing was deployed between the pages")


@suite.check
def routes_in_byte_order(units: Packages) -> None:
    """PK-6: list_package_routes is in byte order of the types, the same on every backend and locale."""
    for number, workflow_type in enumerate(_shuffled(TYPES)):
        point(units, workflow_type, HASHES[number])
    point(units, TYPES[3], HASHES[15])
    expect_equal([workflow_type for workflow_type, _ in routes(units)], TYPES, "the types of the routes")
    expect_pages(route_pages(units), route_pages(units)(None, None).items, "the routes")


@suite.check
def paging_routes_survives_newcomers(units: Packages) -> None:
    """PK-6: a cursor is a place, not a count: routes that come in ahead of it neither repeat nor hide anything."""
    for workflow_type in ("m", "n", "o", "p", "q"):
        point(units, workflow_type, HASHES[1])
    numbers = count(1)

    def newcomer() -> None:
        point(units, f"a{next(numbers)}", HASHES[2])

    found = all_pages(route_pages(units), 2, between=newcomer)
    expect_equal([route.workflow_type for route in found], ["m", "n", "o", "p", "q"], "pages while routes come in")


@suite.check
def limits_and_cursors_of_packages(units: Packages) -> None:
    """PK-3: without a limit list_packages is everything; a negative limit and a malformed cursor are ValueErrors."""
    _expect_refusals(package_pages(units), _MALFORMED_PACKAGE_CURSORS, lambda: put(units, make()))


@suite.check
def limits_and_cursors_of_routes(units: Packages) -> None:
    """PK-6: without a limit list_package_routes is everything; a negative limit and a malformed cursor are
    ValueErrors."""
    _expect_refusals(route_pages(units), _MALFORMED_ROUTE_CURSORS, lambda: put(units, make()))


@suite.check
def lists_and_routes_agree(units: Packages) -> None:
    """PK-6: a list gives the same records as asking for each."""
    records = [make(workflow_type, workflow_type.encode()) for workflow_type in TYPES]
    put(units, *records)
    expect_equal(routes(units), [version(record) for record in records], "the routes")
    listed = route_pages(units)(None, None).items
    asked = units.run(lambda ports: [ports.packages.get_package_route(route.workflow_type) for route in listed])
    expect_equal(asked, listed, "the routes asked for one by one")


def _expect_refusals(page_of: PageOf[Any], cursors: tuple[Any, ...], add: Callable[[], None]) -> None:
    expect_equal(page_of(None, None), Page([], None), "the empty list")
    expect_equal(page_of(3, None), Page([], None), "a page of the empty list")
    add()
    expect_equal(len(page_of(None, None).items), 1, "the length of the list")
    expect_equal(page_of(0, None).items, [], "the list with limit=0")
    for limit in (-1, -1000):
        expect_raises(ValueError, f"a list with limit={limit}", _call(page_of, limit, None))
    for cursor in cursors:
        expect_raises(ValueError, f"a list with after={cursor!r}", _call(page_of, 1, cursor))


def _call(page_of: PageOf[Any], limit: int, after: Any) -> Callable[[], object]:
    return lambda: page_of(limit, after)


def _shuffled(items: list[Any]) -> list[Any]:
    """In another order, the same every time."""
    return [*items[1::3], *items[2::3][::-1], *items[::3]]
