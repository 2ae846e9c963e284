"""Snapshots while many clients write: no error, no stall, and each of one moment (WO-1)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.model import Scope

REGION = "us-east-1"
SERVICES = ("s3", "dynamodb", "sqs")


class Writers:
    """Clients that each bring the same number to S3, then to DynamoDB, then to SQS, one after the other, and up by one
    again and again."""

    def __init__(self, world: AwsWorld, count: int) -> None:
        self.ended = threading.Event()
        self.errors: list[BaseException] = []
        self.slowest = 0.0
        self.writes = 0
        self._clients = [world.client(name, region=REGION) for name in SERVICES]
        s3, dynamodb, sqs = self._clients
        s3.create_bucket(Bucket="bucket")
        dynamodb.create_table(
            TableName="table",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self._url = sqs.create_queue(QueueName="queue")["QueueUrl"]
        self._polled = sqs.create_queue(QueueName="polled")["QueueUrl"]
        self._threads = [threading.Thread(target=self._guarded, args=(self._write, place)) for place in range(count)]
        self._threads += [threading.Thread(target=self._guarded, args=(self._poll, place)) for place in range(8)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self.ended.set()
        for _ in range(8):
            self._clients[2].send_message(QueueUrl=self._polled, MessageBody="end")
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _guarded(self, work: Callable[[int], None], place: int) -> None:
        try:
            work(place)
        except BaseException as error:
            self.errors.append(error)

    def _write(self, place: int) -> None:
        s3, dynamodb, sqs = self._clients
        number = 0
        while not self.ended.is_set():
            number += 1
            text = str(number)
            self._timed(
                lambda text=text: s3.put_object(Bucket="bucket", Key=f"k{place}", Body=b"", Metadata={"n": text})
            )
            item = {"id": {"S": f"k{place}"}, "n": {"N": text}}
            self._timed(lambda item=item: dynamodb.put_item(TableName="table", Item=item))
            self._timed(lambda text=text: sqs.tag_queue(QueueUrl=self._url, Tags={f"k{place}": text}))

    def _timed(self, act: Callable[[], object]) -> None:
        began = time.monotonic()
        act()
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.writes += 1

    def _poll(self, place: int) -> None:
        while not self.ended.is_set():
            found = self._clients[2].receive_message(QueueUrl=self._polled, WaitTimeSeconds=20).get("Messages", [])
            assert self.ended.is_set() or not found


def numbers(views: Any) -> list[dict[str, int]]:
    """What each writer had brought to each service."""
    s3, dynamodb, sqs = (views[name, Scope("123456789012", REGION)].resources for name in SERVICES)
    objects = {name: record for name, record in s3.items() if name.startswith("object/")}
    items = {name: record for name, record in dynamodb.items() if name.startswith("item/")}
    return [
        {record.key: int(record.metadata["x-amz-meta-n"]) for record in objects.values()},
        {name.partition("S:")[2]: int(record.attributes["n"]["N"]) for name, record in items.items()},
        {key: int(text) for key, text in sqs["queue/queue"].tags.items()},
    ]


def check_cut(views: Any) -> None:
    """Each writer is within one round."""
    s3, dynamodb, sqs = numbers(views)
    for key, first in s3.items():
        second, third = dynamodb.get(key, 0), sqs.get(key, 0)
        assert first >= second >= third >= first - 1, (key, first, second, third)


def storm(writers: int, snapshots: int) -> tuple[float, float, int]:
    """The slowest write and snapshot in seconds, and how many writes there were."""
    with AwsWorld(region=REGION) as world:
        parts = [(name, Scope(world.account_id, REGION)) for name in SERVICES]
        clients = Writers(world, writers)
        slowest = 0.0
        try:
            for _ in range(snapshots):
                began = time.monotonic()
                views = world.world.present(parts)
                slowest = max(slowest, time.monotonic() - began)
                check_cut(views)
        finally:
            clients.end()
        assert clients.errors == []
        assert not world.tracker.recount()
        check_cut(world.world.present(parts))
        return clients.slowest, slowest, clients.writes


def test_every_snapshot_is_of_one_moment() -> None:
    _, _, writes = storm(12, 40)
    assert writes > 40


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_a_thousand_snapshots_while_64_threads_write() -> None:
    slowest_write, slowest_snapshot, writes = storm(64, 1000)
    print(f"1,000 snapshots, {writes:,} writes: slowest write {slowest_write:.2f} s, snapshot {slowest_snapshot:.2f} s")
    assert max(slowest_write, slowest_snapshot) < 1
