"""EventBridge in views: buses, rules, archives with their events, replays, connections (WO-1, WO-3, WO-8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.events.models import events_backends

from holdfast.worlds.aws.adapter import READS, Elsewhere
from holdfast.worlds.aws.services.events import ArchivedEvent, EventsAdapter
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, round_trip, take, unknown_attributes
from tests.aws_touches import watched

OTHER = "222222222222"
PATTERN = json.dumps({"source": ["shop"], "detail": {"price": [{"numeric": [">", 10]}]}})


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("events", region_name=REGION)


def _adapter() -> EventsAdapter:
    return EventsAdapter(MemoryBodies())


def _bus_arn(name: str) -> str:
    return f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"


def _entry(price: int, **more: Any) -> dict[str, Any]:
    detail = json.dumps({"price": price, "at": [1.5, None, float("inf")]})
    return {"Source": "shop", "DetailType": "sold", "Detail": detail, **more}


def _fill(events: Any) -> None:
    queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="sold")["QueueUrl"].split("/")[-1]
    boto3.client("logs", region_name=REGION).create_log_group(logGroupName="/sold")
    events.create_event_bus(
        Name="orders",
        Description="of the shop",
        KmsKeyIdentifier="alias/k",
        DeadLetterConfig={"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"},
        Tags=[{"Key": "team", "Value": "a"}],
    )
    events.put_permission(EventBusName="orders", Action="events:PutEvents", Principal=OTHER, StatementId="one")
    statement = {
        "Sid": "own",
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["events:PutEvents"],
        "Resource": _bus_arn("orders"),
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
    }
    events.put_permission(EventBusName="orders", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    events.put_rule(
        Name="dear", EventBusName="orders", EventPattern=PATTERN, Description="d", Tags=[{"Key": "k", "Value": "v"}]
    )
    events.put_rule(Name="nightly", ScheduleExpression="cron(0 1 * * ? *)", State="DISABLED", RoleArn="arn:aws:iam::r")
    events.put_targets(
        Rule="dear",
        EventBusName="orders",
        Targets=[
            {
                "Id": "queue/1",
                "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
                "InputTransformer": {"InputPathsMap": {"p": "$.detail.price"}, "InputTemplate": '{"price": <p>}'},
                "RetryPolicy": {"MaximumRetryAttempts": 3},
            },
            {"Id": "log", "Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/sold"},
            {"Id": "onward", "Arn": f"arn:aws:events:eu-west-2:{ACCOUNT}:event-bus/default", "Input": "{}"},
        ],
    )
    events.create_archive(
        ArchiveName="kept", EventSourceArn=_bus_arn("orders"), Description="all", EventPattern=PATTERN, RetentionDays=7
    )
    events.create_archive(ArchiveName="bare", EventSourceArn=_bus_arn("default"))
    events.put_events(Entries=[_entry(n, EventBusName="orders", Time=1_700_000_000, Resources=["r"]) for n in (20, 30)])
    events.put_events(Entries=[_entry(5), _entry(50)])
    replay = {"EventStartTime": 1_600_000_000, "EventEndTime": 1_900_000_000}
    for name in ("again", "gone"):
        source = f"arn:aws:events:{REGION}:{ACCOUNT}:archive/kept"
        events.start_replay(ReplayName=name, EventSourceArn=source, Destination={"Arn": _bus_arn("orders")}, **replay)
    events.cancel_replay(ReplayName="gone")
    parameters = {
        "BasicAuthParameters": {"Username": "u", "Password": "p"},
        "InvocationHttpParameters": {"HeaderParameters": [{"Key": "k", "Value": "v", "IsValueSecret": True}]},
    }
    connection = events.create_connection(
        Name="hook", Description="c", AuthorizationType="BASIC", AuthParameters=parameters
    )["ConnectionArn"]
    events.create_api_destination(
        Name="hook",
        Description="d",
        ConnectionArn=connection,
        InvocationEndpoint="https://example.org/",
        HttpMethod="POST",
        InvocationRateLimitPerSecond=5,
    )
    events.create_partner_event_source(Name="aws.partner/p/s", Account=ACCOUNT)
    events.create_partner_event_source(Name="aws.partner/p/t", Account=OTHER)


def _answers(events: Any) -> dict[str, Any]:
    """What reads answer."""
    calls: dict[str, Callable[[], Any]] = {
        "buses": events.list_event_buses,
        "bus": lambda: events.describe_event_bus(Name="orders"),
        "default": events.describe_event_bus,
        "rules": events.list_rules,
        "orders' rules": lambda: events.list_rules(EventBusName="orders"),
        "targets": lambda: events.list_targets_by_rule(Rule="dear", EventBusName="orders"),
        "fed": lambda: events.list_targets_by_rule(Rule="Events-Archive-kept", EventBusName="orders"),
        "bus tags": lambda: events.list_tags_for_resource(ResourceARN=_bus_arn("orders")),
        "rule tags": lambda: events.list_tags_for_resource(ResourceARN="rule/orders/dear"),
        "archives": events.list_archives,
        "archive": lambda: events.describe_archive(ArchiveName="kept"),
        "replays": events.list_replays,
        "replay": lambda: events.describe_replay(ReplayName="again"),
        "connections": events.list_connections,
        "connection": lambda: events.describe_connection(Name="hook"),
        "destinations": events.list_api_destinations,
        "destination": lambda: events.describe_api_destination(Name="hook"),
        "source": lambda: events.describe_event_source(Name="aws.partner/p/s"),
        "partner": lambda: events.describe_partner_event_source(Name="aws.partner/p/t"),
    }
    answers = {name: call() for name, call in calls.items()}
    for answer in answers.values():
        del answer["ResponseMetadata"]
    return answers


def test_nothing_of_the_emulator_is_forgotten() -> None:
    assert unknown_attributes(_adapter()) == {}
    assert _adapter().not_captured == ()


def test_no_method_has_everything_read_again() -> None:
    public = {name for name in vars(events_backends.backend) if not name.startswith(READS)} - {"reset"}
    methods = {name for name in public if callable(getattr(events_backends.backend, name))}
    assert methods <= EventsAdapter.touches.keys()


def test_everything_comes_back(events: Any) -> None:
    _fill(events)
    before = _answers(events)
    records = round_trip(_adapter())
    assert _answers(events) == before
    kinds = {name.split("/")[0] for name in records}
    assert len(kinds) == 11
    assert before["archive"]["EventCount"] == 2
    backend = events_backends[ACCOUNT][REGION]
    assert backend.archives["kept"].rule is backend.event_buses["orders"].rules["Events-Archive-kept"]
    assert backend.event_sources["aws.partner/p/s"] is backend.partner_event_sources["aws.partner/p/s"]
    events.put_events(Entries=[_entry(40, EventBusName="orders")])
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 3
    events.delete_archive(ArchiveName="kept")
    assert [rule["Name"] for rule in events.list_rules(EventBusName="orders")["Rules"]] == ["dear"]
    round_trip(_adapter())
    client = round_trip(_adapter(), account=OTHER)
    assert list(client) == ["bus/default", "source/aws.partner/p/t"]


def test_tags_of_what_is_gone_come_back(events: Any) -> None:
    _fill(events)
    events.delete_archive(ArchiveName="kept")
    events.delete_event_bus(Name="orders")
    assert f"tags/arn:aws:events:{REGION}:{ACCOUNT}:rule/orders/dear" in round_trip(_adapter())
    events.create_event_bus(Name="orders")
    events.put_rule(Name="dear", EventBusName="orders", EventPattern=PATTERN)
    assert events.list_tags_for_resource(ResourceARN="rule/orders/dear")["Tags"] == [{"Key": "k", "Value": "v"}]
    round_trip(_adapter())


def test_an_event_that_is_archived_twice_is_there_twice(events: Any) -> None:
    _fill(events)
    rule = {"Rule": "Events-Archive-bare", "EventBusName": "default"}
    (target,) = events.list_targets_by_rule(**rule)["Targets"]
    events.put_targets(Rule=rule["Rule"], Targets=[{**target, "Id": "second"}])
    events.put_events(Entries=[_entry(60)])
    assert [record.copy for record in round_trip(_adapter()).values() if isinstance(record, ArchivedEvent)][-1] == 1


def test_the_default_bus_is_always_there(events: Any) -> None:
    _adapter().install(events_backends[ACCOUNT][REGION], REGION, {})
    assert [bus["Name"] for bus in events.list_event_buses()["EventBuses"]] == ["default"]


@pytest.mark.parametrize(
    ("lost", "fault"),
    [
        ("bus/orders", "there is no bus 'orders'"),
        ("rule/orders/dear", "there is no rule 'dear'"),
        ("archive/kept", "there is no archive 'kept'"),
    ],
)
def test_a_view_that_lacks_what_others_need_is_refused(events: Any, lost: str, fault: str) -> None:
    _fill(events)
    records = take(_adapter())
    del records[lost]
    assert fault in {found.fault for found in _adapter().check(records)}


@pytest.mark.parametrize(
    ("name", "field", "value", "fault"),
    [
        ("rule/orders/dear", "event_pattern", "{", "it is no event pattern"),
        ("rule/orders/dear", "event_pattern", "[]", "it is no event pattern"),
        ("archive/kept", "event_pattern", '{"a": 1}', "it is no event pattern"),
        ("bus/orders", "name", "other", "it is that of 'bus/other'"),
        ("target/orders/dear/log", "settings", {}, "it is that of 'target/orders/dear/None'"),
        ("archived", "event", {"$bytes": 1}, "it is not the event of that id and time"),
        ("archived", "event", [], "it is not the event of that id and time"),
    ],
)
def test_a_view_that_contradicts_itself_is_refused(events: Any, name: str, field: str, value: Any, fault: str) -> None:
    _fill(events)
    records = take(_adapter())
    name = next(found for found in records if found == name or found.split("/")[0] == name)
    records[name] = msgspec.structs.replace(records[name], **{field: value})
    assert (name, fault) in {(found.resource, found.fault) for found in _adapter().check(records)}


def test_whatever_changes_was_touched(events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(_adapter(), monkeypatch) as check:
        _fill(events)
        assert ("archive", "kept") in check()
        events.put_events(Entries=[_entry(20, EventBusName="orders")])
        assert {group[:2] for group in check()} == {("archived", "kept")}
        events.put_rule(Name="dear", EventBusName=_bus_arn("orders"), EventPattern=PATTERN)
        events.disable_rule(Name="dear", EventBusName="orders")
        assert check() == {("rule", "orders", "dear")}
        events.enable_rule(Name="dear", EventBusName="orders")
        events.remove_targets(Rule="dear", EventBusName="orders", Ids=["log"])
        assert check() == {("rule", "orders", "dear")}
        events.tag_resource(ResourceARN="rule/orders/dear", Tags=[{"Key": "a", "Value": "b"}])
        assert check() == {("rule", "orders", "dear")}
        events.untag_resource(ResourceARN=_bus_arn("orders"), TagKeys=["team"])
        events.remove_permission(EventBusName="orders", StatementId="own")
        assert check() == {("bus", "orders")}
        _answers(events)
        assert check() == set()
        events.update_archive(ArchiveName="kept", RetentionDays=9)
        assert check() == {("archive", "kept")}
        events.update_connection(Name="hook", Description="new")
        events.update_api_destination(Name="hook", Description="new")
        assert check() == {("connection", "hook"), ("api-destination", "hook")}
        events.delete_connection(Name="hook")
        events.delete_api_destination(Name="hook")
        assert check() == {("connection", "hook"), ("api-destination", "hook")}
        events.delete_partner_event_source(Name="aws.partner/p/s", Account=ACCOUNT)
        assert check() == {("partner-source", "aws.partner/p/s"), ("source", "aws.partner/p/s")}
        events.put_partner_events(Entries=[_entry(70, Source="aws.partner/p/s")])
        assert {group[:2] for group in check()} == {("archived", "bare")}
        events.delete_archive(ArchiveName="kept")
        assert {group[:3] for group in check() if group[0] != "archived"} == {
            ("archive", "kept"),
            ("rule", "orders", "Events-Archive-kept"),
        }
        events.delete_event_bus(Name="orders")
        assert check() == {("bus", "orders"), ("rule", "orders", "dear"), ("tags",)}
        events.create_event_bus(Name="orders")
        events.put_rule(Name="dear", EventBusName="orders", EventPattern=PATTERN)
        assert check() == {("bus", "orders"), ("rule", "orders", "dear"), ("tags",)}
        events.delete_rule(Name="dear", EventBusName="orders")
        assert check() == {("rule", "orders", "dear")}


def test_another_accounts_source_is_touched(events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(_adapter(), monkeypatch, account=OTHER) as check:
        events.create_partner_event_source(Name="p/s", Account=OTHER)
        assert check() == {("source", "p/s")}
        events.delete_partner_event_source(Name="p/s", Account=OTHER)
        assert check() == {("source", "p/s")}


@pytest.mark.parametrize("name", sorted(EventsAdapter.touches))
def test_bad_input_is_the_emulators_to_refuse(events: Any, name: str) -> None:
    backend = events_backends[ACCOUNT][REGION]
    for value in (None, 5, ["x"], {"a": 1}, "no/such", "\ud800"):
        for group in EventsAdapter.touches[name](backend, value, value, value, value, value, value):
            assert not isinstance(group, Elsewhere)
            _adapter().read(backend, group)
