"""A mock AWS as a world: one gate, events, checkpoints, the journal of what is attached (WO-1 … WO-12)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.sqs.models import Message

from holdfast.store import Store, open_store
from holdfast.worlds.aws import AwsWorld, WorldEvent
from holdfast.worlds.aws.errors import InvalidAccount, UnknownRegion, WorldAttached, WorldClosed, WrongRegion
from holdfast.worlds.aws.gate import Gate
from holdfast.worlds.aws.instruments import MOST_LISTED
from holdfast.worlds.aws.stored import stored_world
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import ChangeKind, Scope

A, B, REGION = "111111111111", "222222222222", "eu-west-1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'w.db'}")
    yield opened
    opened.close()


@pytest.fixture
def world() -> Iterator[AwsWorld]:
    with AwsWorld(account=A, region=REGION) as opened:
        yield opened


def queue(client: Any, name: str = "q") -> str:
    return str(client.create_queue(QueueName=name)["QueueUrl"])


def heard(world: AwsWorld) -> list[WorldEvent]:
    """A list to which what happens is added; drained by :func:`drain`."""
    found: list[WorldEvent] = []
    world.subscribe(found.append)
    return found


def drain(world: AwsWorld, found: list[WorldEvent]) -> list[tuple[str, str, str]]:
    for service in world.services.values():
        assert service.notifier.drain(10)
    told = [(event.kind.value, event.service, event.resource.partition("/")[0]) for event in found]
    found.clear()
    return told


# -- clients ----------------------------------------------------------------------------------------------------------


def test_plain_boto3_speaks_to_the_world_within_its_block_and_from_any_thread(world: AwsWorld) -> None:
    made: list[str] = []
    thread = threading.Thread(target=lambda: made.append(queue(boto3.client("sqs", region_name=REGION))))
    thread.start()
    thread.join()
    assert made == [f"https://sqs.{REGION}.amazonaws.com/{A}/q"]
    assert list(world.sqs.snapshot(A, REGION).resources) == ["queue/q"]


def test_clients_that_were_made_before_the_block_speak_to_it_too() -> None:
    client = boto3.client("sqs", region_name=REGION, aws_access_key_id=B, aws_secret_access_key="x")
    with AwsWorld(account=A) as world:
        assert B in queue(client)
        assert list(world.sqs.snapshot(B, REGION).resources) == ["queue/q"]


def test_the_account_comes_from_the_credentials(world: AwsWorld) -> None:
    queue(world.client("sqs", account=B, region="us-west-2"))
    assert list(world.sqs.snapshot(B, "us-west-2").resources) == ["queue/q"]
    assert world.sqs.snapshot(A, REGION).resources == {}
    assert Scope(B, "us-west-2") in world.scopes()


def test_worlds_of_one_process_are_apart_and_apart_from_plain_moto() -> None:
    with mock_aws():
        plain = boto3.client("sqs", region_name=REGION)
        queue(plain, "plain")
        with AwsWorld(name="one", account=A) as one, AwsWorld(name="two", account=A) as two:
            queue(one.client("sqs", region=REGION), "first")
            queue(two.client("sqs", region=REGION), "second")
            assert list(one.sqs.snapshot(A, REGION).resources) == ["queue/first"]
            assert list(two.sqs.snapshot(A, REGION).resources) == ["queue/second"]
        assert [url.rpartition("/")[2] for url in plain.list_queues()["QueueUrls"]] == ["plain"]


def test_whoever_resets_the_emulator_resets_no_world(world: AwsWorld) -> None:
    with AwsWorld(name="other", account=A) as other:
        for one in (world, other):
            s3 = one.client("s3", region="us-east-1")
            s3.create_bucket(Bucket="bucket")
            s3.put_object(Bucket="bucket", Key="k", Body=one.name.encode())
    quiet = AwsWorld(name="quiet", account=A)
    try:
        s3 = quiet.client("s3", region="us-east-1")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=b"quiet")
        world.close()
        with mock_aws():
            boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="bucket")
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"quiet"
    finally:
        quiet.close()


def test_a_closed_world_answers_nobody(world: AwsWorld) -> None:
    client = world.client("sqs", config=boto3.session.Config(retries={"max_attempts": 0}))
    world.close()
    with pytest.raises(ClientError, match="is closed"):
        queue(client)
    with pytest.raises(WorldClosed):
        world.sqs.snapshot(A, REGION)
    world.close()


def test_a_long_poll_waits_outside_the_gate(world: AwsWorld) -> None:
    sqs = world.client("sqs")
    url = queue(sqs)
    answers: list[Any] = []
    polls = [
        threading.Thread(target=lambda: answers.append(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)))
        for _ in range(8)
    ]
    for poll in polls:
        poll.start()
    for place in range(20):
        queue(sqs, f"other{place}")
        world.sqs.snapshot(A, REGION)
    assert answers == []
    for place in range(8):
        sqs.send_message(QueueUrl=url, MessageBody=str(place))
    for poll in polls:
        poll.join(15)
    assert sorted(answer["Messages"][0]["Body"] for answer in answers) == [str(place) for place in range(8)]


def test_a_long_poll_that_a_restore_overtakes_sees_the_queue_that_is_there_now(world: AwsWorld) -> None:
    sqs = world.client("sqs")
    url = queue(sqs)
    world.checkpoint("empty")
    answers: list[Any] = []
    poll = threading.Thread(target=lambda: answers.append(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)))
    poll.start()
    queue(sqs, "other")
    world.restore("empty")
    sqs.send_message(QueueUrl=url, MessageBody="new")
    poll.join(15)
    assert [message["Body"] for message in answers[0]["Messages"]] == ["new"]


def test_texts_that_nothing_can_hold_are_refused(world: AwsWorld) -> None:
    dynamodb = world.client("dynamodb")
    with pytest.raises(ClientError, match="surrogate"):
        dynamodb.put_item(TableName="t", Item={"k": {"S": "\ud800"}})
    with pytest.raises(ClientError, match="not found"):
        dynamodb.put_item(TableName="t", Item={"k": {"S": "\\ud800 \U0001f600"}})


# -- events -----------------------------------------------------------------------------------------------------------


def test_every_mutation_is_told_and_no_read(world: AwsWorld) -> None:
    found = heard(world)
    sqs = world.client("sqs")
    url = queue(sqs)
    assert drain(world, found) == [("created", "sqs", "queue")]
    sqs.send_message(QueueUrl=url, MessageBody="a")
    assert drain(world, found) == [("created", "sqs", "message")]
    sqs.list_queues()
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    world.sqs.snapshot(A, REGION)
    world.checkpoint("one")
    assert drain(world, found) == []
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    assert drain(world, found) == [("updated", "sqs", "message")]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert ("deleted", "sqs", "message") in drain(world, found)
    with pytest.raises(ClientError):
        sqs.delete_queue(QueueUrl=url + "x")
    assert drain(world, found) == []


def test_what_one_service_does_to_others_is_told(world: AwsWorld) -> None:
    sns, sqs = world.client("sns"), world.client("sqs")
    url = queue(sqs, "inbox")
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    found = heard(world)
    sns.publish(TopicArn=topic, Message="hello")
    assert ("created", "sqs", "message") in drain(world, found)

    resources = {
        "Jobs": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "made"}},
        "Files": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "made"}},
    }
    stacks = world.client("cloudformation")
    stacks.create_stack(StackName="stack", TemplateBody=json.dumps({"Resources": resources}))
    assert {("created", "sqs", "queue"), ("created", "s3", "bucket")} <= set(drain(world, found))
    assert "bucket/made" in world.s3.snapshot(A, REGION).resources
    resources["Jobs"]["Properties"]["VisibilityTimeout"] = 7  # type: ignore[index]
    stacks.update_stack(StackName="stack", TemplateBody=json.dumps({"Resources": resources}))
    assert ("updated", "sqs", "queue") in drain(world, found)
    stacks.delete_stack(StackName="stack")
    assert {("deleted", "sqs", "queue"), ("deleted", "s3", "bucket")} <= set(drain(world, found))


def test_an_events_view_is_of_its_revision(world: AwsWorld) -> None:
    views: list[Any] = []
    asked = threading.Event()

    def listen(change: Any) -> None:
        asked.wait(10)
        views.append(sorted(change.view().resources))

    world.sqs.notifier.subscribe(listen)
    sqs = world.client("sqs")
    queue(sqs, "a")
    queue(sqs, "b")
    asked.set()
    assert world.sqs.notifier.drain(10)
    assert views == [["queue/a"], ["queue/a", "queue/b"]]


# -- views, checkpoints -----------------------------------------------------------------------------------------------


def test_restore_concerns_its_scope_alone(world: AwsWorld) -> None:
    for account in (A, B):
        for region in (REGION, "us-east-1"):
            queue(world.client("sqs", account=account, region=region))
    empty = msgspec.structs.replace(world.sqs.snapshot(A, REGION), resources={})
    world.sqs.restore(A, REGION, empty)
    counts = {scope: len(world.sqs.snapshot(*scope).resources) for scope in world.scopes() if scope.region != "global"}
    assert counts == {(A, REGION): 0, (A, "us-east-1"): 1, (B, REGION): 1, (B, "us-east-1"): 1}


def test_a_restored_world_empties_what_came_into_use_since(world: AwsWorld) -> None:
    queue(world.client("sqs"))
    world.checkpoint("before")
    queue(world.client("sqs", account=B, region="ap-south-1"))
    queue(world.client("sqs"), "second")
    world.restore("before")
    assert world.sqs.snapshot(B, "ap-south-1").resources == {}
    assert list(world.sqs.snapshot(A, REGION).resources) == ["queue/q"]
    assert not world.diff("before")


def test_merge_loses_nothing(world: AwsWorld) -> None:
    sqs = world.client("sqs")
    url = queue(sqs)
    for body in ("a", "b"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    view = world.sqs.snapshot(A, REGION)
    world.reset()
    url = queue(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="mine")
    report = world.sqs.merge(A, REGION, view)
    assert len(report.added) == 2
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert sorted(message["Body"] for message in received) == ["a", "b", "mine"]
    again = world.sqs.merge(A, REGION, view, dry_run=True)
    assert again.added == ()


def test_scopes_that_cannot_be_are_refused(world: AwsWorld) -> None:
    view = world.sqs.snapshot(A, REGION)
    with pytest.raises(InvalidAccount):
        world.sqs.snapshot("1234", REGION)
    with pytest.raises(UnknownRegion):
        world.sqs.restore(A, "mars-north-1", view)
    queue(world.client("sqs"))
    with pytest.raises(WrongRegion):
        world.sqs.restore(A, "global", world.sqs.snapshot(A, REGION))
    with pytest.raises(InvalidAccount):
        AwsWorld(account="12345678901a")


def test_views_that_contradict_themselves_are_refused_before_any_change(world: AwsWorld) -> None:
    sqs = world.client("sqs")
    sqs.send_message(QueueUrl=queue(sqs), MessageBody="a")
    view: Any = world.sqs.snapshot(A, REGION)
    name = next(name for name in view.resources if name.startswith("message/"))
    lost = {name: view.resources[name]}
    with pytest.raises(InvalidView, match="there is no queue 'q'") as refused:
        world.sqs.restore(A, REGION, msgspec.structs.replace(view, resources=lost))
    assert refused.value.path == f'$.resources["{name}"].id'
    assert world.sqs.snapshot(A, REGION) == view


# -- attached ---------------------------------------------------------------------------------------------------------


def test_what_was_acknowledged_is_there_when_it_is_opened_again(store: Store) -> None:
    with AwsWorld(store, account=A, region=REGION) as world:
        url = queue(world.client("sqs"))
        for body in ("a", "b", "c"):
            world.client("sqs").send_message(QueueUrl=url, MessageBody=body)
        before = world.sqs.snapshot(A, REGION)
    with AwsWorld(store, account=A, region=REGION) as world:
        assert world.sqs.snapshot(A, REGION) == before
        received = world.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        assert [message["Body"] for message in received] == ["a", "b", "c"]


def test_restores_and_merges_are_journalled_too(store: Store) -> None:
    with AwsWorld(store, account=A, region=REGION) as world:
        queue(world.client("sqs"), "kept")
        world.checkpoint("one")
        queue(world.client("sqs"), "gone")
        world.restore("one")
    with AwsWorld(store, account=A, region=REGION) as world:
        assert list(world.sqs.snapshot(A, REGION).resources) == ["queue/kept"]


def test_one_process_has_an_attached_world(store: Store) -> None:
    with AwsWorld(store, account=A) as world:
        with pytest.raises(WorldAttached, match="process"):
            AwsWorld(store, account=A)
        queue(world.client("sqs"))


def test_who_was_overtaken_can_change_nothing_any_more(store: Store) -> None:
    with AwsWorld(store, account=A, region=REGION) as stale:
        queue(stale.client("sqs"), "first")
        with AwsWorld(store, account=A, region=REGION, takeover=True) as present:
            client = stale.client("sqs", config=boto3.session.Config(retries={"max_attempts": 0}))
            with pytest.raises(ClientError, match="taken over"):
                queue(client, "late")
            queue(present.client("sqs"), "second")
            assert sorted(present.sqs.snapshot(A, REGION).resources) == ["queue/first", "queue/second"]
    with AwsWorld(store, account=A, region=REGION) as world:
        assert sorted(world.sqs.snapshot(A, REGION).resources) == ["queue/first", "queue/second"]


def test_others_may_look_while_it_is_attached(store: Store) -> None:
    with AwsWorld(store, "shop", account=A, region=REGION) as world:
        queue(world.client("sqs"), "one")
        seen = stored_world(store, "shop")
        seen.checkpoint("from outside")
        queue(world.client("sqs"), "two")
        changed = [change for part in seen.diff("from outside").parts for change in part.changes]
        assert [(change.resource, change.kind) for change in changed] == [("queue/two", ChangeKind.CREATED)]
        with pytest.raises(WorldAttached):
            seen.restore("from outside")
        world.world.recover()
        world.restore("from outside")
        assert list(world.sqs.snapshot(A, REGION).resources) == ["queue/one"]


# -- the gate ---------------------------------------------------------------------------------------------------------


def test_nobody_starves_at_the_gate() -> None:
    gate, ended, served = Gate(), threading.Event(), []

    def greedy() -> None:
        while not ended.is_set():
            with gate, gate:
                time.sleep(0.001)

    threads = [threading.Thread(target=greedy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        with gate:
            served.append(gate.mine)
    ended.set()
    for thread in threads:
        thread.join()
    assert served == [True] * 20
    assert not gate.mine


def test_a_bucket_that_moved_to_another_account_moves_back(store: Store) -> None:
    with AwsWorld(store, account=A, region="us-east-1") as world:
        world.client("s3").create_bucket(Bucket="bucket")
        world.client("s3").put_object(Bucket="bucket", Key="k", Body=b"first")
        world.checkpoint("first")
        world.client("s3").delete_object(Bucket="bucket", Key="k")
        world.client("s3").delete_bucket(Bucket="bucket")
        world.client("s3", account=B).create_bucket(Bucket="bucket")
        world.client("s3", account=B).put_object(Bucket="bucket", Key="k", Body=b"second")
        world.checkpoint("second")
        for name, account, body in (("first", A, b"first"), ("second", B, b"second"), ("first", A, b"first")):
            world.restore(name)
            found = world.client("s3", account=account).get_object(Bucket="bucket", Key="k")
            assert found["Body"].read() == body
        assert not world.diff("first")


def test_views_that_have_one_bucket_in_two_accounts_are_refused_before_any_change(world: AwsWorld) -> None:
    world.client("s3", region="us-east-1").create_bucket(Bucket="bucket")
    view = world.s3.snapshot(A, "us-east-1")
    twice = {("s3", Scope(A, "us-east-1")): view, ("s3", Scope(B, "us-east-1")): view}
    with pytest.raises(InvalidView, match="as well"):
        world.world.record(twice)
    with pytest.raises(InvalidView, match=f"belongs to the account {A}"):
        world.world.record({("s3", Scope(B, "us-east-1")): view})
    assert world.s3.snapshot(A, "us-east-1") == view


def test_what_the_emulator_has_from_the_beginning_is_there_when_it_is_opened_again(store: Store) -> None:
    with AwsWorld(store, account=A, region=REGION) as world:
        assert world.events.snapshot(A, REGION).resources == {}
        world.client("events").list_event_buses()
        before = world.events.snapshot(A, REGION)
    assert list(before.resources) == ["bus/default"]
    with AwsWorld(store, account=A, region=REGION) as world:
        assert world.events.snapshot(A, REGION) == before


def test_the_emulator_keeps_no_list_of_all_that_is_gone(world: AwsWorld) -> None:
    sqs = world.client("sqs")
    url = queue(sqs)
    for _ in range(MOST_LISTED + 5):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    assert len(Message.instances_tracked) == MOST_LISTED
