"""FL-13: flows that flows start, on every database."""

from __future__ import annotations

from uuid import UUID

import pytest

from holdfast import FlowCancelled, FlowFailed, Holdfast, step, workflow
from holdfast.flows import FlowStatus, SqlFlowStore
from holdfast.flows.children import run_child, start_child
from holdfast.flows.combining import map_steps
from holdfast.flows.errors import StartRefused
from holdfast.flows.waiting import wait_for_event
from tests.waiting_kit import until


@step
async def square(number: int) -> int:
    if number < 0:
        raise ValueError("no squares of debts")
    return number * number


@workflow(name="children.squared")
async def squared(number: int) -> int:
    return await square(number)


@workflow(name="children.endless")
async def endless(name: str) -> str:
    return str(await wait_for_event("never", name))


@workflow(name="children.sum_of_squares")
async def sum_of_squares(count: int) -> int:
    return sum(await map_steps(lambda number: run_child(squared, number), range(count)))


@workflow(name="children.careful")
async def careful(number: int) -> str:
    try:
        return str(await run_child(squared, number))
    except FlowFailed as error:
        return f"failed: {error.detail}"


@workflow(name="children.leaving")
async def leaving(policy: str) -> str:
    child = await start_child(endless, policy, parent_close=policy)
    return str(child.id)


@workflow(name="children.clinging")
async def clinging() -> str:
    child = await start_child(endless, "clinging")
    return await child


@workflow(name="children.own_parent")
async def own_parent(id: str) -> str:
    try:
        await start_child(own_parent, "x", id=UUID(id))
    except StartRefused as error:
        return error.kind
    return "a cycle was let through"


@workflow(name="children.watches")
async def watches(child: UUID) -> str:
    return "unused"


@workflow(name="children.nests")
async def nests(depth: int) -> str:
    try:
        return await run_child(nests, depth + 1)
    except (StartRefused, FlowFailed) as error:
        return f"{error.detail}" if depth else f"ended: {error.detail or error.kind}"


@pytest.mark.parametrize("park_after", [0.0, 5.0], ids=["parked", "resident"])
def test_a_fan_out_and_its_sum(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        assert hf.start(sum_of_squares, 50).result(timeout=60) == sum(n * n for n in range(50))


def test_a_parent_hears_of_failure(store_url: str) -> None:
    with Holdfast(store_url) as hf:
        assert "no squares of debts" in hf.start(careful, -1).result(timeout=20)
        assert hf.start(careful, 3).result(timeout=20) == "9"


@pytest.mark.parametrize(("policy", "status"), [("cancel", FlowStatus.CANCELLED), ("abandon", FlowStatus.WAITING)])
def test_what_becomes_of_children_at_the_end(store_url: str, policy: str, status: FlowStatus) -> None:
    with Holdfast(store_url, park_after=0.0) as hf:
        child = hf.handle(hf.start(leaving, policy).result(timeout=20))
        until(lambda: child.flow().status is status)


def test_cancelling_a_parent_reaches_its_child(store_url: str) -> None:
    with Holdfast(store_url, park_after=0.0) as hf:
        handle = hf.start(clinging)
        until(lambda: handle.flow().status is FlowStatus.WAITING)
        hf.cancel(handle.id)
        with pytest.raises(FlowCancelled):
            handle.result(timeout=20)
        statuses = [FlowStatus.CANCELLED, FlowStatus.CANCELLED]
        until(lambda: [flow.status for flow in hf.store.read(lambda tx: SqlFlowStore(tx).list_all()).items] == statuses)


def test_a_cancelled_child_is_told_to_its_parent(store_url: str) -> None:
    @workflow
    async def tolerant() -> str:
        child = await start_child(endless, "tolerant")
        try:
            return await child
        except FlowCancelled as error:
            return f"{error.flow_id == child.id}"

    with Holdfast(store_url, workflows=[tolerant, endless], park_after=0.0) as hf:
        handle = hf.start(tolerant)
        until(lambda: len(hf.store.read(lambda tx: SqlFlowStore(tx).list_all()).items) == 2)
        (child,) = [
            flow
            for flow in hf.store.read(lambda tx: SqlFlowStore(tx).list_all()).items
            if flow.workflow_type == "children.endless"
        ]
        hf.cancel(child.id)
        assert handle.result(timeout=20) == "True"


def test_a_cycle_of_children_is_refused(store_url: str) -> None:
    flow_id = "01890000-0000-7000-8000-0000000000aa"
    with Holdfast(store_url) as hf:
        assert hf.start(own_parent, flow_id, id=flow_id).result(timeout=20).endswith("ChildCycle")


def test_children_do_not_nest_without_end(sqlite_url: str) -> None:
    with Holdfast(sqlite_url, park_after=0.0) as hf:
        assert "nested" in hf.start(nests, 0).result(timeout=60)


def test_children_by_the_thousand(sqlite_url: str) -> None:
    with Holdfast(sqlite_url) as hf:
        assert hf.start(sum_of_squares, 2000).result(timeout=100) == sum(n * n for n in range(2000))
