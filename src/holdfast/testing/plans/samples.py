"""The suite of plans, and the routes and plans its checks are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from threading import Thread
from typing import Any, NoReturn, TypeVar
from uuid import UUID, uuid4

from holdfast.audit import AuditLog, AuditRow, Head
from holdfast.errors import HoldfastError
from holdfast.gateway import Conditions, Route, RouteSet, RoutingTable, Target
from holdfast.plans import PlanPorts, PlanRun, PlanStatus, PlanStore, new_plan
from holdfast.testing.conformance import Suite, expect, expect_equal, expect_raises
from holdfast.testing.shapes import parts_of, units_of
from holdfast.testing.units import UnitRunner

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)
Plans = UnitRunner[PlanPorts]
Act = Callable[[PlanPorts], object]

suite: Suite[Plans] = Suite(
    "PlanStore",
    units_of(
        "Yield StoreUnits(store, make), where make(tx) gives PlanPorts: PlanPorts.over, or"
        " PlanPorts(your_plans, your_routes, your_audit_log, tx.clock), of holdfast.plans.",
        *parts_of(PlanStore, "plans"),
        *parts_of(RoutingTable, "routes"),
        *parts_of(AuditLog, "audit"),
        "clock",
        "apply",
        "revert",
    ),
)
LONG_AGO = datetime(2024, 5, 1, 12, 30, 15, 123457, tzinfo=UTC)
CHEAP = Target(provider="mill", model="small-1")
STRONG = Target(provider="forge", model="large-9")


class OutOfPaper(HoldfastError):
    """An audit log that takes no more."""

    code = "out_of_paper"


class RefusingAudit:
    """An audit log whose rows can be read, and which takes none."""

    def __init__(self, ports: PlanPorts) -> None:
        self._audit = ports.audit

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> NoReturn:
        raise OutOfPaper("No row can be added.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._audit, name)


def make_route(route_id: str, *, priority: int = 0, target: Target = CHEAP, **when: Any) -> Route:
    """A route; ``when`` are its conditions."""
    return Route(id=route_id, priority=priority, when=Conditions(**when), target=target)


def make_set(label: str, size: int = 3) -> list[Route]:
    """Routes that bear ``label`` and exclude each other."""
    return [make_route(f"{label}-{number}", model=f"{label}-{number}-*") for number in range(size)]


def make_plan(base_revision: int = 0, routes: Iterable[Route] = (), **fields: Any) -> PlanRun:
    """A projected plan of long ago."""
    wanted: dict[str, Any] = {"created_at": LONG_AGO, "id": uuid4()}
    return new_plan(base_revision, routes, **wanted | fields)


def insert(units: Plans, plan: PlanRun) -> PlanRun:
    """Insert in a unit of its own."""
    units.run(lambda ports: ports.plans.insert(plan))
    return plan


def add_plan(units: Plans, routes: Iterable[Route]) -> PlanRun:
    """Insert a plan against what is live."""
    return insert(units, make_plan(live(units).revision, routes))


def apply(units: Plans, plan: PlanRun) -> Any:
    """Apply in a unit of its own."""
    return units.run(lambda ports: ports.apply(plan.id))


def revert(units: Plans, plan: PlanRun) -> Any:
    """Revert in a unit of its own."""
    return units.run(lambda ports: ports.revert(plan.id))


def replace_live(units: Plans, routes: Iterable[Route]) -> int:
    """Put routes live in a unit of its own, without a plan."""
    return units.run(lambda ports: ports.routes.replace_routes(list(routes)))


def marking(plan_id: UUID, routes: Iterable[Route] = ()) -> Callable[[PlanPorts], PlanStatus | None]:
    """The unit that marks a plan as applied."""
    return lambda ports: ports.plans.mark_applied(plan_id, LONG_AGO, list(routes))


def live(units: Plans) -> RouteSet:
    """What is live."""
    return units.run(lambda ports: ports.routes.current())


def ids(routes: Iterable[Route]) -> list[str]:
    """Their ids, sorted."""
    return sorted(route.id for route in routes)


def present(units: Plans, plan: PlanRun) -> PlanRun:
    """The plan as the store has it, which must be there."""
    found = units.run(lambda ports: ports.plans.get(plan.id))
    expect(found is not None, f"the plan {plan.id} is not there")
    assert found is not None
    return found


def audit_rows(units: Plans, plan: PlanRun) -> list[AuditRow]:
    """What the audit log has of a plan, newest first."""
    return units.run(lambda ports: ports.audit.list(subject=str(plan.id))).items


def everything(units: Plans) -> tuple[RouteSet, list[PlanRun], Head]:
    """The routing table, all plans and the end of the audit chain."""
    return units.run(lambda ports: (ports.routes.current(), ports.plans.list().items, ports.audit.head()))


def expect_refused(units: Plans, kind: type[E], what: str, act: Act) -> E:
    """The error that ``act`` must raise. It leaves nothing, even in a unit that survives it and is committed."""
    before = everything(units)
    error = units.run(lambda ports: expect_raises(kind, what, lambda: act(ports)))
    expect_equal(everything(units), before, f"all there is after {what}")
    return error


def in_every_status(units: Plans) -> dict[PlanStatus, PlanRun]:
    """A plan of each status; what is live in the end is the set ``live``."""
    plans = {PlanStatus.REVERTED: add_plan(units, make_set("reverted"))}
    apply(units, plans[PlanStatus.REVERTED])
    revert(units, plans[PlanStatus.REVERTED])
    plans[PlanStatus.APPLIED] = add_plan(units, make_set("live"))
    apply(units, plans[PlanStatus.APPLIED])
    plans[PlanStatus.PROJECTED] = add_plan(units, make_set("projected"))
    plans[PlanStatus.FAILED] = failed_plan(live(units).revision)
    insert(units, plans[PlanStatus.FAILED])
    return plans


def failed_plan(base_revision: int) -> PlanRun:
    """A plan whose replay failed."""
    made = make_plan(base_revision, make_set("failed"))
    return PlanRun(
        id=made.id,
        status=PlanStatus.FAILED,
        base_revision=made.base_revision,
        digest=made.digest,
        result=made.result,
        error={"kind": "ReplayFailed", "detail": "no traffic"},
        created_at=made.created_at,
    )


def at_once(acts: Iterable[Callable[[], T]]) -> list[T | Exception]:
    """Call each in a thread of its own, all together; their answers or errors, in order."""
    calls = list(acts)
    answers: list[Any] = [None] * len(calls)

    def call(place: int) -> None:
        try:
            answers[place] = calls[place]()
        except Exception as error:
            answers[place] = error

    threads = [Thread(target=call, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
