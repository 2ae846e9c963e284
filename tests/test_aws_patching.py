"""boto3 within a block: whose world it speaks to, where, in which region, and what never gets that far."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from contextvars import copy_context
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.configprovider import EnvironmentProvider
from botocore.exceptions import ClientError
from botocore.session import Session
from moto import mock_aws
from moto.s3.models import FakeKey, FakeMultipart
from s3transfer.futures import BoundedExecutor  # type: ignore[import-untyped]

from holdfast.store import open_store
from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.answering import answer
from holdfast.worlds.aws.instruments import MOST_LISTED
from holdfast.worlds.aws.server import WorldServer

T = TypeVar("T")
A, B = "111111111111", "222222222222"
NOBODY = "http://127.0.0.1:9"
ONCE = Config(retries={"max_attempts": 0})
HALF, PAIR = '{"a": "\\ud800"}', json.dumps({"a": "\U0001f600"})


@pytest.fixture
def worlds() -> Iterator[tuple[AwsWorld, AwsWorld]]:
    with closing(AwsWorld(name="a", account=A)) as one, closing(AwsWorld(name="b", account=B)) as two:
        yield one, two


def aside(work: Callable[[], T]) -> T:
    """In a thread that has no context of anybody's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result(20)


def account() -> str:
    found: str = boto3.client("sts", region_name="us-east-1").get_caller_identity()["Account"]
    return found


# -- whose world -------------------------------------------------------------------------------------------------------


def test_boto3s_own_threads_work_for_whoever_started_them(worlds: tuple[AwsWorld, AwsWorld], tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=20)

    def transfer(world: AwsWorld, body: bytes) -> list[str]:
        with world.patched():
            s3 = boto3.client("s3")
            s3.create_bucket(Bucket="orders")
            both.wait()
            s3.upload_fileobj(io.BytesIO(body), "orders", world.name)
            s3.download_file("orders", world.name, str(tmp_path / world.name))
            assert (tmp_path / world.name).read_bytes() == body
            both.wait()
            return [entry["Key"] for entry in s3.list_objects_v2(Bucket="orders")["Contents"]]

    large = b"x" * (9 << 20)  # in parts
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(transfer, worlds, (b"small", large)))
    assert found == [["a"], ["b"]]


def test_a_transfer_that_outlives_its_block_stays_in_its_world(worlds: tuple[AwsWorld, AwsWorld]) -> None:
    with worlds[0].patched():
        started = copy_context()
    with worlds[1].patched():
        assert aside(lambda: started.run(account)) == A


def test_a_thread_that_could_mean_several_worlds_is_refused(worlds: tuple[AwsWorld, AwsWorld]) -> None:
    one, two = worlds
    with one.patched(), one.patched():
        assert aside(account) == A
        with two.patched():
            assert account() == B
            with pytest.raises(ClientError, match="contextvars") as refused:
                aside(account)
            told = refused.value.response
            assert told["Error"]["Code"] == "AmbiguousWorld"
            assert told["ResponseMetadata"]["HTTPStatusCode"] == 400
            assert told["ResponseMetadata"]["RetryAttempts"] == 0
            with pytest.raises(ClientError, match="AmbiguousWorld"):
                aside(lambda: boto3.client("s3").list_buckets())
            with pytest.raises(ClientError, match="AmbiguousWorld"):
                aside(lambda: boto3.client("sqs").list_queues())
            assert aside(lambda: one.client("sts").get_caller_identity()["Account"]) == A
            context = copy_context()
            assert aside(lambda: context.run(account)) == B
        assert account() == aside(account) == A


# -- where -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["environment", "service", "file"])
def test_configured_endpoints_are_not_asked(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == "file":
        (tmp_path / "config").write_text(f"[default]\nregion = ap-south-1\nendpoint_url = {NOBODY}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL" if place == "environment" else "AWS_ENDPOINT_URL_SQS", NOBODY)
    with AwsWorld() as world:
        for _ in range(2):
            url = boto3.client("sqs", config=ONCE).create_queue(QueueName="q")["QueueUrl"]
            assert url.startswith("https://sqs.us-east-1.amazonaws.com/")
            monkeypatch.setenv("AWS_ENDPOINT_URL", NOBODY)
        assert boto3.resource("sqs", config=ONCE).get_queue_by_name(QueueName="q").url == url
    with closing(AwsWorld()) as world:
        world.client("sqs", config=ONCE).list_queues()


def test_an_endpoint_that_code_names_is_asked() -> None:
    with WorldServer(AwsWorld(account=B)) as server, AwsWorld(account=A):
        there = boto3.client("sts", endpoint_url=server.endpoint)
        assert (there.get_caller_identity()["Account"], account()) == (B, A)


@pytest.mark.parametrize(
    "host",
    [
        "sqs.eu-central-1.api.aws",
        "x.lambda-url.us-east-1.on.aws",
        "nonesuch.us-east-1.amazonaws.com",
        "nonesuch.cn-north-1.amazonaws.com.cn",
        "nonesuch.cn-north-1.api.amazonwebservices.com.cn",
        "nonesuch.us-iso-east-1.c2s.ic.gov",
        "nonesuch.us-isob-east-1.sc2s.sgov.gov",
        "nonesuch.eusc-de-east-1.amazonaws.eu",
    ],
)
def test_nothing_for_aws_leaves_the_machine(worlds: tuple[AwsWorld, AwsWorld], host: str) -> None:
    given = answer(worlds[0], AWSPreparedRequest("POST", f"https://{host}/", {"X-Amz-Target": "X.Y"}, b"{}", False))
    assert given is not None
    assert given[0] in (404, 501)


def test_a_host_of_aws_that_the_emulator_does_not_know_is_named(worlds: tuple[AwsWorld, AwsWorld]) -> None:
    with pytest.raises(ClientError, match=r"NotImplemented.*sqs\.us-east-1\.api\.aws"):
        worlds[0].client("sqs", config=ONCE.merge(Config(use_dualstack_endpoint=True))).list_queues()
    for host in ("example.org", "amazonaws.com.example.org", "localhost:1", "notamazonaws.eu"):
        assert answer(worlds[0], AWSPreparedRequest("GET", f"http://{host}/", {}, b"", False)) is None


def test_who_has_the_emulator_besides_gets_the_environment_back() -> None:
    before = dict(os.environ)
    for _ in range(2):
        with mock_aws():
            with AwsWorld(account=A):
                assert account() == A
            assert os.environ["AWS_ACCESS_KEY_ID"] == "FOOBARKEY"
        assert dict(os.environ) == before


# -- in which region ---------------------------------------------------------------------------------------------------


def region() -> str:
    found: str = boto3.client("sqs").meta.region_name
    assert boto3.Session().region_name == found
    return found


def test_who_tells_no_region_is_in_the_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    with AwsWorld(region="us-east-2"):
        assert (region(), aside(region)) == ("us-east-2", "us-east-2")
        with AwsWorld(region="eu-west-1"):
            assert (region(), os.environ["AWS_DEFAULT_REGION"]) == ("eu-west-1", "eu-west-1")
            assert boto3.Session(region_name="us-east-2").client("sqs").meta.region_name == "us-east-2"
            monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")  # code within the block says so
            assert region() == "sa-east-1"
        assert region() == "us-east-2"
    assert os.environ["AWS_DEFAULT_REGION"] == "ap-south-1"


def test_each_thread_is_in_its_worlds_region_and_blocks_may_end_in_any_order() -> None:
    before = dict(os.environ)
    patches = EnvironmentProvider.provide, BoundedExecutor.submit, Session.create_client
    names = "us-west-1", "eu-west-1"
    with ExitStack() as opened:
        worlds = [opened.enter_context(closing(AwsWorld(name=name, region=name))) for name in names]
        first, second = (opened.enter_context(ThreadPoolExecutor(1)) for _ in names)
        blocks = ExitStack(), ExitStack()
        for thread, block, world in zip((first, second), blocks, worlds, strict=True):
            thread.submit(block.enter_context, world.patched()).result()
        assert (first.submit(region).result(), second.submit(region).result()) == names
        first.submit(blocks[0].close).result()
        assert (second.submit(region).result(), aside(region)) == ("eu-west-1", "eu-west-1")
        second.submit(blocks[1].close).result()
    assert dict(os.environ) == before
    assert (EnvironmentProvider.provide, BoundedExecutor.submit, Session.create_client) == patches


# -- what can be stored ------------------------------------------------------------------------------------------------


def put_event(world: AwsWorld, detail: str) -> Any:
    return world.client("events").put_events(Entries=[{"Source": "x", "DetailType": "y", "Detail": detail}])


def test_texts_within_texts_are_looked_through(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store, closing(AwsWorld(store)) as world:
        bus = "arn:aws:events:us-east-1:123456789012:event-bus/default"
        world.client("events").create_archive(ArchiveName="all", EventSourceArn=bus)
        sns = world.client("sns")
        topic = sns.create_topic(Name="t")["TopicArn"]
        queue = "arn:aws:sqs:us-east-1:123456789012:q"
        named = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]

        def filtered(text: str) -> None:
            sns.set_subscription_attributes(
                SubscriptionArn=named, AttributeName="FilterPolicy", AttributeValue=json.dumps({"a": [text]})
            )

        for refused in (lambda: put_event(world, HALF), lambda: filtered("\ud800"), lambda: put_event(world, "\udfff")):
            with pytest.raises(ClientError, match=r"SerializationException.*surrogate"):
                refused()
        assert put_event(world, PAIR)["FailedEntryCount"] == 0
        filtered("\U0001f600 \\ud800")
        world.client("s3").create_bucket(Bucket="box")
        world.client("s3").put_object(Bucket="box", Key="k", Body=HALF.encode())  # bytes, whatever they look like
        world.checkpoint("fine")


# -- what is forgotten -------------------------------------------------------------------------------------------------


def listed(world: AwsWorld, model: Any) -> list[Any]:
    with world.at_work:
        return list(model.instances_tracked)


def test_what_is_gone_from_buckets_is_forgotten(worlds: tuple[AwsWorld, AwsWorld]) -> None:
    world, s3 = worlds[0], worlds[0].client("s3")
    s3.create_bucket(Bucket="box")
    for number in range(MOST_LISTED):
        s3.put_object(Bucket="box", Key=f"{number}", Body=b"%d" % number)
    for _ in range(3 * MOST_LISTED):
        s3.put_object(Bucket="box", Key="same", Body=b"again")
    keys = listed(world, FakeKey)
    assert len({id(key) for key in keys}) == len(keys) <= 2 * MOST_LISTED + 10
    assert sum(not key.disposed for key in keys) == MOST_LISTED + 1
    for number in range(MOST_LISTED):
        assert s3.get_object(Bucket="box", Key=f"{number}")["Body"].read() == b"%d" % number


def test_uploads_go_with_their_bucket(worlds: tuple[AwsWorld, AwsWorld]) -> None:
    s3 = worlds[0].client("s3")
    s3.create_bucket(Bucket="box")
    started = s3.create_multipart_upload(Bucket="box", Key="k")["UploadId"]
    s3.upload_part(Bucket="box", Key="k", UploadId=started, PartNumber=1, Body=b"part")
    s3.delete_bucket(Bucket="box")
    assert [key.disposed for key in listed(worlds[0], FakeKey)] == [True]
    s3.create_bucket(Bucket="box")
    for _ in range(MOST_LISTED + 5):
        started = s3.create_multipart_upload(Bucket="box", Key="k")["UploadId"]
    s3.upload_part(Bucket="box", Key="k", UploadId=started, PartNumber=1, Body=b"part")
    assert len(listed(worlds[0], FakeMultipart)) == MOST_LISTED
