"""Clients of an attached world that is killed: a process that tells by a pipe what they begin and what was
acknowledged, and what must be there afterwards.

``python -m tests.aws_kill_kit URL ROUND`` imports all, waits for a line on stdin, opens the world and begins.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from holdfast.store import Store, open_store
from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.errors import WorldAttached
from tests.aws_kit import ACCOUNT, REGION

NAME, BUCKET, TABLE, THREADS, HOURS = "killed", "bucket", "table", 4, 36000
Act = tuple[str, ...]


def opened(store: Store, patience: float = 10) -> AwsWorld:
    """The world; a database may take a moment to see that its last holder is dead."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return AwsWorld(store, NAME, account=ACCOUNT, region=REGION)
        except WorldAttached:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@cache
def client(service: str, account: str = ACCOUNT) -> Any:
    """Of whichever world is entered: making one takes longer than all that is done by it."""
    return boto3.client(
        service,
        region_name=REGION,
        aws_access_key_id=account,
        aws_secret_access_key="any",
        config=Config(retries={"max_attempts": 0}),
    )


class Services:
    """Clients of the three services, and the one bucket and table."""

    def __init__(self) -> None:
        self.s3, self.dynamodb, self.sqs = map(client, ("s3", "dynamodb", "sqs"))

    def furnish(self) -> None:
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def url(self, owner: str) -> str:
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{owner}"

    def has_queue(self, owner: str) -> bool:
        return self.url(owner) in self.sqs.list_queues(QueueNamePrefix=owner).get("QueueUrls", ())

    def receive(self, owner: str, count: int) -> list[Any]:
        told = self.sqs.receive_message(
            QueueUrl=self.url(owner), MaxNumberOfMessages=count, VisibilityTimeout=HOURS, WaitTimeSeconds=0
        )
        return list(told.get("Messages", ()))


@dataclass
class Holdings:
    """What one client has: its objects, its items, the messages of its queue."""

    queue: bool = False
    objects: dict[str, str] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)
    visible: list[str] = field(default_factory=list)
    taken: int = 0

    def after(self, act: Act | None) -> Holdings:  # noqa: C901 - one branch an act
        """What it has once ``act`` is done."""
        new = Holdings(self.queue, dict(self.objects), dict(self.items), list(self.visible), self.taken)
        match act:
            case ("queue",):
                new.queue = True
            case ("put", key, text):
                new.objects[key] = text
            case ("remove", key):
                new.objects.pop(key, None)
            case ("item", key, text):
                new.items[key] = text
            case ("pair", one, other, text):
                new.items |= {one: text, other: text}
            case ("tally", key):
                new.items[key] = str(int(new.items.get(key, "0")) + 1)
            case ("drop", key):
                new.items.pop(key, None)
            case ("send", text):
                new.visible.append(text)
            case ("take",) if new.visible:
                new.visible.pop(0)
                new.taken += 1
            case ("done",) if new.taken:
                new.taken -= 1
        return new


def act_of(owner: str, number: int, die: random.Random) -> Act:
    """What a client does next."""
    if not number:
        return ("queue",)
    key, other, text = f"{owner}/{die.randrange(3)}", f"{owner}/3", f"{owner} {number}"
    choices: list[Act] = [
        ("put", key, text),
        ("put", key, text),
        ("remove", key),
        ("item", key, str(number)),
        ("pair", key, other, str(number)),
        ("tally", key),
        ("drop", key),
        ("send", text),
        ("send", text),
        ("take",),
        ("done",),
    ]
    return die.choice(choices)


def do(services: Services, owner: str, act: Act, handles: list[str]) -> None:  # noqa: C901
    """Have a client do it."""
    s3, dynamodb, sqs, url = services.s3, services.dynamodb, services.sqs, services.url(owner)
    match act:
        case ("queue",):
            sqs.create_queue(QueueName=owner)
        case ("put", key, text):
            s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode() * 50)
        case ("remove", key):
            s3.delete_object(Bucket=BUCKET, Key=key)
        case ("item", key, text):
            dynamodb.put_item(TableName=TABLE, Item=_item(key, text))
        case ("pair", one, other, text):
            puts = [{"Put": {"TableName": TABLE, "Item": _item(key, text)}} for key in (one, other)]
            dynamodb.transact_write_items(TransactItems=puts)
        case ("tally", key):
            dynamodb.update_item(
                TableName=TABLE,
                Key={"id": {"S": key}},
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )
        case ("drop", key):
            dynamodb.delete_item(TableName=TABLE, Key={"id": {"S": key}})
        case ("send", text):
            sqs.send_message(QueueUrl=url, MessageBody=text)
        case ("take",):
            handles += [message["ReceiptHandle"] for message in services.receive(owner, 1)]
        case ("done",) if handles:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=handles.pop(0))


def _item(key: str, text: str) -> dict[str, Any]:
    return {"id": {"S": key}, "n": {"N": text}}


def found(services: Services, owners: Iterable[str]) -> dict[str, Holdings]:
    """What clients have, as reads tell it; their visible messages are taken."""
    has = {owner: Holdings(queue=services.has_queue(owner)) for owner in owners}
    for page in services.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for key in (one["Key"] for one in page.get("Contents", ())):
            body = services.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            text = body[: len(body) // 50].decode()
            assert body == text.encode() * 50
            has[key.split("/")[0]].objects[key] = text
    for page in services.dynamodb.get_paginator("scan").paginate(TableName=TABLE):
        for item in page["Items"]:
            key = item["id"]["S"]
            has[key.split("/")[0]].items[key] = item["n"]["N"]
    for owner, holdings in has.items():
        if holdings.queue:
            told = services.sqs.get_queue_attributes(QueueUrl=services.url(owner), AttributeNames=["All"])["Attributes"]
            holdings.taken = int(told["ApproximateNumberOfMessagesNotVisible"])
            while messages := services.receive(owner, 10):
                holdings.visible += [message["Body"] for message in messages]
            assert int(told["ApproximateNumberOfMessages"]) == len(holdings.visible)
    return has


def _tell(*told: Any) -> None:
    """A line on the pipe at once: short enough to be in one piece."""
    os.write(1, json.dumps(told).encode() + b"\n")


def _client(services: Services, owner: str) -> None:
    die, number = random.Random(owner), 0
    handles: list[str] = []
    while True:
        act = act_of(owner, number, die)
        number += 1
        _tell("begun", owner, act)
        do(services, owner, act, handles)
        _tell("done", owner, act)


def main(url: str, number: str) -> None:
    services = Services()
    sys.stdin.readline()
    with opened(open_store(url)):
        threads = [threading.Thread(target=_client, args=(services, f"c{number}-{place}")) for place in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
