"""The flow store beyond its contract: who waits for whom, and what a page costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from holdfast import Handle, Holdfast, workflow
from holdfast.errors import InvalidId, InvalidInput
from holdfast.flows import FlowStatus, FlowStore, SqlFlowStore, StepStatus
from holdfast.flows.errors import AlreadyTerminal
from holdfast.store import Store, Transaction, open_store
from holdfast.testing import StoreUnits, UnitRunner
from holdfast.testing.flows.samples import add_flow, add_step, make_flow, make_step
from tests.threads import aside

Units = UnitRunner[FlowStore]


def test_a_step_waits_for_the_flow_that_is_ending(postgres_url: str) -> None:
    """FL-14: a flow that is being ended refuses a step at once afterwards, not only once the writer is done."""
    with open_store(postgres_url) as store:
        units: Units = StoreUnits(store, SqlFlowStore)
        flow = add_flow(units, status=FlowStatus.RUNNING)
        step = add_step(units, flow.id, "run")
        refused: list[str] = []

        def late() -> None:
            for write in (
                lambda flows: flows.update_step(replace(step, status=StepStatus.SUCCEEDED)),
                lambda flows: flows.insert_step(make_step(flow.id, "late")),
            ):
                try:
                    units.run(write)
                except AlreadyTerminal as error:
                    refused.append(error.status)

        thread = Thread(target=late)

        def end(tx: Transaction) -> None:
            SqlFlowStore(tx).update_with_revision(replace(flow, status=FlowStatus.FINISHED))
            thread.start()
            while not waiting_for_a_lock(store):
                assert thread.is_alive(), "the step was written while its flow was being ended"

        store.run(end)
        thread.join()
        assert refused == ["finished", "finished"]


def waiting_for_a_lock(store: Store) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR SHARE OF f%'"
    return bool(aside(lambda: store.read(lambda tx: tx.fetch(query))))


def test_unrelated_flows_do_not_wait_for_each_other(postgres_url: str) -> None:
    """Two units that change different flows run side by side: the inner one ends while the outer one is open."""
    with open_store(postgres_url) as store:
        left, right = make_flow(), make_flow()
        for flow in (left, right):
            store.run(lambda tx, flow=flow: SqlFlowStore(tx).insert(flow))

        def outer(tx: Transaction) -> int:
            SqlFlowStore(tx).update_with_revision(left)
            return aside(lambda: store.run(lambda inner: SqlFlowStore(inner).update_with_revision(right))).revision

        assert store.run(outer) == 1


@workflow
async def answer() -> int:
    return 42


def test_a_start_that_cannot_be_stored_costs_no_other_start(store_url: str) -> None:
    """FL-18: starts that wait together are inserted together; a refused one is refused alone."""

    async def main() -> list[object]:
        async with Holdfast(store_url, workflows=[answer], worker=False) as hf:
            odd = [{}, {"owner": "a\0b"}, {"goal": "\ud800"}, {"key": "k"}, {"owner": "é 😀"}]
            return await asyncio.gather(*(hf.astart(answer, **fields) for fields in odd), return_exceptions=True)

    kinds = [type(started) for started in asyncio.run(main())]
    assert kinds == [Handle, InvalidInput, InvalidInput, Handle, Handle]


@pytest.mark.parametrize("wrong", ["", "x", "'; --", None, 7, UUID(int=0)])
def test_what_is_no_id_is_refused_alike_on_every_database(store_url: str, wrong: Any) -> None:
    with open_store(store_url) as store:
        for ask in (
            lambda flows: flows.get(wrong),
            lambda flows: flows.get_step(wrong),
            lambda flows: flows.find_step_by_run_id(wrong, "run"),
            lambda flows: flows.list_events(wrong),
            lambda flows: flows.list_steps(wrong),
            lambda flows: flows.append_event(wrong, "kind", {}),
            lambda flows: flows.insert(make_flow(id=wrong)),
        ):
            with pytest.raises(InvalidId):
                store.run(lambda tx, ask=ask: ask(SqlFlowStore(tx)))
