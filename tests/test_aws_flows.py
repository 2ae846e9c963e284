"""A mock AWS goes back with the flow that acts on it (FL-20, WO-10, WO-13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast import Holdfast, WorldHandle, aws, directory, open_world, state, step, workflow
from holdfast.flows.errors import FlowHalted
from holdfast.flows.retention import prune
from holdfast.rewind.handle import OpenedHere
from holdfast.store import open_store
from holdfast.worlds.aws.errors import WorldTakenOver
from holdfast.worlds.aws.sql import SqlAws

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
