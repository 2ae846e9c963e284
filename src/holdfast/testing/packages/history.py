"""Checks of what the audit rows of a type say together: PK-10."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random

from holdfast.audit import AuditRow
from holdfast.errors import Conflict, NotFound
from holdfast.packages.errors import NothingToRollBack, PackageNotFound
from holdfast.testing.conformance import expect, expect_equal
from holdfast.testing.packages.samples import HASHES, Packages, caught, delete, make, point, routes, suite
from holdfast.testing.packages.verbs import (
    Verb,
    deploying,
    ledger,
    retiring,
    rolling_back,
    routing,
    unloading,
)

_DEPLOYERS = 4
_DEPLOYS = 5
_ACTS = 40
_MANY = 120
"""More rows than anybody reads at once."""
_NOWHERE_BACK = caught(NothingToRollBack, "a roll-back past the first version", rolling_back("sample"))


@suite.check
def rollback_goes_further_back(units: Packages) -> None:
    """PK-10: rollback goes to the version routed before, by the ledger; again, to the one before that."""
    _deploy(units, "1234")
    for wanted in "321":
        row = units.run(rolling_back("sample"))
        _expect_route(units, wanted, "after a roll-back")
        expect_equal(row.detail["to"], _hash(wanted), "where the row says that the route went")
    units.run(_NOWHERE_BACK)
    _expect_route(units, "1", "after a refused roll-back")


@suite.check
def rollback_starts_from_the_last_act(units: Packages) -> None:
    """PK-10: after a roll-back, a deploy or a re-route is where the next one starts from; what was rolled back stays
    left out."""
    _deploy(units, "123")
    _roll_back(units, "21")
    _deploy(units, "4")
    _roll_back(units, "1")
    units.run(_NOWHERE_BACK)
    units.run(routing("sample", _hash("3")))
    units.run(routing("sample", _hash("2")))
    _roll_back(units, "31")
    units.run(_NOWHERE_BACK)


@suite.check
def rollback_stops_at_other_versions_only(units: Packages) -> None:
    """PK-10: deploys and re-routes that did not change the version are no stops."""
    _deploy(units, "11222")
    units.run(routing("sample", _hash("2")))
    _roll_back(units, "1")
    units.run(_NOWHERE_BACK)


@suite.check
def rollback_undoes_retirement(units: Packages) -> None:
    """PK-10: a retired type is rolled back to the version it had; retirements in between are no stops."""
    _deploy(units, "1")
    units.run(retiring("sample"))
    _deploy(units, "2")
    units.run(retiring("sample"))
    expect_equal(routes(units), [], "the routes after retirement")
    _roll_back(units, "21")
    units.run(_NOWHERE_BACK)


@suite.check
def rollback_finds_what_the_ledger_last_had(units: Packages) -> None:
    """PK-10: a route that was moved beside the ledger is rolled back to the version the ledger has."""
    _deploy(units, "12")
    point(units, "sample", HASHES[7])
    _roll_back(units, "21")


@suite.check
def rollback_serves_no_other_version(units: Packages) -> None:
    """PK-10: a version that was unloaded since is PackageNotFound, and the route stays; a supplied one, which needs no
    row, is gone back to."""
    units.run(routing("sample", HASHES[3], supplied=True))
    _deploy(units, "123")
    units.run(unloading("sample", _hash("2")))
    rows = ledger(units, "sample")
    for _ in range(2):
        units.run(caught(PackageNotFound, "a roll-back to what is gone", rolling_back("sample")))
    expect_equal(ledger(units, "sample"), rows, "the ledger after refused roll-backs")
    _expect_route(units, "3", "after refused roll-backs")
    units.run(routing("sample", HASHES[3], supplied=True))
    _deploy(units, "4")
    units.run(rolling_back("sample"))
    expect_equal(routes(units), [("sample", HASHES[3])], "the route after a roll-back to a supplied version")


@suite.check
def rollback_is_an_undo(units: Packages) -> None:
    """PK-10: whatever the acts were, a roll-back takes away the newest ones, until another version comes up."""
    chance = Random(11)
    pointed: list[str | None] = []
    for _ in range(_ACTS):
        name = chance.choice("123")
        verb = chance.choice([deploying(make(archive=name.encode())), rolling_back("sample"), retiring("sample")])
        row = _try(units, verb)
        if row and row.act == "package.rolled_back":
            pointed = pointed[: _last_other(pointed)]
        elif row:
            pointed.append(row.detail["to"])
        else:
            expect(
                not pointed or pointed[-1] is None or not _last_other(pointed), "a verb was refused without a reason"
            )
        found = dict(routes(units)).get("sample")
        expect_equal(found, pointed[-1] if pointed else None, "the route")


@suite.check
def rows_make_a_chain(units: Packages) -> None:
    """PK-10: along the rows of a type each ``from`` is the ``to`` of the row before, and the last is the route."""
    chance = Random(7)
    for _ in range(_ACTS):
        name = chance.choice("123")
        verbs: list[Verb] = [
            deploying(make(archive=name.encode())),
            routing("sample", _hash(name)),
            rolling_back("sample"),
            retiring("sample"),
            unloading("sample", _hash(name)),
        ]
        _try(units, chance.choice(verbs))
    _expect_chain(units)


@suite.check
def concurrent_deploys_make_a_chain(units: Packages) -> None:
    """PK-10: deploys of one type that race, from its very first on, contradict each other in no row, and the last row
    is the route."""

    def deploy_some(deployer: int) -> None:
        for number in range(_DEPLOYS):
            units.run(deploying(make(archive=bytes([deployer, number]))))

    with ThreadPoolExecutor(_DEPLOYERS) as pool:
        list(pool.map(deploy_some, range(_DEPLOYERS)))
    rows = _expect_chain(units)
    expect_equal(len(rows), _DEPLOYERS * _DEPLOYS, "the number of rows")
    wanted = {
        make(archive=bytes([who, number])).content_hash for who in range(_DEPLOYERS) for number in range(_DEPLOYS)
    }
    expect_equal({row.detail["to"] for row in rows}, wanted, "the versions that the rows name")


@suite.check
def racing_verbs_leave_a_route_that_exists(units: Packages) -> None:
    """PK-10: re-routes to a version and unloads of it that race never leave the route at a version that is gone."""
    _deploy(units, "12")

    def swing(name: str) -> None:
        for _ in range(_DEPLOYS):
            _try(units, routing("sample", _hash(name)))
            _try(units, unloading("sample", _hash("1" if name == "2" else "2")))
            _try(units, deploying(make(archive=b"1" if name == "2" else b"2")))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(swing, "12"))
    ((_, content_hash),) = routes(units)
    there = units.run(lambda ports: ports.packages.has_package("sample", content_hash))
    expect(there, "the route points at a version that was unloaded")
    _expect_chain(units)


@suite.check
def ledger_ignores_other_rows(units: Packages) -> None:
    """PK-10: rows of other acts on a subject of that name, and deletions beside the ledger, mislead no
    roll-back."""
    _deploy(units, "12")
    units.run(lambda ports: ports.audit.append("schedule.paused", "sample", {"to": HASHES[9]}))
    delete(units, "sample", HASHES[9])
    _roll_back(units, "1")


@suite.check
def rollback_reads_a_long_ledger(units: Packages) -> None:
    """PK-10: rollback goes back however many acts ago the version changed."""
    _deploy(units, "1")
    units.run(lambda ports: [ports.deploy(make(archive=b"2")) for _ in range(_MANY)])
    _roll_back(units, "1")


def _hash(name: str) -> str:
    return make(archive=name.encode()).content_hash


def _deploy(units: Packages, names: str) -> None:
    for name in names:
        units.run(deploying(make(archive=name.encode())))


def _roll_back(units: Packages, names: str) -> None:
    for name in names:
        units.run(rolling_back("sample"))
        _expect_route(units, name, f"after a roll-back to {name}")


def _expect_route(units: Packages, name: str, when: str) -> None:
    expect_equal(routes(units), [("sample", _hash(name))], f"the route {when}")


def _last_other(pointed: list[str | None]) -> int:
    """How many acts are left when the newest are taken away until another version comes up; 0 where none does."""
    return next((n for n in range(len(pointed), 0, -1) if pointed[n - 1] not in (None, pointed[-1])), 0)


def _try(units: Packages, verb: Verb) -> AuditRow | None:
    """Run a verb that the present state may refuse; the row of its act."""
    try:
        return units.run(verb)  # type: ignore[no-any-return]
    except (Conflict, NotFound):
        return None


def _expect_chain(units: Packages) -> list[AuditRow]:
    rows = ledger(units, "sample")
    pointed = None
    for row in rows:
        expect_equal(row.detail["from"], pointed, f"from where the row {row.seq} ({row.act}) comes")
        pointed = row.detail["to"]
    expect_equal(dict(routes(units)).get("sample"), pointed, "the route, against the last row")
    return rows
