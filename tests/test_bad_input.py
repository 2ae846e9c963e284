"""Bad input: each a clear error that names the remedy, for that flow or call alone, with the flow still recoverable."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from holdfast import FlowFailed, FlowHalted, Holdfast, StepFailed, Transaction, Workflow, step, workflow
from holdfast.errors import InvalidId, NotSerialisable, PayloadTooLarge, StoreUnreachable
from holdfast.flows import FlowStatus
from holdfast.flows.engine import loop as flow_loop
from holdfast.flows.errors import FlowExists, InvalidArguments, ResultPending, UseAwait
from tests.fleet import rows, until

SECONDS = 5


@step
async def add(a: int, b: int) -> int:
    return a + b


@step
async def echo(value: Any) -> Any:
    return value


@workflow(name="bad_input.sound")
async def sound(number: int) -> int:
    """What goes on while others are halted."""
    return await add(await add(number, 1), 1)


# -- changed code ---------------------------------------------------------------------------------------------


class Gate:
    """A step that lets a flow stop half-way: it runs until the gate is opened, and is cut off with its worker."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = False

        @step(name="gate")
        async def gate() -> str:
            self.reached.set()
            while not self.opened:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return "open"

        self.step = gate


def original(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 2), await echo("x"), await gate.step()]

    return changing


def other_step(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 2), await echo_too("x"), await gate.step()]

    @step
    async def echo_too(value: str) -> str:
        return value

    return changing


def other_arguments(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 3), await echo("x"), await gate.step()]

    return changing


def missing_step(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 2), await gate.step()]

    return changing


def other_order(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await echo("x"), await add(1, 2), await gate.step()]

    return changing


def shorter(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 2)]

    return changing


def more_parameters(gate: Gate) -> Workflow[..., list[Any]]:
    @workflow(name="changing")
    async def changing(number: int) -> list[Any]:
        return [await add(1, 2), await echo("x"), await gate.step(), number]

    return changing


def stop_half_way(url: str, gate: Gate) -> UUID:
    """Start the original, and end its worker while it waits at the gate."""
    with Holdfast(url, workflows=[], drain=0) as hf:
        handle = hf.start(original(gate))
        assert gate.reached.wait(SECONDS)
    return handle.id


@pytest.mark.parametrize(
    ("changed", "expected", "found"),
    [
        (other_step, "a call echo#1", "waits for echo_too#1"),
        (other_arguments, "add#1 with other arguments", "called add#1 with these"),
        (missing_step, "a call echo#1", "waits for gate#1"),
        (other_order, "a call add#1", "waits for echo#1"),
        (shorter, "a call echo#1", "waits for nothing"),
    ],
)
def test_a_changed_workflow_halts_that_flow_alone(
    changed: Callable[[Gate], Workflow[[], list[Any]]], expected: str, found: str, sqlite_url: str
) -> None:
    """FL-19."""
    gate = Gate()
    flow_id = stop_half_way(sqlite_url, gate)
    with Holdfast(sqlite_url, workflows=[changed(gate), sound]) as hf:
        with pytest.raises(FlowHalted) as halted:
            hf.handle(flow_id).result(timeout=SECONDS)
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7
        assert halted.value.kind == "holdfast.flows.errors.NonDeterminism"
        assert expected in halted.value.detail
        assert found in halted.value.detail
        assert "Bring back the code" in halted.value.remedy
        flow = hf.handle(flow_id).flow()
        assert (flow.status, flow.paused, flow.epoch) == (FlowStatus.RUNNING, True, None)
    gate.opened = True
    with Holdfast(sqlite_url, workflows=[original(gate)]) as hf:
        hf.resume(flow_id)
        assert hf.handle(flow_id).result(timeout=SECONDS) == [3, "x", "open"]
        assert [row[0] for row in rows(hf, "SELECT run_id FROM steps WHERE flow = 1 ORDER BY num")] == [
            "add#1@1",
            "echo#1@1",
            "gate#1@1",
        ]


def test_changed_parameters_halt_the_flow(sqlite_url: str) -> None:
    gate = Gate()
    flow_id = stop_half_way(sqlite_url, gate)
    with (
        Holdfast(sqlite_url, workflows=[more_parameters(gate)]) as hf,
        pytest.raises(FlowHalted, match="number"),
    ):
        hf.handle(flow_id).result(timeout=SECONDS)


def test_a_call_that_outlived_its_workflow_is_no_change(sqlite_url: str) -> None:
    """A task left behind records its step after the workflow function has returned, and replays there."""
    gate = Gate()
    seen: list[str] = []

    @workflow(name="leaves_a_task")
    async def leaves_a_task() -> str:
        task = asyncio.ensure_future(add(1, 2))
        await asyncio.sleep(0)
        seen.append("ran")
        await gate.step()
        assert task.done()
        return "done"

    with Holdfast(sqlite_url, workflows=[leaves_a_task], drain=0) as hf:
        handle = hf.start(leaves_a_task)
        assert gate.reached.wait(SECONDS)
        until(lambda: rows(hf, "SELECT run_id FROM steps") == [("add#1@1",)], "the task's step is recorded")
    gate.opened = True
    with Holdfast(sqlite_url, workflows=[leaves_a_task]) as hf:
        assert hf.handle(handle.id).result(timeout=SECONDS) == "done"
    assert seen == ["ran", "ran"]


# -- foreign awaits -------------------------------------------------------------------------------------------


async def in_a_thread() -> Any:
    return await asyncio.to_thread(math.sqrt, 4)


async def in_an_executor() -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, math.sqrt, 4)


async def over_the_network() -> Any:
    return await asyncio.open_connection("localhost", 1)


async def in_a_subprocess() -> Any:
    return await asyncio.create_subprocess_exec("true")


async def never_set() -> Any:
    await asyncio.Event().wait()


async def of_another_loop() -> Any:
    other = asyncio.new_event_loop()
    try:
        await other.create_future()
    finally:
        other.close()


async def of_another_loop_in_a_group() -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(of_another_loop())


async def a_queue_of_nobody() -> Any:
    return await asyncio.Queue[int]().get()


FOREIGN = (
    in_a_thread,
    in_an_executor,
    over_the_network,
    in_a_subprocess,
    never_set,
    of_another_loop,
    of_another_loop_in_a_group,
    a_queue_of_nobody,
)


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda foreign: foreign.__name__)
def test_a_foreign_await_halts_that_flow_alone(foreign: Callable[[], Awaitable[Any]], sqlite_url: str) -> None:
    mended = threading.Event()

    @workflow(name="foreign")
    async def strays() -> int:
        first = await add(1, 2)
        if not mended.is_set():
            await foreign()
        return await add(first, 1)

    with Holdfast(sqlite_url, workflows=[strays, sound]) as hf:
        handle = hf.start(strays)
        with pytest.raises(FlowHalted) as halted:
            handle.result(timeout=SECONDS)
        assert halted.value.kind == "holdfast.flows.errors.ForeignAwait"
        assert "Move it into a step" in halted.value.remedy
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7
        mended.set()
        hf.resume(handle.id)
        assert handle.result(timeout=SECONDS) == 4


def test_an_endless_loop_halts_that_flow_alone(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_loop, "MAX_TURNS", 1000)

    @workflow(name="restless")
    async def restless() -> None:
        await add(1, 2)
        while True:
            await asyncio.sleep(0)

    with Holdfast(sqlite_url, workflows=[restless, sound]) as hf:
        with pytest.raises(FlowHalted, match="without a pause") as halted:
            hf.start(restless).result(timeout=SECONDS)
        assert halted.value.kind == "holdfast.flows.errors.Restless"
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7


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
    id, text = uuid4(), str(uuid4())
    with Holdfast(store_url, workflows=[takes, sound]) as hf:
        first = hf.start(takes, 1, value="v", id=id)
        assert hf.start(takes, 1, "v", id=str(id).upper()).id == first.id == id
        for refused in (
            lambda: hf.start(takes, 2, "v", id=id),
            lambda: hf.start(sound, 1, id=id),
            lambda: hf.start(takes, 1, "v", id=text, key="k") and hf.start(takes, 1, "v", id=uuid4(), key="k"),
        ):
            with pytest.raises(FlowExists, match="fresh id or key"):
                refused()
        assert first.result(timeout=SECONDS) == [1, "v"]
        assert hf.start(takes, 1, "v", id=id).result(timeout=SECONDS) == [1, "v"]
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
            id = elsewhere.start(takes, 1).id
        handle = hf.handle(id)
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


# -- failing steps --------------------------------------------------------------------------------------------


class Declined(Exception):
    """Comes back from its arguments."""

    def __init__(self, reason: str, amount: int) -> None:
        super().__init__(reason, amount)
        self.reason = reason
        self.amount = amount


class Peculiar(Exception):
    """Cannot be rebuilt from its arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


@step(raises=(Declined, Peculiar))
async def charge(amount: int) -> None:
    raise Peculiar("a", "b") if amount < 0 else Declined("no funds", amount)


@pytest.fixture
def replayed(sqlite_url: str) -> Iterator[Callable[[Callable[[], Awaitable[Any]]], list[Any]]]:
    """Runs the body of a workflow, cuts its worker off behind it, and runs it again: what both runs saw."""

    def run(body: Callable[[], Awaitable[Any]]) -> list[Any]:
        gate = Gate()
        seen: list[Any] = []

        @workflow(name="replayed")
        async def again() -> None:
            seen.append(await body())
            await gate.step()

        with Holdfast(sqlite_url, workflows=[again], drain=0) as hf:
            handle = hf.start(again)
            assert gate.reached.wait(SECONDS)
        gate.opened = True
        with Holdfast(sqlite_url, workflows=[again]) as hf:
            hf.handle(handle.id).result(timeout=SECONDS)
        return seen

    return run


Replayed = Callable[[Callable[[], Awaitable[Any]]], list[Any]]


def test_declared_exceptions_arrive_as_themselves_live_and_replayed(replayed: Replayed) -> None:
    async def body() -> Any:
        try:
            await charge(17)
        except Declined as error:
            return type(error), error.reason, error.amount

    assert replayed(body) == [(Declined, "no funds", 17)] * 2


def test_what_cannot_be_rebuilt_arrives_as_step_failed_live_and_replayed(replayed: Replayed) -> None:
    async def body() -> Any:
        try:
            await charge(-1)
        except StepFailed as error:
            return error.kind, error.detail

    assert replayed(body) == [(f"{__name__}.Peculiar", "a")] * 2


class Mute(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Numbered(Exception):
    """Has another kind of message."""

    message = 17


class Talkative(Exception):
    """Whatever is asked of it fails."""

    @property
    def message(self) -> str:
        raise KeyError("message")

    @property
    def remedy(self) -> str:
        raise KeyError("remedy")


@step
async def fail(kind: str) -> None:
    match kind:
        case "mute":
            raise Mute
        case "numbered":
            raise Numbered("it has a text")
        case "talkative":
            raise Talkative("it has a text")
        case "long":
            raise ValueError("x" * 10_000_000)
        case "surrogate":
            raise ValueError("\ud800 and \0")
        case "exit":
            raise SystemExit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "cancelled":
            raise asyncio.CancelledError
        case "generator":
            raise GeneratorExit
        case "stop":
            raise StopAsyncIteration
        case "group":
            raise BaseExceptionGroup("several", [SystemExit(1), ValueError("one")])


@step
def fail_in_a_thread(kind: str) -> None:
    raise SystemExit(3) if kind == "exit" else KeyboardInterrupt if kind == "interrupt" else StopIteration


@step
def fail_in_a_transaction(tx: Transaction, kind: str) -> None:
    raise SystemExit(3) if kind == "exit" else KeyboardInterrupt if kind == "interrupt" else asyncio.CancelledError


CASES = [
    *(
        (fail, kind)
        for kind in (
            "mute", "numbered", "talkative", "long", "surrogate", "exit", "interrupt", "cancelled", "generator", "stop",
            "group",
        )
    ),
    *((fail_in_a_thread, kind) for kind in ("exit", "interrupt", "stop")),
    *((fail_in_a_transaction, kind) for kind in ("exit", "interrupt", "cancelled")),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "kind"), CASES, ids=lambda value: getattr(value, "name", value))
def test_whatever_a_step_raises_is_recorded_and_harms_nobody_else(bad: Any, kind: str, sqlite_url: str) -> None:
    @workflow(name="fails")
    async def fails() -> str:
        try:
            await bad(kind)
        except StepFailed as error:
            return error.kind
        return "no error"

    with Holdfast(sqlite_url, workflows=[fails, sound]) as hf:
        assert hf.start(fails).result(timeout=SECONDS) != "no error"
        ((status, error),) = rows(hf, "SELECT status, error FROM steps")
        assert status == "failed"
        assert json.loads(error)["kind"]
        assert len(error) < 1_000_000
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), Mute(), Numbered("x"), ValueError("y" * 10**7)])
def test_whatever_a_workflow_raises_fails_that_flow_alone(raised: BaseException, sqlite_url: str) -> None:
    @workflow(name="raises")
    async def raises() -> None:
        await add(1, 2)
        raise raised

    with Holdfast(sqlite_url, workflows=[raises, sound]) as hf:
        with pytest.raises(FlowFailed) as failed:
            hf.start(raises).result(timeout=SECONDS)
        assert failed.value.kind.endswith(type(raised).__name__)
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7
