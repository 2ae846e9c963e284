"""boto3 in this process speaks to a world instead of AWS (WO-11)."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias, TypeVar
from xml.sax.saxutils import escape

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.custom_responses_mock import reset_responses_mock
from moto.core.models import botocore_stubber, responses_mock
from moto.core.request import Request

from holdfast.errors import HoldfastError, InvalidInput, NotSerialisable
from holdfast.worlds.aws.errors import WorldClosed

T = TypeVar("T")
Answer = tuple[int, dict[str, Any], Any]
Asked: TypeAlias = AWSPreparedRequest | Request
"""What a client asks: as botocore has it or, up to moto 5.2.4, as the emulator has made it its own."""


class Server(Protocol):
    """The world that answers."""

    account_id: str
    region: str

    def serve(self, work: Callable[[], T]) -> T:
        """Have the emulator do something, inside the gate."""
        ...


_chosen: ContextVar[Server | None] = ContextVar("aws_world", default=None)
_entered: list[Server] = []
_lock = threading.Lock()
_emulate = BotocoreStubber.process_request
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SECRET = "holdfast"  # noqa: S105 - any will do: the emulator asks for none
_HIDDEN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


def answer(world: Server, request: Asked) -> Answer | None:
    """The world's answer to a request of botocore; ``None``: it has none for that host. What it could not write is
    an answer, too: 503, which clients try again."""
    as_json = "x-amz-target" in request.headers
    try:
        if as_json:
            check_storable(body_of(request))
        return world.serve(lambda: _emulate(botocore_stubber, request))
    except HoldfastError as error:
        return refusal(error, as_json=as_json)


def body_of(request: Asked) -> Any:
    """What a request carries: bytes, a text, a file or nothing."""
    return request.get_data() if isinstance(request, Request) else request.body


def check_storable(body: Any) -> None:
    """See that no text in a request's body is one that no file, database or JSON can hold.

    Raises:
        NotSerialisable: half of a pair of surrogates is in it.
    """
    text = body if isinstance(body, bytes) else body.encode("utf-8", "replace") if isinstance(body, str) else b""
    if _SURROGATE.search(text):
        try:
            json.dumps(json.loads(text), ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise NotSerialisable("A text of the request holds half of a surrogate pair.") from error
        except ValueError:  # no JSON: its backslashes mean nothing
            return


def refusal(error: HoldfastError, *, as_json: bool) -> Answer:
    """An error of the world in the form in which AWS tells of one."""
    status, code = (400, "SerializationException") if isinstance(error, InvalidInput) else (503, "ServiceUnavailable")
    return fault(status, code, f"{error.message} {error.remedy or ''}".strip(), as_json=as_json)


def fault(status: int, code: str, told: str, *, as_json: bool) -> Answer:
    """What AWS answers when it cannot do what it is asked for."""
    if as_json:
        body = json.dumps({"__type": code, "message": told})
    else:
        found = f"<Code>{code}</Code><Message>{escape(told)}</Message>"
        body = f"<ErrorResponse><Error>{found}</Error></ErrorResponse>"
    return status, {"Content-Type": "application/json" if as_json else "text/xml"}, body


def client_of(world: Server, service: str, account: str, region: str, **more: Any) -> Any:
    """A boto3 client of a world, bound to it."""
    session = boto3.Session(aws_access_key_id=account, aws_secret_access_key=_SECRET, region_name=region)
    config = Config(account_id_endpoint_mode="disabled")  # the emulator knows no hosts of single accounts
    more["config"] = config.merge(more["config"]) if more.get("config") else config
    client = session.client(service, **more)
    client.meta.events.unregister("before-send", botocore_stubber)  # every handler is called, not the first alone
    client.meta.events.register("before-send", _Bound(world))
    return client


class _Bound(BotocoreStubber):
    """What a client of one world asks, whichever world is chosen."""

    def __init__(self, world: Server) -> None:
        super().__init__()
        self.enabled = True
        self._world = world

    def process_request(self, request: Asked) -> Answer | None:
        return answer(self._world, request)


@contextmanager
def patched(world: Server) -> Iterator[None]:
    """Have boto3 and botocore speak to ``world`` during the block: in this context, and in threads that have no world
    of their own."""
    with _lock:
        if not _entered:
            _start(world)
        _entered.append(world)
    token = _chosen.set(world)
    try:
        yield
    finally:
        with _lock:
            _entered.remove(world)
            if not _entered:
                _stop()
        with suppress(ValueError):  # it is left in another context, where it was never chosen
            _chosen.reset(token)


_mock = mock_aws(config={"core": {"mock_credentials": False}})
_environment = ExitStack()


def _start(world: Server) -> None:
    """The key names no account: it is that of whichever world is spoken to."""
    told = {"AWS_ACCESS_KEY_ID": _SECRET, "AWS_SECRET_ACCESS_KEY": _SECRET, "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"}
    region = {"AWS_DEFAULT_REGION": os.environ.get("AWS_DEFAULT_REGION", world.region)}
    hidden = {name: None for name in os.environ if name in _HIDDEN or name.startswith("AWS_ENDPOINT_URL")}
    with ExitStack() as unless_started:
        unless_started.enter_context(_environment_of(hidden | told | region))
        _mock.start(reset=False)
        botocore_stubber.process_request = _chosen_answer  # type: ignore[method-assign]
        _environment.push(unless_started.pop_all())


@contextmanager
def _environment_of(values: Mapping[str, str | None]) -> Iterator[None]:
    """Have these variables during the block; ``None``: not have them. What becomes of others is nobody's business."""
    before = {name: os.environ.get(name) for name in values}
    _put(values)
    try:
        yield
    finally:
        _put(before)


def _put(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _stop() -> None:
    del botocore_stubber.process_request
    _mock.stop(remove_data=False)
    reset_responses_mock(responses_mock)
    _environment.close()


def _chosen_answer(request: Asked) -> Answer | None:
    """That of the world whose block this is or, where that has ended, of the one that was entered last."""
    world, entered = _chosen.get(), list(_entered)
    if world not in entered and entered:
        world = entered[-1]
    if world is None:  # the last has been left since botocore asked
        return refusal(WorldClosed("aws"), as_json="x-amz-target" in request.headers)
    return answer(world, request)
