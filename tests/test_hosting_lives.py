"""Processes and supervisors that end, by themselves or not: nothing is lost, nothing is recorded twice."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from holdfast import Holdfast
from holdfast.errors import HoldfastError
from holdfast.flows.engine.port import Claimed
from holdfast.hosting import host
from holdfast.hosting.serving import Hosting
from holdfast.hosting.shelf import Shelf
from holdfast.hosting.station import Station
from holdfast.packages import Trouble
from tests.hosting_kit import ORDER, Shop, SupervisorProcess, any_shop, evaluated, is_alive, package, shop, until  # noqa: F401

CHAIN = """
import asyncio, os, signal, time
from pathlib import Path
from holdfast import step, workflow, sleep

@step
async def link(ledger: str, number: int, seconds: float) -> int:
    with open(ledger, "a") as file:
        file.write(f"{number}\\n")
    await asyncio.sleep(seconds)
    return number

@workflow
async def chain(ledger: str, links: int = 10, seconds: float = 0.05) -> list[int]:
    return [await link(ledger, number, seconds) for number in range(links)]

@step
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

@workflow
async def poison() -> None:
    await die()

@step
def linger(started: str, seconds: float) -> str:
    Path(started).touch()
    time.sleep(seconds)
    return "lingered"

@workflow
async def lingering(started: str, seconds: float) -> str:
    first = await linger(started, seconds)
    await sleep(0.001)
    await sleep(3600)
    return first
"""


def told(found: Shop, version: str) -> Trouble:
    """The version's trouble, once it is told of."""
    until(lambda: found.trouble(version), "the trouble")
    trouble = found.trouble(version)
    assert trouble is not None
    return trouble


def recorded_once(found: Shop) -> None:
    """No run id of a flow is recorded twice."""
    assert found.rows("SELECT flow, run_id FROM steps GROUP BY flow, run_id HAVING count(*) > 1") == []


@pytest.mark.prove
def test_children_that_are_killed_at_random_lose_nothing(any_shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    any_shop.deploy(package(CHAIN))
    with any_shop.hosting() as hosting, patch.object(host, "FIRST_BACKOFF", 0.05):
        handles = [any_shop.start("chain", ledger=str(tmp_path / f"{n}"), links=20) for n in range(10)]
        killed = 0
        while killed < 4 and any(any_shop.status(each) != "finished" for each in handles):
            for pid in hosting.running.values():
                time.sleep(random.uniform(0.2, 0.6))
                os.kill(pid, signal.SIGKILL)
                killed += 1
            time.sleep(0.01)
        for handle in handles:
            assert handle.result(60) == list(range(20))
        assert killed
        recorded_once(any_shop)


def test_a_poisoned_flow_fails_and_its_bystanders_finish(shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    shop.deploy(package(CHAIN))
    with shop.hosting(), patch.object(host, "FIRST_BACKOFF", 0.02):
        poison = shop.start("poison")
        others = [shop.start("chain", ledger=str(tmp_path / f"{n}"), links=5) for n in range(5)]
        with pytest.raises(HoldfastError, match="died"):
            poison.result(40)
        for other in others:
            assert other.result(20) == list(range(5))
        assert shop.status(poison) == "failed"
        assert "Poisoned" in str(shop.rows("SELECT error FROM flows WHERE workflow_type = 'poison'"))
        recorded_once(shop)


def test_children_die_with_their_supervisor_and_flows_go_on_with_the_next(any_shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    any_shop.deploy(package(CHAIN))
    handles = [any_shop.start("chain", ledger=str(tmp_path / f"{n}"), links=20) for n in range(3)]
    with SupervisorProcess(any_shop) as first:
        until(lambda: all(any_shop.history(each) for each in handles), "all have begun")
        children = first.children
        assert children
        first.send(signal.SIGKILL)
        first.wait()
        until(lambda: not any(map(is_alive, children)), "the children are gone")
    with any_shop.hosting():
        for handle in handles:
            assert handle.result(30) == list(range(20))
    recorded_once(any_shop)


def test_sigterm_lets_running_steps_end_and_records_them(shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    """Also one that goes on for longer than the lease would last by itself."""
    shop.deploy(package(CHAIN))
    handle = shop.start("lingering", started=str(tmp_path / "started"), seconds=3.0)
    with SupervisorProcess(shop, lease=1.0) as supervisor:
        until((tmp_path / "started").exists, "the step runs")
        supervisor.send(signal.SIGTERM)
        assert supervisor.wait() == 0, supervisor.log.read_text()
        assert shop.history(handle)[0] == ("linger#1@1", "succeeded", '"lingered"')
    assert shop.rows("SELECT max(crashes), max(epoch) FROM flows") == [(0, None)]
    assert shop.rows("SELECT count(*) FROM workers WHERE released_at IS NULL") == [(0,)]


@pytest.mark.prove
def test_a_supervisor_that_was_frozen_past_its_lease_writes_nothing_more(any_shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    any_shop.deploy(package(CHAIN))
    with SupervisorProcess(any_shop) as first:
        handles = [any_shop.start("chain", ledger=str(tmp_path / f"{n}"), links=40) for n in range(8)]
        until(lambda: all(any_shop.history(each) for each in handles), "all have begun")
        first.send(signal.SIGSTOP)
        with SupervisorProcess(any_shop) as second:
            taken = any_shop.rows("SELECT count(*) FROM steps")[0][0]
            until(lambda: any_shop.rows("SELECT count(*) FROM steps")[0][0] > taken + 8, "the second takes over")
            first.send(signal.SIGCONT)
            for handle in handles:
                assert handle.result(60) == list(range(40))
            assert first.alive
            assert second.alive
            recorded_once(any_shop)
            again = any_shop.start("chain", ledger=str(tmp_path / "again"), links=2)
            assert again.result(20) == [0, 1]


@pytest.mark.prove
def test_two_supervisors_share_a_store(any_shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    any_shop.deploy(package(CHAIN))
    with SupervisorProcess(any_shop) as first, SupervisorProcess(any_shop) as second:
        handles = [any_shop.start("chain", ledger=str(tmp_path / f"{n}"), links=10) for n in range(20)]
        for handle in handles:
            assert handle.result(60) == list(range(10))
        for ledger in tmp_path.glob("[0-9]*"):
            assert ledger.read_text().split() == [str(n) for n in range(10)], "no step ran twice"
        recorded_once(any_shop)
        assert first.alive
        assert second.alive


# -- starting and stopping ------------------------------------------------------------------------------------


def test_an_idle_process_is_stopped_and_started_again_when_it_is_needed(shop: Shop) -> None:  # noqa: F811
    version = shop.deploy(package(ORDER))
    with shop.hosting(idle=0.2) as hosting:
        assert shop.start("order").result(20) == "paid 1"
        pid = hosting.running[version]
        until(lambda: not hosting.running and not is_alive(pid), "it is stopped")
        assert shop.start("order", number=2).result(20) == "paid 2"
        assert shop.trouble(version) is None


def test_a_halted_flow_keeps_no_process(shop: Shop) -> None:  # noqa: F811
    text = "from holdfast import step, workflow, sleep\n"
    first = "@workflow\nasync def turn() -> int:\n    await one()\n    await sleep(0.7)\n    return 1\n"
    steps = "@step\nasync def one() -> int: return 1\n@step\nasync def two() -> int: return 2\n"
    version = shop.deploy(package(text + steps + first))
    with shop.hosting(idle=0.2, park_after=0.01) as hosting:
        handle = shop.start("turn")
        until(lambda: shop.history(handle), "its first step")
        shop.hf.store.run(lambda tx: tx.execute("UPDATE steps SET run_id = 'two#1@1', task = 'two'"))
        until(lambda: shop.rows("SELECT paused FROM flows")[0][0], "it is halted")
        until(lambda: version not in hosting.running, "the process is stopped")


@pytest.mark.parametrize("text", ["import time; time.sleep(60)", "x = ("])
def test_a_supervisor_can_be_stopped_while_a_process_starts(shop: Shop, text: str) -> None:  # noqa: F811
    version = shop.deploy(package(text, "order"))
    with shop.hosting():
        shop.start("order")
        until(lambda: (shop.cache / "packages" / version).exists(), "it is being started")
        began = time.monotonic()
    assert time.monotonic() - began < 5.0


def test_a_process_that_is_told_to_drain_as_it_becomes_ready_ends(shop: Shop) -> None:  # noqa: F811
    """The word may come before it has begun to work."""
    shop.deploy(package(ORDER))
    shop.start("order")
    ready = host.Host._ready

    def ready_and_stop(self: host.Host, station: Any) -> None:
        ready(self, station)
        self.rest()

    with patch.object(host.Host, "_ready", ready_and_stop), shop.hosting() as hosting:
        began = time.monotonic()
        until(lambda: hosting.running == {} and time.monotonic() - began > 0.5, "it rests")
    assert time.monotonic() - began < 8.0


def test_failures_of_the_machine_are_troubles_and_are_not_tried_without_pause(shop: Shop) -> None:  # noqa: F811
    version = shop.deploy(package(ORDER))
    tried = []

    def full(self: Shelf, content_hash: str) -> Any:
        tried.append(content_hash)
        raise OSError(28, "No space left on device")

    with shop.hosting():
        with patch.object(Shelf, "fetch", full):
            handle = shop.start("order")
            trouble = told(shop, version)
            assert "No space left" in trouble.error["message"]
            time.sleep(0.5)
            assert len(tried) <= 4
        assert handle.result(20) == "paid 1"
        until(lambda: shop.trouble(version) is None, "the trouble is over")


def test_the_trouble_that_another_supervisor_told_of_is_over_when_it_runs(shop: Shop) -> None:  # noqa: F811
    version = shop.deploy(package(ORDER))
    handle = shop.start("order")
    with patch.object(Shelf, "fetch", side_effect=OSError("no")), shop.hosting():
        until(lambda: shop.trouble(version), "the trouble")
    with shop.hosting():
        assert handle.result(20) == "paid 1"
        until(lambda: shop.trouble(version) is None, "the trouble is over")


# -- stranding ------------------------------------------------------------------------------------------------


def damaged(found: Shop, version: str, body: bytes | None) -> None:
    """Spoil the stored archive."""
    if body is None:
        found.hf.store.run(lambda tx: tx.execute("DELETE FROM blobs"))
    else:
        found.hf.store.run(lambda tx: tx.execute("UPDATE blobs SET body = :body", {"body": body}))


@pytest.mark.parametrize("body", [None, b"", b"PK\x03\x04 no archive"], ids=["missing", "empty", "damaged"])
def test_flows_of_a_lost_archive_wait_until_it_is_deployed_again(shop: Shop, body: bytes | None) -> None:  # noqa: F811
    archive = package(ORDER)
    version = shop.deploy(archive)
    damaged(shop, version, body)
    with shop.hosting() as hosting:
        handle = shop.start("order")
        trouble = told(shop, version)
        assert trouble.error["message"]
        assert trouble.error["remedy"]
        other = shop.deploy(package(ORDER.replace("paid", "sold")))
        assert shop.start("order").result(20) == "sold 1"
        assert shop.status(handle) == "created"
        assert set(hosting.running) == {other}
        shop.deploy(archive)
        assert handle.result(20) == "paid 1"
        assert shop.runs_on(handle) == version
        assert shop.trouble(version) is None


def test_a_package_for_a_later_python_strands_its_flows(shop: Shop) -> None:  # noqa: F811
    version = shop.deploy(package(ORDER, python="3.99"))
    with shop.hosting():
        handle = shop.start("order")
        trouble = told(shop, version)
        assert "needs Python 3.99" in trouble.error["message"]
        assert shop.status(handle) == "created"


def test_no_supervisor_starts_on_a_store_that_cannot_be_reached(shop: Shop) -> None:  # noqa: F811
    hosting = Hosting(shop.hf.store, shop.options())
    shop.hf.store.close()
    with pytest.raises(HoldfastError), hosting:
        raise AssertionError("it started")


def test_an_ordinary_worker_leaves_pinned_flows_alone_and_a_supervisor_the_others(any_shop: Shop) -> None:  # noqa: F811
    module = evaluated(ORDER.replace("paid", "in process"))
    with Holdfast(any_shop.hf.url, workflows=[module["order"]]) as hf, any_shop.hosting():
        before = hf.start(module["order"], 1)
        assert before.result(20) == "in process 1"
        version = any_shop.deploy(package(ORDER))
        handles = [hf.start(module["order"], number) for number in range(20)]
        assert [handle.result(20) for handle in handles] == [f"paid {number}" for number in range(20)]
        assert all(any_shop.runs_on(handle) == version for handle in handles)
        assert any_shop.runs_on(before) is None
        hf.rewind(before.id, "pay#1@1")
        until(lambda: any_shop.status(before) == "finished", "it ends again")
        assert before.result(20) == "in process 1"


def test_a_claim_whose_process_died_meanwhile_frees_its_flows_at_once(any_shop: Shop) -> None:  # noqa: F811
    """They do not wait for the end of a lease."""
    any_shop.deploy(package(ORDER))
    claim = Station._claim
    killed: list[int] = []

    async def die_after(self: Station, *args: Any) -> list[Claimed]:
        claimed = await claim(self, *args)
        if claimed and not killed:
            killed.extend(hosting.running.values())
            os.kill(killed[0], signal.SIGKILL)
        return claimed

    with patch.object(Station, "_claim", die_after), any_shop.hosting(lease=60.0) as hosting:
        handles = [any_shop.start("order", number=number) for number in range(5)]
        assert [handle.result(20) for handle in handles] == [f"paid {number}" for number in range(5)]
        assert killed
