"""What tests of the mock AWS over HTTP share: clients that reach it by its endpoint alone."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

ACCOUNT, OTHER, REGION = "111111111111", "222222222222", "eu-west-1"
SERVE = (sys.executable, "-m", "holdfast", "world", "serve", "--port", "0")


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        found: dict[str, str] = self.json["error"]
        assert found.keys() == {"code", "message", "remedy"}
        assert all(found.values())
        return found["code"]


def client(endpoint: str, service: str, key: str = ACCOUNT, **config: Any) -> Any:
    """A boto3 client of a server; it tries once."""
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key="any", region_name=REGION)
    asked = Config(retries={"total_max_attempts": 1}, **config)
    return session.client(service, endpoint_url=endpoint, config=asked)


def ask(endpoint: str, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    """One request; ``body`` that is no bytes is sent as JSON; in names of ``headers`` an underscore is a dash."""
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=20)
    sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, path, sent, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


class Event(NamedTuple):
    id: str
    kind: str
    data: Any


class Stream:
    """A connection to ``/_world/changes``."""

    def __init__(self, endpoint: str, query: str = "", last_id: str | None = None) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=20)
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        self._connection.request("GET", f"/_world/changes{query}", headers=headers)
        self.response = self._connection.getresponse()
        assert self.response.status == 200
        assert self.response.headers["Content-Type"].startswith("text/event-stream")
        self.last_id = ""

    def next(self) -> Event | None:
        """The next event; ``None`` at the end."""
        kind, data = "message", ""
        while line := self.response.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data += value
            elif not line.strip() and data:
                return Event(self.last_id, kind, json.loads(data))
        return None

    def begun(self) -> None:
        """Wait for the first word of the server, which tells the place in the stream."""
        while not self.last_id:
            line = self.response.readline().decode()
            if line.startswith("id: "):
                self.last_id = line[4:].strip()

    def close(self) -> None:
        self.response.close()
        self._connection.close()


def environment(endpoint: str, account: str = ACCOUNT) -> dict[str, str]:
    """How one tells the AWS CLI of a server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": REGION}
    quiet = {"AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return kept | keys | quiet | {"AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true"}


def aws(endpoint: str, *words: str, account: str = ACCOUNT) -> str:
    """What the AWS CLI says to a command; for SQS its version 1 minds no AWS_ENDPOINT_URL."""
    told = ("--endpoint-url", endpoint) if words[0] == "sqs" else ()
    ended = subprocess.run(
        [sys.executable, "-m", "awscli", *words, *told],
        env=environment(endpoint, account),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real ``holdfast world serve --json`` that is ready, and its endpoint."""
    command = [*SERVE, "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate()[1])
        yield process, json.loads(line)["endpoint"]
    finally:
        process.kill()
        process.communicate()
