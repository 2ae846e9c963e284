"""The AWS protocols over HTTP: real clients, long polls, slow and hostile ones, and what cannot be written (WO-11)."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from moto.s3.models import s3_backends
from moto.sqs.models import SQSBackend

from holdfast.store import open_store
from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.server import PortInUse, TokenNeeded, WorldServer
from tests.aws_server_kit import ACCOUNT, OTHER, REGION, ask, client

DEFAULT = "444444444444"


@pytest.fixture
def world() -> Iterator[AwsWorld]:
    opened = AwsWorld(account=DEFAULT)
    yield opened
    opened.close()


@pytest.fixture
def endpoint(world: AwsWorld) -> Iterator[str]:
    with WorldServer(world) as server:
        yield server.endpoint


def test_each_account_has_queues_of_its_own(world: AwsWorld, endpoint: str) -> None:
    mine, others = client(endpoint, "sqs"), client(endpoint, "sqs", OTHER)
    url = mine.create_queue(QueueName="jobs")["QueueUrl"]
    assert url == f"{endpoint}/{ACCOUNT}/jobs"
    assert others.list_queues().get("QueueUrls") is None
    mine.send_message(QueueUrl=url, MessageBody="höllo", MessageAttributes={})
    (message,) = mine.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "höllo"
    assert [name for name in world.sqs.snapshot(ACCOUNT, REGION).resources if name.startswith("queue/")]
    with pytest.raises(ClientError, match="NonExistentQueue"):
        others.get_queue_url(QueueName="jobs")


def test_keys_of_iam_belong_to_their_account_and_others_to_the_default(endpoint: str) -> None:
    iam = client(endpoint, "iam", OTHER)
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]
    assert client(endpoint, "sts", key).get_caller_identity()["Account"] == OTHER
    for unknown in ("AKIAIOSFODNN7EXAMPLE", "any", "12345678901"):
        assert client(endpoint, "sts", unknown).get_caller_identity()["Account"] == DEFAULT


def test_finding_routes_makes_nothing_in_the_world(world: AwsWorld, endpoint: str) -> None:
    client(endpoint, "s3").list_buckets()
    client(endpoint, "events").list_event_buses()
    client(endpoint, "sqs").list_queues()
    assert {scope.account_id for scope in world.scopes()} <= {ACCOUNT, DEFAULT}


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_presigned_urls_name_their_account(world: AwsWorld, endpoint: str, signature: str) -> None:
    s3 = client(endpoint, "s3", OTHER, signature_version=signature)
    s3.create_bucket(Bucket="presigned", CreateBucketConfiguration={"LocationConstraint": REGION})
    asked = {"Bucket": "presigned", "Key": "a b/ä"}
    for verb, method, body, answer in (("put_object", "PUT", b"body", b""), ("get_object", "GET", None, b"body")):
        url = s3.generate_presigned_url(verb, Params=asked)
        reply = ask(endpoint, method, url.removeprefix(endpoint), body)
        assert (reply.status, reply.body) == (200, answer)
    with world.at_work:
        assert s3_backends.keys() == {OTHER}


def test_long_polls_wait_at_once_while_others_write(endpoint: str) -> None:
    sqs = client(endpoint, "sqs", max_pool_connections=40)
    urls = [sqs.create_queue(QueueName=f"q{n}")["QueueUrl"] for n in range(16)]
    with ThreadPoolExecutor(len(urls)) as threads:
        polls = [threads.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=10) for url in urls]
        time.sleep(0.3)
        started = time.monotonic()
        assert not any(poll.done() for poll in polls)
        for url in urls:
            sqs.send_message(QueueUrl=url, MessageBody=url)
        assert [poll.result()["Messages"][0]["Body"] for poll in polls] == urls
    assert time.monotonic() - started < 5


def test_a_slow_client_keeps_nobody_from_the_gate(endpoint: str) -> None:
    place = urlsplit(endpoint)
    with socket.create_connection((place.hostname, place.port)) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.ListQueues\r\nContent-Length: 9\r\n\r\n{")
        assert client(endpoint, "sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("path", ["/bucket/key", f"/_world/{ACCOUNT}/{REGION}/sqs"])
def test_bodies_are_bounded(endpoint: str, path: str) -> None:
    place = urlsplit(endpoint)
    with socket.create_connection((place.hostname, place.port)) as hostile:
        head = f"PUT {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {1 << 40}\r\n\r\n"
        hostile.sendall(head.encode())
        assert b" 413 " in hostile.recv(200)


@pytest.mark.parametrize("path", ["/bucket/key", f"/_world/{ACCOUNT}/{REGION}/sqs"])
@pytest.mark.parametrize("body", [b"ZZZ\r\nabc\r\n", b"-5\r\nabc\r\n", b"3\r\nabcdef\r\n", b"3\r\nab"])
def test_bodies_that_make_no_sense_are_refused(endpoint: str, path: str, body: bytes) -> None:
    place = urlsplit(endpoint)
    with socket.create_connection((place.hostname, place.port), timeout=10) as hostile:
        head = f"PUT {path} HTTP/1.1\r\nHost: {place.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
        hostile.sendall(head.encode() + body)
        hostile.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: hostile.recv(1000), b""))
    assert told.startswith(b"HTTP/1.1 400 ")
    assert (b'"malformed_request"' if path.startswith("/_world") else b"<Code>Malformed") in told


def test_texts_that_cannot_be_stored_are_refused(endpoint: str) -> None:
    half = '{"a": ["\\ud800"]}'
    with pytest.raises(ClientError, match="SerializationException"):
        client(endpoint, "events").put_events(Entries=[{"Source": "x", "DetailType": "y", "Detail": half}])
    with pytest.raises(ClientError, match="SerializationException"):
        client(endpoint, "sns").create_topic(Name="t", Attributes={"Policy": half})


def test_the_emulators_own_endpoints_are_closed(endpoint: str) -> None:
    url = client(endpoint, "sqs").create_queue(QueueName="jobs")["QueueUrl"]
    for method, path in (("POST", "/moto-api/reset"), ("GET", "/moto-api/data.json"), ("POST", "/moto-api/seed?a=1")):
        reply = ask(endpoint, method, path)
        assert reply.status == 404
        assert b"/_world" in reply.body
    assert client(endpoint, "sqs").list_queues()["QueueUrls"] == [url]


def test_what_the_emulator_raises_is_not_shown(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret of the server")

    monkeypatch.setattr(SQSBackend, "list_queues", broken)
    with caplog.at_level(logging.CRITICAL), pytest.raises(ClientError) as failed:
        client(endpoint, "sqs").list_queues()
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert failed.value.response["Error"]["Code"] == "InternalFailure"
    assert "secret" not in str(failed.value.response)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/nonsense/aws4_request"},
        {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/moto_api/aws4_request"},
        {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request"},
        {"Authorization": "nonsense"},
        {"X-Amz-Target": "nonsense"},
        {"X-Amz-Target": "AmazonSQS.Nonsense", "Authorization": "AWS4-HMAC-SHA256 Credential=a/2/us-east-1/sqs/a"},
    ],
    ids=["service", "moto-api", "no-target", "authorization", "target", "operation"],
)
def test_nonsense_is_answered(
    world: AwsWorld, endpoint: str, headers: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    reply = ask(endpoint, "POST", "/", b"nonsense", **headers)
    assert reply.status >= 400
    assert b"Traceback" not in reply.body
    assert b"werkzeug" not in reply.body.lower()
    world.snapshot()
    assert capfd.readouterr().out == ""


def test_an_account_is_12_digits_whatever_a_header_says(world: AwsWorld, endpoint: str) -> None:
    sign = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/sqs/aws4_request"
    named = {
        "Authorization": sign,
        "X_Amz_Target": "AmazonSQS.CreateQueue",
        "Content_Type": "application/x-amz-json-1.0",
    }
    for told in ("../../etc", "1" * 13, "\N{ARABIC-INDIC DIGIT ONE}" * 12):
        reply = ask(
            endpoint, "POST", "/", {"QueueName": "jobs"}, x_moto_account_id=told.encode().decode("latin-1"), **named
        )
        assert reply.json["QueueUrl"] == f"{endpoint}/{DEFAULT}/jobs"
    assert {scope.account_id for scope in world.scopes()} == {DEFAULT}


def test_who_has_lost_the_world_acknowledges_nothing(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store, WorldServer(AwsWorld(store)) as server:
        sqs = client(server.endpoint, "sqs")
        url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
        with open_store(sqlite_url) as other:
            AwsWorld(other, takeover=True).close()
        for _ in range(2):
            with pytest.raises(ClientError) as refused:
                sqs.send_message(QueueUrl=url, MessageBody="lost")
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert "taken over" in str(refused.value)
        assert ask(server.endpoint, "POST", "/_world/reset").status == 503


def test_closing_ends_long_polls(world: AwsWorld) -> None:
    server = WorldServer(world)
    sqs = client(server.endpoint, "sqs")
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    with ThreadPoolExecutor(1) as threads:
        poll = threads.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
        time.sleep(0.3)
        started = time.monotonic()
        server.close()
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            poll.result()
    assert time.monotonic() - started < 3


def test_where_nobody_can_listen(world: AwsWorld, endpoint: str) -> None:
    port = urlsplit(endpoint).port
    assert port is not None
    with pytest.raises(PortInUse):
        WorldServer(world, port=port)
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(TokenNeeded):
            WorldServer(world, host)
