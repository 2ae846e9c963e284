"""The changes of a world as Server-Sent Events: followed, filtered, resumed, lost, ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.server import WorldServer, changes
from tests.aws_server_kit import ACCOUNT, OTHER, REGION, Stream, ask, client

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def server() -> Iterator[WorldServer]:
    with WorldServer(AwsWorld()) as opened:
        yield opened


def test_changes_are_told_as_they_happen(server: WorldServer) -> None:
    sqs = client(server.endpoint, "sqs")
    with closing(Stream(server.endpoint)) as stream:
        stream.begun()
        url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
        made = stream.next()
        assert made is not None
        assert made.kind == "change"
        assert made.data["after"]["rank"] >= 0
        told = {name: made.data[name] for name in ("service", "account_id", "region", "resource", "kind", "before")}
        place = {"service": "sqs", "account_id": ACCOUNT, "region": REGION}
        assert told == {**place, "resource": "queue/jobs", "kind": "created", "before": None}
        sqs.list_queues()
        sqs.send_message(QueueUrl=url, MessageBody="one")
        sent = stream.next()
        assert sent is not None
        assert (sent.data["resource"][:8], sent.data["after"]["body"]) == ("message/", "one")
        ask(server.endpoint, "POST", "/_world/reset")
        kinds = [event.data["kind"] for event in (stream.next(), stream.next()) if event]
        assert kinds == ["deleted", "deleted"]


def test_who_comes_back_misses_nothing(server: WorldServer) -> None:
    sqs = client(server.endpoint, "sqs")
    with closing(Stream(server.endpoint)) as stream:
        stream.begun()
        sqs.create_queue(QueueName="first")
        last = stream.next()
        assert last is not None
    sqs.create_queue(QueueName="second")
    client(server.endpoint, "sqs", OTHER).create_queue(QueueName="third")
    with closing(Stream(server.endpoint, f"?account={OTHER}&region={REGION}&service=sqs", last.id)) as stream:
        found = stream.next()
        assert found is not None
        assert (found.data["account_id"], found.data["resource"]) == (OTHER, "queue/third")


@pytest.mark.parametrize("last_id", ["nonsense", "aaaaaaaaaaaa-1", "-", "%s-999999", "%s-x"])
def test_who_cannot_be_told_what_was_missed_hears_that(server: WorldServer, last_id: str) -> None:
    with closing(Stream(server.endpoint)) as stream:
        stream.begun()
        epoch = stream.last_id.partition("-")[0]
    with closing(Stream(server.endpoint, last_id=last_id.replace("%s", epoch))) as stream:
        lost = stream.next()
        assert lost is not None
        assert lost.kind == "reset"
        client(server.endpoint, "sqs").create_queue(QueueName="after")
        found = stream.next()
        assert found is not None
        assert found.data["resource"] == "queue/after"


def test_what_is_kept_is_bounded(server: WorldServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MAX_KEPT", 3)
    with closing(Stream(server.endpoint)) as stream:
        stream.begun()
        first = stream.last_id
        for number in range(5):
            client(server.endpoint, "sqs").create_queue(QueueName=f"q{number}")
            assert stream.next() is not None
    with closing(Stream(server.endpoint, last_id=first)) as stream:
        lost = stream.next()
        assert lost is not None
        assert lost.kind == "reset"


def test_who_lost_nothing_of_its_own_is_not_reset(server: WorldServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MAX_KEPT", 3)
    sns, sqs = client(server.endpoint, "sns"), client(server.endpoint, "sqs")
    with closing(Stream(server.endpoint, "?service=sns")) as stream, closing(Stream(server.endpoint)) as others:
        stream.begun()
        first = stream.last_id
        for number in range(5):
            sqs.create_queue(QueueName=f"q{number}")
            assert others.next() is not None
        sns.create_topic(Name="one")
        found = stream.next()
        assert found is not None
        assert (found.kind, found.data["resource"]) == ("change", "topic/one")
        assert others.next() is not None
    for service, kind in (("sns", "change"), ("sqs", "reset")):
        with closing(Stream(server.endpoint, f"?service={service}", first)) as stream:
            again = stream.next()
            assert again is not None
            assert again.kind == kind
    with closing(Stream(server.endpoint)) as others:
        others.begun()
        for number in range(3):
            sns.create_topic(Name=f"{number}")
            assert others.next() is not None
    with closing(Stream(server.endpoint, "?service=sns", first)) as stream:
        lost = stream.next()
        assert lost is not None
        assert lost.kind == "reset"


def test_heartbeats_tell_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes.Changes.__init__, "__kwdefaults__", {"heartbeat": 0.05})
    with WorldServer(AwsWorld()) as server, closing(Stream(server.endpoint, f"?account={OTHER}")) as stream:
        stream.begun()
        first = stream.last_id
        client(server.endpoint, "sqs").create_queue(QueueName="not-asked-for")
        while stream.last_id == first:
            line = stream.response.readline().decode()
            assert not line.startswith("data:")
            stream.last_id = line[4:].strip() if line.startswith("id: ") else stream.last_id


def test_those_who_vanish_or_do_not_read_harm_nobody(server: WorldServer) -> None:
    sqs = client(server.endpoint, "sqs")
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    for _ in range(5):
        Stream(server.endpoint).close()
    with closing(Stream(server.endpoint)), closing(Stream(server.endpoint)) as reader:
        reader.begun()
        for _ in range(5):
            sqs.send_message(QueueUrl=url, MessageBody="x" * 200_000)
        assert all(reader.next() is not None for _ in range(5))


def test_streams_end_with_the_server() -> None:
    server = WorldServer(AwsWorld())
    streams = [Stream(server.endpoint) for _ in range(3)]
    started = time.monotonic()
    closer = threading.Thread(target=server.close)
    closer.start()
    assert [stream.next() for stream in streams] == [None] * 3
    closer.join()
    assert time.monotonic() - started < 2
    for stream in streams:
        stream.close()
