"""A mock AWS goes back with the flow that acts on it (FL-20, WO-10, WO-13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast import Holdfast, WorldHandle, aws, directory, open_world, state, step, workflow
from holdfast.audit import SqlAuditLog
from holdfast.flows.errors import FlowHalted
from holdfast.flows.retention import prune
from holdfast.rewind.handle import OpenedHere
from holdfast.store import open_store
from holdfast.worlds.aws.errors import WorldTakenOver
from holdfast.worlds.aws.sql import SqlAws
from holdfast.worlds.checkpoints import SqlCheckpoints

REGION = "eu-west-1"


@step
def send(cloud: WorldHandle, body: str) -> list[str]:
    """Send a message; returns all bodies in the queue, which stay in it."""
    with cloud.aws.patched():
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName="line")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=body)
    return bodies(cloud)


def bodies(cloud: WorldHandle) -> list[str]:
    account, region = cloud.scopes[0]
    view: Any = cloud.aws.sqs.snapshot(account, region)
    found = [record for name, record in view.resources.items() if name.startswith("message/")]
    return [record.body for record in sorted(found, key=lambda record: int(record.rank))]


@workflow
async def send_three_messages() -> list[str]:
    cloud = await open_world("cloud", aws(REGION))
    found: list[str] = []
    for wave in (1, 2, 3):
        found = await send(cloud, f"{state().get('tone', 'plain')} {wave}")
        await cloud.checkpoint(f"wave {wave}")
    return found


@pytest.fixture
def hf(tmp_path: Path) -> Any:
    with Holdfast(f"sqlite:///{tmp_path / 'h.db'}") as opened:
        yield opened


def test_rewinding_the_flow_rewinds_its_aws(hf: Holdfast) -> None:
    flow = hf.start(send_three_messages)
    assert flow.result(30) == ["plain 1", "plain 2", "plain 3"]
    hf.rewind(flow.id, "wave 2", patch={"tone": "bold"})
    assert flow.result(30) == ["plain 1", "plain 2", "bold 3"]


def test_a_fork_has_an_aws_of_its_own_with_the_same_names(hf: Holdfast) -> None:
    flow = hf.start(send_three_messages)
    flow.result(30)
    fork = hf.fork(flow.id, "wave 1", patch={"tone": "bold"})
    assert fork.result(30) == ["plain 1", "bold 2", "bold 3"]
    hf.rewind(flow.id, "wave 2")
    assert flow.result(30) == ["plain 1", "plain 2", "plain 3"]
    hf.rewind(fork.id, 0, patch={"tone": "third"})
    assert fork.result(30) == ["third 1", "third 2", "third 3"]


def test_another_process_goes_on_with_what_was_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'h.db'}"
    with Holdfast(url) as first:
        flow = first.start(send_three_messages)
        flow.result(30)
    with Holdfast(url) as second:
        second.rewind(flow.id, "wave 2")
        assert second.handle(flow.id).result(30) == ["plain 1", "plain 2", "plain 3"]


def test_nothing_is_left_of_a_pruned_flows_aws(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'h.db'}"
    with Holdfast(url) as hf:
        hf.start(send_three_messages).result(30)
        assert prune(hf.store, 0).flows == 1
    store = open_store(url)
    try:
        assert store.read(lambda tx: SqlAws(tx).worlds()) == []
        assert store.read(lambda tx: tx.fetch("SELECT count(*) FROM aws_resources")) == [(0,)]
    finally:
        store.close()


@workflow
async def mixes_worlds(root: str) -> None:
    await open_world("both", aws(), directory(root))


def test_a_mock_aws_is_a_world_by_itself(hf: Holdfast, tmp_path: Path) -> None:
    with pytest.raises(FlowHalted, match="mock AWS and more"):
        hf.start(mixes_worlds, str(tmp_path)).result(30)


def test_a_worker_that_lost_the_flow_does_not_take_its_aws_back(hf: Holdfast) -> None:
    """A stale worker wakes up and replays: another one has the flow by now."""
    flow = hf.start(send_three_messages)
    flow.result(30)
    opened = OpenedHere(flow.id, "cloud", (aws(REGION),))
    world = f"cloud.{flow.id}"
    before = hf.store.read(lambda tx: SqlAws(tx).get(world))
    with pytest.raises(WorldTakenOver):  # the flow has ended: nobody has it
        aws(REGION).open(hf.store, f"{world}x", opened._expect_rightful)
    assert hf.store.read(lambda tx: SqlAws(tx).get(f"{world}x")) is None
    assert hf.store.read(lambda tx: SqlAws(tx).get(world)) == before


@step
def work_wave(cloud: WorldHandle, wave: int, tone: str) -> None:
    """Change all three: new things, changed things, things gone."""
    with cloud.aws.patched():
        s3, dynamodb, sqs = boto3.client("s3"), boto3.client("dynamodb"), boto3.client("sqs")
        if wave == 1:
            s3.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_versioning(Bucket="files", VersioningConfiguration={"Status": "Enabled"})
            dynamodb.create_table(
                TableName="orders",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
                BillingMode="PAY_PER_REQUEST",
            )
            sqs.create_queue(QueueName="line")
        s3.put_object(Bucket="files", Key="latest", Body=f"{tone} {wave}".encode())
        dynamodb.put_item(TableName="orders", Item={"id": {"N": str(wave)}, "tone": {"S": tone}})
        dynamodb.put_item(TableName="orders", Item={"id": {"N": "0"}, "waves": {"N": str(wave)}})
        url = sqs.get_queue_url(QueueName="line")["QueueUrl"]
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        sqs.send_message(QueueUrl=url, MessageBody=f"{tone} {wave}")


@step
def seen(cloud: WorldHandle) -> list[Any]:
    """What clients read of all three."""
    with cloud.aws.patched():
        s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
        versions = s3.list_object_versions(Bucket="files")["Versions"]
        read = [
            s3.get_object(Bucket="files", Key="latest", VersionId=one["VersionId"])["Body"].read() for one in versions
        ]
        items = dynamodb.scan(TableName="orders")["Items"]
    return [[body.decode() for body in read], sorted(str(sorted(item.items())) for item in items), bodies(cloud)]


@workflow
async def works_in_waves() -> list[Any]:
    cloud = await open_world("cloud", aws(REGION))
    for wave in range(1, 5):
        await work_wave(cloud, wave, state().get("tone", "plain"))
        await cloud.checkpoint(f"wave {wave}")
    return await seen(cloud)


def test_rewound_to_its_middle_s3_dynamodb_and_sqs_are_as_they_were_then(hf: Holdfast) -> None:
    flow = hf.start(works_in_waves)
    files, _, messages = flow.result(30)
    assert files == ["plain 4", "plain 3", "plain 2", "plain 1"]
    assert messages == ["plain 4"]
    taken = hf.store.read(lambda tx: SqlCheckpoints(tx).list(None).items)
    (at_two,) = [one.states for one in taken if one.name == "wave 2"]
    hf.rewind(flow.id, "wave 2", patch={"tone": "bold"})
    files, items, messages = flow.result(30)
    assert files == ["bold 4", "bold 3", "plain 2", "plain 1"]
    assert [tone for tone in ("plain", "bold") for item in items if tone in item] == ["plain", "plain", "bold", "bold"]
    assert messages == ["bold 4"]
    restored = hf.store.read(lambda tx: SqlAuditLog(tx).list().items)
    (act,) = [one for one in restored if one.act == "world.restored"]
    manifests = {f"{one.service}/{one.account_id}/{one.region}": one.manifest for one in at_two}
    assert act.detail["to"] == manifests
