"""Checks of the audited verbs, one at a time: PK-10."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from holdfast.audit import AuditRow
from holdfast.errors import HoldfastError
from holdfast.packages import PackagePorts, PackageRecord
from holdfast.packages.errors import (
    InvalidPackage,
    NothingToRollBack,
    PackageNotFound,
    PackageRouteNotFound,
    RouteActive,
)
from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.testing.packages.samples import (
    HASHES,
    Packages,
    Pair,
    Thrown,
    bad_records,
    caught,
    make,
    packages,
    routes,
    suite,
    version,
)

Verb = Callable[[PackagePorts], Any]


@suite.check
def each_verb_is_one_row(units: Packages) -> None:
    """PK-10: every deploy, re-route, roll-back, retirement and unload is one audit row with actor and from → to, and
    has its effect."""
    first, second = make(archive=b"first"), make(archive=b"second", minutes=1)
    one, two = first.content_hash, second.content_hash
    story: list[tuple[Verb, str, str | None, str | None, dict[str, Any]]] = [
        (deploying(first), "package.deployed", None, one, {"replaced": False}),
        (deploying(second), "package.deployed", one, two, {"replaced": False}),
        (routing("sample", one), "package.routed", two, one, {"supplied": False}),
        (rolling_back("sample"), "package.rolled_back", one, two, {"restored": 2}),
        (deploying(first), "package.deployed", two, one, {"replaced": True}),
        (deploying(first), "package.deployed", one, one, {"replaced": True}),
        (routing("sample", one), "package.routed", one, one, {"supplied": False}),
        (routing("sample", HASHES[5], supplied=True), "package.routed", one, HASHES[5], {"supplied": True}),
        (unloading(*version(first)), "package.unloaded", HASHES[5], HASHES[5], {"version": one}),
        (retiring("sample"), "package.retired", HASHES[5], None, {}),
        (unloading(*version(second)), "package.unloaded", None, None, {"version": two}),
    ]
    for number, (verb, act, origin, target, more) in enumerate(story, 1):
        row = units.run(verb)
        rows = ledger(units, "sample")
        expect_equal(len(rows), number, f"the number of rows after {act}")
        expect_equal(rows[-1], row, f"the row that {act} returns, against the ledger's")
        expect_equal((row.act, row.subject), (act, "sample"), "act and subject")
        expect_equal(row.detail, {"from": origin, "to": target, **more}, f"the detail of {act}")
        expect(bool(row.actor), f"{act} has no actor")
        expect_equal(row.at.utcoffset(), timedelta(0), "the UTC offset of its time")
        expect_equal(routes(units), [("sample", target)] if target else [], f"the route after {act}")
    expect_equal(packages(units), [], "the packages that are left")


@suite.check
def deploying_again_replaces(units: Packages) -> None:
    """PK-2: deploying a version again replaces it, also the one that is routed."""
    for minutes in (1.0, 3.0, 2.0):
        record = make(minutes=minutes)
        units.run(deploying(record))
        expect_equal(packages(units), [record], "the packages after a version was deployed again")


@suite.check
def types_have_ledgers_of_their_own(units: Packages) -> None:
    """PK-10: a row's subject is the type itself, so that types which look alike share no rows."""
    names = ["Sample", "sample", "sample ", "sämple"]
    for name in names:
        units.run(deploying(make(name)))
    for name in names:
        rows = ledger(units, name)
        expect_equal([row.subject for row in rows], [name], f"the subjects of the rows of {name!r}")


@suite.check
def refused_verbs_leave_nothing(units: Packages) -> None:
    """PK-10: a verb that is refused changes nothing and writes no row, even if the unit goes on."""
    first, second = make(archive=b"first"), make(archive=b"second", minutes=1)
    for record in (first, second):
        units.run(deploying(record))
    before = _everything(units)
    refused: list[tuple[type[HoldfastError], Verb]] = [
        (RouteActive, unloading(*version(second))),
        (PackageNotFound, routing("sample", HASHES[0])),
        (PackageNotFound, routing("other", first.content_hash)),
        (PackageRouteNotFound, retiring("other")),
        (NothingToRollBack, rolling_back("other")),
        (InvalidPackage, routing("sample", "abc")),
        (InvalidPackage, routing("sample", "abc", supplied=True)),
        (InvalidPackage, routing("", first.content_hash)),
        (InvalidPackage, unloading("sample", "abc")),
        (InvalidPackage, unloading("a\0b", first.content_hash)),
        (InvalidPackage, retiring("a\0b")),
        (InvalidPackage, rolling_back("")),
        *((InvalidPackage, deploying(record)) for record in bad_records()),
    ]
    for number, (kind, verb) in enumerate(refused):
        units.run(caught(kind, f"refusal {number}", verb))
        expect_equal(_everything(units), before, f"the state after refusal {number}, a {kind.__name__}")


@suite.check
def unload_again_is_nothing(units: Packages) -> None:
    """PK-10: unloading what is not there is no act: no error, no row."""
    first, second = make(archive=b"first"), make(archive=b"second", minutes=1)
    for record in (first, second):
        units.run(deploying(record))
    expect(units.run(unloading(*version(first))) is not None, "an unload returns no row")
    before = _everything(units)
    for pair in (version(first), ("sample", HASHES[1]), ("other", second.content_hash)):
        expect_equal(units.run(unloading(*pair)), None, "what an unload of an absent version returns")
        expect_equal(_everything(units), before, "the state after it")


@suite.check
def act_and_row_share_a_transaction(units: Packages) -> None:
    """PK-10: of a unit that fails after a verb, neither the act nor its row is left."""
    first, second = make(archive=b"first"), make(archive=b"second", minutes=1)
    for record in (first, second):
        units.run(deploying(record))
    before = _everything(units)
    verbs: list[Verb] = [
        deploying(make(archive=b"third")),
        deploying(make("other")),
        routing(*version(first)),
        rolling_back("sample"),
        retiring("sample"),
        unloading(*version(first)),
    ]
    for number, verb in enumerate(verbs):
        expect_raises(Thrown, "a unit that fails", partial(units.run, partial(_act_and_fail, verb)))
        expect_equal(_everything(units), before, f"the state after failed unit {number}")
        expect_equal(ledger(units, "other"), [], "the rows of a type that was never deployed")


@suite.check
def verbs_share_a_transaction(units: Packages) -> None:
    """PK-10: several verbs in one unit are several rows, in order."""

    def work(ports: PackagePorts) -> None:
        for number in range(3):
            ports.deploy(make(archive=bytes([number])))
        ports.rollback("sample")

    units.run(work)
    hashes = [make(archive=bytes([number])).content_hash for number in range(3)]
    found = [(row.detail["from"], row.detail["to"]) for row in ledger(units, "sample")]
    wanted = [(None, hashes[0]), (hashes[0], hashes[1]), (hashes[1], hashes[2]), (hashes[2], hashes[1])]
    expect_equal(found, wanted, "from and to of the rows")


def deploying(record: PackageRecord) -> Verb:
    """The unit that deploys ``record``."""
    return lambda ports: ports.deploy(record)


def routing(workflow_type: str, content_hash: str, *, supplied: bool = False) -> Verb:
    """The unit that routes to a version."""
    return lambda ports: ports.route(workflow_type, content_hash, supplied=supplied)


def rolling_back(workflow_type: str) -> Verb:
    """The unit that rolls a type back."""
    return lambda ports: ports.rollback(workflow_type)


def retiring(workflow_type: str) -> Verb:
    """The unit that retires a type."""
    return lambda ports: ports.retire(workflow_type)


def unloading(workflow_type: str, content_hash: str) -> Verb:
    """The unit that unloads a version."""
    return lambda ports: ports.unload(workflow_type, content_hash)


def ledger(units: Packages, workflow_type: str) -> list[AuditRow]:
    """The audit rows of a type, oldest first."""
    return units.run(lambda ports: ports.audit.list(subject=workflow_type)).items[::-1]


def _act_and_fail(verb: Verb, ports: PackagePorts) -> None:
    verb(ports)
    raise Thrown


def _everything(units: Packages) -> tuple[list[PackageRecord], list[Pair], list[AuditRow]]:
    return packages(units), routes(units), ledger(units, "sample")
