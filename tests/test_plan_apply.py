"""Plans and the routing table where a suite for any backend cannot reach: edited rows, waiting for locks, actors."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread
from typing import Any

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.errors import InvalidId, InvalidInput
from holdfast.gateway import RouteSet, SqlRoutingTable
from holdfast.gateway.errors import AmbiguousRoutes, RoutesCorrupt, RoutesLost, RoutesMoved
from holdfast.gateway.manager import replace_routes
from holdfast.plans import PlanStatus, SqlPlanStore, apply_plan, propose_plan, revert_plan
from holdfast.plans.errors import (
    DigestMismatch,
    InvalidPlan,
    InvalidState,
    PlanDamaged,
    PlanExists,
    PlanNotFound,
    StalePlan,
)
from holdfast.store import Store, Transaction, WrongHandle, open_store
from holdfast.testing.plans.samples import STRONG, make_plan, make_route, make_set
from tests.threads import aside


def live(store: Store) -> RouteSet:
    return store.read(lambda tx: SqlRoutingTable(tx).current())


def rows(store: Store) -> int:
    return store.read(lambda tx: SqlAuditLog(tx).head()).seq


def test_who_applied_is_on_record(store_url: str) -> None:
    with open_store(store_url) as store:
        plan = store.run(lambda tx: propose_plan(tx, make_set("new"), projection={"savings": 0.25}))
        done = store.run(lambda tx: apply_plan(tx, plan.id, reviewed=plan.digest), actor="ann")
        again = store.run(lambda tx: apply_plan(tx, plan.id), actor="bob")
        undone = store.run(lambda tx: revert_plan(tx, plan.id), actor="cat")
        assert (done.actor, again.actor, undone.actor) == ("ann", "ann", "cat")
        assert (done.repeated, again.repeated, undone.repeated) == (False, True, False)
        assert (done.revision, undone.revision) == (1, 2)


def test_an_actor_that_cannot_be_stored_applies_nothing(store_url: str) -> None:
    """PL-6: the row is refused last of all, and takes everything back with it."""
    with open_store(store_url) as store:
        plan = store.run(lambda tx: propose_plan(tx, make_set("new")))
        with pytest.raises(InvalidInput):
            store.run(lambda tx: apply_plan(tx, plan.id), actor="a\0b")
        assert live(store).revision == rows(store) == 0
        assert store.read(lambda tx: SqlPlanStore(tx).get(plan.id)) == plan


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE plan_runs SET result = replace(result, 'small-1', 'large-9')",
        "UPDATE plan_runs SET result = replace(result, '0.25', '0.75')",
        "UPDATE plan_runs SET base_revision = 1",
        "UPDATE plan_runs SET digest = 'x'",
    ],
)
def test_an_edited_plan_is_not_applied(store_url: str, edit: str) -> None:
    with open_store(store_url) as store:
        plan = store.run(lambda tx: propose_plan(tx, make_set("new"), projection={"savings": 0.25}))
        assert store.run(lambda tx: tx.execute(edit)) == 1
        with pytest.raises(DigestMismatch):
            store.run(lambda tx: apply_plan(tx, plan.id))
        assert live(store).revision == rows(store) == 0


@pytest.mark.parametrize(
    "edit", ["result = '{'", "result = '[]'", "status = 'done'", "created_at = 999999999999999999"]
)
def test_a_plan_that_does_not_read_back_says_so(store_url: str, edit: str) -> None:
    with open_store(store_url) as store:
        plan = store.run(lambda tx: propose_plan(tx, make_set("new")))
        store.run(lambda tx: tx.execute(f"UPDATE plan_runs SET {edit}"))
        for act in (lambda tx: apply_plan(tx, plan.id), lambda tx: SqlPlanStore(tx).list()):
            with pytest.raises(PlanDamaged, match=str(plan.id)):
                store.run(act)


def test_a_repeated_call_is_answered_from_what_was_applied(store_url: str) -> None:
    """PL-5: neither an edited plan nor an edited audit row passes for the proof of what was reviewed."""
    with open_store(store_url) as store:
        plan = store.run(lambda tx: propose_plan(tx, make_set("new")))
        store.run(lambda tx: apply_plan(tx, plan.id))
        store.run(lambda tx: tx.execute("UPDATE plan_runs SET digest = 'x'"))
        with pytest.raises(DigestMismatch):
            store.run(lambda tx: apply_plan(tx, plan.id, reviewed="x"))
        store.run(lambda tx: tx.execute("UPDATE audit_rows SET detail = '{}'"))
        for act in (apply_plan, revert_plan):
            with pytest.raises(InvalidState, match=r"no audit row plan\.applied"):
                store.run(lambda tx, act=act: act(tx, plan.id))


@pytest.mark.parametrize("wrong", ["", "x", None, 7])
def test_what_is_no_id_is_refused_alike_on_every_database(store_url: str, wrong: Any) -> None:
    with open_store(store_url) as store:
        plan = store.run(lambda tx: propose_plan(tx, make_set("new")))
        for act in (apply_plan, revert_plan, lambda tx, given: SqlPlanStore(tx).get(given)):
            with pytest.raises(InvalidId):
                store.run(lambda tx, act=act: act(tx, wrong))
        text: Any = str(plan.id).upper()
        assert store.run(lambda tx: apply_plan(tx, text)).plan_id == plan.id


def test_a_routing_table_that_lost_its_head_says_so(store_url: str) -> None:
    with open_store(store_url) as store:
        store.run(lambda tx: tx.execute("DELETE FROM routing_head"))
        for act in (lambda tx: SqlRoutingTable(tx).current(), lambda tx: replace_routes(tx, make_set("a"))):
            with pytest.raises(RoutesLost):
                store.run(act)


def test_an_edited_inverse_is_not_restored(store_url: str) -> None:
    """PL-9: what is restored is what the audit chain says was live."""
    with open_store(store_url) as store:
        store.run(lambda tx: replace_routes(tx, make_set("old")))
        plan = store.run(lambda tx: propose_plan(tx, make_set("new")))
        store.run(lambda tx: apply_plan(tx, plan.id))
        before = live(store)
        store.run(lambda tx: tx.execute("UPDATE plan_runs SET inverse = replace(inverse, 'small-1', 'large-9')"))
        with pytest.raises(DigestMismatch):
            store.run(lambda tx: revert_plan(tx, plan.id))
        store.run(lambda tx: tx.execute("UPDATE plan_runs SET inverse = NULL"))
        with pytest.raises(InvalidState):
            store.run(lambda tx: revert_plan(tx, plan.id))
        assert (live(store), rows(store)) == (before, 2)


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM gateway_routes WHERE id = 'old-1'",
        "UPDATE gateway_routes SET route = replace(route, 'small-1', 'large-9') WHERE id = 'old-1'",
        "UPDATE gateway_routes SET route = '{' WHERE id = 'old-1'",
    ],
)
def test_routes_edited_by_hand_are_not_served(store_url: str, edit: str) -> None:
    with open_store(store_url) as store:
        store.run(lambda tx: replace_routes(tx, make_set("old")))
        recorded = live(store).digest
        plan = store.run(lambda tx: propose_plan(tx, make_set("new")))
        assert store.run(lambda tx: tx.execute(edit)) == 1
        with pytest.raises(RoutesCorrupt) as caught:
            live(store)
        assert (caught.value.revision, caught.value.recorded) == (1, recorded)
        with pytest.raises(RoutesCorrupt):
            store.run(lambda tx: apply_plan(tx, plan.id))
        mended = store.run(lambda tx: replace_routes(tx, make_set("old")))
        assert (mended, mended.revision, mended.digest) == (live(store), 2, recorded)


def test_routes_are_replaced_without_a_plan(store_url: str) -> None:
    with open_store(store_url) as store:
        first = store.run(lambda tx: replace_routes(tx, make_set("a")), actor="ann")
        assert (first, first.revision) == (live(store), 1)
        with pytest.raises(RoutesMoved):
            store.run(lambda tx: replace_routes(tx, make_set("b"), expected_revision=0))
        with pytest.raises(AmbiguousRoutes):
            store.run(lambda tx: replace_routes(tx, [make_route("a"), make_route("b", target=STRONG)]))
        assert rows(store) == 1
        empty = store.run(lambda tx: replace_routes(tx, [], expected_revision=1))
        (row, _) = store.read(lambda tx: SqlAuditLog(tx).list()).items
        told = {"revision": 2, "routes_before": first.digest, "routes_after": empty.digest}
        assert (row.act, row.subject, row.detail) == ("routes.replaced", "gateway", told)


def test_a_plan_is_proposed_once(store_url: str) -> None:
    with open_store(store_url) as store:
        plan = store.run(lambda tx: propose_plan(tx, make_set("a")))
        with pytest.raises(PlanExists):
            store.run(lambda tx: propose_plan(tx, make_set("b"), id=plan.id))
        early = store.run(lambda tx: propose_plan(tx, make_set("c"), base_revision=7))
        with pytest.raises(StalePlan):
            store.run(lambda tx: apply_plan(tx, early.id))
        assert store.read(lambda tx: SqlPlanStore(tx).list()).items == [early, plan]


def test_errors_of_plans_have_their_families() -> None:
    codes = {kind.code for kind in (PlanNotFound, InvalidState, StalePlan, DigestMismatch, PlanExists)}
    assert codes == {"plan_not_found", "invalid_state", "stale_plan", "digest_mismatch", "plan_exists"}


def test_an_applier_waits_for_the_one_before(postgres_url: str) -> None:
    """PL-7: base_revision is checked under the lock: who waited for it sees what the other has committed, all of it."""
    with open_store(postgres_url) as store:
        plans = [store.run(lambda tx, label=label: propose_plan(tx, make_set(label))) for label in "ab"]
        answers: list[object] = []

        def second() -> None:
            try:
                answers.append(store.run(lambda tx: apply_plan(tx, plans[1].id)))
            except StalePlan as error:
                answers.append((error.base, error.actual))

        thread = Thread(target=second)

        def first(tx: Transaction) -> None:
            apply_plan(tx, plans[0].id)
            thread.start()
            while not waiting_for_a_lock(store):
                assert thread.is_alive(), "the second plan was judged while the first was being applied"

        store.run(first)
        thread.join()
        assert answers == [(0, 1)]


def test_a_locked_read_sees_whole_sets_alone(postgres_url: str) -> None:
    """PL-1: a statement that waits for a lock sees the rest as it was before; locked() must not mix the two."""
    with open_store(postgres_url) as store:
        found: list[RouteSet] = []
        thread = Thread(target=lambda: found.append(store.run(lambda tx: SqlRoutingTable(tx).locked())))

        def change(tx: Transaction) -> None:
            SqlRoutingTable(tx).replace_routes(make_set("new"))
            thread.start()
            while not waiting_for_a_lock(store):
                assert thread.is_alive(), "the table was read while it was being changed"

        store.run(change)
        thread.join()
        assert found == [live(store)]


def test_reviewers_do_not_wait(postgres_url: str) -> None:
    """Reading plans and routes waits for nobody who is applying."""
    with open_store(postgres_url) as store:
        plan = store.run(lambda tx: propose_plan(tx, make_set("new")))

        def applying(tx: Transaction) -> None:
            apply_plan(tx, plan.id)
            assert aside(lambda: live(store)).revision == 0
            found = aside(lambda: store.run(lambda inner: SqlPlanStore(inner).get(plan.id)))
            assert found is not None
            assert found.status is PlanStatus.PROJECTED

        store.run(applying)
        assert live(store).revision == 1


def waiting_for_a_lock(store: Store) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%routing_head FOR UPDATE%'"
    return bool(aside(lambda: store.read(lambda tx: tx.fetch(query))))


@pytest.mark.parametrize("revision", [-1, True, 1.0, "1"])
def test_a_plan_is_made_for_a_revision_that_a_table_can_have(store_url: str, revision: Any) -> None:
    with open_store(store_url) as store:
        with pytest.raises(InvalidPlan, match="revision"):
            store.run(lambda tx: propose_plan(tx, make_set("new"), base_revision=revision))
        plan = replace(make_plan(0, make_set("new")), base_revision=revision)
        with pytest.raises(InvalidPlan, match="revision"):
            store.run(lambda tx: SqlPlanStore(tx).insert(plan))
        assert store.read(lambda tx: SqlPlanStore(tx).list()).items == []


def test_a_store_where_a_transaction_is_due_is_told(store_url: str) -> None:
    with open_store(store_url) as store:
        plan = store.run(lambda tx: propose_plan(tx, make_set("new")))
        acts: list[Any] = [
            lambda: propose_plan(store, make_set("new")),  # type: ignore[arg-type]
            lambda: propose_plan(store, make_set("new"), base_revision=0),  # type: ignore[arg-type]
            lambda: apply_plan(store, plan.id),  # type: ignore[arg-type]
            lambda: revert_plan(store, plan.id),  # type: ignore[arg-type]
            lambda: replace_routes(store, []),  # type: ignore[arg-type]
        ]
        for act in acts:
            with pytest.raises(WrongHandle, match=r"not Store\. .*store\.run"):
                act()
        assert rows(store) == 0
