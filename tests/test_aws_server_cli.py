"""``holdfast world serve``, as a process: the AWS CLI, signals, SIGKILL, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.server import WorldServer
from tests.aws_server_kit import ACCOUNT, OTHER, SERVE, Stream, ask, aws, client, serving
from tests.cli_kit import Run

pytestmark = pytest.mark.timeout(60)


def test_the_aws_cli_works_unchanged(tmp_path: Path) -> None:
    with WorldServer(AwsWorld()) as server:
        endpoint = server.endpoint
        url = json.loads(aws(endpoint, "sqs", "create-queue", "--queue-name", "jobs"))["QueueUrl"]
        aws(endpoint, "sqs", "send-message", "--queue-url", url, "--message-body", "höllo")
        received = json.loads(aws(endpoint, "sqs", "receive-message", "--queue-url", url))
        assert received["Messages"][0]["Body"] == "höllo"
        assert aws(endpoint, "s3", "ls", account=OTHER).strip() == ""
        (tmp_path / "a.txt").write_bytes(b"x" * 9_000_000)  # in parts
        aws(endpoint, "s3", "mb", "s3://bucket-one")
        aws(endpoint, "s3", "cp", "--no-progress", str(tmp_path / "a.txt"), "s3://bucket-one/dir/a b+ü.txt")
        aws(endpoint, "s3", "cp", "--no-progress", "s3://bucket-one/dir/a b+ü.txt", str(tmp_path / "b.txt"))
        assert (tmp_path / "b.txt").read_bytes() == (tmp_path / "a.txt").read_bytes()
        key = '[{"AttributeName": "id", "KeyType": "HASH"}]'
        typed = '[{"AttributeName": "id", "AttributeType": "S"}]'
        table = ("--table-name", "things")
        made = ("--key-schema", key, "--attribute-definitions", typed, "--billing-mode", "PAY_PER_REQUEST")
        aws(endpoint, "dynamodb", "create-table", *table, *made)
        aws(endpoint, "dynamodb", "put-item", *table, "--item", '{"id": {"S": "a"}, "n": {"N": "1.50"}}')
        found = json.loads(aws(endpoint, "dynamodb", "get-item", *table, "--key", '{"id": {"S": "a"}}'))
        assert found["Item"] == {"id": {"S": "a"}, "n": {"N": "1.50"}}


def test_killed_it_has_all_that_it_acknowledged(sqlite_url: str, run: Run) -> None:
    sent: list[str] = []
    stopped = threading.Event()

    def send(writer: int, endpoint: str, url: str) -> None:
        sqs = client(endpoint, "sqs")
        for number in range(10_000):
            if stopped.is_set():
                return
            body = f"{writer}/{number}"
            try:
                sqs.send_message(QueueUrl=url, MessageBody=body)
            except (BotoCoreError, ClientError):
                return
            sent.append(body)

    with serving("--store", sqlite_url) as (process, endpoint), ThreadPoolExecutor(4) as threads:
        url = client(endpoint, "sqs").create_queue(QueueName="jobs")["QueueUrl"]
        bucket = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
        s3 = client(endpoint, "s3")
        s3.create_bucket(Bucket="bucket-one", **bucket)
        s3.put_object(Bucket="bucket-one", Key="k", Body=b"body")
        typed = [{"AttributeName": "id", "AttributeType": "S"}]
        keyed = [{"AttributeName": "id", "KeyType": "HASH"}]
        dynamodb = client(endpoint, "dynamodb")
        dynamodb.create_table(TableName="t", KeySchema=keyed, AttributeDefinitions=typed, BillingMode="PAY_PER_REQUEST")
        dynamodb.put_item(TableName="t", Item={"id": {"S": "a"}})
        for writer in range(4):
            threads.submit(send, writer, endpoint, url)
        while len(sent) < 60:
            time.sleep(0.01)
        process.kill()
        process.wait()
        stopped.set()
    acknowledged = set(sent)
    with serving("--store", sqlite_url) as (process, endpoint):
        view = ask(endpoint, "GET", f"/_world/{ACCOUNT}/eu-west-1/sqs").json
        there = {found["body"] for name, found in view["resources"].items() if name.startswith("message/")}
        assert acknowledged <= there
        assert f"process {process.pid}" in ask(endpoint, "GET", "/_world").json["holder"]
        refused = run("world", "serve", "--store", sqlite_url, "--port", "0", "--json")
        assert (refused.code, refused.error["code"]) == (4, "world_attached")
        port = endpoint.rpartition(":")[2]
        refused = run("world", "serve", "--detached", "--port", port, "--json")
        assert (refused.code, refused.error["code"]) == (4, "port_in_use")
        assert client(endpoint, "s3").get_object(Bucket="bucket-one", Key="k")["Body"].read() == b"body"
        assert client(endpoint, "dynamodb").scan(TableName="t")["Items"] == [{"id": {"S": "a"}}]


def test_a_signal_ends_it_whoever_waits() -> None:
    with serving("--detached") as (process, endpoint), ThreadPoolExecutor(1) as threads:
        sqs = client(endpoint, "sqs")
        url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
        poll = threads.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
        with closing(Stream(endpoint)) as stream:
            stream.begun()
            time.sleep(0.2)
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert stream.next() is None
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            poll.result()
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, "", "")
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--host", "0.0.0.0"], "token_needed"),
        (["--host", "192.0.2.1", "--token", "t"], "address_unusable"),
        (["--account", "12"], "invalid_account"),
        (["--region", "nowhere"], "unknown_region"),
        (["--name", "a/b"], "invalid_scope"),
        (["--port", "70000"], "usage"),
        (["--store", "sqlite:///x.db"], "invalid_input"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_served(run: Run, options: list[str], code: str) -> None:
    refused = run("world", "serve", "--detached", "--port", "0", "--json", *options)
    assert (refused.code, refused.error["code"]) == (2, code)
    assert refused.out == ""


def test_people_are_told_how_to_use_it(sqlite_url: str) -> None:
    process = subprocess.Popen(
        [*SERVE, "--store", sqlite_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        first, second, third = (process.stdout.readline() for _ in range(3))
        assert f"(pid {process.pid}), attached to {sqlite_url}." in first
        endpoint = first.split()[5]
        assert f"AWS_ENDPOINT_URL={endpoint} AWS_ACCESS_KEY_ID={ACCOUNT}" in second
        assert f"{endpoint}/_world" in third
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10)[0].split() == ["Ending.", "Ended."]
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
