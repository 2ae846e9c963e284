"""A mock AWS between threads, interruptions, failing stores and other worlds: nothing is lost, torn or left behind."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sqs.responses import SQSResponse

from holdfast.errors import StoreError
from holdfast.store import Store, open_store
from holdfast.worlds.aws import AwsWorld, WorldEvent, universe
from holdfast.worlds.aws import bodies as bodies_module
from holdfast.worlds.aws.errors import WorldClosed, WorldTakenOver
from holdfast.worlds.aws.gate import GATE, Gate
from holdfast.worlds.aws.sql import SqlAws, drop_some
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import Scope

A, B, REGION = "111111111111", "222222222222", "us-east-1"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'w.db'}"


@pytest.fixture
def store(path: str) -> Iterator[Store]:
    opened = open_store(path)
    yield opened
    opened.close()


def aside(work: Callable[[], Any]) -> list[BaseException]:
    """Have another thread do something; returns what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    return raised


def queues(world: AwsWorld) -> list[str]:
    return [url.rpartition("/")[2] for url in world.client("sqs").list_queues().get("QueueUrls", [])]


def once(work: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    """``work``, which fails the first time."""
    errors = [error]

    def failing(*args: Any, **kwargs: Any) -> Any:
        if errors:
            raise errors.pop()
        return work(*args, **kwargs)

    return failing


# -- the gate ---------------------------------------------------------------------------------------------------------


def test_an_interruption_is_raised_from_inside_by_who_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Gate()
    with one:
        depth = one.leave()
        monkeypatch.setattr(one, "_take", once(one._take, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            one.come_back(depth)
        assert one.mine
    assert not one.mine
    assert aside(one.__enter__) == []


def test_the_gate_opens_although_the_outer_world_was_closed_in_between() -> None:
    outer, inner = AwsWorld(), AwsWorld()
    with pytest.raises(WorldClosed), outer.at_work, inner.at_work:
        outer.close()
    assert not GATE.mine
    inner.close()


def test_a_world_closed_within_another_ones_work_leaves_that_at_work() -> None:
    outer, inner = AwsWorld(account=A), AwsWorld(account=A)
    with outer.at_work:
        inner.close()
        queues(outer)
        outer.client("sqs").create_queue(QueueName="q")
        assert list(outer.services["sqs"].adapter.backends[A][REGION].queues) == ["q"]
    assert queues(outer) == ["q"]
    outer.close()


def test_a_world_that_nobody_has_is_closed_without_waiting_wherever_that_is_noticed(store: Store) -> None:
    other = AwsWorld(account=A)

    def drop() -> None:
        shared = AwsWorld.shared(store, "w", account=A, region=REGION, takeover=False)
        shared.client("sqs").create_queue(QueueName="kept")

    drop()
    with other.at_work:
        other.client("sqs").create_queue(QueueName="mine")
        with GATE._lock:  # as within the gate's own work
            gc.collect()
        assert list(other.services["sqs"].adapter.backends[A][REGION].queues) == ["mine"]
    again = AwsWorld.shared(store, "w", account=A, region=REGION, takeover=False)
    assert queues(again) == ["kept"]
    again.close()
    other.close()


# -- the journal ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["note", "keep"])
def test_what_an_interruption_leaves_untold_is_journalled_with_the_next(
    store: Store, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = AwsWorld(store, account=A)
    sqs = world.client("sqs")
    sqs.create_queue(QueueName="first")
    with world.at_work:
        target: Any = world._journal if place == "note" else world.tracker.shadow("sqs", Scope(A, REGION))
    with monkeypatch.context() as patched:
        patched.setattr(target, place, once(getattr(target, place), KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            sqs.create_queue(QueueName="second")
    assert queues(world) == ["first", "second"]
    world.close()
    world = AwsWorld(store, account=A)
    assert queues(world) == ["first", "second"]
    world.close()


def test_what_cannot_be_read_is_in_nobody_elses_way(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = AwsWorld(store, account=A)
    sqs, adapter = world.client("sqs"), world.sqs.adapter
    sqs.create_queue(QueueName="first")
    with monkeypatch.context() as patched:
        patched.setattr(adapter, "read", once(adapter.read, ValueError("odd")))
        with pytest.raises(ValueError, match="odd"):
            sqs.create_queue(QueueName="odd")
    world.client("kms").create_key()
    sqs.create_queue(QueueName="odd")
    assert {"queue/first", "queue/odd"} <= set(world.sqs.snapshot(A, REGION).resources)
    world.close()


def test_a_dispatch_that_fails_late_tells_what_it_did(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = AwsWorld(store, account=A)
    told: list[WorldEvent] = []
    world.subscribe(told.append)
    work = SQSResponse.create_queue

    def late(self: Any) -> Any:
        work(self)
        raise ZeroDivisionError

    monkeypatch.setattr(SQSResponse, "create_queue", late)
    with pytest.raises(ZeroDivisionError):
        world.client("sqs").create_queue(QueueName="q")
    assert world.sqs.notifier.drain(10)
    assert [event.resource for event in told] == ["queue/q"]
    world.close()
    world = AwsWorld(store, account=A)
    assert queues(world) == ["q"]
    world.close()


def test_a_write_that_fails_once_is_made_with_the_next_in_order_with_its_bodies(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = AwsWorld(store, account=A)
    s3 = world.client("s3", config=boto3.session.Config(retries={"max_attempts": 0}))
    s3.create_bucket(Bucket="bbb")
    with monkeypatch.context() as patched:
        patched.setattr(store, "submit", once(store.submit, StoreError("full")))
        with pytest.raises(Exception, match="full"):
            s3.put_object(Bucket="bbb", Key="kept", Body=b"one")
        s3.put_object(Bucket="bbb", Key="k", Body=b"two")
    world.close()
    world = AwsWorld(store, account=A)
    found = [world.client("s3").get_object(Bucket="bbb", Key=key)["Body"].read() for key in ("kept", "k")]
    assert found == [b"one", b"two"]
    world.close()


def test_a_world_made_anew_after_pruning_takes_nothing_from_who_had_it_before(store: Store) -> None:
    stale = AwsWorld(store, "w", account=A, takeover=True)
    while store.run(lambda tx: drop_some(tx, "w", 10)):
        pass
    store.run(lambda tx: SqlAws(tx).attach("w", "another"))
    assert not stale.ours()
    assert stale._journal is not None
    assert stale._journal._attachment.num == store.read(lambda tx: SqlAws(tx).get("w")).num  # type: ignore[union-attr]
    stale.settle()
    with pytest.raises(WorldTakenOver):
        stale.sqs.restore(A, REGION, _one_queue())
    stale.close()


def _one_queue() -> Any:
    with AwsWorld(account=A) as world:
        world.client("sqs").create_queue(QueueName="q")
        return world.sqs.snapshot(A, REGION)


def test_names_that_a_database_cannot_hold_are_kept(store_url: str) -> None:
    store = open_store(store_url)
    world = AwsWorld(store, account=A)
    names = ["a\0b", "a%00b", "a%2500%25b"]
    for name in names:
        world.client("logs").create_log_group(logGroupName=name)
    world.close()
    world = AwsWorld(store, account=A)
    found = [group["logGroupName"] for group in world.client("logs").describe_log_groups()["logGroups"]]
    assert sorted(found) == sorted(names)
    world.close()
    store.close()


def test_a_world_that_cannot_be_opened_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = AwsWorld(store, account=A)
    world.client("sqs").create_queue(QueueName="q")
    adapter = type(world.sqs.adapter)
    world.close()
    with monkeypatch.context() as patched:
        patched.setattr(adapter, "install", once(adapter.install, InvalidView("sqs", "$", "odd")))
        with pytest.raises(InvalidView):
            AwsWorld(store, account=A)
    assert universe._present is None
    world = AwsWorld(store, account=A)
    assert queues(world) == ["q"]
    world.close()


# -- bodies -----------------------------------------------------------------------------------------------------------


def test_a_body_that_is_overwritten_between_a_snapshot_and_its_storing_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies_module, "STAGED_BYTES", 10)
    world = AwsWorld(account=A)
    world.bodies._enough = 10
    s3 = world.client("s3")
    s3.create_bucket(Bucket="bbb")
    s3.put_object(Bucket="bbb", Key="k", Body=b"first of all")
    keep = world.bodies.keep

    def late(*args: Any) -> None:
        world.s3.restore(A, REGION, world.s3.nothing())
        s3.create_bucket(Bucket="ccc")
        keep(*args)

    with monkeypatch.context() as patched:
        patched.setattr(world.bodies, "keep", late)
        view = world.s3.snapshot(A, REGION)
    assert world.bodies._staged == {}
    world.s3.restore(A, REGION, view)
    assert s3.get_object(Bucket="bbb", Key="k")["Body"].read() == b"first of all"
    world.close()


def test_bodies_that_nothing_names_any_more_are_forgotten_in_attached_worlds_too(store: Store) -> None:
    world = AwsWorld(store, account=A)
    world.bodies._enough = 10
    world.bodies.put(b"what nothing will ever name")
    world.client("sqs").create_queue(QueueName="q")
    assert world.bodies._staged == {}
    world.close()


def test_what_is_known_to_be_stored_may_be_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies_module, "MOST_KNOWN", 2)
    with AwsWorld(store, account=A) as world:
        s3 = world.client("s3")
        s3.create_bucket(Bucket="bbb")
        for number in range(20):
            s3.put_object(Bucket="bbb", Key=f"k{number}", Body=f"body {number % 5}".encode())
        assert len(world.bodies._known) <= 3
        world.checkpoint("all")
        world.reset()
        world.restore("all")
        found = [s3.get_object(Bucket="bbb", Key=f"k{number}")["Body"].read().decode() for number in range(20)]
    assert found == [f"body {number % 5}" for number in range(20)]


# -- boto3, patched ---------------------------------------------------------------------------------------------------


def test_a_world_may_be_closed_by_another_thread_than_it_was_entered_by() -> None:
    before = dict(os.environ)
    world = AwsWorld()
    world.__enter__()
    assert aside(world.close) == []
    assert dict(os.environ) == before
    with AwsWorld(account=A) as other:
        aside(lambda: boto3.client("sqs", region_name=REGION).create_queue(QueueName="q"))
        boto3.client("sqs", region_name=REGION).create_queue(QueueName="r")
        assert queues(other) == ["q", "r"]


def test_the_environment_is_given_back_but_for_what_others_did_there(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {"AWS_DEFAULT_PROFILE": "p", "AWS_ENDPOINT_URL_SQS": "http://localhost:1", "AWS_SECURITY_TOKEN": "t"}
    for name, value in hidden.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MINE", "old")
    with AwsWorld():
        assert not hidden.keys() & os.environ.keys()
        os.environ["MINE"] = "new"
        boto3.client("sqs", region_name=REGION).list_queues()
    assert os.environ["MINE"] == "new"
    assert {name: os.environ[name] for name in hidden} == hidden
    assert "AWS_ACCESS_KEY_ID" not in os.environ


def test_each_of_several_worlds_has_its_own_account() -> None:
    with AwsWorld(account=A) as one, AwsWorld(account=B):
        url = boto3.client("sqs", region_name=REGION).create_queue(QueueName="q")["QueueUrl"]
        assert B in url
        assert aside(lambda: queues(one)) == []
