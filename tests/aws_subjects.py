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


SUBJECTS: tuple[type[AwsSubject], ...] = (SqsSubject,)
