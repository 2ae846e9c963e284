"""SNS in views: topics with what was published, subscriptions with their filters, endpoints, SMS (WO-1, WO-8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.sns import models
from moto.sqs.models import sqs_backends

from holdfast.worlds.aws.adapter import Elsewhere
from holdfast.worlds.aws.services.sns import SnsAdapter
from holdfast.worlds.aws.services.sns.records import Notification, Subscription
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, round_trip, take, unknown_attributes
from tests.aws_touches import watched

OTHER = "222222222222"
POLICY = {"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Allow", "Action": "SNS:Publish"}], "Id": "z"}

KINDS = {
    "topic",
    "notification",
    "subscription",
    "application",
    "endpoint",
    "push",
    "sms",
    "sms-attribute",
    "opted-out",
}


@pytest.fixture
def sns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("sns", region_name=REGION)


@pytest.fixture
def adapter() -> SnsAdapter:
    return SnsAdapter(MemoryBodies())


def as_account(monkeypatch: pytest.MonkeyPatch, account: str) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", account)


def test_nothing_of_the_emulator_is_forgotten(adapter: SnsAdapter) -> None:
    assert unknown_attributes(adapter) == {}


def fill(sns: Any) -> dict[str, str]:
    """One of everything; returns ARNs."""
    sqs = boto3.client("sqs", region_name=REGION)
    for queue in ("plain", "raw"):
        sqs.create_queue(QueueName=queue)
    news = sns.create_topic(
        Name="news",
        Attributes={"DisplayName": "News", "SignatureVersion": "2", "Policy": json.dumps(POLICY)},
        Tags=[{"Key": "z", "Value": "1"}, {"Key": "a", "Value": "2"}],
    )["TopicArn"]
    line = sns.create_topic(Name="line.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    sns.set_topic_attributes(TopicArn=news, AttributeName="TracingConfig", AttributeValue="Active")
    sns.set_topic_attributes(TopicArn=news, AttributeName="KmsMasterKeyId", AttributeValue="alias/a")
    sns.set_topic_attributes(TopicArn=line, AttributeName="ContentBasedDeduplication", AttributeValue="true")
    sns.add_permission(TopicArn=line, Label="l", AWSAccountId=[OTHER], ActionName=["Publish"])
    plain = sns.subscribe(
        TopicArn=news,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:plain",
        Attributes={"FilterPolicyScope": "MessageBody", "FilterPolicy": json.dumps({"n": [{"numeric": [">", 1.5]}]})},
    )["SubscriptionArn"]
    mail = sns.subscribe(TopicArn=line, Protocol="email", Endpoint="a@example.org")["SubscriptionArn"]
    raw = sns.subscribe(TopicArn=news, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:raw")
    sns.set_subscription_attributes(
        SubscriptionArn=raw["SubscriptionArn"], AttributeName="RawMessageDelivery", AttributeValue="true"
    )
    attributes = {
        "blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        "n": {"DataType": "Number", "StringValue": "1"},
    }
    sns.publish(TopicArn=news, Message='{"n": 2}', Subject="s", MessageAttributes=attributes)
    sns.publish(TopicArn=line, Message="a", MessageGroupId="g")
    sns.publish_batch(TopicArn=news, PublishBatchRequestEntries=[{"Id": i, "Message": i} for i in "ab"])
    application = sns.create_platform_application(Name="app/1", Platform="GCM", Attributes={"Enabled": "true"})
    application = application["PlatformApplicationArn"]
    endpoint = sns.create_platform_endpoint(
        PlatformApplicationArn=application, Token="t", CustomUserData="u", Attributes={"Enabled": "true"}
    )["EndpointArn"]
    sns.publish(TargetArn=endpoint, Message="pushed")
    sns.publish(PhoneNumber="+15551234567", Message="sent")
    sns.set_sms_attributes(attributes={"DefaultSMSType": "Promotional", "DefaultSenderID": "me"})
    sns.opt_in_phone_number(phoneNumber="+447420500600")
    return {
        "news": news,
        "line": line,
        "plain": plain,
        "raw": raw["SubscriptionArn"],
        "mail": mail,
        "application": application,
        "endpoint": endpoint,
    }


def read(sns: Any, arns: dict[str, str]) -> list[Any]:
    """All that a client can read."""
    answers = [
        sns.list_topics(),
        sns.list_subscriptions(),
        sns.list_platform_applications(),
        sns.list_endpoints_by_platform_application(PlatformApplicationArn=arns["application"]),
        sns.get_platform_application_attributes(PlatformApplicationArn=arns["application"]),
        sns.get_endpoint_attributes(EndpointArn=arns["endpoint"]),
        sns.get_sms_attributes(),
        sns.list_phone_numbers_opted_out(),
        sns.check_if_phone_number_is_opted_out(phoneNumber="+447420500600"),
    ]
    for topic in (arns["news"], arns["line"]):
        answers.append(sns.get_topic_attributes(TopicArn=topic))
        answers.append(sns.list_subscriptions_by_topic(TopicArn=topic))
        answers.append(sns.list_tags_for_resource(ResourceArn=topic))
    answers += [sns.get_subscription_attributes(SubscriptionArn=arns[one]) for one in ("plain", "raw", "mail")]
    return [{key: value for key, value in answer.items() if key != "ResponseMetadata"} for answer in answers]


def test_everything_comes_back_as_it_was(sns: Any, adapter: SnsAdapter) -> None:
    arns = fill(sns)
    before = read(sns, arns)
    kinds = {name.partition("/")[0] for name in round_trip(adapter)}
    assert kinds == KINDS
    assert read(sns, arns) == before
    round_trip(adapter)


def test_text_keeps_its_order_in_canonical_views(sns: Any, adapter: SnsAdapter) -> None:
    arns = fill(sns)
    before = read(sns, arns)
    view = adapter.view_type(service="sns", version=1, resources=take(adapter))
    canonical = msgspec.json.encode(view, order="deterministic")
    records = msgspec.json.decode(canonical, type=adapter.view_type).resources
    ranked = dict(sorted(records.items(), key=lambda item: item[1].rank))
    adapter.install(models.sns_backends[ACCOUNT][REGION], REGION, ranked)
    assert read(sns, arns) == before


def test_filters_and_deliveries_work_afterwards(sns: Any, adapter: SnsAdapter) -> None:
    arns = fill(sns)
    queues = sqs_backends[ACCOUNT][REGION].queues
    round_trip(adapter)
    counts = [len(queues[name]._messages) for name in ("plain", "raw")]
    sns.publish(TopicArn=arns["news"], Message='{"n": 1}')
    sns.publish(TopicArn=arns["news"], Message='{"n": 3}')
    assert [len(queues[name]._messages) for name in ("plain", "raw")] == [counts[0] + 1, counts[1] + 2]
    again = sns.subscribe(TopicArn=arns["line"], Protocol="email", Endpoint="a@example.org")
    assert again["SubscriptionArn"] == arns["mail"]
    sns.delete_topic(TopicArn=arns["news"])
    assert [one["SubscriptionArn"] for one in sns.list_subscriptions()["Subscriptions"]] == [arns["mail"]]


def test_certificates_are_the_default_accounts(sns: Any, adapter: SnsAdapter) -> None:
    arns = fill(sns)
    records = round_trip(adapter, account="123456789012")
    assert [name.partition("/")[0] for name in records] == ["certificate"]
    touched = adapter.touches["publish"](models.sns_backends[ACCOUNT][REGION], "m", arn=arns["news"])
    assert list(touched) == [("sent", "news"), Elsewhere("123456789012", REGION, ("certificates",))]


def test_a_subscription_to_another_accounts_topic(
    sns: Any, adapter: SnsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = sns.create_topic(Name="news")["TopicArn"]
    as_account(monkeypatch, OTHER)
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="b@example.org")
    backends = models.sns_backends
    mine, theirs = take(adapter), take(adapter, OTHER)
    (subscription,) = theirs.values()
    assert (subscription.topic_account, subscription.topic_gone) == (ACCOUNT, False)
    for account, records in ((OTHER, theirs), (ACCOUNT, mine), (ACCOUNT, {}), (OTHER, theirs), (ACCOUNT, mine)):
        adapter.install(backends[account][REGION], REGION, records)
        assert take(adapter, OTHER) == theirs
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1
    as_account(monkeypatch, ACCOUNT)
    sns.delete_topic(TopicArn=topic)
    sns.create_topic(Name="news")
    gone = take(adapter, OTHER)
    assert [record.topic_gone for record in gone.values()] == [True]
    adapter.install(backends[OTHER][REGION], REGION, gone)
    assert take(adapter, OTHER) == gone
    as_account(monkeypatch, OTHER)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    assert len(sns.list_subscriptions()["Subscriptions"]) == 1


def test_what_another_account_does_to_a_topic_is_told(
    sns: Any, adapter: SnsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = sns.create_topic(Name="news")["TopicArn"]
    models.sns_backends[OTHER][REGION]
    with watched(adapter, monkeypatch) as check:
        as_account(monkeypatch, OTHER)
        sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="theirs")
        assert check() == {("topic", "news")}
        sns.publish(TopicArn=topic, Message="a")
        assert check() == {("sent", "news")}
        sns.delete_topic(TopicArn=topic)
        assert check() == {("topic", "news"), ("sent", "news")}


def test_whatever_changes_was_touched(sns: Any, adapter: SnsAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(adapter, monkeypatch) as check:
        arns = fill(sns)
        assert len({group[0] for group in check()}) == len(KINDS)
        news = arns["news"]
        sns.publish(TopicArn=news, Message="a")
        assert check() == {("sent", "news")}
        sns.tag_resource(ResourceArn=news, Tags=[{"Key": "k", "Value": "v"}])
        assert check() == {("topic", "news")}
        sns.untag_resource(ResourceArn=news, TagKeys=["k"])
        assert check() == {("topic", "news")}
        sns.remove_permission(TopicArn=arns["line"], Label="l")
        assert check() == {("topic", "line.fifo")}
        sns.set_platform_application_attributes(
            PlatformApplicationArn=arns["application"], Attributes={"Enabled": "false"}
        )
        assert check() == {("application", "GCM/app/1")}
        sns.set_endpoint_attributes(EndpointArn=arns["endpoint"], Attributes={"Enabled": "true"})
        check()
        read(sns, arns)
        sns.confirm_subscription(TopicArn=news, Token="t")
        assert check() == set()
        sns.unsubscribe(SubscriptionArn=arns["mail"])
        assert check() == {("subscriptions",)}
        sns.delete_endpoint(EndpointArn=arns["endpoint"])
        assert check() == {("endpoints",), ("pushes", arns["endpoint"].partition("/")[2])}
        sns.create_platform_endpoint(PlatformApplicationArn=arns["application"], Token="t2")
        check()
        sns.delete_platform_application(PlatformApplicationArn=arns["application"])
        assert check() == {("application", "GCM/app/1"), ("endpoints",)}
        sns.delete_topic(TopicArn=news)
        assert check() == {("topic", "news"), ("sent", "news"), ("subscriptions",)}


def test_touches_take_any_input(sns: Any) -> None:
    backend = models.sns_backends[ACCOUNT][REGION]
    for method, touch in SnsAdapter.touches.items():
        for hostile in ("", "a:b", "arn:aws:sns:x:y:z", "::::::::", "\ud800"):
            count = len(models.sns_backends)
            list(touch(backend, *[hostile] * (1 if method.startswith("delete") else 3)))
            assert len(models.sns_backends) == count


def test_bad_views_are_refused(sns: Any, adapter: SnsAdapter) -> None:
    fill(sns)
    records = take(adapter)
    assert list(adapter.check(records)) == []
    topic = next(name for name in records if name.startswith("topic/"))
    cases: list[tuple[str, dict[str, Any]]] = [
        ("name", {topic + "x": records[topic]}),
        ("others", {topic: msgspec.structs.replace(records[topic], others={"arn": "mine"})}),
        ("others", {topic: msgspec.structs.replace(records[topic], others={"x": {"$bytes": 1}})}),
        ("topic", {name: record for name, record in records.items() if isinstance(record, Subscription)}),
        ("name", {name: record for name, record in records.items() if isinstance(record, Notification)}),
        ("application", {name: record for name, record in records.items() if name.startswith("endpoint/")}),
        ("name", {name: record for name, record in records.items() if name.startswith("push/")}),
        ("name", {"notification/x": next(r for r in records.values() if isinstance(r, Notification))}),
    ]
    for field, resources in cases:
        assert {found.field for found in adapter.check(resources)} == {field}, resources
