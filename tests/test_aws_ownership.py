"""An attached world is one process's at a time, and what another one does to it in the meantime counts for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError

from holdfast.store import Store, Transaction, open_store
from holdfast.worlds.aws import AwsWorld, journal
from holdfast.worlds.aws.errors import WorldAttached, WorldClosed, WorldTakenOver
from holdfast.worlds.aws.sql import SqlAws
from holdfast.worlds.checkpoints import find_checkpoint
from holdfast.worlds.restoring import begin_restore, pending_restore

A, REGION = "111111111111", "us-east-1"
DURABLE = pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def store(new_store_url: Callable[[], str]) -> Iterator[Store]:
    with closing(open_store(new_store_url())) as opened:
        yield opened


def opened(store: Store, **options: Any) -> AwsWorld:
    return AwsWorld(store, "w", account=A, **options)


def sqs(world: AwsWorld) -> Any:
    from boto3.session import Config

    return world.client("sqs", config=Config(retries={"max_attempts": 0}))


def queues(world: AwsWorld) -> list[str]:
    return [url.rpartition("/")[2] for url in sqs(world).list_queues().get("QueueUrls", [])]


# -- who has it -------------------------------------------------------------------------------------------------------


@DURABLE
def test_whoever_took_a_world_over_has_it_until_he_lets_it_go(store: Store) -> None:
    stale = opened(store)
    with closing(opened(store, takeover=True)):
        with pytest.raises(WorldAttached):
            opened(store)
        stale.close()
        with pytest.raises(WorldAttached):
            opened(store)
    opened(store).close()


@DURABLE
def test_who_lost_a_world_keeps_nobody_from_it(store: Store) -> None:
    stale = opened(store)
    opened(store, takeover=True).close()
    opened(store).close()
    assert not stale.ours()
    stale.close()


@DURABLE
def test_of_two_that_open_a_world_that_nobody_has_one_gets_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(store).close()
    begin, faster = SqlAws.attach, []

    def attach(self: SqlAws, world: str, holder: str, *, after: int | None = None) -> Any:
        if not faster:  # one that has seen the same epoch, and begins the next first
            faster.append(begin(self, world, "the faster", after=after))
        return begin(self, world, holder, after=after)

    monkeypatch.setattr(SqlAws, "attach", attach)
    with closing(opened(store)):
        found = store.read(lambda tx: SqlAws(tx).get("w"))
    assert found is not None
    assert found.epoch > faster[0].epoch


def test_nothing_is_left_of_the_names_that_were_held(tmp_path: Any) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 'w.db'}")) as store:
        for _ in range(3):
            opened(store).close()
    assert [path.name for path in tmp_path.iterdir() if "hold-aws" in path.name] == []


def test_a_takeover_that_is_refused_leaves_nothing_behind(store: Store) -> None:
    def refuse(tx: Transaction) -> None:
        raise PermissionError("not yours")

    with pytest.raises(PermissionError):
        opened(store, takeover=refuse)
    opened(store).close()


def test_a_closed_world_is_not_entered_again() -> None:
    world = AwsWorld()
    world.close()
    with pytest.raises(WorldClosed), world:
        pass


# -- a stale one wakes up ---------------------------------------------------------------------------------------------


@DURABLE
def test_a_stale_worlds_restore_takes_nothing_from_who_has_it(store: Store) -> None:
    stale = opened(store)
    stale.checkpoint("old")
    sqs(stale).create_queue(QueueName="both")
    with closing(opened(store, takeover=True)) as rightful:
        sqs(rightful).create_queue(QueueName="important")
        for act in (lambda: stale.restore("old"), stale.checkpoint, lambda: stale.world.record(stale.snapshot())):
            with pytest.raises(WorldTakenOver):
                act()
        assert store.read(lambda tx: pending_restore(tx, "w")) is None
        assert queues(rightful) == ["both", "important"]
        rightful.snapshot()
        assert queues(rightful) == ["both", "important"]
    stale.close()


@DURABLE
def test_a_stale_world_does_not_end_what_another_is_to_restore(store: Store) -> None:
    stale = opened(store)
    old = stale.checkpoint("old")
    with closing(opened(store, takeover=True)) as rightful:
        sqs(rightful).create_queue(QueueName="undone")
        store.run(lambda tx: begin_restore(tx, old))
        with pytest.raises(WorldTakenOver):
            stale.snapshot()
        assert store.read(lambda tx: find_checkpoint(tx, "w", "old")) == old
        rightful.snapshot()
        assert queues(rightful) == []
    stale.close()


def test_a_lost_world_tells_each_client_anew(store: Store) -> None:
    stale = opened(store)
    opened(store, takeover=True).close()
    told = []
    for _ in range(3):
        with pytest.raises(ClientError):
            sqs(stale).create_queue(QueueName="q")
        with pytest.raises(WorldTakenOver) as raised:
            stale.serve(lambda: None)
        told.append(raised.value)
    assert len(set(map(id, told))) == 3
    stale.close()


# -- interrupted writers ----------------------------------------------------------------------------------------------


@DURABLE
def test_an_interrupted_write_ends_before_the_next_begins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves a write on its way to the store: the next one of the same record is not overwritten by it."""
    world = opened(store)
    ssm = world.client("ssm")
    ssm.put_parameter(Name="p", Value="v0", Type="String")
    begun, go_on = threading.Event(), threading.Event()
    write = SqlAws.write

    def slow(self: SqlAws, *args: Any) -> None:
        first = not begun.is_set()
        begun.set()
        if first:
            go_on.wait(20)
        write(self, *args)

    def interrupted(submit: Callable[[Any], None], stuck: Any) -> None:
        submit(lambda unit: None)
        assert begun.wait(20)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SqlAws, "write", slow)
        patched.setattr(journal, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ssm.put_parameter(Name="p", Value="v1", Type="String", Overwrite=True)
        patched.undo()
        patched.setattr(SqlAws, "write", slow)
        after = threading.Thread(target=lambda: ssm.put_parameter(Name="p", Value="v2", Type="String", Overwrite=True))
        after.start()
        after.join(0.3)
        go_on.set()
        after.join(20)
        assert not after.is_alive()
    world.close()
    with closing(opened(store)) as again:
        assert again.client("ssm").get_parameter(Name="p")["Parameter"]["Value"] == "v2"


@pytest.mark.parametrize("where", ["staged", "submit", "begin"])
def test_a_write_that_is_interrupted_before_it_begins_is_made_with_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    world = opened(store)
    client = sqs(world)

    def interrupt(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    owner, name = {"staged": (world.bodies, "staged"), "submit": (store, "submit"), "begin": (journal, "wait_for")}[
        where
    ]
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.create_queue(QueueName="interrupted")
    client.create_queue(QueueName="next")
    world.close()
    with closing(opened(store)) as again:
        assert queues(again) == ["interrupted", "next"]


# -- what is seen of it -----------------------------------------------------------------------------------------------


def test_a_diff_to_the_present_has_what_came_into_use_since() -> None:
    with closing(AwsWorld(account=A)) as world:
        world.checkpoint("before")
        world.client("sqs", region="eu-west-1").create_queue(QueueName="far")
        world.client("sqs", account="222222222222").create_queue(QueueName="foreign")
        told = [line for line in world.diff("before").lines() if "queue" in line]
        assert [line.split()[:2] for line in told] == [["+", "queue/far"], ["+", "queue/foreign"]]


def test_a_listener_that_fails_once_hears_the_rest_of_the_change(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def listen(event: Any) -> None:
        heard.append(event.resource)
        if len(heard) == 1:
            raise ValueError("once")

    with closing(AwsWorld(account=A)) as world:
        url = world.client("sqs").create_queue(QueueName="q")["QueueUrl"]
        world.sqs.notifier.drain()
        world.subscribe(listen)
        entries = [{"Id": str(n), "MessageBody": "m"} for n in range(5)]
        world.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
        world.sqs.notifier.drain()
    assert len(heard) >= 5
    assert "a listener of the world aws failed" in caplog.text
