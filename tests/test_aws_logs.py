"""CloudWatch Logs in views: groups, streams with their events, filters, queries, deliveries (WO-1, WO-3, WO-8)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.logs.models import LogEvent as Event
from moto.logs.models import logs_backends

from holdfast.worlds.aws.adapter import READS, Elsewhere
from holdfast.worlds.aws.services.logs import LogEvent, LogsAdapter, LogStream
from holdfast.worlds.aws.services.logs.touches import BLOCK
from holdfast.worlds.merging import merge_resources
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, round_trip, take, unknown_attributes
from tests.aws_touches import watched

OTHER_REGION = "eu-west-2"
GROUP, STREAM = "/aws/lambda/f", "2024/[1]/a"


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("logs", region_name=REGION)


def _adapter() -> LogsAdapter:
    return LogsAdapter(MemoryBodies())


def _arn(rest: str, region: str = REGION) -> str:
    return f"arn:aws:logs:{region}:{ACCOUNT}:{rest}"


def _put(logs: Any, *messages: str, group: str = GROUP, stream: str = STREAM) -> None:
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": message} for message in messages]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def _fill(logs: Any) -> None:
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="exports")
    logs.create_log_group(logGroupName=GROUP, kmsKeyId="key", tags={"team": "a"})
    logs.create_log_group(logGroupName="copies")
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=14)
    for group, stream in ((GROUP, STREAM), (GROUP, "empty"), ("copies", STREAM)):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    logs.put_subscription_filter(
        logGroupName=GROUP, filterName="copy", filterPattern="", destinationArn=_arn("log-group:copies")
    )
    _put(logs, "b", "a")
    _put(logs, *(f"line {number}" for number in range(2 * BLOCK)))
    old = int(time.time() * 1000) - 5000
    logs.put_log_events(
        logGroupName=GROUP, logStreamName=STREAM, logEvents=[{"timestamp": old, "message": "late \N{SNOWMAN}"}]
    )
    transformation = {"metricName": "m", "metricNamespace": "n", "metricValue": "1", "defaultValue": 0.5}
    for _ in range(2):
        logs.put_metric_filter(
            filterName="errors", filterPattern="ERROR", logGroupName=GROUP, metricTransformations=[transformation]
        )
    logs.put_resource_policy(policyName="p/q", policyDocument=json.dumps({"Statement": []}))
    query = {"startTime": 0, "endTime": 2_000_000_000, "queryString": "fields @timestamp, @message | limit 3"}
    logs.start_query(logGroupName=GROUP, **query)
    logs.create_export_task(logGroupName=GROUP, fromTime=0, to=2_000_000_000_000, destination="exports", taskName="t")
    logs.put_destination(
        destinationName="d", targetArn="arn:aws:kinesis::1:stream/s", roleArn="arn:aws:iam::r", tags={"k": "v"}
    )
    logs.put_destination_policy(destinationName="d", accessPolicy="{}")
    to = logs.put_delivery_destination(
        name="to", outputFormat="json", deliveryDestinationConfiguration={"destinationResourceArn": "arn:aws:s3:::b"}
    )["deliveryDestination"]
    logs.put_delivery_destination_policy(deliveryDestinationName="to", deliveryDestinationPolicy="{}")
    distribution = f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1"
    logs.put_delivery_source(name="from", resourceArn=distribution, logType="ACCESS_LOGS", tags={"k": "v"})
    logs.create_delivery(deliverySourceName="from", deliveryDestinationArn=to["arn"], recordFields=["date"])


def _answers(logs: Any) -> dict[str, Any]:
    """What reads answer."""
    here = {"logGroupName": GROUP}
    calls: dict[str, Callable[[], Any]] = {
        "groups": logs.describe_log_groups,
        "tags": lambda: logs.list_tags_log_group(**here),
        "destination tags": lambda: logs.list_tags_for_resource(resourceArn=_arn("destination:d")),
        "streams": lambda: logs.describe_log_streams(**here),
        "copies": lambda: logs.describe_log_streams(logGroupName="copies"),
        "events": lambda: logs.get_log_events(**here, logStreamName=STREAM),
        "page": lambda: logs.get_log_events(**here, logStreamName=STREAM, limit=5, startFromHead=True),
        "filtered": lambda: logs.filter_log_events(**here, filterPattern="line"),
        "metric filters": logs.describe_metric_filters,
        "subscriptions": lambda: logs.describe_subscription_filters(**here),
        "policies": logs.describe_resource_policies,
        "queries": lambda: logs.describe_queries(**here),
        "exports": logs.describe_export_tasks,
        "destinations": logs.describe_destinations,
        "delivery destinations": logs.describe_delivery_destinations,
        "delivery policy": lambda: logs.get_delivery_destination_policy(deliveryDestinationName="to"),
        "delivery sources": logs.describe_delivery_sources,
        "deliveries": logs.describe_deliveries,
    }
    answers = {name: call() for name, call in calls.items()}
    answers["results"] = logs.get_query_results(queryId=answers["queries"]["queries"][0]["queryId"])
    for answer in answers.values():
        del answer["ResponseMetadata"]
    return answers


def test_nothing_of_the_emulator_is_forgotten() -> None:
    assert unknown_attributes(_adapter()) == {}
    assert _adapter().not_captured == ()


def test_no_method_has_everything_read_again() -> None:
    public = {name for name in vars(logs_backends.backend) if not name.startswith(READS)} - {"reset"}
    methods = {name for name in public if callable(getattr(logs_backends.backend, name))}
    assert methods <= LogsAdapter.touches.keys()


def test_everything_comes_back(logs: Any) -> None:
    _fill(logs)
    before = _answers(logs)
    records = round_trip(_adapter())
    assert _answers(logs) == before
    assert len({name.split("/")[0] for name in records}) == 12
    assert len(before["events"]["events"]) == 2 * BLOCK + 3
    _put(logs, "after")
    arrived = {name for name in take(_adapter()) if name.startswith("event/")}
    assert len(arrived) == 2 * (2 * BLOCK + 4)
    logs.delete_metric_filter(filterName="errors", logGroupName=GROUP)
    logs.describe_log_streams(logGroupName=GROUP)
    logs.describe_log_streams(logGroupName="copies")
    round_trip(_adapter())


def test_tags_of_what_is_gone_come_back(logs: Any) -> None:
    logs.create_log_group(logGroupName=GROUP, tags={"team": "a"})
    logs.delete_log_group(logGroupName=GROUP)
    assert f"tags/{_arn('log-group:' + GROUP)}" in round_trip(_adapter())
    logs.create_log_group(logGroupName=GROUP)
    assert logs.list_tags_log_group(logGroupName=GROUP)["tags"] == {"team": "a"}
    assert f"tags/{_arn('log-group:' + GROUP)}" not in round_trip(_adapter())


def test_later_events_have_ids_of_their_own(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process counts from the beginning."""
    _fill(logs)
    logs.describe_log_streams(logGroupName=GROUP)
    logs.describe_log_streams(logGroupName="copies")
    monkeypatch.setattr(Event, "_event_id", 0)
    round_trip(_adapter())
    _put(logs, "after")
    ids = [event["eventId"] for event in logs.filter_log_events(logGroupName=GROUP)["events"]]
    assert len(ids) == len(set(ids)) == 2 * BLOCK + 4


def test_a_merge_keeps_the_events_of_both(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two worlds that have given the same ids (WO-3)."""
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    empty, backend = take(_adapter()), logs_backends[ACCOUNT][REGION]
    worlds = []
    for word in ("mine", "theirs"):
        monkeypatch.setattr(Event, "_event_id", 0)
        _adapter().install(backend, REGION, empty)
        _put(logs, *(f"{word} {number}" for number in range(3)))
        worlds.append(take(_adapter()))
    mine, theirs = worlds
    report = merge_resources(mine, theirs, "keep", _same_name, dry_run=True)
    assert [type(conflict.mine) for conflict in report.conflicts] == [LogStream]
    merged = {**theirs, **mine}
    _adapter().install(backend, REGION, merged)
    messages = {event["message"] for event in logs.filter_log_events(logGroupName=GROUP)["events"]}
    assert messages == {f"{word} {number}" for word in ("mine", "theirs") for number in range(3)}
    assert take(_adapter()) == merged
    stored = logs.describe_log_streams(logGroupName=GROUP)["logStreams"][0]["storedBytes"]
    assert stored == sum(map(len, messages))


def _same_name(present: Mapping[str, Any], name: str, _: Any) -> str | None:
    return name if name in present else None


@pytest.mark.parametrize(
    ("lost", "fault"),
    [
        (f"group/{GROUP}", f"there is no log group {GROUP!r}"),
        (f"stream/%2Faws%2Flambda%2Ff/{STREAM}", f"there is no stream {STREAM!r} of a log group {GROUP!r}"),
    ],
)
def test_a_view_that_lacks_what_others_need_is_refused(logs: Any, lost: str, fault: str) -> None:
    _fill(logs)
    records = take(_adapter())
    del records[lost]
    assert fault in {found.fault for found in _adapter().check(records)}


@pytest.mark.parametrize("name", ["event", "event/a/b/c/d/e", "event/%2faws%2flambda%2ff/s/1/x", "stream/a", "group"])
def test_an_event_of_a_wrong_name_is_refused(logs: Any, name: str) -> None:
    _fill(logs)
    records = take(_adapter())
    event = next(record for record in records.values() if isinstance(record, LogEvent))
    digest = msgspec.structs.replace(event, event_id=1)
    faults = list(_adapter().check({**records, name: event, f"event/g/s/1/{digest.digest}": digest}))
    assert [found.resource for found in faults] == [name, f"event/g/s/1/{digest.digest}"]


def test_what_is_put_is_read_alone(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(logs)
    with watched(_adapter(), monkeypatch) as check:
        for _ in range(BLOCK):
            _put(logs, "one")
            changed = check()
            assert {("stream", GROUP, STREAM), ("stream", "copies", STREAM)} <= changed
            assert len(changed) == 4


def test_a_delivery_to_another_region_is_touched(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    there = boto3.client("logs", region_name=OTHER_REGION)
    there.create_log_group(logGroupName="far")
    for stream in (STREAM, "b"):
        there.create_log_stream(logGroupName="far", logStreamName=stream)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    far = _arn("log-group:far:*", OTHER_REGION)
    logs.put_subscription_filter(logGroupName=GROUP, filterName="f", filterPattern="", destinationArn=far)
    with watched(_adapter(), monkeypatch, region=OTHER_REGION) as check:
        _put(logs, *map(str, range(BLOCK + 1)))
        assert {group[:3] for group in check()} == {("stream", "far", STREAM), ("events", "far", STREAM)}


def test_whatever_changes_was_touched(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(_adapter(), monkeypatch) as check:
        _fill(logs)
        assert ("stream", "copies", STREAM) in check()
        _answers(logs)
        logs.start_live_tail(logGroupIdentifiers=[_arn(f"log-group:{GROUP}")])
        logs_backends[ACCOUNT][REGION].ensure_log_group(GROUP)
        assert check() == set()
        logs.delete_retention_policy(logGroupName=GROUP)
        logs.tag_log_group(logGroupName=GROUP, tags={"a": "b"})
        logs.untag_log_group(logGroupName=GROUP, tags=["team"])
        logs.delete_subscription_filter(logGroupName=GROUP, filterName="copy")
        assert check() == {("group", GROUP)}
        delivery = logs.describe_deliveries()["deliveries"][0]
        for rest in ("destination:d", "delivery-destination:to", "delivery-source:from", f"delivery:{delivery['id']}"):
            logs.tag_resource(resourceArn=_arn(rest), tags={"x": "y"})
        assert check() == {
            ("destination", "d"),
            ("delivery-destination", "to"),
            ("delivery-source", "from"),
            ("deliveries",),
        }
        logs.tag_resource(resourceArn=_arn("log-group:none"), tags={"x": "y"})
        assert check() == {("tags",)}
        logs.untag_resource(resourceArn=_arn("log-group:none"), tagKeys=["x"])
        logs.create_log_group(logGroupName="none")
        assert check() == {("tags",), ("group", "none")}
        logs.put_metric_filter(
            filterName="f",
            filterPattern="",
            logGroupName="none",
            metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
        )
        logs.delete_resource_policy(policyName="p/q")
        task = logs.describe_export_tasks()["exportTasks"][0]["taskId"]
        logs.cancel_export_task(taskId=task)
        assert check() == {("metric-filters",), ("resource-policy", "p/q"), ("export-tasks",)}
        logs.delete_destination(destinationName="d")
        logs.delete_delivery(id=delivery["id"])
        logs.delete_delivery_destination_policy(deliveryDestinationName="to")
        assert check() == {("destination", "d"), ("deliveries",), ("delivery-destination", "to"), ("tags",)}
        logs.delete_delivery_destination(name="to")
        logs.delete_delivery_source(name="from")
        assert check() == {("delivery-destination", "to"), ("delivery-source", "from"), ("tags",)}
        logs.delete_log_stream(logGroupName=GROUP, logStreamName=STREAM)
        assert {group[:3] for group in check()} == {("stream", GROUP, STREAM), ("events", GROUP, STREAM)}
        logs_backends[ACCOUNT][REGION].ensure_log_stream("none", "s")
        assert check() == {("stream", "none", "s")}
        logs.delete_log_group(logGroupName="copies")
        assert {group[:2] for group in check()} == {("group", "copies"), ("stream", "copies"), ("events", "copies")} | {
            ("tags",)
        }


@pytest.mark.parametrize("name", sorted(LogsAdapter.touches))
def test_bad_input_is_the_emulators_to_refuse(logs: Any, name: str) -> None:
    backend = logs_backends[ACCOUNT][REGION]
    for value in (None, 5, ["x"], {"a": 1}, "no/such", "\ud800"):
        for group in LogsAdapter.touches[name](backend, value, value, value, value, value, value):
            assert not isinstance(group, Elsewhere)
            _adapter().read(backend, group)
