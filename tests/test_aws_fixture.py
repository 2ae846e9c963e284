"""The pytest plugin: a mock AWS that is put back before each test, and costs nothing where nobody asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast.worlds.aws import AwsWorld


@pytest.fixture(scope="session", autouse=True)
def seeded(holdfast_aws: AwsWorld) -> None:
    s3 = holdfast_aws.client("s3")
    s3.create_bucket(Bucket="seeds")
    for number in range(100):
        s3.put_object(Bucket="seeds", Key=f"{number}", Body=b"seed")
    holdfast_aws.checkpoint("seeded")


def buckets() -> list[str]:
    return [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]


def test_a_test_starts_with_nothing(holdfast_world: AwsWorld) -> None:
    assert buckets() == []
    boto3.client("s3").create_bucket(Bucket="mine")
    assert buckets() == ["mine"]


@pytest.mark.holdfast_world("seeded")
@pytest.mark.parametrize("turn", range(2))
def test_a_test_starts_with_what_the_checkpoint_holds(holdfast_world: AwsWorld, turn: int) -> None:
    s3 = boto3.client("s3")
    assert buckets() == ["seeds"]
    assert s3.get_object(Bucket="seeds", Key="7")["Body"].read() == b"seed"
    s3.put_object(Bucket="seeds", Key="7", Body=b"changed")
    holdfast_world.client("sqs", account="222222222222", region="eu-west-1").create_queue(QueueName="elsewhere")


@pytest.mark.holdfast_world("seeded")
def test_what_others_did_elsewhere_is_gone(holdfast_world: AwsWorld) -> None:
    queues = holdfast_world.client("sqs", account="222222222222", region="eu-west-1").list_queues()
    assert "QueueUrls" not in queues


@pytest.fixture
def a_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PROFILE", "work"), ("SESSION_TOKEN", "t"), ("ENDPOINT_URL", "http://127.0.0.1:1")):
        monkeypatch.setenv(f"AWS_{name}", value)


def test_nothing_leads_to_a_real_aws(a_real_aws: None, holdfast_world: AwsWorld) -> None:
    identity = boto3.client("sts").get_caller_identity()
    assert (identity["Account"], boto3.client("sqs").meta.region_name) == ("123456789012", "us-east-1")
    assert "AWS_PROFILE" not in os.environ


def test_the_environment_is_as_it_was() -> None:
    assert "AWS_EC2_METADATA_DISABLED" not in os.environ


@pytest.fixture
def rewinding(request: pytest.FixtureRequest) -> Any:
    """What the fixture puts the world back by."""
    return request.getfixturevalue("_holdfast_rewinding")


def test_a_restore_that_changes_nothing_costs_next_to_nothing(holdfast_aws: AwsWorld, rewinding: Any) -> None:
    rewinding.go_to("seeded")
    kept = len(holdfast_aws.checkpoints().items)
    began = time.perf_counter()
    for _ in range(20):
        rewinding.go_to("seeded")
    assert (time.perf_counter() - began) / 20 < 0.02
    assert len(holdfast_aws.checkpoints().items) == kept, "nothing is kept of where tests have been"


def test_a_checkpoint_that_was_made_anew_is_met(holdfast_aws: AwsWorld, rewinding: Any) -> None:
    client = holdfast_aws.client("sns")
    for name in ("one", "two"):
        rewinding.go_to("empty")
        client.create_topic(Name=name)
        holdfast_aws.checkpoint("renewed")
        rewinding.go_to("renewed")
        assert [topic["TopicArn"].rpartition(":")[2] for topic in client.list_topics()["Topics"]] == [name]
        holdfast_aws.world.forget("renewed")


SUITE = """
import boto3
import pytest

@pytest.fixture(scope="session", autouse=True)
def seeded(holdfast_aws):
    holdfast_aws.client("sqs").create_queue(QueueName="line")
    holdfast_aws.checkpoint("seeded")

@pytest.mark.holdfast_world("seeded")
@pytest.mark.parametrize("turn", range(4))
def test_line(holdfast_world, turn):
    sqs = boto3.client("sqs")
    (url,) = sqs.list_queues()["QueueUrls"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody="hello")

@pytest.mark.holdfast_world("nothing")
def test_unknown(holdfast_world):
    pass

@pytest.mark.holdfast_world
def test_unnamed(holdfast_world):
    pass
"""
BYSTANDER = """
import sys

def test_nothing_was_imported():
    assert not [name for name in sys.modules if name.split(".")[0] in ("holdfast", "moto", "boto3")]
"""


def ran(folder: Path, text: str, *options: str) -> str:
    """What a run of pytest of its own prints."""
    (folder / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", *options, str(folder)]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return told.stdout


@pytest.mark.prove
def test_it_works_in_processes_of_xdist(tmp_path: Path) -> None:
    told = ran(tmp_path, SUITE, "-n", "1")
    assert "4 passed, 2 errors" in told, told
    assert "has no checkpoint 'nothing'" in told
    assert "takes the name of a checkpoint" in told


def test_it_costs_nothing_where_nobody_asks_for_it(tmp_path: Path) -> None:
    assert "1 passed" in ran(tmp_path, BYSTANDER)


def test_it_can_be_left_out(tmp_path: Path) -> None:
    told = ran(tmp_path, "def test(holdfast_world): pass", "-p", "no:holdfast")
    assert "fixture 'holdfast_world' not found" in told
