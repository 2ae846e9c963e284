"""Views of DynamoDB that lead nowhere are refused; large ones cost little."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends

from holdfast.worlds.aws.services.dynamodb import DynamoDbAdapter, Item
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, take
from tests.test_aws_dynamodb import make_plain, make_rich

Records = dict[str, Any]
BAD: dict[str, tuple[Callable[[Records], Any], str]] = {
    "another name": (lambda view: view.update({"table/other": view["table/plain"]}), "table/other"),
    "no table": (lambda view: view.pop("table/plain"), "item/plain/S:1"),
    "no stream": (lambda view: view.pop("stream/orders"), "record/orders/1100000000017454423009"),
    "a gap": (lambda view: view.pop("record/orders/1100000000017454423009"), "record/orders/1100000000017454423010"),
    "no backup": (lambda view: _drop(view, "backup/"), "backup-item/plain/"),
    "another key": (lambda view: view.update({"item/plain/S:2": view["item/plain/S:1"]}), "item/plain/S:2"),
    "no key": (lambda view: view.update({"item/plain/S:1": Item(attributes={})}), "item/plain/S:1"),
    "no name": (lambda view: view.update({"item": Item(attributes={})}), "item"),
    "no type": (lambda view: _spoil(view, {}), "item/plain/S:1"),
    "two types": (lambda view: _spoil(view, {"S": "a", "N": "1"}), "item/plain/S:1"),
    "no base64": (lambda view: _spoil(view, {"B": "?"}), "item/plain/S:1"),
    "no map": (lambda view: _spoil(view, {"M": {"a": "b"}}), "item/plain/S:1"),
    "no values": (lambda view: _spoil(view, {"L": ["b"]}), "item/plain/S:1"),
    "a set as key": (
        lambda view: view.update({"item/plain/SS=%5B%5D": Item(attributes={"id": {"SS": []}})}),
        "item/plain/SS=%5B%5D",
    ),
    "no number": (
        lambda view: view.update({"item/orders/S:a/N:x": Item(attributes={"id": {"S": "a"}, "at": {"N": "x"}})}),
        "item/orders/S:a/N:x",
    ),
    "a range key too many": (
        lambda view: view.update({"item/plain/S:1/N:2": view["item/plain/S:1"]}),
        "item/plain/S:1/N:2",
    ),
    "another schema": (lambda view: _change(view, "table/plain", key_schema=[]), "table/plain"),
    "an index without": (
        lambda view: _change(
            view,
            "table/orders",
            local_indexes=[msgspec.structs.replace(view["table/orders"].local_indexes[0], key_schema=[{}])],
        ),
        "table/orders",
    ),
    "restored from nowhere": (
        lambda view: _change(view, "table/plain", restore_date_time=view["table/plain"].created_at),
        "table/plain",
    ),
    "an odd number": (lambda view: _change(view, "stream/orders", starting_sequence_number="-1"), "stream/orders"),
}


def _drop(view: Records, start: str) -> None:
    for name in [name for name in view if name.startswith(start)]:
        del view[name]


def _change(view: Records, name: str, **fields: Any) -> None:
    view[name] = msgspec.structs.replace(view[name], **fields)


def _spoil(view: Records, value: dict[str, Any]) -> None:
    _change(view, "item/plain/S:1", attributes={"id": {"S": "1"}, "bad": value})


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("dynamodb", region_name=REGION)


@pytest.fixture
def adapter() -> DynamoDbAdapter:
    return DynamoDbAdapter(MemoryBodies())


@pytest.mark.parametrize("fault", BAD)
def test_views_that_lead_nowhere_are_refused(dynamodb: Any, adapter: DynamoDbAdapter, fault: str) -> None:
    make_plain(dynamodb)
    make_rich(dynamodb)
    dynamodb.put_item(TableName="plain", Item={"id": {"S": "1"}})
    for at in ("1", "2"):
        dynamodb.put_item(TableName="orders", Item={"id": {"S": "a"}, "at": {"N": at}})
    dynamodb.create_backup(TableName="plain", BackupName="saved")
    view = take(adapter)
    assert list(adapter.check(view)) == []
    spoil, where = BAD[fault]
    spoil(view)
    assert any(found.resource.startswith(where) for found in adapter.check(view))


def test_records_share_nothing_with_the_emulator(dynamodb: Any, adapter: DynamoDbAdapter) -> None:
    make_plain(dynamodb)
    dynamodb.put_item(TableName="plain", Item={"id": {"S": "1"}, "set": {"SS": ["a"]}, "map": {"M": {}}})
    before = take(adapter)
    known = msgspec.json.encode(before["item/plain/S:1"])
    adapter.install(dynamodb_backends[ACCOUNT][REGION], REGION, before)
    dynamodb.update_item(
        TableName="plain",
        Key={"id": {"S": "1"}},
        UpdateExpression="ADD #s :b SET #m.x = :b",
        ExpressionAttributeNames={"#s": "set", "#m": "map"},
        ExpressionAttributeValues={":b": {"SS": ["b"]}},
    )
    assert msgspec.json.encode(before["item/plain/S:1"]) == known


def test_an_item_more_stands_behind_those_that_are_there(dynamodb: Any, adapter: DynamoDbAdapter) -> None:
    make_rich(dynamodb)
    for at in ("2", "1"):
        dynamodb.put_item(TableName="orders", Item={"id": {"S": "a"}, "at": {"N": at}})
    view = take(adapter)
    view["item/orders/S:a/N:3"] = Item(attributes={"id": {"S": "a"}, "at": {"N": "3"}})
    assert list(adapter.check(view)) == []
    adapter.install(dynamodb_backends[ACCOUNT][REGION], REGION, view)
    assert list(take(adapter))[2:5] == [f"item/orders/S:a/N:{at}" for at in ("2", "1", "3")]


def _walked(value: Any) -> Any:
    kind, held = value.type, value.value
    if type(held) is dict:
        return {kind: {name: _walked(one) for name, one in held.items()}}
    if type(held) is list:
        return {kind: [_walked(one) if hasattr(one, "type") else one for one in held]}
    return {kind: held}


def _best(work: Callable[[], Any]) -> float:
    """Seconds of the quickest of some runs."""
    return min(timeit.repeat(work, number=1, repeat=15))


@pytest.mark.prove
def test_a_thousand_items_cost_little(dynamodb: Any, adapter: DynamoDbAdapter) -> None:
    make_plain(dynamodb)
    backend = dynamodb_backends[ACCOUNT][REGION]
    for place in range(1000):
        line = {"M": {"sku": {"S": "a"}, "count": {"N": "2"}}}
        item = {"id": {"S": f"order-{place}"}, "text": {"S": "x" * 50}, "blob": {"B": b"abc" * 10}}
        backend.put_item("plain", {**item, "lines": {"L": [line, line]}, "tags": {"SS": ["a", "b"]}, "n": {"N": "1"}})
    items = backend.tables["plain"].items
    view = take(adapter)
    bare = _best(lambda: [{name: _walked(v) for name, v in item.attrs.items()} for item in items.values()])
    read = _best(lambda: [adapter.read(backend, group) for group in adapter.groups(backend)])
    installed = _best(lambda: adapter.install(backend, REGION, view))
    assert read < 3 * bare, f"{read / bare:.1f} times a bare walk"
    assert installed < 4 * bare, f"{installed / bare:.1f} times a bare walk"
