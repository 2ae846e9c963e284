"""Random operations of clients on DynamoDB, and all that one can ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.aws_kit import ACCOUNT, REGION
from tests.aws_random_kit import Clients, answer, operation, texts

TABLES = ("plain", "ranged")
tables = st.sampled_from(TABLES)


class DynamoDbClients(Clients):
    service = "dynamodb"
    _numbers = st.integers(0, 5)
    operations = st.one_of(
        operation("put", tables, _numbers, texts),
        operation("put", tables, _numbers, texts),
        operation("update", tables, _numbers, texts),
        operation("delete", tables, _numbers),
        operation("batch", tables, st.dictionaries(_numbers, st.booleans(), min_size=1)),
        operation("transact", st.dictionaries(_numbers, st.sampled_from(["put", "delete", "check"]), min_size=1)),
        operation("read", tables, _numbers),
        operation("ttl", tables, st.booleans()),
        operation("tag", tables, texts),
        operation("untag", tables),
        operation("stream", tables, st.booleans()),
        operation("delete_table", tables),
        operation("create_table", tables),
    )

    def begin(self) -> None:
        for table in TABLES:
            self.create_table(table)

    def answers(self) -> dict[str, Any]:
        return dict(self._answers())

    def alone(self, answers: dict[str, Any]) -> dict[str, Any]:
        kept = {read: told for read, told in answers.items() if read.startswith(("tags", "describe_time", "get"))}
        return {read: told for read, told in kept.items() if not read.startswith("get") or "Item" in told}

    def _answers(self) -> Iterator[tuple[str, Any]]:
        names = self.client.list_tables()["TableNames"]
        yield "tables", names
        for name in names:
            for read in ("describe_table", "scan", "describe_time_to_live", "describe_continuous_backups"):
                yield f"{read} {name}", answer(getattr(self.client, read), TableName=name)
            yield f"tags {name}", answer(self.client.list_tags_of_resource, ResourceArn=self._arn(name))
            for number in range(6):
                yield f"get {name} {number}", answer(self.client.get_item, TableName=name, Key=_key(name, number))
                yield f"query {name} {number}", answer(self.client.query, TableName=name, **_condition(number))

    def _arn(self, table: str) -> str:
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"

    def create_table(self, table: str) -> None:
        kinds = {"id": "S"} if table == TABLES[0] else {"id": "S", "at": "N"}
        roles = dict(zip(kinds, ("HASH", "RANGE"), strict=False))
        self.client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": name, "KeyType": role} for name, role in roles.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )

    def delete_table(self, table: str) -> None:
        self.client.delete_table(TableName=table)

    def put(self, table: str, number: int, text: str) -> None:
        self.client.put_item(TableName=table, Item=_item(table, number, text))

    def update(self, table: str, number: int, text: str) -> None:
        self.client.update_item(
            TableName=table,
            Key=_key(table, number),
            UpdateExpression="SET #t = :t ADD tally :one",
            ExpressionAttributeNames={"#t": "text"},
            ExpressionAttributeValues={":t": {"S": text}, ":one": {"N": "1"}},
        )

    def delete(self, table: str, number: int) -> None:
        self.client.delete_item(TableName=table, Key=_key(table, number))

    def batch(self, table: str, kept: dict[int, bool]) -> None:
        puts = [{"PutRequest": {"Item": _item(table, number, "batch")}} for number, put in kept.items() if put]
        gone = [{"DeleteRequest": {"Key": _key(table, number)}} for number, put in kept.items() if not put]
        self.client.batch_write_item(RequestItems={table: puts + gone})

    def transact(self, acts: dict[int, str]) -> None:
        self.client.transact_write_items(TransactItems=[_act(number, act) for number, act in acts.items()])

    def read(self, table: str, number: int) -> None:
        self.client.query(TableName=table, **_condition(number))
        self.client.scan(TableName=table, Limit=2)
        self.client.batch_get_item(RequestItems={table: {"Keys": [_key(table, number)]}})

    def ttl(self, table: str, enabled: bool) -> None:
        told = {"Enabled": enabled, "AttributeName": "due"}
        self.client.update_time_to_live(TableName=table, TimeToLiveSpecification=told)

    def tag(self, table: str, text: str) -> None:
        self.client.tag_resource(ResourceArn=self._arn(table), Tags=[{"Key": "text", "Value": text}])

    def untag(self, table: str) -> None:
        self.client.untag_resource(ResourceArn=self._arn(table), TagKeys=["text"])

    def stream(self, table: str, enabled: bool) -> None:
        told = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"} if enabled else {"StreamEnabled": False}
        self.client.update_table(TableName=table, StreamSpecification=told)


def _key(table: str, number: int) -> dict[str, Any]:
    key = {"id": {"S": f"k{number % 3}"}}
    return key if table == TABLES[0] else {**key, "at": {"N": str(number)}}


def _item(table: str, number: int, text: str) -> dict[str, Any]:
    due = {"due": {"N": str(1 + number * 4_000_000_000)}} if number % 2 else {}
    return {**_key(table, number), **due, "text": {"S": text}, "bytes": {"B": bytes([number])}}


def _condition(number: int) -> dict[str, Any]:
    return {"KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": {"S": f"k{number % 3}"}}}


def _act(number: int, act: str) -> dict[str, Any]:
    table = TABLES[1]
    if act == "put":
        return {"Put": {"TableName": table, "Item": _item(table, number, "transaction")}}
    if act == "delete":
        return {"Delete": {"TableName": table, "Key": _key(table, number)}}
    exists = "attribute_exists(id)"
    return {"ConditionCheck": {"TableName": table, "Key": _key(table, number), "ConditionExpression": exists}}
