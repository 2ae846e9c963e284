"""SQS in views: queues with their messages, in flight, delayed, deduplicated, dead (WO-1, WO-8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.sqs.models import sqs_backends

from holdfast.worlds.aws.services.sqs import Deletion, SqsAdapter
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, round_trip, take, through_json, unknown_attributes
from tests.aws_touches import watched


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("sqs", region_name=REGION)


def test_nothing_of_the_emulator_is_forgotten() -> None:
    assert unknown_attributes(SqsAdapter(MemoryBodies())) == {}


def test_queues_come_back_with_their_messages(sqs: Any) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 2}}'
    url = sqs.create_queue(QueueName="jobs", Attributes={"RedrivePolicy": redrive}, tags={"team": "a"})["QueueUrl"]
    fifo = sqs.create_queue(
        QueueName="line.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    )["QueueUrl"]
    sqs.send_message(QueueUrl=fifo, MessageBody="once", MessageGroupId="g")
    sqs.send_message(QueueUrl=fifo, MessageBody="once", MessageGroupId="g")
    binary = {"blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    sqs.send_message(QueueUrl=url, MessageBody="a", MessageAttributes=binary)
    sqs.send_message(QueueUrl=url, MessageBody="b", DelaySeconds=60)
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "one", "MessageBody": "c"}])
    handle = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"][0]["ReceiptHandle"]
    sqs.receive_message(QueueUrl=fifo)
    sqs.add_permission(QueueUrl=url, Label="p", AWSAccountIds=["222222222222"], Actions=["SendMessage"])
    records = round_trip(SqsAdapter(MemoryBodies()))
    assert len([name for name in records if name.startswith("message/")]) == 4
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert sqs.receive_message(QueueUrl=fifo).get("Messages") is None
    round_trip(SqsAdapter(MemoryBodies()))


def test_what_the_emulator_keeps_of_odd_attributes_comes_back(sqs: Any) -> None:
    sqs.create_queue(QueueName="odd", Attributes={"VisibilityTimeout ": "7", "Colour": "red"})
    queue = round_trip(SqsAdapter(MemoryBodies()))["queue/odd"]
    assert queue.visibility_timeout == "7"
    assert queue.others == {"colour": "red"}


def test_dead_letters_of_a_deleted_queue_stay_lost(sqs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 1}}'
    attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": "0"}
    url = sqs.create_queue(QueueName="jobs", Attributes=attributes)["QueueUrl"]
    with watched(SqsAdapter(MemoryBodies()), monkeypatch) as check:
        sqs.delete_queue(QueueUrl=dead)
        assert check() == {("queue", "jobs"), ("queue", "dead")}
    sqs.create_queue(QueueName="dead")
    assert take(SqsAdapter(MemoryBodies()))["queue/jobs"].dead_letters_lost
    read = through_json(SqsAdapter(MemoryBodies()), take(SqsAdapter(MemoryBodies())))
    SqsAdapter(MemoryBodies()).install(sqs_backends[ACCOUNT][REGION], REGION, read)
    sqs.send_message(QueueUrl=url, MessageBody="a")
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert "Messages" not in sqs.receive_message(QueueUrl=dead)


def test_an_unchanged_message_is_not_read_again(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="long")["QueueUrl"]
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    adapter, backend = SqsAdapter(MemoryBodies()), sqs_backends[ACCOUNT][REGION]
    first = adapter.read(backend, ("queue", "long"))
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
    second = adapter.read(backend, ("queue", "long"))
    assert first is not None
    assert second is not None
    messages = [name for name in second.resources if name.startswith("message/")]
    assert [second.resources[name] is first.resources[name] for name in messages] == [False, True, True]


BAD = {
    "message/gone/1": lambda records: records["message/jobs/1"],
    "deletion/gone/h": lambda records: Deletion(handle="h"),
    "deletion/jobs/other": lambda records: Deletion(handle="h"),
    "queue/other": lambda records: records["queue/jobs"],
    "queue/jobs": lambda records: msgspec.structs.replace(records["queue/jobs"], dead_letter_queue="gone"),
    "message/jobs/1": lambda records: msgspec.structs.replace(records["queue/jobs"], others={"_messages": []}),
}


@pytest.mark.parametrize("name", BAD)
def test_what_leads_nowhere_is_refused(sqs: Any, name: str) -> None:
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a")
    adapter = SqsAdapter(MemoryBodies())
    found = take(adapter)
    queue, message = found.values()
    records = {"queue/jobs": queue, "message/jobs/1": msgspec.structs.replace(message, id="1")}
    assert list(adapter.check(records)) == []
    assert list(adapter.check(records | {name: BAD[name](records)}))


def test_whatever_changes_was_touched(sqs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(SqsAdapter(MemoryBodies()), monkeypatch) as check:
        url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
        assert check() == {("queue", "jobs")}
        sqs.send_message(QueueUrl=url, MessageBody="a")
        assert check() == {("queue", "jobs")}
        handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
        assert check() == {("queue", "jobs")}
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
        assert check() == {("queue", "jobs")}
        sqs.list_queues()
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        assert check() == set()
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
        assert check() == {("queue", "jobs"), ("deletions", "jobs")}
        sqs.delete_queue(QueueUrl=url)
        assert check() == {("queue", "jobs"), ("deletions", "jobs")}
