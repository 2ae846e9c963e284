"""SQS in views: queues with their messages, in flight, delayed, deduplicated, dead (WO-1, WO-8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from holdfast.worlds.aws.services.sqs import SqsAdapter
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, round_trip, unknown_attributes
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
        sqs.delete_queue(QueueUrl=url)
        assert check() == {("queue", "jobs")}
