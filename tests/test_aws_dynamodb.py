"""DynamoDB in views: tables with indexes, streams and items of every type, backups, policies (WO-1, WO-8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from holdfast.worlds.aws.services.dynamodb import DynamoDbAdapter, Item, StreamRecord
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, round_trip, take, unknown_attributes

HASH = [{"AttributeName": "id", "KeyType": "HASH"}]
BOTH = [*HASH, {"AttributeName": "at", "KeyType": "RANGE"}]
ALL = {"ProjectionType": "ALL"}
SOME = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["kind"]}
UNITS = {"ReadCapacityUnits": 3, "WriteCapacityUnits": 2}


def types(**found: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in found.items()]


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("dynamodb", region_name=REGION)


@pytest.fixture
def adapter() -> DynamoDbAdapter:
    return DynamoDbAdapter(MemoryBodies())


def make_plain(dynamodb: Any, name: str = "plain", **more: Any) -> None:
    dynamodb.create_table(
        TableName=name,
        KeySchema=HASH,
        AttributeDefinitions=types(id="S"),
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


def make_rich(dynamodb: Any, name: str = "orders") -> str:
    table = dynamodb.create_table(
        TableName=name,
        KeySchema=BOTH,
        AttributeDefinitions=types(id="S", at="N", kind="S", due="S"),
        ProvisionedThroughput=UNITS,
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-kind",
                "KeySchema": [
                    {"AttributeName": "kind", "KeyType": "HASH"},
                    {"AttributeName": "at", "KeyType": "RANGE"},
                ],
                "Projection": ALL,
                "ProvisionedThroughput": UNITS,
            }
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-due",
                "KeySchema": [
                    {"AttributeName": "id", "KeyType": "HASH"},
                    {"AttributeName": "due", "KeyType": "RANGE"},
                ],
                "Projection": SOME,
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "a-key"},
        Tags=[{"Key": "team", "Value": "a"}],
        DeletionProtectionEnabled=True,
    )
    return str(table["TableDescription"]["TableArn"])


def answers(*asked: tuple[Callable[..., Any], dict[str, Any]]) -> list[Any]:
    """What a client is told, without what is of the one request."""
    return [{**ask(**what), "ResponseMetadata": None} for ask, what in asked]


EVERY_TYPE: dict[str, Any] = {
    "text": {"S": "ä / \u0000 € 𝄞"},
    "blank": {"S": ""},
    "number": {"N": "12345678901234567890123456789012345678"},
    "tiny": {"N": "1.50E-100"},
    "binary": {"B": b"\x00\xff\xfe"},
    "nothing": {"B": b""},
    "texts": {"SS": ["b", "a"]},
    "numbers": {"NS": ["2", "1.0"]},
    "binaries": {"BS": [b"\xff", b""]},
    "yes": {"BOOL": True},
    "no": {"BOOL": False},
    "null": {"NULL": True},
    "list": {"L": [{"S": "a"}, {"L": []}, {"M": {"$bytes": {"B": b"z"}, "x/y": {"NULL": True}}}]},
    "map": {"M": {"$": {"N": "1"}, "M": {"M": {}}}},
    "$dict": {"S": "no word of ours"},
}


def test_nothing_of_the_emulator_is_forgotten(adapter: DynamoDbAdapter) -> None:
    assert unknown_attributes(adapter) == {}


def test_tables_come_back_with_all_that_was_set(dynamodb: Any, adapter: DynamoDbAdapter) -> None:
    arn = make_rich(dynamodb)
    make_plain(dynamodb)
    make_plain(dynamodb, "odd name/100%", OnDemandThroughput={"MaxReadRequestUnits": 1})
    dynamodb.update_time_to_live(
        TableName="orders", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    dynamodb.update_continuous_backups(
        TableName="orders", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    dynamodb.put_resource_policy(ResourceArn=arn, Policy=policy)
    dynamodb.update_table(
        TableName="orders",
        AttributeDefinitions=types(id="S", at="N", kind="S", due="S", owner="B"),
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "by-owner",
                    "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                    "Projection": ALL,
                }
            }
        ],
    )
    asked = [
        (dynamodb.list_tables, {}),
        (dynamodb.describe_table, {"TableName": "orders"}),
        (dynamodb.describe_table, {"TableName": "plain"}),
        (dynamodb.describe_time_to_live, {"TableName": "orders"}),
        (dynamodb.describe_continuous_backups, {"TableName": "orders"}),
        (dynamodb.list_tags_of_resource, {"ResourceArn": arn}),
        (dynamodb.get_resource_policy, {"ResourceArn": arn}),
    ]
    before = answers(*asked)
    records = round_trip(adapter)
    assert answers(*asked) == before
    assert set(records) == {
        "table/orders",
        "table/plain",
        "table/odd%20name%2F100%25",
        "stream/orders",
        f"policy/{arn}",
    }
    with pytest.raises(ClientError, match="DeletionProtectionEnabled"):
        dynamodb.delete_table(TableName="orders")


def test_items_come_back_whatever_is_in_them(dynamodb: Any, adapter: DynamoDbAdapter) -> None:
    make_rich(dynamodb)
    make_plain(dynamodb)
    for at in (3, 1, 2):
        item = {**EVERY_TYPE, "id": {"S": "a/b %"}, "at": {"N": f"{at}.0"}, "kind": {"S": "k"}, "due": {"S": "later"}}
        dynamodb.put_item(TableName="orders", Item=item)
    dynamodb.update_item(
        TableName="orders",
        Key={"id": {"S": "a/b %"}, "at": {"N": "1"}},
        UpdateExpression="SET #m.deep = :v, tiny = tiny + :one REMOVE blank ADD texts :more DELETE numbers :some",
        ExpressionAttributeNames={"#m": "map"},
        ExpressionAttributeValues={
            ":v": {"L": [{"B": b"deep"}]},
            ":one": {"N": "1"},
            ":more": {"SS": ["c"]},
            ":some": {"NS": ["2"]},
        },
    )
    dynamodb.put_item(TableName="plain", Item={"id": {"S": "2"}})
    dynamodb.put_item(TableName="plain", Item={"id": {"S": "1"}, **EVERY_TYPE})
    kind = {
        "TableName": "orders",
        "IndexName": "by-kind",
        "KeyConditionExpression": "kind = :k",
        "ExpressionAttributeValues": {":k": {"S": "k"}},
    }
    asked = [
        (dynamodb.scan, {"TableName": "orders"}),
        (dynamodb.scan, {"TableName": "orders", "Limit": 2}),
        (dynamodb.scan, {"TableName": "plain"}),
        (dynamodb.scan, {"TableName": "orders", "IndexName": "by-due"}),
        (dynamodb.query, kind),
        (dynamodb.get_item, {"TableName": "orders", "Key": {"id": {"S": "a/b %"}, "at": {"N": "2.00"}}}),
        (dynamodb.describe_table, {"TableName": "orders"}),
    ]
    before = answers(*asked)
    records = round_trip(adapter)
    assert answers(*asked) == before
    assert [name for name in records if name.startswith("item/orders")] == [
        f"item/orders/S:a%2Fb%20%25/N:{at}" for at in (3, 1, 2)
    ]


@pytest.mark.parametrize(
    ("kind", "one", "other", "key"),
    [
        ("N", "100", "1E+2", "N:100"),
        ("N", "-0.50", "-.5", "N:-0.5"),
        ("N", "0", "-0.0", "N:0"),
        ("N", "1" + "0" * 120, "1e120", "N:1E%2B120"),
        ("B", b"\xfb\xff", b"\xfb\xff", "B:%2B%2F8%3D"),
        ("S", "~a/b", "~a/b", "S:~a%2Fb"),
        ("BOOL", True, True, "BOOL=true"),
    ],
    ids=["whole", "broken", "zero", "large", "binary", "text", "odd"],
)
def test_a_key_has_one_name(dynamodb: Any, adapter: DynamoDbAdapter, kind: str, one: Any, other: Any, key: str) -> None:
    dynamodb.create_table(
        TableName="t",
        KeySchema=HASH,
        AttributeDefinitions=types(id=kind),
        BillingMode="PAY_PER_REQUEST",
    )
    for value in (one, other):
        dynamodb.put_item(TableName="t", Item={"id": {kind: value}})
        assert f"item/t/{key}" in round_trip(adapter)
    backend = dynamodb_backends[ACCOUNT][REGION]
    for value in (one, other):
        assert list(adapter.touches["delete_item"](backend, "t", {"id": {kind: value}})) == [("item", "t", key)]


def test_a_stream_goes_on_where_it_was(dynamodb: Any, adapter: DynamoDbAdapter) -> None:
    make_rich(dynamodb)
    plain_url = Config(account_id_endpoint_mode="disabled")  # the emulator knows no other
    streams = boto3.client("dynamodbstreams", region_name=REGION, config=plain_url)
    key = {"id": {"S": "a"}, "at": {"N": "1"}}
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "a"}, "at": {"N": "2"}})
    dynamodb.put_item(TableName="orders", Item={**key, **EVERY_TYPE})
    dynamodb.put_item(TableName="orders", Item={**key, "kind": {"S": "k"}})
    dynamodb.delete_item(TableName="orders", Key=key)
    arn = streams.list_streams()["Streams"][0]["StreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]

    def read(kind: str) -> Any:
        found = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind)
        return streams.get_records(ShardIterator=found["ShardIterator"])

    latest = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    asked = [(streams.describe_stream, {"StreamArn": arn}), (streams.list_streams, {})]
    before, told = answers(*asked), read("TRIM_HORIZON")["Records"]
    records = round_trip(adapter)
    assert len(told) == 4
    assert answers(*asked) == before
    assert read("TRIM_HORIZON")["Records"] == told
    assert len([record for record in records.values() if isinstance(record, StreamRecord)]) == 4
    dynamodb.put_item(TableName="orders", Item=key)
    (new,) = streams.get_records(ShardIterator=latest)["Records"]
    assert int(new["dynamodb"]["SequenceNumber"]) == int(told[-1]["dynamodb"]["SequenceNumber"]) + 1
    dynamodb.update_table(TableName="orders", StreamSpecification={"StreamEnabled": False})
    round_trip(adapter)


def test_backups_and_what_was_restored_from_them(dynamodb: Any, adapter: DynamoDbAdapter) -> None:
    make_rich(dynamodb)
    make_plain(dynamodb)
    backup = dynamodb.create_backup(TableName="orders", BackupName="early")["BackupDetails"]["BackupArn"]
    key = {"id": {"S": "a"}, "at": {"N": "1"}}
    dynamodb.put_item(TableName="orders", Item={**key, **EVERY_TYPE})
    dynamodb.put_item(TableName="plain", Item={"id": {"S": "1"}})
    late = dynamodb.create_backup(TableName="plain", BackupName="late")["BackupDetails"]["BackupArn"]
    dynamodb.delete_item(TableName="plain", Key={"id": {"S": "1"}})
    dynamodb.restore_table_from_backup(TargetTableName="again", BackupArn=late)
    dynamodb.restore_table_to_point_in_time(SourceTableName="orders", TargetTableName="then")
    asked = [
        (dynamodb.list_backups, {}),
        (dynamodb.describe_backup, {"BackupArn": backup}),
        (dynamodb.describe_table, {"TableName": "again"}),
        (dynamodb.describe_table, {"TableName": "then"}),
        (dynamodb.scan, {"TableName": "again"}),
        (dynamodb.scan, {"TableName": "then"}),
    ]
    before = answers(*asked)
    records = round_trip(adapter)
    assert answers(*asked) == before
    (saved,) = [name for name in records if name.startswith("backup-item/")]
    assert saved.endswith("/S:1")
    dynamodb.restore_table_from_backup(TargetTableName="third", BackupArn=late)
    assert dynamodb.scan(TableName="third")["Items"] == [{"id": {"S": "1"}}]


def test_imports_and_exports_come_back_as_far_as_they_were(dynamodb: Any, adapter: DynamoDbAdapter) -> None:
    make_plain(dynamodb)
    dynamodb.update_continuous_backups(
        TableName="plain", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    arn = dynamodb.describe_table(TableName="plain")["Table"]["TableArn"]
    exported = dynamodb.export_table_to_point_in_time(TableArn=arn, S3Bucket="none", S3Prefix="p")
    imported = dynamodb.import_table(
        S3BucketSource={"S3Bucket": "none"},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters={
            "TableName": "new",
            "AttributeDefinitions": types(id="S"),
            "KeySchema": HASH,
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    backend = dynamodb_backends[ACCOUNT][REGION]
    for thread in (*backend.table_exports.values(), *backend.table_imports.values()):
        thread.join()
    asked = [
        (dynamodb.describe_export, {"ExportArn": exported["ExportDescription"]["ExportArn"]}),
        (dynamodb.describe_import, {"ImportArn": imported["ImportTableDescription"]["ImportArn"]}),
        (dynamodb.list_exports, {"TableArn": arn}),
    ]
    before = answers(*asked)
    round_trip(adapter)
    assert answers(*asked) == before
    assert before[0]["ExportDescription"]["ExportStatus"] == "FAILED"
    dynamodb.delete_table(TableName="plain")
    adapter.install(backend, REGION, take(adapter))
    assert answers(*asked)[0] == before[0]


def test_what_no_client_sends_comes_back_as_well(dynamodb: Any, adapter: DynamoDbAdapter) -> None:
    make_plain(dynamodb)
    table = dynamodb_backends[ACCOUNT][REGION].tables["plain"]
    odd = {"B": "text"}, {"SS": [1]}, {"BS": ["text"]}, {"NULL": None}, {"X": (1, b"2")}, {"BOOL": {"$": 1}}
    made = table.put_item({"id": {"S": "1"}})
    dict.update(made.attrs, {str(place): DynamoType(value) for place, value in enumerate(odd)})
    table.put_item({"id": {"S": "2"}})
    dynamodb.update_item(
        TableName="plain",
        Key={"id": {"S": "2"}},
        AttributeUpdates={"id": {"Action": "PUT", "Value": {"S": "other"}}},
    )
    records = round_trip(adapter)
    found = records["item/plain/S:2"]
    assert isinstance(found, Item)
    assert (found.attributes, found.hash_key) == ({"id": {"S": "other"}}, {"S": "2"})
