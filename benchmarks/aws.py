"""What a mock AWS costs: its snapshots and restores beside a bare walk over the same objects, and a put beside moto's.

Run by ``python -m benchmarks.worlds``. The world: 1,000 objects of 1 KB, 1,000 items, 100 messages.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import FakeKey, s3_backends
from moto.sqs.models import sqs_backends

from benchmarks.command import Bench
from benchmarks.report import Figures
from holdfast.store import Store, open_store
from holdfast.worlds import StateView
from holdfast.worlds.aws import AwsWorld

OBJECTS, ITEMS, MESSAGES, BODY_BYTES = 1_000, 1_000, 100, 1_024
PUTS = 300
SERVICES = ("s3", "dynamodb", "sqs")
REGION = "us-east-1"
DETACHED = "none: the world is detached"
WALK = "one walk that copies every attribute of the same objects, and every body, into plain values"
Views = dict[str, StateView[Any]]


@dataclass(frozen=True)
class Snapshot:
    """Milliseconds of a snapshot of all three services; ``bare``: a bare walk."""

    name: str = "aws-snapshot"

    def run(self, bench: Bench) -> Figures:
        with filled(bench) as world:
            snapshot(world)  # the bodies are stored with the first one
            ours, bare = in_turns(bench, lambda: snapshot(world), lambda: walk(world))
        return beside_a_walk(self.name, ours, bare, at_most=3)


@dataclass(frozen=True)
class FirstSnapshot:
    """Milliseconds of the first snapshot, which stores all bodies; ``bare``: a bare walk."""

    name: str = "aws-first-snapshot"

    def run(self, bench: Bench) -> Figures:
        ours, bare = [], []
        for _ in range(bench.repetitions):
            with filled(bench) as world:
                ours.append(milliseconds(lambda world=world: snapshot(world)))
                bare.append(milliseconds(lambda world=world: walk(world)))
        return beside_a_walk(self.name, statistics.median(ours), statistics.median(bare), at_most=3)


@dataclass(frozen=True)
class Restore:
    """Milliseconds of a restore of all three services into an empty world; ``bare``: a bare walk."""

    name: str = "aws-restore"

    def run(self, bench: Bench) -> Figures:
        with filled(bench) as world:
            views = snapshot(world)

            def restored() -> float:
                world.reset()
                return milliseconds(lambda: restore(world, views))

            ours = statistics.median(restored() for _ in range(bench.repetitions))
            if snapshot(world) != views:
                raise AssertionError("the restore did not bring the state back")
            bare = statistics.median(milliseconds(lambda: walk(world)) for _ in range(bench.repetitions))
        return beside_a_walk(self.name, ours, bare, at_most=4)


@dataclass(frozen=True)
class SecondCheckpoint:
    """Bytes that a checkpoint writes after one item was changed; ``bare``: what the first one wrote."""

    name: str = "aws-second-checkpoint"

    def run(self, bench: Bench) -> Figures:
        with attachable(bench) as store, filled(bench, store) as world:
            bodies = stored_bytes(store)
            world.checkpoint("first")
            first = stored_bytes(store)
            world.client("dynamodb", region=REGION).put_item(TableName="table", Item=item(1, "changed"))
            world.checkpoint("second")
            second = stored_bytes(store) - first
        return Figures(
            case=self.name,
            unit="bytes",
            ours=second,
            bare=first,
            peers={},
            lower_is_better=True,
            target={"bare": 0.02},
            durability="SQLite WAL synchronous=FULL",
            notes={"bare": "what the first one had stored, the objects' bodies (which the journal brings) included"},
            extra={"views_alone": round(second / (first - bodies), 4)},
        )


@dataclass(frozen=True)
class Put:
    """Microseconds of a put of 1 KB by boto3, with a listener; ``bare``: the same by moto alone."""

    name: str = "aws-put"

    def run(self, bench: Bench) -> Figures:
        ours, bare = [], []
        for _ in range(2 * bench.repetitions):
            with mock_aws():
                bare.append(puts(bench))
            with AwsWorld() as world:
                heard: list[object] = []
                world.subscribe(heard.append)
                ours.append(puts(bench))
                world.s3.notifier.drain(10)
                if len(heard) < bench.size(PUTS):
                    raise AssertionError("not every put was told")
        return Figures(
            case=self.name,
            unit="us",
            ours=statistics.median(ours),
            bare=statistics.median(bare),
            peers={},
            lower_is_better=True,
            target={"bare": 1.15},
            durability=DETACHED,
            notes={"bare": "moto by itself, in the same process and turn about"},
        )


@dataclass(frozen=True)
class AttachedPut:
    """Microseconds of a put of 1 KB that is journalled before it is answered; ``bare``: one by moto alone."""

    name: str = "aws-put-attached"

    def run(self, bench: Bench) -> Figures:
        ours, bare = [], []
        for _ in range(bench.repetitions):
            with mock_aws():
                bare.append(puts(bench))
            with attachable(bench) as store, AwsWorld(store):
                ours.append(puts(bench))
        return Figures(
            case=self.name,
            unit="us",
            ours=statistics.median(ours),
            bare=statistics.median(bare),
            peers={},
            lower_is_better=True,
            target={},
            durability="SQLite WAL synchronous=FULL, one client: a commit each",
            notes={"bare": "moto by itself, in memory"},
        )


def beside_a_walk(case: str, ours: float, bare: float, *, at_most: float) -> Figures:
    """Milliseconds of ours and of the bare walk."""
    return Figures(
        case=case,
        unit="ms",
        ours=ours,
        bare=bare,
        peers={},
        lower_is_better=True,
        target={"bare": at_most},
        durability=DETACHED,
        notes={"bare": WALK},
    )


CASES = (Snapshot(), FirstSnapshot(), Restore(), SecondCheckpoint(), Put(), AttachedPut())


@contextmanager
def attachable(bench: Bench) -> Iterator[Store]:
    """A store on disk."""
    with bench.workspace.folder() as folder, open_store(f"sqlite:///{folder / 'aws.db'}") as store:
        yield store


@contextmanager
def filled(bench: Bench, store: Store | None = None) -> Iterator[AwsWorld]:
    """A world with its objects, items and messages."""
    with AwsWorld(store, region=REGION) as world:
        s3, dynamodb, sqs = (world.client(name) for name in SERVICES)
        s3.create_bucket(Bucket="bucket")
        for number in range(bench.size(OBJECTS)):
            s3.put_object(Bucket="bucket", Key=f"folder/{number}", Body=os.urandom(BODY_BYTES))
        dynamodb.create_table(
            TableName="table",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for number in range(bench.size(ITEMS)):
            dynamodb.put_item(TableName="table", Item=item(number, "as it was"))
        url = sqs.create_queue(QueueName="queue")["QueueUrl"]
        for number in range(bench.size(MESSAGES)):
            sqs.send_message(QueueUrl=url, MessageBody=f"message {number}")
        yield world


def item(number: int, text: str) -> dict[str, Any]:
    """An item of the table."""
    return {"id": {"N": str(number)}, "text": {"S": text}, "tags": {"L": [{"S": "a"}, {"N": "1"}]}}


def snapshot(world: AwsWorld) -> Views:
    """All three services' views."""
    return {name: world.services[name].snapshot(world.account_id, REGION) for name in SERVICES}


def restore(world: AwsWorld, views: Views) -> None:
    """Put all three back."""
    for name, view in views.items():
        world.services[name].restore(world.account_id, REGION, view)


def walk(world: AwsWorld) -> list[Any]:
    """What a script without Holdfast would do to keep the same: copy all that the emulator's objects hold."""
    with world.at_work:
        account = world.account_id
        roots = (
            s3_backends[account]["aws"].buckets,
            dynamodb_backends[account][REGION].tables,
            sqs_backends[account][REGION].queues,
        )
        seen: set[int] = set()
        return [copied(root, seen) for root in roots]


def copied(value: Any, seen: set[int]) -> Any:
    """``value`` in plain types, each object once."""
    if isinstance(value, dict):
        return {str(key): copied(one, seen) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [copied(one, seen) for one in value]
    if not hasattr(value, "__dict__") or id(value) in seen:
        return value
    seen.add(id(value))
    plain = {name: copied(one, seen) for name, one in vars(value).items()}
    return plain | {"body": value.value} if isinstance(value, FakeKey) else plain


def puts(bench: Bench) -> float:
    """Microseconds a put, by whatever boto3 speaks to."""
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket="bucket")
    bodies = [os.urandom(BODY_BYTES) for _ in range(bench.size(PUTS))]
    gc.collect()
    began = time.perf_counter()
    for number, body in enumerate(bodies):
        client.put_object(Bucket="bucket", Key=f"folder/{number}", Body=body)
    return (time.perf_counter() - began) / len(bodies) * 1e6


def stored_bytes(store: Store) -> int:
    """The size of all stored bodies."""
    ((size,),) = store.read(lambda tx: tx.fetch("SELECT sum(size) FROM blobs"))
    return int(size or 0)


def milliseconds(act: Callable[[], object]) -> float:
    """How long ``act`` takes."""
    gc.collect()
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def in_turns(bench: Bench, ours: Callable[[], object], bare: Callable[[], object]) -> tuple[float, float]:
    """The medians of both."""
    times = [(milliseconds(ours), milliseconds(bare)) for _ in range(bench.repetitions)]
    return statistics.median(a for a, _ in times), statistics.median(b for _, b in times)
