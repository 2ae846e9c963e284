"""Bad input: a clear error that names the remedy, with the flow still recoverable and nothing half-written."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from holdfast import FlowHalted, Holdfast, Transaction, step, workflow
from holdfast.errors import InvalidId, InvalidInput, NotSerialisable, PayloadTooLarge, StoreUnreachable
from holdfast.flows import FlowStatus
from holdfast.flows.errors import FlowExists, FlowNotFound, InvalidArguments, NotAWorkflow, ResultPending, UseAwait
from holdfast.ids import new_id
from tests.fleet import rows
from tests.half_way import SECONDS, add, echo, sound

# -- values ---------------------------------------------------------------------------------------------------


class Opaque:
    """Has no JSON form."""


@dataclass
class Measurement:
    value: float


@step
async def opaque() -> Any:
    return Opaque()


@step
async def not_a_number() -> Any:
    return {"deep": [1.0, float("nan")]}


@step
async def infinite() -> float:
    return float("inf")


@step
async def wrong_type() -> int:
    return "text"  # type: ignore[return-value]


@step
async def large() -> str:
    return "x" * 5000


@step
def large_in_a_transaction(tx: Transaction) -> str:
    tx.execute("CREATE TABLE must_not_stay (number integer)")
    return "x" * 5000


@step
async def circular() -> Any:
    found: list[Any] = []
    found.append(found)
    return found


UNRECORDABLE = {
    opaque: "NotSerialisable",
    not_a_number: "NotSerialisable",
    infinite: "NotSerialisable",
    wrong_type: "NotSerialisable",
    circular: "NotSerialisable",
    large: "PayloadTooLarge",
    large_in_a_transaction: "PayloadTooLarge",
}


@pytest.mark.parametrize("bad", UNRECORDABLE, ids=lambda bad: bad.name)
def test_a_result_that_cannot_be_recorded_halts_that_flow_alone(bad: Any, store_url: str) -> None:
    mended = threading.Event()

    @workflow(name="returns_badly")
    async def returns_badly() -> Any:
        first = await add(1, 2)
        return [first, await add(1, 1) if mended.is_set() else await bad()]

    with Holdfast(store_url, workflows=[returns_badly, sound], max_payload_bytes=1000) as hf:
        handle = hf.start(returns_badly)
        with pytest.raises(FlowHalted) as halted:
            handle.result(timeout=SECONDS)
        assert halted.value.kind == f"holdfast.errors.{UNRECORDABLE[bad]}"
        assert bad.name in halted.value.detail
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7
        assert [row[0] for row in rows(hf, "SELECT run_id FROM steps WHERE flow = 1")] == ["add#1@1"]
        mended.set()
        hf.resume(handle.id)
        assert handle.result(timeout=SECONDS) == [3, 2]
        hf.store.run(lambda tx: tx.execute("CREATE TABLE must_not_stay (number integer)"))


@pytest.mark.parametrize("value", [Opaque(), float("nan"), "x" * 5000], ids=["opaque", "nan", "large"])
def test_a_workflows_own_bad_values_halt_it(value: Any, sqlite_url: str) -> None:
    @workflow(name="hands_over")
    async def hands_over() -> None:
        await echo(value)

    @workflow(name="returns")
    async def returns() -> Any:
        await add(1, 2)
        return value

    with Holdfast(sqlite_url, workflows=[hands_over, returns], max_payload_bytes=1000) as hf:
        for bad, what in ((hands_over, "An argument of echo"), (returns, "The result of returns")):
            with pytest.raises(FlowHalted, match=what) as halted:
                hf.start(bad).result(timeout=SECONDS)
            assert halted.value.kind in ("holdfast.errors.NotSerialisable", "holdfast.errors.PayloadTooLarge")


@workflow(name="bad_input.takes")
async def takes(number: int, value: Any = None, at: datetime | None = None) -> Any:
    return [number, value]


@pytest.mark.parametrize(
    ("args", "kwargs", "kind"),
    [
        ((), {}, InvalidArguments),
        ((1,), {"unknown": 2}, InvalidArguments),
        ((1, 2, None, 4), {}, InvalidArguments),
        (("one",), {}, InvalidArguments),
        ((1,), {"at": 17}, InvalidArguments),
        ((1, Opaque()), {}, NotSerialisable),
        ((1, float("nan")), {}, NotSerialisable),
        ((1, Measurement(float("-inf"))), {}, NotSerialisable),
        ((1, "\ud800"), {}, NotSerialisable),
        ((1, "x" * 5000), {}, PayloadTooLarge),
    ],
)
def test_bad_arguments_start_nothing(
    args: tuple[Any, ...], kwargs: dict[str, Any], kind: type[Exception], sqlite_url: str
) -> None:
    with Holdfast(sqlite_url, workflows=[takes], max_payload_bytes=1000) as hf:
        with pytest.raises(kind) as refused:
            hf.start(takes, *args, **kwargs)
        assert refused.value.remedy
        assert rows(hf, "SELECT count(*) FROM flows") == [(0,)]


def test_text_that_the_databases_treat_apart_survives(store_url: str) -> None:
    """PostgreSQL has no NUL in its texts, and JSON writes it as an escape."""
    odd = "NUL \0, quotes ' \" \\, :name, %s, $1, é, 🙂"
    with Holdfast(store_url, workflows=[takes]) as hf:
        assert hf.start(takes, 1, {odd: odd}, key="a key: 'é' %s :x").result(timeout=SECONDS) == [1, {odd: odd}]


# -- ids and keys ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["", " ", "17", "not-a-uuid", "01890000-0000-7000-8000-00000000000g"])
def test_malformed_ids_are_refused(id: str, sqlite_url: str) -> None:
    """FL-18."""
    with Holdfast(sqlite_url, workflows=[takes], worker=False) as hf:
        for use in (lambda: hf.start(takes, 1, id=id), lambda: hf.handle(id), lambda: hf.cancel(id)):
            with pytest.raises(InvalidId, match="UUID"):
                use()
        assert rows(hf, "SELECT count(*) FROM flows") == [(0,)]


@pytest.mark.parametrize("key", ["", "\n", "tab\t", "nul\0", "x" * 501, "\ud800"])
def test_malformed_keys_are_refused(key: str, sqlite_url: str) -> None:
    with Holdfast(sqlite_url, workflows=[takes], worker=False) as hf:
        with pytest.raises(InvalidId, match="printable"):
            hf.start(takes, 1, key=key)
        assert rows(hf, "SELECT count(*) FROM flows") == [(0,)]


def test_the_same_id_is_the_same_flow_or_refused(store_url: str) -> None:
    """FL-18."""
    own, text = uuid4(), str(uuid4())
    with Holdfast(store_url, workflows=[takes, sound]) as hf:
        first = hf.start(takes, 1, value="v", id=own)
        assert hf.start(takes, 1, "v", id=str(own).upper()).id == first.id == own
        for refused in (
            lambda: hf.start(takes, 2, "v", id=own),
            lambda: hf.start(sound, 1, id=own),
            lambda: hf.start(takes, 1, "v", id=text, key="k") and hf.start(takes, 1, "v", id=uuid4(), key="k"),
        ):
            with pytest.raises(FlowExists, match="fresh id or key"):
                refused()
        assert first.result(timeout=SECONDS) == [1, "v"]
        assert hf.start(takes, 1, "v", id=own).result(timeout=SECONDS) == [1, "v"]
        assert rows(hf, "SELECT count(*) FROM flows") == [(2,)]


def test_the_same_key_is_the_same_flow_or_refused(store_url: str) -> None:
    with Holdfast(store_url, workflows=[takes, sound]) as hf:
        first = hf.start(takes, 1, key="order-17")
        assert hf.start(takes, number=1, key="order-17").id == first.id
        with pytest.raises(FlowExists, match="'order-17'"):
            hf.start(takes, 2, key="order-17")
        assert hf.start(sound, 1, key="order-17").id != first.id


def test_many_callers_with_one_key_start_one_flow(store_url: str) -> None:
    async def main() -> set[UUID]:
        async with Holdfast(store_url, workflows=[takes]) as hf:
            handles = await asyncio.gather(*(hf.astart(takes, 1, key="one") for _ in range(50)))
            assert [await handle for handle in handles] == [[1, None]] * 50
            return {handle.id for handle in handles}

    assert len(asyncio.run(main())) == 1


# -- waiting --------------------------------------------------------------------------------------------------


def test_a_workflow_that_no_worker_knows_waits(sqlite_url: str) -> None:
    with Holdfast(sqlite_url, workflows=[sound]) as hf:
        with Holdfast(sqlite_url, workflows=[takes], worker=False) as elsewhere:
            started = elsewhere.start(takes, 1)
        handle = hf.handle(started.id)
        assert hf.start(sound, 1).result(timeout=SECONDS) == 3
        with pytest.raises(ResultPending, match="holdfast doctor"):
            handle.result(timeout=0.3)
        assert handle.flow().status is FlowStatus.CREATED
        with Holdfast(sqlite_url, workflows=[takes]):
            assert handle.result(timeout=SECONDS) == [1, None]


def test_a_blocking_result_on_the_workers_own_loop_is_refused(sqlite_url: str) -> None:
    async def main() -> None:
        async with Holdfast(sqlite_url, workflows=[sound]) as hf:
            handle = await hf.astart(sound, 1)
            with pytest.raises(UseAwait, match="await handle"):
                handle.result(timeout=SECONDS)
            assert await handle == 3

    asyncio.run(main())


def test_a_server_that_is_not_there() -> None:
    with (
        pytest.raises(StoreUnreachable, match="holdfast doctor"),
        Holdfast("postgresql://127.0.0.1:1/db", patience=0.5),
    ):
        pass


def test_what_is_no_workflow_is_refused_and_harms_nobody() -> None:
    @step
    async def alone(number: int) -> int:
        return number

    wrong: list[Any] = [alone, print, "takes"]
    with Holdfast("sqlite://", workflows=[takes]) as hf:
        for found in wrong:
            with pytest.raises(NotAWorkflow):
                hf.start(found, 1)
        with pytest.raises(FlowNotFound):
            hf.handle(new_id()).result(timeout=1)
        assert hf.start(takes, 1).result(timeout=20) == [1, None]
    for found in wrong:
        with pytest.raises(NotAWorkflow):
            Holdfast("sqlite://", workflows=[found])


@pytest.mark.parametrize("tags", [{"a": 1}, ["a"], {"": "b"}, {"a": "x" * 201}])
def test_what_cannot_be_tags(tags: Any) -> None:
    with Holdfast("sqlite://", workflows=[takes]) as hf, pytest.raises(InvalidInput, match="tag"):
        hf.start(takes, 1, tags=tags)
