"""The mock AWS as subjects of the conformance suite of stateful services: clients that speak boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from holdfast.store import open_store
from holdfast.testing.worlds.samples import with_resources
from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.service import AwsService
from holdfast.worlds.model import path_of


class AwsSubject:
    """A client of one service of a world."""

    service_name: str

    def __init__(self, world: AwsWorld) -> None:
        self.world = world
        self.service: AwsService = world.services[self.service_name]
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, account_id: str, region: str) -> Any:
        if (account_id, region) not in self._clients:
            made = self.world.client(
                self.service_name, account=account_id, region=region, config=Config(retries={"max_attempts": 0})
            )
            self._clients[account_id, region] = made
        return self._clients[account_id, region]

    def put(self, account_id: str, region: str, n: int, variant: int) -> None:
        raise NotImplementedError

    def put_pair(self, account_id: str, region: str, n: int, m: int, variant: int) -> None:
        for number in (n, m):
            self.put(account_id, region, number, variant)

    def tries(self, client: Any, n: int) -> Iterator[Callable[[], object]]:
        """What the service refuses."""
        raise NotImplementedError

    def refused(self, account_id: str, region: str, n: int) -> None:
        for act in self.tries(self.client(account_id, region), n):
            try:
                act()
            except ClientError:
                continue
            raise AssertionError("what is wrong was not refused")


class SqsSubject(AwsSubject):
    """Numbers are queues; variants are their attributes, and messages in them."""

    service_name = "sqs"

    def put(self, account_id: str, region: str, n: int, variant: int) -> None:
        client = self.client(account_id, region)
        name = f"q{n}"
        try:
            url = client.get_queue_url(QueueName=name)["QueueUrl"]
        except ClientError:
            url = client.create_queue(QueueName=name)["QueueUrl"]
        client.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0", "VisibilityTimeout": str(variant)})

    def remove(self, account_id: str, region: str, n: int) -> None:
        client = self.client(account_id, region)
        client.delete_queue(QueueUrl=client.get_queue_url(QueueName=f"q{n}")["QueueUrl"])

    def read(self, account_id: str, region: str, n: int) -> None:
        client = self.client(account_id, region)
        client.list_queues()
        with suppress(ClientError):
            url = client.get_queue_url(QueueName=f"q{n}")["QueueUrl"]
            client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            client.list_queue_tags(QueueUrl=url)

    def tries(self, client: Any, n: int) -> Iterator[Callable[[], object]]:
        yield lambda: client.create_queue(QueueName="no name!")
        yield lambda: client.send_message(QueueUrl=f"https://sqs.amazonaws.com/1/absent{n}", MessageBody="x")
        yield lambda: client.delete_queue(QueueUrl=f"https://sqs.amazonaws.com/1/absent{n}")

    def spoilt(self, view: Any) -> Iterable[tuple[Any, str | None]]:
        name = next(name for name in view.resources if name.startswith("queue/"))
        yield with_resources(view, {**view.resources, "queue/other": view.resources[name]}), path_of("queue/other")


class DynamoDbSubject(AwsSubject):
    """Numbers are items of one table, which is there from the first of them on."""

    service_name = "dynamodb"

    def table(self, account_id: str, region: str) -> Any:
        client = self.client(account_id, region)
        with suppress(ClientError):
            client.create_table(
                TableName="t",
                KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        return client

    def put(self, account_id: str, region: str, n: int, variant: int) -> None:
        self.table(account_id, region).put_item(TableName="t", Item=_item(n, variant))

    def put_pair(self, account_id: str, region: str, n: int, m: int, variant: int) -> None:
        puts = [{"PutRequest": {"Item": _item(number, variant)}} for number in (n, m)]
        self.table(account_id, region).batch_write_item(RequestItems={"t": puts})

    def remove(self, account_id: str, region: str, n: int) -> None:
        client = self.client(account_id, region)
        client.delete_item(TableName="t", Key={"k": {"S": str(n)}})
        if not client.scan(TableName="t")["Items"]:
            client.delete_table(TableName="t")

    def read(self, account_id: str, region: str, n: int) -> None:
        client = self.client(account_id, region)
        client.list_tables()
        with suppress(ClientError):
            client.describe_table(TableName="t")
            client.get_item(TableName="t", Key={"k": {"S": str(n)}})
            client.scan(TableName="t")

    def tries(self, client: Any, n: int) -> Iterator[Callable[[], object]]:
        yield lambda: client.put_item(TableName="absent", Item=_item(n, 0))
        yield lambda: client.put_item(TableName="t", Item={"other": {"S": "x"}})
        yield lambda: client.delete_table(TableName="absent")

    def spoilt(self, view: Any) -> Iterable[tuple[Any, str | None]]:
        name = next(name for name in view.resources if name.startswith("item/"))
        alone = {name: view.resources[name]}
        yield with_resources(view, alone), path_of(name)
        yield with_resources(view, {**view.resources, "item/t/S:other": view.resources[name]}), "item/t/S:other"


def _item(n: int, variant: int) -> dict[str, Any]:
    return {"k": {"S": str(n)}, "variant": {"N": str(variant)}, "body": {"B": bytes([n % 256, variant % 256])}}


@contextmanager
def opened(subject: type[AwsSubject], url: str | None) -> Iterator[AwsSubject]:
    """A fresh world, detached or attached to the store at ``url``, with a client of one service."""
    store = open_store(url) if url else None
    try:
        world = AwsWorld(store)
        try:
            yield subject(world)
        finally:
            world.close()
    finally:
        if store is not None:
            store.close()


SUBJECTS: tuple[type[AwsSubject], ...] = (SqsSubject, DynamoDbSubject)
