"""A world with some of everything of all ten services, and every answer of its reads.

``python -m tests.aws_readback_kit fill|read STORE FILE``: make it, or open what another process made, and write the
answers to a file; with READ_BY_CLI in the environment, those to the AWS CLI, too.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.store import open_store
from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.server import WorldServer
from tests import (
    aws_iam_kit,
    test_aws_events,
    test_aws_logs,
    test_aws_secretsmanager,
    test_aws_sns,
    test_aws_ssm,
)
from tests.aws_kit import ACCOUNT, REGION
from tests.aws_readback_services import (
    Ids,
    client,
    fill_dynamodb,
    fill_kms,
    fill_s3,
    fill_sqs,
    read_dynamodb,
    read_kms,
    read_sqs,
    without_ids,
)
from tests.aws_s3 import asked
from tests.aws_server_kit import aws

NAME, MOMENT = "readback", "before"


class Service(NamedTuple):
    """How a service is filled, which tells ids, and read."""

    fill: Callable[[Any], Ids]
    read: Callable[[Any, Ids], Any]


SERVICES = {
    "s3": Service(fill_s3, lambda s3, ids: asked(s3)),
    "dynamodb": Service(fill_dynamodb, read_dynamodb),
    "sqs": Service(fill_sqs, read_sqs),
    "sns": Service(test_aws_sns.fill, test_aws_sns.read),
    "secretsmanager": Service(
        without_ids(test_aws_secretsmanager.fill), lambda client, ids: test_aws_secretsmanager.read(client)
    ),
    "ssm": Service(test_aws_ssm.fill, test_aws_ssm.read),
    "iam": Service(without_ids(aws_iam_kit.use_everything), lambda iam, ids: aws_iam_kit.reads(iam)),
    "kms": Service(fill_kms, read_kms),
    "events": Service(without_ids(test_aws_events._fill), lambda events, ids: test_aws_events._answers(events)),
    "logs": Service(without_ids(test_aws_logs._fill), lambda logs, ids: test_aws_logs._answers(logs)),
}
COMMANDS = (
    ("s3", "ls", "--recursive", "s3://box"),
    ("s3api", "list-object-versions", "--bucket", "box"),
    ("s3api", "list-parts", "--bucket", "plain", "--key", "unfinished", "--upload-id", "UPLOAD"),
    ("dynamodb", "scan", "--table-name", "orders"),
    ("dynamodb", "describe-table", "--table-name", "orders"),
    ("sqs", "list-queues"),
    ("sqs", "get-queue-attributes", "--queue-url", f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/jobs",
     "--attribute-names", "All"),
)  # fmt: skip


def reads(world: AwsWorld, ids: dict[str, Ids]) -> dict[str, Any]:
    """Every answer, of all services, as JSON can hold them. Ends the world, where the AWS CLI is asked, too."""
    found = {name: one.read(client(name), ids[name]) for name, one in SERVICES.items()}
    if "READ_BY_CLI" in os.environ:
        (upload,) = client("s3").list_multipart_uploads(Bucket="plain")["Uploads"]
        with WorldServer(world) as server:
            for words in COMMANDS:
                told = [upload["UploadId"] if word == "UPLOAD" else word for word in words]
                found[" ".join(words)] = _parsed(aws(server.endpoint, *told).replace(server.endpoint, "ENDPOINT"))
    plain: dict[str, Any] = json.loads(json.dumps(_plain(found), default=str))
    return plain


def _parsed(text: str) -> Any:
    """JSON as its values: the CLI prints objects' fields in the order in which it happens to be answered."""
    return json.loads(text) if text.startswith("{") else text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value


def proofs(ids: dict[str, Ids]) -> dict[str, Any]:
    """What only acts show: who has a message in flight, which ones are left, that what was sent twice is sent once."""
    sqs, told = client("sqs"), ids["sqs"]
    left = sqs.receive_message(QueueUrl=told["jobs"], MaxNumberOfMessages=10).get("Messages", [])
    dead = sqs.receive_message(QueueUrl=told["dead"], MaxNumberOfMessages=10).get("Messages", [])
    sqs.delete_message(QueueUrl=told["jobs"], ReceiptHandle=told["taken"])
    sqs.send_message(QueueUrl=told["line"], MessageBody="taken", MessageGroupId="g")
    line = sqs.receive_message(QueueUrl=told["line"], MaxNumberOfMessages=10)["Messages"]
    attributes = sqs.get_queue_attributes(QueueUrl=told["jobs"], AttributeNames=["All"])["Attributes"]
    return {
        "left": [message["Body"] for message in left],
        "dead": [message["Body"] for message in dead],
        "line": [message["Body"] for message in line],
        "in flight": attributes["ApproximateNumberOfMessagesNotVisible"],
    }


@contextmanager
def world_at(url: str) -> Iterator[AwsWorld]:
    with open_store(url) as store, AwsWorld(store, NAME, account=ACCOUNT, region=REGION) as world:
        yield world


def fill(url: str) -> Iterator[tuple[str, Any]]:
    with world_at(url) as world:
        ids = {name: one.fill(client(name)) for name, one in SERVICES.items()}
        yield "ids", ids
        world.checkpoint(MOMENT)
        yield "made", reads(world, ids)


def read(url: str, ids: dict[str, Ids]) -> Iterator[tuple[str, Any]]:
    with world_at(url) as world:
        yield "opened", reads(world, ids)
    with world_at(url) as world:
        world.reset()
        empty = [view for view in world.snapshot().values() if not view.resources]
        assert len(empty) > len(SERVICES) - 2
        world.restore(MOMENT)
        yield "restored", reads(world, ids)
    with world_at(url) as world:
        yield "opened again", reads(world, ids)
    with world_at(url):
        yield "proofs", proofs(ids)


def main(what: str, url: str, file: str) -> None:
    path = Path(file)
    found = dict(fill(url) if what == "fill" else read(url, json.loads(path.read_text())["ids"]))
    path.write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
