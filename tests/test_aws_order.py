"""The order in which clients are answered outlives a view, though a view's canonical form sorts all names (WO-7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from holdfast.store import Store, open_store
from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import encode_view
from tests.aws_kit import ACCOUNT, REGION

HERE = ACCOUNT, REGION


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store("sqlite://") as opened:
        yield opened


@pytest.fixture
def world(store: Store) -> Iterator[AwsWorld]:
    with AwsWorld(store, account=ACCOUNT, region=REGION) as opened:
        yield opened


def through_json(world: AwsWorld, service: str) -> None:
    """Have the state of a service be what its view's text says."""
    one = world.services[service]
    text = encode_view(one.snapshot(*HERE))
    world.reset()
    one.restore(*HERE, one.decode(text))
    assert encode_view(one.snapshot(*HERE)) == text


def test_policies_of_queues_are_answered_as_they_were_put(world: AwsWorld) -> None:
    sqs = world.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Sid": "z", "Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    told = {
        "Policy": json.dumps({"Version": "2012-10-17", "Id": "p", "Statement": [statement]}),
        "RedrivePolicy": json.dumps({"maxReceiveCount": 3, "deadLetterTargetArn": arn}),
    }
    url = sqs.create_queue(QueueName="jobs", Attributes=told)["QueueUrl"]
    through_json(world, "sqs")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert {name: found[name] for name in told} == told


@pytest.mark.parametrize("field", ["policy", "redrive_policy"])
@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_policy_that_is_no_text_of_an_object_is_refused(world: AwsWorld, field: str, text: str) -> None:
    world.client("sqs").create_queue(QueueName="jobs")
    world.client("sns").create_topic(Name="news")
    for service, name in (("sqs", "queue/jobs"), ("sns", "topic/news")):
        if service == "sns" and field != "policy":
            continue
        view: Any = world.services[service].snapshot(*HERE)
        spoilt = msgspec.structs.replace(view.resources[name], **{field: text})
        with pytest.raises(InvalidView) as refused:
            world.services[service].restore(*HERE, msgspec.structs.replace(view, resources={name: spoilt}))
        assert refused.value.path.endswith(f".{field}")
        assert world.services[service].snapshot(*HERE) == view


def test_results_of_a_query_keep_the_order_of_their_fields(world: AwsWorld) -> None:
    logs = world.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    logs.put_log_events(
        logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 1_795_000_000_000, "message": "m"}]
    )
    asked = {"startTime": 0, "endTime": 2_000_000_000, "queryString": "fields @timestamp, @message"}
    query = logs.start_query(logGroupName="g", **asked)["queryId"]
    before = logs.get_query_results(queryId=query)["results"]
    through_json(world, "logs")
    assert logs.get_query_results(queryId=query)["results"] == before
    assert [one["field"] for one in before[0]] != sorted(one["field"] for one in before[0])


def test_a_restore_that_changes_nothing_but_the_order_does_so(store: Store, world: AwsWorld) -> None:
    sns = world.client("sns")
    heard: list[Any] = []
    topics = [sns.create_topic(Name=name)["TopicArn"] for name in "ab"]
    view = world.sns.snapshot(*HERE)
    sns.delete_topic(TopicArn=topics[0])
    sns.create_topic(Name="a")
    assert listed_topics(world) == topics[::-1]
    assert world.sns.notifier.drain(10)
    world.sns.notifier.subscribe(heard.append)
    world.sns.restore(*HERE, view)
    assert listed_topics(world) == topics
    assert world.sns.notifier.drain(10)
    assert not heard
    world.close()
    with AwsWorld(store, account=ACCOUNT, region=REGION) as again:
        assert listed_topics(again) == topics


def listed_topics(world: AwsWorld) -> list[str]:
    return [one["TopicArn"] for one in world.client("sns").list_topics()["Topics"]]


def test_buckets_of_several_regions_are_listed_in_the_order_of_their_making(store: Store, world: AwsWorld) -> None:
    names = []
    for number, region in enumerate((REGION, "us-west-2", REGION, "ap-south-1")):
        names.append(f"bucket-{number}")
        there = {"LocationConstraint": region}
        world.client("s3", region=region).create_bucket(Bucket=names[-1], CreateBucketConfiguration=there)

    def listed(of: AwsWorld) -> list[str]:
        return [one["Name"] for one in of.client("s3").list_buckets()["Buckets"]]

    world.checkpoint("made")
    assert listed(world) == names
    world.reset()
    world.restore("made")
    assert listed(world) == names
    world.close()
    with AwsWorld(store, account=ACCOUNT, region=REGION) as again:
        assert listed(again) == names


def test_the_default_bus_that_a_reset_leaves_is_nobodys_news(world: AwsWorld) -> None:
    world.client("events").list_event_buses()
    world.reset()
    assert list(world.events.snapshot(*HERE).resources) == ["bus/default"]
    with world.at_work:
        assert world.tracker.recount() == []
