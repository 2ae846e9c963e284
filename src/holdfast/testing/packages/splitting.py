"""Checks of the verb ``split``, and of what the other verbs do to a split: PK-13."""

from __future__ import annotations

import math
from typing import Any

from holdfast.packages.errors import (
    InvalidPackage,
    InvalidSplit,
    NothingToRollBack,
    PackageNotFound,
    PackageRouteNotFound,
    RouteActive,
)
from holdfast.testing.conformance import expect, expect_equal
from holdfast.testing.packages.samples import (
    HASHES,
    Packages,
    caught,
    make,
    point,
    routes,
    split_of,
    suite,
    version,
)
from holdfast.testing.packages.verbs import (
    Verb,
    deploying,
    ledger,
    retiring,
    rolling_back,
    routing,
    unloading,
)

OLD, NEW = make(archive=b"old"), make(archive=b"new")
_NO_PERCENTAGES: list[Any] = [-0.01, 100.01, 1e9, 12.345, 0.001, math.nan, math.inf, -math.inf, "10", None, True, [10]]


@suite.check
def split_is_one_row(units: Packages) -> None:
    """PK-13: split sends a share beside the route, which stays; it is one audit row with version and percentage."""
    _deploy_both(units)
    for percent, share in ((10, 1000), (12.5, 1250), (33.33, 3333), (0.01, 1), (99.99, 9999), (100, 10_000)):
        before = split_of(units)
        row = units.run(splitting(NEW.content_hash, percent))
        expect_equal(split_of(units), (NEW.content_hash, share), f"the split after {percent} per cent")
        expect_equal(routes(units), [version(OLD)], "the route beside the split")
        known = {"version": NEW.content_hash, "percent": percent}
        expect_equal((row.act, row.subject), ("package.split", "sample"), "act and subject")
        expect_equal(row.detail, _stays | known | _ended(before), "the detail")
        expect_equal(ledger(units, "sample")[-1], row, "the row that split returns, against the ledger's")
    units.run(splitting(NEW.content_hash, 0))
    expect_equal((split_of(units), routes(units)), (None, [version(OLD)]), "split and route after 0 per cent")


@suite.check
def no_share_is_nothing_to_end(units: Packages) -> None:
    """PK-13: 0 per cent of a version that has no share is no act: no error, no row, and another's share stays."""
    _deploy_both(units)
    units.run(splitting(NEW.content_hash, 10))
    rows = ledger(units, "sample")
    for content_hash in (OLD.content_hash, HASHES[1]):
        expect_equal(units.run(splitting(content_hash, 0)), None, "what ending no share returns")
    expect_equal(split_of(units), (NEW.content_hash, 1000), "the split")
    expect_equal(ledger(units, "sample"), rows, "the ledger")


@suite.check
def refused_splits_change_nothing(units: Packages) -> None:
    """PK-13: what is no percentage, not deployed or not routed is refused, and nothing is changed."""
    _deploy_both(units)
    units.run(splitting(NEW.content_hash, 10))
    rows = ledger(units, "sample")
    refused: list[tuple[type[Exception], Verb]] = [
        *((InvalidSplit, splitting(NEW.content_hash, percent)) for percent in _NO_PERCENTAGES),
        (InvalidSplit, splitting(OLD.content_hash, 10)),
        (PackageNotFound, splitting(HASHES[1], 10)),
        (InvalidPackage, splitting("abc", 10)),
        (PackageRouteNotFound, lambda ports: ports.split("other", NEW.content_hash, 10)),
        (InvalidPackage, lambda ports: ports.split("", NEW.content_hash, 10)),
    ]
    for number, (kind, verb) in enumerate(refused):
        units.run(caught(kind, f"refusal {number}", verb))
        expect_equal(split_of(units), (NEW.content_hash, 1000), f"the split after refusal {number}")
        expect_equal(routes(units), [version(OLD)], f"the route after refusal {number}")
        expect_equal(ledger(units, "sample"), rows, f"the ledger after refusal {number}")


@suite.check
def split_version_stays(units: Packages) -> None:
    """PK-8: a version that a split sends flows to cannot be unloaded, as little as the route's own."""
    _deploy_both(units)
    units.run(splitting(NEW.content_hash, 0.01))
    for record in (OLD, NEW):
        units.run(caught(RouteActive, "unloading what new flows start on", unloading(*version(record))))
    units.run(splitting(NEW.content_hash, 0))
    expect(units.run(unloading(*version(NEW))) is not None, "after the split the version cannot be unloaded")


@suite.check
def other_verbs_end_the_split(units: Packages) -> None:
    """PK-13: deploy, re-route and retirement end the split, and say so in their rows."""
    third = make(archive=b"third")
    for verb in (deploying(third), routing("sample", OLD.content_hash), retiring("sample")):
        _deploy_both(units)
        units.run(splitting(NEW.content_hash, 10))
        row = units.run(verb)
        expect_equal(split_of(units), None, f"the split after {row.act}")
        told = {"version": NEW.content_hash, "percent": 10}
        expect_equal(row.detail.get("ended_split"), told, f"what {row.act} says of the split")
        expect_equal(row.detail["from"], OLD.content_hash, f"from where {row.act} comes")


@suite.check
def rollback_undoes_the_split(units: Packages) -> None:
    """PK-13: rolling back where there is a split ends it, and the route stays; the next one goes further back."""
    first = make(archive=b"first")
    units.run(deploying(first))
    _deploy_both(units)
    units.run(splitting(NEW.content_hash, 10))
    row = units.run(rolling_back("sample"))
    expect_equal((split_of(units), routes(units)), (None, [version(OLD)]), "split and route after a roll-back")
    expect_equal((row.detail["from"], row.detail["to"]), (OLD.content_hash, OLD.content_hash), "from and to of its row")
    for wanted in (NEW, OLD, first):
        units.run(rolling_back("sample"))
        expect_equal(routes(units), [version(wanted)], "the route after another roll-back")
    units.run(caught(NothingToRollBack, "a roll-back past the first version", rolling_back("sample")))


@suite.check
def rollback_undoes_a_split_beside_the_ledger(units: Packages) -> None:
    """PK-13: also where no row of the ledger made the route."""
    units.run(deploying(NEW))
    point(units, "sample", HASHES[1])
    units.run(splitting(NEW.content_hash, 10))
    units.run(rolling_back("sample"))
    expect_equal((split_of(units), routes(units)), (None, [("sample", HASHES[1])]), "split and route after a roll-back")


_stays = {"from": OLD.content_hash, "to": OLD.content_hash}


def splitting(content_hash: str, percent: Any) -> Verb:
    """The unit that splits off a share to a version."""
    return lambda ports: ports.split("sample", content_hash, percent)


def _deploy_both(units: Packages) -> None:
    """Routed to the old one again."""
    for verb in (deploying(OLD), deploying(NEW), routing("sample", OLD.content_hash)):
        units.run(verb)


def _ended(split: tuple[str, int] | None) -> dict[str, Any]:
    return {} if split is None else {"ended_split": {"version": split[0], "percent": split[1] / 100}}
