"""What clients change in DynamoDB is what the adapter says they touch, and no more (WO-5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends

from holdfast.worlds.aws.services.dynamodb import DynamoDbAdapter
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies
from tests.aws_touches import watched
from tests.test_aws_dynamodb import make_plain, make_rich

FIRST = 1100000000017454423009
ONE = {"id": {"S": "1"}}


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("dynamodb", region_name=REGION)


def item(key: str, table: str = "plain") -> tuple[str, str, str]:
    return "item", table, key


def told(count: int, table: str = "orders") -> set[tuple[str, str, str]]:
    """The first records of a stream."""
    return {("record", table, str(FIRST + place)) for place in range(count)}


def test_items(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_plain(dynamodb)
    with watched(DynamoDbAdapter(MemoryBodies()), monkeypatch) as check:
        dynamodb.put_item(TableName="plain", Item=ONE)
        assert check() == {item("S:1")}
        dynamodb.update_item(
            TableName="plain",
            Key={"id": {"S": "2"}},
            UpdateExpression="SET a = :a",
            ExpressionAttributeValues={":a": {"N": "1"}},
        )
        assert check() == {item("S:2")}
        dynamodb.batch_write_item(
            RequestItems={
                "plain": [{"PutRequest": {"Item": {"id": {"S": "3"}}}}, {"DeleteRequest": {"Key": {"id": {"S": "2"}}}}]
            }
        )
        assert check() == {item("S:2"), item("S:3")}
        dynamodb.delete_item(TableName="plain", Key=ONE)
        assert check() == {item("S:1")}
        with pytest.raises(ClientError):
            dynamodb.put_item(TableName="plain", Item=ONE, ConditionExpression="attribute_exists(id)")
        dynamodb.scan(TableName="plain")
        dynamodb.get_item(TableName="plain", Key=ONE)
        dynamodb.batch_get_item(RequestItems={"plain": {"Keys": [ONE]}})
        dynamodb.transact_get_items(TransactItems=[{"Get": {"TableName": "plain", "Key": ONE}}])
        assert check() == set()
        dynamodb.execute_statement(Statement="INSERT INTO plain VALUE {'id': '9'}")
        assert check() == {item("S:9")}


def test_transactions(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_plain(dynamodb)
    make_rich(dynamodb)
    order = {"id": {"S": "a"}, "at": {"N": "1.0"}}
    update = {
        "TableName": dynamodb.describe_table(TableName="orders")["Table"]["TableArn"],
        "Key": order,
        "UpdateExpression": "SET kind = :k",
        "ExpressionAttributeValues": {":k": {"S": "k"}},
    }
    with watched(DynamoDbAdapter(MemoryBodies()), monkeypatch) as check:
        dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "plain", "Item": ONE}}, {"Update": update}])
        assert check() == {item("S:1"), item("S:a/N:1", "orders"), *told(2)}
        failing = {"TableName": "plain", "Key": {"id": {"S": "no"}}, "ConditionExpression": "attribute_exists(id)"}
        with pytest.raises(ClientError, match="Transaction cancelled"):
            dynamodb.transact_write_items(
                TransactItems=[{"Delete": {"TableName": "plain", "Key": ONE}}, {"ConditionCheck": failing}]
            )
        assert check() == set()
        dynamodb.transact_write_items(TransactItems=[{"Delete": {"TableName": "plain", "Key": ONE}}])
        assert check() == {item("S:1")}


def test_tables(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(DynamoDbAdapter(MemoryBodies()), monkeypatch) as check:
        make_plain(dynamodb, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
        assert check() == {("table", "plain"), ("stream", "plain")}
        arn = dynamodb.describe_table(TableName="plain")["Table"]["TableArn"]
        dynamodb.put_item(TableName="plain", Item=ONE)
        assert check() == {item("S:1"), *told(1, "plain")}
        dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
        assert check() == {("table", "plain")}
        dynamodb.untag_resource(ResourceArn=arn, TagKeys=["a"])
        assert check() == {("table", "plain")}
        dynamodb.update_time_to_live(
            TableName=arn, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
        )
        assert check() == {("table", "plain")}
        dynamodb.update_continuous_backups(
            TableName="plain", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        assert check() == {("table", "plain")}
        dynamodb.update_table(TableName="plain", StreamSpecification={"StreamEnabled": False})
        assert check() == {("stream", "plain")}
        dynamodb.put_resource_policy(ResourceArn=arn, Policy="{}")
        assert check() == {("policy", arn)}
        dynamodb.delete_resource_policy(ResourceArn=arn)
        assert check() == {("policy", arn)}
        dynamodb.delete_table(TableName="plain")
        assert check() == {("table", "plain"), ("stream", "plain"), item("S:1"), *told(1, "plain")}


def test_backups_and_transfers(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_plain(dynamodb)
    dynamodb.put_item(TableName="plain", Item=ONE)
    with watched(DynamoDbAdapter(MemoryBodies()), monkeypatch) as check:
        arn = dynamodb.create_backup(TableName="plain", BackupName="saved")["BackupDetails"]["BackupArn"]
        group = ("backup", "plain", arn.rpartition("/")[2])
        assert check() == {group}
        dynamodb.restore_table_from_backup(TargetTableName="again", BackupArn=arn)
        assert check() == {("table", "again"), item("S:1", "again")}
        dynamodb.delete_backup(BackupArn=arn)
        assert check() == {group}
        dynamodb.list_backups()
        assert check() == set()


def test_an_import_is_seen_when_its_end_is(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket="dumps", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="dumps", Key="d/one.json", Body=b'{"Item": {"id": {"S": "1"}}}')
    backend = dynamodb_backends[ACCOUNT][REGION]
    imported = dynamodb.import_table(
        S3BucketSource={"S3Bucket": "dumps", "S3KeyPrefix": "d"},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters={
            "TableName": "new",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    arn = imported["ImportTableDescription"]["ImportArn"]
    backend.table_imports[arn].join()
    adapter = DynamoDbAdapter(MemoryBodies())
    assert set(adapter.touches["describe_import"](backend, arn)) == {
        ("import", arn),
        ("table", "new"),
        ("stream", "new"),
        ("item", "new", "S:1"),
    }


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("nowhere", ONE),
        ("orders", ONE),
        ("orders", {}),
        ("orders", None),
        ("orders", {"id": {}, "at": {}}),
        ("orders", {"id": "x", "at": "y"}),
        ("orders", {"id": {"S": "a"}, "at": {"N": "many"}}),
        ("orders", {"id": {"S": "a"}, "at": {"N": "1e999999999999999999"}}),
    ],
)
def test_what_cannot_be_a_key_touches_nothing(dynamodb: Any, table: str, key: Any) -> None:
    make_rich(dynamodb)
    backend, touches = dynamodb_backends[ACCOUNT][REGION], DynamoDbAdapter.touches
    assert list(touches["put_item"](backend, table, key)) == []
    assert list(touches["update_item"](backend, table, key=key)) == []
    assert [
        group
        for group in touches["transact_write_items"](backend, [{"Put": {"TableName": table, "Item": key}}])
        if group[0] == "item"
    ] == []
