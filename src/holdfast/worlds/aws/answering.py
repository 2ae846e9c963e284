"""How a world answers requests of AWS's clients (WO-11)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSPreparedRequest
from botocore.loaders import create_loader
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.models import botocore_stubber
from moto.core.request import Request

from holdfast.errors import HoldfastError, InvalidInput, NotSerialisable
from holdfast.worlds.aws.errors import AmbiguousWorld

T = TypeVar("T")
Answer = tuple[int, dict[str, Any], Any]
Asked: TypeAlias = AWSPreparedRequest | Request
"""What a client asks: as botocore has it or, up to moto 5.2.4, as the emulator has made it its own."""
_emulate = BotocoreStubber.process_request
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_ANY_HALF = re.compile(rb"(?:\\|%5[cC])u[dD][89a-fA-F]")
_FORM = "application/x-www-form-urlencoded"


class Server(Protocol):
    """The world that answers."""

    account_id: str
    region: str

    def serve(self, work: Callable[[], T]) -> T:
        """Have the emulator do something, inside the gate."""
        ...


def answer(world: Server, request: Asked) -> Answer | None:
    """The world's answer to a request of botocore; ``None``: it has none for that host, which is not AWS's. What it
    could not write is an answer, too: 503, which clients try again."""
    as_json = "x-amz-target" in request.headers
    try:
        check_storable(
            body_of(request), as_json=as_json, is_form=is_form(request.method, request.headers.get("Content-Type"))
        )
        return world.serve(lambda: _emulate(botocore_stubber, request)) or _none_of(request, as_json=as_json)
    except HoldfastError as error:
        return refusal(error, as_json=as_json)


def _none_of(request: Asked, *, as_json: bool) -> Answer | None:
    """No request for AWS leaves the machine, whether the emulator knows the host or not."""
    host = urlsplit(request.url).hostname or ""
    if not host.endswith(_suffixes_of_aws()):
        return None
    return fault(501, "NotImplemented", f"No service of the mock AWS answers for {host!r:.200}.", as_json=as_json)


@cache
def _suffixes_of_aws() -> tuple[str, ...]:
    """What the names of AWS's hosts end with, in all of its partitions; the domain ``aws`` is its own."""
    outputs = [partition["outputs"] for partition in create_loader().load_data("partitions")["partitions"]]
    return (".aws", *{f".{each[name]}" for each in outputs for name in ("dnsSuffix", "dualStackDnsSuffix")})


def body_of(request: Asked) -> Any:
    """What a request carries: bytes, a text, a file or nothing."""
    return request.get_data() if isinstance(request, Request) else request.body


def is_form(method: str | None, content_type: str | bytes | None) -> bool:
    """Whether a request's body is a form, as AWS's older protocols have it."""
    told = content_type.decode("latin-1") if isinstance(content_type, bytes) else content_type or ""
    return method == "POST" and told.lower().startswith(_FORM)


def check_storable(body: Any, *, as_json: bool, is_form: bool) -> None:
    """See that no text in a request's body is one that no file, database or JSON can hold, and no text in the JSON
    that a text is: the emulator reads that, too, and keeps what it has read. Bodies of other forms are bytes.

    Raises:
        NotSerialisable: half of a pair of surrogates is in it.
    """
    if not (as_json or is_form):
        return
    told = body if isinstance(body, bytes) else body.encode("utf-8", "replace") if isinstance(body, str) else b""
    if _ANY_HALF.search(told):
        text = told.decode("utf-8", "replace")
        _check_texts([text] if as_json else [value for _, value in parse_qsl(text)])


def _check_texts(waiting: list[Any]) -> None:
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            waiting.extend((*found, *found.values()))
        elif isinstance(found, list):
            waiting.extend(found)
        elif isinstance(found, str):
            try:
                found.encode()
            except UnicodeEncodeError as error:
                raise NotSerialisable("A text of the request holds half of a surrogate pair.") from error
            if _HALF.search(found):
                with suppress(ValueError, RecursionError):  # no JSON: its backslashes mean nothing
                    waiting.append(json.loads(found))


def refusal(error: HoldfastError, *, as_json: bool) -> Answer:
    """An error of the world in the form in which AWS tells of one."""
    status, code = (400, "SerializationException") if isinstance(error, InvalidInput) else (503, "ServiceUnavailable")
    code = "AmbiguousWorld" if isinstance(error, AmbiguousWorld) else code
    return fault(status, code, f"{error.message} {error.remedy or ''}".strip(), as_json=as_json)


def fault(status: int, code: str, told: str, *, as_json: bool) -> Answer:
    """What AWS answers when it cannot do what it is asked for."""
    if as_json:
        body = json.dumps({"__type": code, "message": told})
    else:
        found = f"<Code>{code}</Code><Message>{escape(told)}</Message>"
        body = f"<ErrorResponse><Error>{found}</Error></ErrorResponse>"
    return status, {"Content-Type": "application/json" if as_json else "text/xml"}, body
