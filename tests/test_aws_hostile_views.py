"""Views of the mock AWS that were changed by hand: what the emulator could not have is refused, naming the path, and
nothing of it is applied (WO-2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import encode_view
from tests.aws_kit import ACCOUNT, REGION
from tests.aws_readback_kit import SERVICES
from tests.aws_readback_services import client


class Case(NamedTuple):
    """A change to the first resource whose name begins so.

    Attributes:
        path: to what is changed; its first part is the field that the refusal names.
        value: in its place; of a list, one more.
    """

    service: str
    kind: str
    path: str
    value: Any


DEEP: dict[str, Any] = {}
for _ in range(450):
    DEEP = {"a": [DEEP]}
TIME, LATE = "2020-01-01T00:00:00Z", 10**30
CASES = {
    "unreadable": Case("sqs", "message/jobs", "message_attributes", {"a": {"$bytes": "!"}}),
    "too deep": Case("sqs", "message/jobs", "message_attributes", DEEP),
    "a bus too deep": Case("events", "target/", "settings/Input", DEEP),
    "invocations too deep": Case("ssm", "command/", "invocations", DEEP),
    "no attributes": Case("sqs", "message/jobs", "message_attributes", {"$bytes": "AAAA"}),
    "an attribute of no type": Case("sqs", "message/jobs", "message_attributes", {"a": {"StringValue": "b"}}),
    "no system attributes": Case("sqs", "message/jobs", "system_attributes", {"$float": "nan"}),
    "an unreadable setting": Case("sqs", "queue/jobs", "redrive_allow_policy", {"$tuple": 5}),
    "a record of another writing": Case("dynamodb", "record/orders", "record/dynamodb/Keys", {"$dict": [[1]]}),
    "a stream, on or off": Case("dynamodb", "stream/orders", "specification", {}),
    "too many digits": Case("dynamodb", "backup/orders", "stream/starting_sequence_number", "2" * 5000),
    "a map that is none": Case("dynamodb", "item/plain", "attributes/odd", {"M": 5}),
    "a list that is none": Case("dynamodb", "item/plain", "attributes/odd", {"L": {"$": 5}}),
    "a set of no type": Case("dynamodb", "item/plain", "attributes/odd", {"bs": ["AA=="]}),
    "an item too deep": Case("dynamodb", "item/plain", "attributes/odd", {"S": {"$": DEEP}}),
    "no number": Case("dynamodb", "table/plain", "throughput/ReadCapacityUnits", {"$decimal": "1"}),
    "an attribute of no name": Case("dynamodb", "table/plain", "attribute_definitions", {"AttributeType": "S"}),
    "a time with a zone, of a table": Case("dynamodb", "table/plain", "created_at", TIME),
    "a time with a zone, of a group": Case("logs", "group/", "creation_time", TIME),
    "a time with a zone, of a document": Case("ssm", "document-version/", "created_date", TIME),
    "a time with a zone, of a key": Case("kms", "key/", "deletion_date", TIME),
    "after the year 9999, of a secret": Case("secretsmanager", "secret/", "created_date", LATE),
    "after the year 9999, of a key": Case("kms", "key/", "creation_date", LATE),
    "after the year 9999, of a bus": Case("events", "bus/", "creation_time", LATE),
    "after the year 9999, of a replay": Case("events", "replay/", "event_start_time", LATE),
    "half a secret": Case("secretsmanager", "secret/", "first", {"text": "a"}),
    "odd, and not odd": Case("secretsmanager", "version/", "value", {"text": None, "odd_binary": "AAAA"}),
    "a tag twice, of a topic": Case("sns", "topic/news", "tags", ["z", "again"]),
    "a tag twice, of a user": Case("iam", "user-tags/", "tags", None),
    "a tag twice, of a document": Case("ssm", "tags/Document", "tags", None),
    "an endpoint, on or off": Case("sns", "endpoint/", "attributes", {"Token": "t"}),
    "on no instance": Case("ssm", "command/", "invocations", {}),
    "an unreadable policy": Case("iam", "role/", "assume_role_policy_document", {"$set": [[1]]}),
    "no policy": Case("kms", "key/", "policy", None),
    "a target of nothing": Case("events", "target/", "settings/Arn", None),
    "a target transformed by a text": Case("events", "target/", "settings/InputTransformer", "text"),
    "a copy of none": Case("logs", "metric-filter/%2Faws%2Flambda%2Ff/errors:1", "copy", 7),
    "a filter of no rules": Case(
        "s3", "bucket/full", "notifications/queue/0/filters", {"S3Key": {"FilterRule": [{"Name": "prefix"}]}}
    ),
    "metadata in upper case": Case("s3", "object/box/a", "metadata", {"A": "b"}),
}


class Views:
    """Those of a world as JSON; a service is filled when it is first asked for.

    Args:
        world: which is entered.
    """

    def __init__(self, world: AwsWorld) -> None:
        self.world = world
        self._filled: set[str] = set()

    def seen(self, service: str) -> str:
        if service not in self._filled:
            SERVICES[service].fill(client(service))
            self._filled.add(service)
        return encode_view(getattr(self.world, service).snapshot(ACCOUNT, _region(service)))


@pytest.fixture(scope="module")
def views() -> Iterator[Views]:
    with AwsWorld(account=ACCOUNT, region=REGION) as world:
        yield Views(world)


def _region(service: str) -> str:
    return "global" if service == "iam" else REGION


def _changed(view: dict[str, Any], case: Case) -> str:
    """The name of the resource that was changed."""
    resources = view["resources"]
    name: str = next(name for name in sorted(resources) if name.startswith(case.kind))
    *path, last = case.path.split("/")
    held = resources[name]
    for part in path:
        held = held[int(part)] if isinstance(held, list) else held[part]
    found = held.get(last)
    if isinstance(found, list):
        found.append(found[0] if case.value is None else case.value)
    else:
        held[last] = case.value
    if last == "copy":
        name, was = f"{name.rpartition(':')[0]}:{case.value}", name
        resources[name] = resources.pop(was)
    return name


@pytest.mark.parametrize("name", CASES)
def test_what_the_emulator_could_not_have_is_refused(views: Views, name: str) -> None:
    case = CASES[name]
    before = views.seen(case.service)
    view = json.loads(before)
    resource = _changed(view, case)
    service = getattr(views.world, case.service)
    for put in (service.restore, service.merge):
        with pytest.raises(InvalidView) as refused:
            put(ACCOUNT, _region(case.service), service.decode(json.dumps(view)))
        assert refused.value.path.startswith(f"$.resources[{json.dumps(resource)}].{case.path.partition('/')[0]}")
    assert views.seen(case.service) == before


def test_what_has_anothers_arn_takes_nothing_away(views: Views) -> None:
    before = views.seen("logs")
    view = json.loads(before)
    view["resources"] = {"destination/e": view["resources"]["destination/d"] | {"destination_name": "e"}}
    with pytest.raises(InvalidView, match="another destination has it"):
        views.world.logs.merge(ACCOUNT, REGION, views.world.logs.decode(json.dumps(view)))
    assert views.seen("logs") == before


@pytest.mark.parametrize("service", SERVICES)
def test_what_the_emulator_has_is_taken(views: Views, service: str) -> None:
    before = views.seen(service)
    found = getattr(views.world, service)
    found.restore(ACCOUNT, _region(service), found.decode(before))
    assert views.seen(service) == before
