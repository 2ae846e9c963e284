"""Flows that run go back with their worlds, and on from there; killed anywhere, both are of one time (FL-16, FL-20)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from holdfast import (
    Holdfast,
    Queue,
    StepFailed,
    WorldHandle,
    approval,
    continue_as_new,
    directory,
    open_world,
    run_child,
    state,
    step,
    wait_for_event,
    workflow,
)
from holdfast.flows import SqlFlowStore, manager
from holdfast.flows.errors import FlowFailed, FlowHalted, InvalidPatch, UseAwait
from holdfast.flows.rewinding.errors import FlowRunning, NothingToRetry, RewindBeyondEnd
from holdfast.rewind.errors import NoCopyPossible, NotCheckpointed
from holdfast.store import Store, open_store
from holdfast.testing.clock import VirtualClock
from holdfast.testing.crash.fuse import Fuse, Killed, rehearse
from holdfast.testing.hush import hushed
from holdfast.worlds.directory import DirectoryWorld
from tests.rewind_kit import kept

Probes = list[Callable[[str], None]]
SECONDS = 30
ran: list[str] = []
probes: Probes = []
gate = threading.Event()
begun = threading.Event()


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    ran.clear()
    probes.clear()
    gate.clear()
    begun.clear()
    yield
    gate.set()


@step
def look(site: WorldHandle) -> list[str]:
    return sorted(path.name for path in site.path.iterdir() if path.name != ".holdfast")


@step
def write(site: WorldHandle, name: str, text: str) -> str:
    ran.append(name)
    (site / name).write_text(text)
    return name


def probed(root: str) -> Callable[[Store], DirectoryWorld]:
    return lambda store: DirectoryWorld(root, store, probe=lambda point: [probe(point) for probe in probes] and None)


@workflow
async def waves(root: str, number: int) -> list[list[str]]:
    """What each wave found; then it writes a page, and checkpoints."""
    site = await open_world("site", probed(root))
    found = []
    for wave in range(1, number + 1):
        found.append(await look(site))
        await write(site, f"page-{wave}", state().get("tone", "plain"))
        await site.checkpoint(f"wave {wave}")
    return found


def undisturbed(number: int) -> list[list[str]]:
    return [[f"page-{page}" for page in range(1, wave)] for wave in range(1, number + 1)]


def files(root: Path, flow_id: Any) -> dict[str, str]:
    return {path.name: path.read_text() for path in (root / "flow" / str(flow_id)).iterdir()}


@pytest.fixture
def hf(store_url: str) -> Iterator[Holdfast]:
    with Holdfast(store_url) as opened:
        yield opened


def test_both_go_back_and_on(hf: Holdfast, tmp_path: Path) -> None:
    handle = hf.start(waves, str(tmp_path), 3)
    assert handle.result(SECONDS) == undisturbed(3)
    for target in ("wave 2", "wave 1", 1, 0):
        ran.clear()
        flow = hf.rewind(handle.id, target, patch={"tone": f"after {target}"}, note="again")
        assert handle.result(SECONDS) == undisturbed(3)
        first = {"wave 2": 3, "wave 1": 2, 1: 1, 0: 1}[target]
        assert ran == [f"page-{wave}" for wave in range(first, 4)], "what was kept did not run again"
        assert files(tmp_path, handle.id)["page-3"] == f"after {target}"
        assert flow.attempt == handle.flow().attempt
    assert set(files(tmp_path, handle.id).values()) == {"after 0"}


def test_a_fork_has_files_of_its_own(hf: Holdfast, tmp_path: Path) -> None:
    handle = hf.start(waves, str(tmp_path), 3)
    handle.result(SECONDS)
    before = files(tmp_path, handle.id)
    fork = hf.fork(handle.id, "wave 1", patch={"tone": "forked"})
    assert fork.result(SECONDS) == undisturbed(3)
    assert files(tmp_path, handle.id) == before
    assert files(tmp_path, fork.id) == {"page-1": "plain", "page-2": "forked", "page-3": "forked"}
    hf.rewind(fork.id, "wave 1")
    assert fork.result(SECONDS) == undisturbed(3)
    assert files(tmp_path, fork.id) == before


@step
def hold(site: WorldHandle) -> None:
    begun.set()
    assert gate.wait(SECONDS)
    (site / "held").write_text("held")


@workflow
async def holding(root: str) -> list[str]:
    site = await open_world("site", directory(root))
    await write(site, "first", "")
    await site.checkpoint("one")
    await hold(site)
    return await look(site)


def test_a_step_that_does_not_end_in_time(hf: Holdfast, tmp_path: Path) -> None:
    handle = hf.start(holding, str(tmp_path))
    assert begun.wait(SECONDS)
    for wrong, error in ((99, RewindBeyondEnd), (2, NotCheckpointed)):
        with pytest.raises(error):
            hf.rewind(handle.id, wrong)
    with pytest.raises(InvalidPatch):
        hf.rewind(handle.id, "one", patch=[])  # type: ignore[arg-type]
    told = hf.store.read(lambda tx: manager.history(tx, handle.id))
    assert "paused" not in [event.kind for event in told], "what cannot be is refused before anything is written"
    with pytest.raises(FlowRunning) as caught:
        hf.rewind(handle.id, "one", timeout=0.2)
    assert caught.value.running == ("hold#1@1",)
    assert not handle.flow().paused
    gate.set()
    assert handle.result(SECONDS) == ["first", "held"]


def test_a_flow_that_runs_is_rewound_once_its_step_has_ended(hf: Holdfast, tmp_path: Path) -> None:
    handle = hf.start(holding, str(tmp_path))
    assert begun.wait(SECONDS)
    begun.clear()
    threading.Timer(0.2, gate.set).start()
    hf.rewind(handle.id, "one")
    assert begun.wait(SECONDS), "the step runs again"
    assert handle.result(SECONDS) == ["first", "held"]
    assert handle.flow().attempt == 2


def test_nobody_waits_on_the_loop_that_has_to_do_the_work(sqlite_url: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with Holdfast(sqlite_url) as hf:
            handle = await hf.astart(holding, str(tmp_path))
            assert await asyncio.to_thread(begun.wait, SECONDS)
            with pytest.raises(UseAwait, match="to_thread"):
                hf.rewind(handle.id, "one")
            threading.Timer(0.2, gate.set).start()
            await asyncio.to_thread(hf.rewind, handle.id, "one")
            assert await handle == ["first", "held"]
            hf.rewind(handle.id, "one")  # nothing to wait for
            assert await handle == ["first", "held"]

    asyncio.run(main())


def test_a_flow_of_a_queue_takes_its_turn_again(hf: Holdfast, tmp_path: Path) -> None:
    hf.queue(Queue("builds", concurrency=1))
    handle = hf.start(waves, str(tmp_path), 2, queue="builds")
    assert handle.result(SECONDS) == undisturbed(2)
    hf.rewind(handle.id, "wave 1")
    fork = hf.fork(handle.id, 0)
    assert handle.result(SECONDS) == fork.result(SECONDS) == undisturbed(2)
    assert fork.flow().queue == "builds"


FORK = UUID("01890000-0000-7000-8000-00000000000f")
AGAIN: dict[str, Callable[[Holdfast, UUID], Any]] = {
    "rewind": lambda hf, flow_id: hf.rewind(flow_id, "wave 1", patch={"tone": "bold"}),
    "fork": lambda hf, flow_id: hf.fork(flow_id, "wave 1", id=FORK, patch={"tone": "bold"}),
}


@pytest.mark.parametrize("verb", AGAIN)
def test_killed_anywhere_both_are_of_one_time(verb: str, tmp_path: Path) -> None:
    """At every write point of the store and of the directory: on resuming, each wave finds the files of its time, and
    nothing that was recorded runs again."""
    seen = set()
    for point in count(1):
        url, root = f"sqlite:///{tmp_path}/{point}.db", tmp_path / str(point)
        with Holdfast(url, workflows=[waves]) as hf:
            source = hf.start(waves, str(root), 2)
            assert source.result(SECONDS) == undisturbed(2)
        fuse = Fuse(point, rehearse)
        target = source.id if verb == "rewind" else FORK
        with hushed(), suppress(Killed):
            asyncio.run(_until_it_blows(fuse, url, lambda hf: AGAIN[verb](hf, source.id), target))  # noqa: B023
        probes.clear()
        with open_store(url) as store:
            store.run(lambda tx: tx.execute("UPDATE workers SET pid = 2147483647"))
            flow = store.read(lambda tx: SqlFlowStore(tx).get(target))  # noqa: B023
            done = store.read(lambda tx: kept(tx, target)) if flow else []  # noqa: B023
        ran.clear()
        begun_anew = flow is not None and (verb == "fork" or flow.attempt == 2)
        if flow is not None:
            with hushed(), Holdfast(url, workflows=[waves], lease=1.0) as hf:
                assert hf.handle(target).result(SECONDS) == undisturbed(2), point
            assert files(root, target) == {"page-1": "plain", "page-2": "bold" if begun_anew else "plain"}
        if verb == "fork":
            assert files(root, source.id) == {"page-1": "plain", "page-2": "plain"}
        assert "page-1" not in ran
        assert not ("page-2" in ran and any(run_id.startswith("write#2@") for run_id in done)), (point, done)
        seen.add((begun_anew, bool(ran)))
        if fuse.where is None:
            break
    assert point > 15
    assert seen >= {(False, False), (True, True), (True, False)}


async def _until_it_blows(fuse: Fuse, url: str, act: Callable[[Holdfast], Any], flow_id: UUID) -> None:
    """Act, and go on, until the fuse blows or the flow has ended."""
    lit: list[bool] = []

    def probe(where: str) -> None:
        if lit:
            fuse(where)

    async with Holdfast(url, workflows=[waves], lease=1.0, drain=0, probe=probe) as hf:
        probes.append(fuse)
        lit.append(True)
        with suppress(FlowHalted, FlowFailed):
            await asyncio.to_thread(act, hf)
            waiting = asyncio.ensure_future(hf.handle(flow_id)._wait())
            await asyncio.to_thread(_wait_for, fuse, waiting)
            waiting.cancel()


def _wait_for(fuse: Fuse, waiting: asyncio.Future[Any]) -> None:
    while not waiting.done() and fuse.where is None:
        time.sleep(0.01)


# -- retry ------------------------------------------------------------------------------------------------------------


@step
def publish(site: WorldHandle) -> str:
    (site / "half").write_text("")
    return (site / "key").read_text()


@workflow
async def publishing(root: str) -> str:
    site = await open_world("site", directory(root, alone=True))
    await write(site, "page", "")
    return await publish(site)


def test_a_retry_goes_on_with_what_was_mended_in_the_world(hf: Holdfast, tmp_path: Path) -> None:
    handle = hf.start(publishing, str(tmp_path / "site"))
    with pytest.raises(FlowFailed):
        handle.result(SECONDS)
    (tmp_path / "site" / "key").write_text("mended")
    hf.retry(handle.id)
    assert handle.result(SECONDS) == "mended"
    assert ran == ["page"]
    with pytest.raises(NothingToRetry):
        hf.retry(handle.id)


# -- whose the world is -----------------------------------------------------------------------------------------------


@workflow
async def sharing(root: str, wait: bool) -> list[str]:
    site = await open_world("site", directory(root, alone=True))
    await site.checkpoint("one")
    if wait:
        await hold(site)
    return await look(site)


@workflow
async def patient(limit: float) -> str:
    return await wait_for_event("go", "patient", timeout=limit, type=str)


@workflow
async def asking(limit: float) -> bool:
    return (await approval("go on", timeout=limit)).approved


def test_a_retry_after_a_time_out_waits_again(hf: Holdfast) -> None:
    handle = hf.start(patient, 0.05)
    with pytest.raises(FlowFailed, match="No event 'go' came"):
        handle.result(SECONDS)
    hf.emit("go", "patient", "after all")
    hf.retry(handle.id)
    assert handle.result(SECONDS) == "after all"


@pytest.mark.parametrize("wait", [patient, asking])
def test_a_retry_after_a_time_out_waits_for_as_long(store_url: str, wait: Any) -> None:
    clock = VirtualClock(auto=True)
    with Holdfast(store_url, clock=clock, retention=None) as hf:
        handle = hf.start(wait, 3600)
        with pytest.raises(FlowFailed):
            handle.result(SECONDS)
        first = handle.flow().finished_at
        clock.advance(7200)
        again = clock.now()
        hf.retry(handle.id)
        with pytest.raises(FlowFailed):
            handle.result(SECONDS)
        second = handle.flow().finished_at
        assert first is not None
        assert second is not None
        assert second >= again + timedelta(seconds=3600)


def test_two_flows_cannot_have_one_directory_at_a_time(hf: Holdfast, tmp_path: Path) -> None:
    root = str(tmp_path / "site")
    first = hf.start(sharing, root, True)
    assert begun.wait(SECONDS)
    second = hf.start(sharing, root, False)
    with pytest.raises(FlowFailed, match=str(first.id)):
        second.result(SECONDS)
    gate.set()
    assert first.result(SECONDS) == ["held"]
    hf.retry(second.id)
    assert second.result(SECONDS) == ["held"], "each has a checkpoint of one name"
    for scopes in (None, {DirectoryWorld.LOCAL: ("a", "b")}):
        with pytest.raises(NoCopyPossible):
            hf.fork(second.id, "one", scopes=scopes)


def test_two_directories_are_two_worlds_whatever_they_are_called(hf: Holdfast, tmp_path: Path) -> None:
    first = hf.start(sharing, str(tmp_path / "a"), True)
    assert begun.wait(SECONDS)
    assert hf.start(sharing, str(tmp_path / "b"), False).result(SECONDS) == []
    gate.set()
    assert first.result(SECONDS) == ["held"]


@workflow
async def roaming() -> list[str]:
    site = await open_world("site", directory("site", alone=True))
    await write(site, "page", "")
    await site.checkpoint("one")
    return await look(site)


def test_a_directory_that_is_another_by_now(hf: Holdfast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    handle = hf.start(roaming)
    assert handle.result(SECONDS) == ["page"]
    monkeypatch.chdir(tmp_path / "elsewhere")
    hf.rewind(handle.id, "one")
    with pytest.raises(FlowHalted, match="another directory"):
        handle.result(SECONDS)
    assert not (tmp_path / "elsewhere" / "site").exists()
    monkeypatch.chdir(tmp_path)
    hf.resume(handle.id)
    assert handle.result(SECONDS) == ["page"]


# -- bad use ----------------------------------------------------------------------------------------------------------


@workflow
async def outside(root: str) -> str:
    site = await open_world("site", directory(root))
    return str(site.path)


@workflow
async def without_services() -> None:
    await open_world("site")


@workflow
async def badly_named(root: str) -> None:
    await open_world("a b", directory(root))


@workflow
async def twice(root: str) -> str:
    site = await open_world("site", directory(root))
    await site.checkpoint("one")
    try:
        await site.checkpoint("one")
    except StepFailed as error:
        return error.kind
    return "taken twice"


@workflow
async def lent(site: WorldHandle) -> list[str]:
    return await look(site)


@workflow
async def lending(root: str) -> list[str]:
    return await run_child(lent, await open_world("site", directory(root)))


@workflow
async def several(root: str) -> list[str]:
    site = await open_world("site", directory(root), scopes=[("a", "b"), ("a", "c")])
    return await look(site)


@workflow
async def badly_called(root: str) -> str:
    site = await open_world("site", directory(root))
    await site.checkpoint("#1")
    return ""


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (outside, "No step is running"),
        (without_services, "no services"),
        (badly_named, "cannot be the name"),
        (badly_called, "cannot be the name"),
        (lending, "not open in this flow"),
        (several, "no single directory"),
    ],
)
def test_what_makes_no_sense_is_told(hf: Holdfast, tmp_path: Path, bad: Any, told: str) -> None:
    args = [] if bad is without_services else [str(tmp_path)]
    with pytest.raises((FlowFailed, FlowHalted), match=told):
        hf.start(bad, *args).result(SECONDS)


def test_a_name_is_given_once(hf: Holdfast, tmp_path: Path) -> None:
    assert hf.start(twice, str(tmp_path)).result(SECONDS) == "holdfast.worlds.errors.CheckpointExists"


@workflow
async def endless(root: str, left: int) -> list[str]:
    site = await open_world("site", directory(root))
    await write(site, f"page-{left}", "")
    await site.checkpoint("one")
    if left:
        continue_as_new(endless, root, left - 1)
    return await look(site)


def test_a_flow_that_begins_anew_opens_its_world_anew(hf: Holdfast, tmp_path: Path) -> None:
    handle = hf.start(endless, str(tmp_path), 2)
    assert handle.result(SECONDS) == ["page-0", "page-1", "page-2"]
    hf.rewind(handle.id, 1)
    assert handle.result(SECONDS) == ["page-0", "page-1", "page-2"]
