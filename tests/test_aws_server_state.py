"""The state of a world over HTTP: views, checkpoints, differences, bodies, and who may have them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.server import WorldServer
from tests.aws_server_kit import ACCOUNT, OTHER, REGION, Reply, ask, client

VIEW = f"/_world/{ACCOUNT}/{REGION}/sqs"


@pytest.fixture
def world() -> Iterator[AwsWorld]:
    opened = AwsWorld()
    yield opened
    opened.close()


@pytest.fixture
def endpoint(world: AwsWorld) -> Iterator[str]:
    with WorldServer(world) as server:
        yield server.endpoint


@pytest.fixture
def url(endpoint: str) -> str:
    """Of a queue with a message."""
    sqs = client(endpoint, "sqs")
    made: str = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    sqs.send_message(QueueUrl=made, MessageBody="one")
    return made


def bodies_of(endpoint: str, url: str) -> list[str]:
    """What the messages of a queue are, without a trace of having looked."""
    view = ask(endpoint, "GET", VIEW).json
    return sorted(found["body"] for name, found in view["resources"].items() if name.startswith("message/"))


def test_what_the_world_is(world: AwsWorld, endpoint: str, url: str) -> None:
    about = ask(endpoint, "GET", "/_world").json
    assert about["name"] == "aws"
    assert about["services"] == sorted(world.services)
    assert {"account_id": ACCOUNT, "region": REGION} in about["scopes"]
    assert about["holder"] is None


def test_who_asks_by_the_wrong_method_is_told_the_right_ones(endpoint: str) -> None:
    for path, taken in (("/_world/reset", "POST"), ("/_world/checkpoints", "GET, HEAD, POST"), (VIEW, None)):
        refused = ask(endpoint, "DELETE", path)
        assert (refused.status, refused.headers["Allow"]) == (405, taken or "GET, HEAD, PATCH, PUT")


def test_a_view_is_canonical_and_tagged(endpoint: str, url: str) -> None:
    first = ask(endpoint, "GET", VIEW)
    tag = f'"{sha256(first.body).hexdigest()}"'
    assert first.headers["ETag"] == tag
    assert first.json["service"] == "sqs"
    unchanged = ask(endpoint, "GET", VIEW, If_None_Match=tag)
    assert (unchanged.status, unchanged.body) == (304, b"")
    client(endpoint, "sqs").send_message(QueueUrl=url, MessageBody="two")
    assert ask(endpoint, "GET", VIEW, If_None_Match=tag).status == 200
    assert ask(endpoint, "GET", f"/_world/{OTHER}/us-west-2/sqs").json["resources"] == {}


def test_a_view_is_put_into_another_world(endpoint: str, url: str) -> None:
    client(endpoint, "sqs").receive_message(QueueUrl=url)
    taken = ask(endpoint, "GET", VIEW).body
    with WorldServer(AwsWorld()) as elsewhere:
        there = client(elsewhere.endpoint, "sqs")
        gone = there.create_queue(QueueName="gone")["QueueUrl"]
        reply = ask(elsewhere.endpoint, "PUT", VIEW, taken)
        told = {"service": "sqs", "account_id": ACCOUNT, "region": REGION, "resources": reply.json["resources"]}
        assert (reply.status, reply.json) == (200, told)
        assert ask(elsewhere.endpoint, "GET", VIEW).body == taken
        assert gone not in there.list_queues()["QueueUrls"]


def test_views_are_merged_by_policy(endpoint: str, url: str) -> None:
    old = ask(endpoint, "GET", VIEW).body
    sqs = client(endpoint, "sqs")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    sqs.purge_queue(QueueUrl=url)
    dry = ask(endpoint, "PATCH", f"{VIEW}?dry_run=true", old).json
    assert (dry["dry_run"], dry["policy"]) == (True, "keep")
    assert len(dry["added"]) == 1
    assert [conflict["resource"] for conflict in dry["conflicts"]] == ["queue/jobs"]
    assert bodies_of(endpoint, url) == []
    failed = ask(endpoint, "PATCH", f"{VIEW}?policy=fail", old)
    assert (failed.status, failed.error) == (409, "merge_conflict")
    assert failed.json["report"]["conflicts"] == dry["conflicts"]
    assert ask(endpoint, "PATCH", VIEW, old).json["added"] == dry["added"]
    assert bodies_of(endpoint, url) == ["one"]
    replaced = ask(endpoint, "PATCH", f"{VIEW}?policy=replace&dry_run=false", old).json["conflicts"]
    assert [conflict["resolution"] for conflict in replaced] == ["replaced"]
    timeout = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    assert timeout == {"VisibilityTimeout": "30"}


def test_checkpoints_are_made_compared_and_gone_back_to(endpoint: str, url: str) -> None:
    made = ask(endpoint, "POST", "/_world/checkpoints", {"name": "be fore"})
    assert (made.status, made.json["name"]) == (201, "be fore")
    assert ask(endpoint, "POST", "/_world/checkpoints", {"name": "be fore"}).status == 409
    sqs = client(endpoint, "sqs")
    sqs.send_message(QueueUrl=url, MessageBody="two")
    client(endpoint, "sqs", OTHER).create_queue(QueueName="later")
    ask(endpoint, "POST", "/_world/checkpoints", {"name": "after"})
    found = ask(endpoint, "GET", "/_world/diff?before=be%20fore&after=after").json
    changes = [change for part in found["parts"] for change in part["changes"]]
    assert ("created", "two") in [(change["kind"], change["after"].get("body")) for change in changes]
    assert ask(endpoint, "GET", "/_world/diff?before=after").json == {"equal": True, "parts": []}
    done = ask(endpoint, "POST", "/_world/checkpoints/be%20fore/restore").json
    assert done["checkpoint"] != done["before"]
    assert bodies_of(endpoint, url) == ["one"]
    assert client(endpoint, "sqs", OTHER).list_queues().get("QueueUrls") is None
    page = ask(endpoint, "GET", "/_world/checkpoints?limit=1").json
    assert len(page["items"]) == 1
    rest = ask(endpoint, "GET", f"/_world/checkpoints?after={page['next']}").json
    assert made.json in rest["items"]
    assert ask(endpoint, "DELETE", "/_world/checkpoints/after").status == 200
    assert ask(endpoint, "POST", "/_world/checkpoints/after/restore").error == "checkpoint_not_found"


def test_a_world_is_emptied(endpoint: str, url: str) -> None:
    assert ask(endpoint, "POST", "/_world/reset").status == 200
    assert client(endpoint, "sqs").list_queues().get("QueueUrls") is None


def test_bodies_are_carried_by_digest(endpoint: str) -> None:
    body = bytes(range(256)) * 100
    path = f"/_world/bodies/{sha256(body).hexdigest()}"
    assert ask(endpoint, "GET", path).error == "missing_blob"
    assert ask(endpoint, "PUT", path, b"another").status == 400
    for _ in range(2):
        assert ask(endpoint, "PUT", path, body).json["size"] == len(body)
    found = ask(endpoint, "GET", path)
    assert found.body == body
    assert found.headers["Content-Type"] == "application/octet-stream"


def test_objects_are_carried_to_another_world_with_their_bodies(world: AwsWorld, endpoint: str) -> None:
    s3 = client(endpoint, "s3")
    s3.create_bucket(Bucket="carried", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="carried", VersioningConfiguration={"Status": "Enabled"})
    bodies = [b"old" * 10_000, b"new" * 10_000]
    versions = [s3.put_object(Bucket="carried", Key="k", Body=body)["VersionId"] for body in bodies]
    path = f"/_world/{ACCOUNT}/{REGION}/s3"
    taken = ask(endpoint, "GET", path).body
    digests = {
        digest for record in world.s3.decode(taken).resources.values() for digest in world.s3.adapter.digests(record)
    }
    assert len(digests) == 2
    with WorldServer(AwsWorld()) as elsewhere:
        assert ask(elsewhere.endpoint, "PUT", path, taken).error == "missing_blob"
        for digest in digests:
            ask(
                elsewhere.endpoint,
                "PUT",
                f"/_world/bodies/{digest}",
                ask(endpoint, "GET", f"/_world/bodies/{digest}").body,
            )
        assert ask(elsewhere.endpoint, "PUT", path, taken).status == 200
        there = client(elsewhere.endpoint, "s3")
        for version, body in zip(versions, bodies, strict=True):
            assert there.get_object(Bucket="carried", Key="k", VersionId=version)["Body"].read() == body
        assert ask(elsewhere.endpoint, "GET", path).body == taken


BAD: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/_world/12345/eu-west-1/sqs", None, 400, "invalid_account"),
    ("GET", "/_world/..%2f..%2fetc/eu-west-1/sqs", None, 404, "no_such_path"),
    ("GET", f"/_world/{ACCOUNT}/nowhere/sqs", None, 400, "unknown_region"),
    ("GET", f"/_world/{ACCOUNT}/{REGION}/nonsense", None, 404, "no_such_service"),
    ("PUT", VIEW, b"", 400, "invalid_view"),
    ("PUT", VIEW, b"[" * 100_000, 400, "invalid_view"),
    ("PUT", VIEW, b"\xff", 400, "invalid_view"),
    ("PUT", VIEW, {"service": "sqs", "version": 99, "resources": {}}, 400, "view_version"),
    ("PUT", VIEW, {"service": "s3", "version": 1, "resources": {}}, 400, "invalid_view"),
    ("PUT", VIEW, {"service": "sqs", "version": 1, "resources": {"queue/a": {}}}, 400, "invalid_view"),
    ("PATCH", f"{VIEW}?policy=mine", {}, 400, "invalid_input"),
    ("PATCH", f"{VIEW}?dry_run=maybe", {}, 400, "invalid_input"),
    ("PATCH", f"{VIEW}?dryrun=true", {}, 400, "invalid_input"),
    ("GET", "/_world/diff?before=x&afer=y", None, 400, "invalid_input"),
    ("POST", "/_world/checkpoints", {"name": "../x"}, 400, "invalid_scope"),
    ("POST", "/_world/checkpoints", {"name": 1}, 400, "invalid_input"),
    ("POST", "/_world/checkpoints", {"named": "x"}, 400, "invalid_input"),
    ("POST", "/_world/checkpoints", b"[" * 100_000, 400, "invalid_input"),
    ("POST", "/_world/checkpoints", b" " * 2_000_000, 413, "request_too_large"),
    ("GET", "/_world/checkpoints?limit=-1", None, 400, "invalid_input"),
    ("GET", "/_world/checkpoints?after=x", None, 400, "invalid_cursor"),
    ("POST", "/_world/checkpoints/none/restore", None, 404, "checkpoint_not_found"),
    ("GET", "/_world/diff", None, 400, "invalid_input"),
    ("GET", "/_world/diff?before=none", None, 404, "checkpoint_not_found"),
    ("GET", "/_world/changes?service=nonsense", None, 404, "no_such_service"),
    ("GET", "/_world/changes?account=1", None, 400, "invalid_account"),
    ("GET", "/_world/bodies/xyz", None, 400, "invalid_input"),
    ("GET", "/_world/nonsense", None, 404, "no_such_path"),
    ("DELETE", VIEW, None, 405, "method_not_allowed"),
    ("OPTIONS", "/_world", None, 405, "method_not_allowed"),
]


def test_bad_requests_are_refused_before_anything_changes(endpoint: str, url: str) -> None:
    before = ask(endpoint, "GET", VIEW).body
    for method, path, body, status, code in BAD:
        reply = ask(endpoint, method, path, body)
        assert (reply.status, reply.error) == (status, code), (method, path, body, reply)
    assert ask(endpoint, "GET", VIEW).body == before


def refused(reply: Reply) -> tuple[int, str]:
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]
    return reply.status, reply.error


def test_pages_of_other_sites_get_nothing(endpoint: str, url: str) -> None:
    port = endpoint.rpartition(":")[2]
    foreign = (403, "foreign_request")
    for origin in ("http://evil.example", "null", f"http://evil.example:{port}", f"http://localhost:{port}1"):
        assert refused(ask(endpoint, "POST", "/_world/reset", Origin=origin)) == foreign
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "localhost.evil.example",
        "[::1",
        "127.0.0.1.evil.example",
        "",
    ):
        assert refused(ask(endpoint, "GET", "/_world", Host=host)) == foreign
        assert refused(ask(endpoint, "POST", "/_world/reset", Host=host, Origin=f"http://{host}")) == foreign
    assert refused(ask(endpoint, "GET", "/_world", Sec_Fetch_Site="cross-site")) == foreign
    for host in ("localhost", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert ask(endpoint, "GET", "/_world", Host=host, Origin=f"http://{host}").status == 200
    assert bodies_of(endpoint, url) == ["one"]


def test_a_token_guards_the_state_and_nothing_else(world: AwsWorld) -> None:
    with WorldServer(world, "0.0.0.0", token="sésame") as server:
        endpoint = server.endpoint.replace("0.0.0.0", "127.0.0.1")
        for told in (
            {},
            {"Authorization": "Bearer no"},
            {"Authorization": "Basic sésame"},
            {"Authorization": "Bearer"},
        ):
            reply = ask(endpoint, "POST", "/_world/reset", **told)
            assert refused(reply) == (401, "unauthorized")
            assert reply.headers["WWW-Authenticate"] == "Bearer"
        right = "Bearer sésame".encode().decode("latin-1")
        assert ask(endpoint, "GET", "/_world", Host="aws:4566", Authorization=right).status == 200
        assert ask(endpoint, "GET", "/_world", Origin="http://evil.example", Authorization=right).status == 403
        assert client(endpoint, "sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
